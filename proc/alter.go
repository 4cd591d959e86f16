package proc

import (
	"maps"
	"slices"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// alterOptions are what index:alter takes.
var alterOptions = func() template {
	t := maps.Clone(indexOptions)
	delete(t, "if_not_exists")
	return t
}()

// alterIndex is index:alter(options): what is not said stays.
func alterIndex(c *call) error {
	if c.arg(0).isNil() {
		c.reply(nil)
		return nil
	}
	opts, err := readOptions(c.arg(0), alterOptions)
	if err != nil {
		return err
	}
	switch {
	case opts.has("sequence"):
		return unsupported("sequences")
	case opts.has("func"):
		return unsupported("functional indexes")
	}
	space, index := uint64(c.space.id), uint64(c.index.id)
	return c.write(true, func(t *txn) (values, error) {
		if opts.has("id") {
			return nil, t.moveIndex(keyOf(space, index), opts)
		}
		row, err := t.get(xrow.SpaceIndex, 0, keyOf(space, index))
		if err != nil {
			return nil, err
		}
		if row == nil {
			return nil, xrow.Errorf(xrow.ErrNoSuchIndexID, uint32(index), c.space.name)
		}
		b, err := t.alteredIndex(space, row, opts)
		if err != nil {
			return nil, err
		}
		return nil, t.replace(xrow.SpaceIndex, b)
	})
}

// moveIndex gives an index another number, and nothing but a name and a type
// beside it.
func (t *txn) moveIndex(key []byte, opts options) error {
	also := ""
	for _, name := range slices.Sorted(maps.Keys(opts)) {
		if name != "id" && name != "name" && name != "type" {
			also += " " + name
		}
	}
	if also != "" {
		return illegal("Don't know how to update both id and%s", also)
	}
	var ops []any
	for i, name := range []string{"id", "name", "type"} {
		if v, ok := opts[name]; ok {
			ops = append(ops, []any{"=", i + 2, v.shortest()})
		}
	}
	return t.update(xrow.SpaceIndex, key, mp.Tuple(ops...))
}

// alteredIndex is a row of _index with some of its parts said anew.
func (t *txn) alteredIndex(space uint64, row tuple, opts options) ([]byte, error) {
	said := func(name string, field int) value {
		if v, ok := opts[name]; ok {
			return v
		}
		return row.field(field)
	}
	stored, err := row.field(4).pairs()
	if err != nil {
		return nil, err
	}
	for _, name := range storedOptions {
		v, ok := opts[name]
		if !ok {
			continue
		}
		at := slices.IndexFunc(stored, func(p pair) bool { return p.name == name })
		if at < 0 {
			stored = append(stored, pair{name: name})
			at = len(stored) - 1
		}
		stored[at].val = v
	}
	altered := []any{row.field(0), row.field(1), said("name", 2), said("type", 3), pairsOf(stored)}
	if !opts.has("parts") {
		return mp.Tuple(append(altered, row.field(5))...), nil
	}
	def, err := t.get(xrow.SpaceSpace, 0, keyOf(space))
	if err != nil {
		return nil, err
	}
	if def == nil {
		return nil, xrow.Errorf(xrow.ErrNoSuchSpace, "#"+numText(space))
	}
	format, err := storedFormat(def.field(6))
	if err != nil {
		return nil, err
	}
	parts, err := t.normalizeParts(format, opts["parts"])
	if err != nil {
		return nil, err
	}
	return mp.Tuple(append(altered, partsOf(parts))...), nil
}

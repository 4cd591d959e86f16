package proc

import (
	"maps"
	"slices"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
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
	ops, n := []byte(nil), uint32(0)
	for i, name := range []string{"id", "name", "type"} {
		if v, ok := opts[name]; ok {
			n++
			ops = msgp.AppendInt(msgp.AppendString(append(ops, 0x93), "="), i+2)
			ops = appendScalar(ops, v)
		}
	}
	return t.update(xrow.SpaceIndex, key, append(msgp.AppendArrayHeader(nil, n), ops...))
}

// alteredIndex is a row of _index with some of its parts said anew.
func (t *txn) alteredIndex(space uint64, row tuple, opts options) ([]byte, error) {
	b := append([]byte{0x96}, row.field(0)...)
	b = append(b, row.field(1)...)
	for i, name := range []string{"name", "type"} {
		if v, ok := opts[name]; ok {
			b = append(b, v...)
		} else {
			b = append(b, row.field(i+2)...)
		}
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
	b = msgp.AppendMapHeader(b, uint32(len(stored)))
	for _, p := range stored {
		b = appendScalar(msgp.AppendString(b, p.name), p.val)
	}
	if !opts.has("parts") {
		return append(b, row.field(5)...), nil
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
	return appendParts(b, parts), nil
}

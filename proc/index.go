package proc

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// indexOptions are what create_index takes; what box does not serve it refuses
// itself.
var indexOptions = template{
	"id": "number", "name": "string", "type": "string", "parts": "table", "sequence": "boolean, number, string, table",
	"unique": "boolean", "if_not_exists": "boolean", "dimension": "number", "distance": "string", "page_size": "number",
	"range_size": "number", "run_count_per_level": "number", "run_size_ratio": "number", "bloom_fpr": "number",
	"func": "number, string", "hint": "boolean", "covers": "table", "layout": "string",
}

// storedOptions go into the opts of a row of _index, in this order.
var storedOptions = [...]string{"dimension", "unique", "distance", "page_size", "range_size", "run_count_per_level",
	"run_size_ratio", "bloom_fpr", "hint", "covers", "layout"}

// createIndex is space:create_index(name, options).
func createIndex(c *call) error {
	name, err := needString(c.arg(0), "name")
	if err != nil {
		return err
	}
	opts, err := readOptions(c.arg(1), indexOptions)
	if err != nil {
		return err
	}
	switch seq, isBool := opts["sequence"].boolean(); {
	case opts.has("sequence") && (!isBool || seq):
		return unsupported("sequences")
	case opts.has("func"):
		return unsupported("functional indexes")
	}
	if err := c.seesSpace(); err != nil {
		return err
	}
	space := uint64(c.space.id)
	return c.write(true, func(t *txn) (values, error) { return t.createIndex(space, name, opts) })
}

func (t *txn) createIndex(space uint64, name string, opts options) (values, error) {
	row, err := t.get(xrow.SpaceSpace, 0, keyOf(space))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, xrow.Errorf(xrow.ErrNoSuchSpace, "#"+numText(space))
	}
	format, err := storedFormat(row.field(6))
	if err != nil {
		return nil, err
	}
	if have, err := t.indexByName(space, name); err != nil || have != nil {
		if have != nil && !opts.isTrue("if_not_exists") {
			return nil, xrow.Errorf(xrow.ErrIndexExists, clip(name))
		}
		return indexValue(have, "not created"), err
	}
	id := uint64(t.schema().NextIndexID(uint32(space)))
	if opts.has("id") {
		var ok bool
		if id, ok = opts["id"].integer(); !ok {
			return nil, illegal("options parameter 'id' should be a positive integer")
		}
	}
	parts, err := t.indexParts(format, opts)
	if err != nil {
		return nil, err
	}
	typ := indexType(opts)
	if err := t.insert(xrow.SpaceIndex, mp.Tuple(space, id, name, typ, indexOptionsOf(opts), partsOf(parts))); err != nil {
		return nil, err
	}
	made, err := t.get(xrow.SpaceIndex, 0, keyOf(space, id))
	return indexValue(made, ""), err
}

func indexType(opts options) string {
	if opts.has("type") {
		return opts.str("type")
	}
	return "tree"
}

// indexParts are the parts asked for, or those that the type of the index
// takes by default.
func (t *txn) indexParts(format []formatField, opts options) ([]part, error) {
	if opts.has("parts") {
		return t.normalizeParts(format, opts["parts"])
	}
	p := part{field: 0, typ: "unsigned"}
	switch indexType(opts) {
	case "rtree":
		p = part{field: 1, typ: "array"}
	case "bitset":
		p = part{field: 1, typ: "unsigned"}
	}
	if p.field < uint64(len(format)) && format[p.field].typ != "any" {
		p.typ = alias(format[p.field].typ)
	}
	if p.field < uint64(len(format)) {
		f := &format[p.field]
		p.collation = f.collation
		if f.nullable {
			p.nullable = value{0xc3}
		}
		if f.scale != nil {
			p.other = []pair{{name: "scale", val: f.scale}}
		}
	}
	return []part{p}, nil
}

// indexOptionsOf is the opts of the row; unique is always said.
func indexOptionsOf(opts options) (out mp.Pairs) {
	for _, name := range storedOptions {
		v := opts[name]
		if v == nil && name == "unique" {
			typ := indexType(opts)
			v = mp.Encode(typ != "rtree" && typ != "bitset")
		}
		if v != nil {
			out.Put(name, v.shortest())
		}
	}
	return out
}

// indexByName finds a row of _index; nil: there is none.
func (t *txn) indexByName(space uint64, name string) (tuple, error) {
	rows, err := t.list(xrow.SpaceIndex, 0, keyOf(space), maxRows)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.str(2) == name {
			return r, nil
		}
	}
	return nil, nil
}

// indexValue is what create_index returns: the definition, and a word if the
// Tarantool adds one.
func indexValue(row tuple, word string) values {
	d, err := defineIndex(row)
	if row == nil || err != nil {
		return nil
	}
	if word == "" {
		return one(mp.Encode(d))
	}
	return values{mp.Encode(d), mp.Encode(word)}
}

// dropIndex is index:drop().
func dropIndex(c *call) error {
	space, index := uint64(c.space.id), uint64(c.index.id)
	return c.write(true, func(t *txn) (values, error) {
		if index == 0 {
			if err := t.dropSpaceSequence(space); err != nil {
				return nil, err
			}
		}
		err := t.dropRows(xrow.SpaceFuncIndex, 0, keyOf(space, index), func(tuple) []byte { return keyOf(space, index) })
		if err != nil {
			return nil, err
		}
		return nil, t.delete(xrow.SpaceIndex, keyOf(space, index))
	})
}

// renameIndex is index:rename(name).
func renameIndex(c *call) error {
	name, err := needString(c.arg(0), "name")
	if err != nil {
		return err
	}
	key := keyOf(uint64(c.space.id), uint64(c.index.id))
	return c.write(true, func(t *txn) (values, error) {
		return nil, t.update(xrow.SpaceIndex, key, assign(3, name))
	})
}

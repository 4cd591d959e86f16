package proc

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// field is an element of a space's format as a row of _space has it.
type field struct {
	name  string
	typ   string
	other []pair // further keys, in the order in which they were given
}

// normalizeFormat turns any spelling of a format into the one of _space.
func (t *txn) normalizeFormat(v value) ([]field, error) {
	if v.isNil() || v.kind() == kindMap {
		return nil, nil // a Lua table without a field number 1
	}
	list, err := v.array()
	if err != nil {
		return nil, illegal("format should be a table")
	}
	fields := make([]field, len(list))
	for i, e := range list {
		if fields[i], err = t.normalizeField(e, i+1); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func (t *txn) normalizeField(v value, no int) (f field, err error) {
	given := []pair{{num: 1, val: v}}
	if v.isTable() {
		if given, err = optionPairs(v); err != nil {
			return f, err
		}
	}
	name, typ := pick(given, "name", 1), pick(given, "type", 2)
	var ok bool
	if f.name, ok = name.str(); !ok {
		return f, illegal("format[%d]: name (string) is expected", no)
	}
	if f.typ, ok = typ.str(); !ok {
		if !typ.isNil() {
			return f, illegal("format[%d]: type must be a string", no)
		}
		f.typ = "any"
	}
	for _, p := range given {
		switch p.name {
		case "", "name", "type":
			continue
		case "collation":
			id, err := t.collation(p.val)
			if err != nil {
				return f, err
			}
			if id == nil {
				s, _ := p.val.str()
				return f, illegal("format[%d]: collation was not found by name '%s'", no, clip(s))
			}
			p.val = id
		case "constraint", "foreign_key", "default_func":
			return f, unsupported(p.name + " of a field")
		}
		f.other = append(f.other, p)
	}
	return f, nil
}

// pick finds an option that goes by a name or by its place.
func pick(given []pair, name string, num uint64) (v value) {
	for _, p := range given {
		if p.name == name {
			return p.val
		}
		if p.name == "" && p.num == num {
			v = p.val
		}
	}
	return v
}

// collation resolves the name of a collation, also in lower case; nil: there
// is none.
func (t *txn) collation(v value) (value, error) {
	const indexName = 1
	name, ok := v.str()
	if !ok {
		return nil, nil
	}
	for _, s := range [...]string{name, lower(name)} {
		row, err := t.get(xrow.SpaceCollation, indexName, keyStr(s))
		if err != nil || row != nil {
			return row.field(0), err
		}
	}
	return nil, nil
}

// formatOf is a format as a row of _space has it.
func formatOf(fields []field) []mp.Pairs {
	out := make([]mp.Pairs, len(fields))
	for i, f := range fields {
		out[i] = mp.Words("name", f.name, "type", f.typ)
		for _, p := range f.other {
			out[i].Put(p.name, p.val.shortest())
		}
	}
	return out
}

// formatField is what create_index needs of a field of a stored format.
type formatField struct {
	name, typ        string
	nullable         bool
	collation, scale value
}

// storedFormat reads the format of a row of _space.
func storedFormat(v value) ([]formatField, error) {
	list, err := v.array()
	if err != nil {
		return nil, err
	}
	out := make([]formatField, len(list))
	for i, e := range list {
		keys, err := e.pairs()
		if err != nil {
			return nil, err
		}
		f := &out[i]
		for _, p := range keys {
			switch p.name {
			case "name":
				f.name, _ = p.val.str()
			case "type":
				f.typ, _ = p.val.str()
			case "is_nullable":
				f.nullable, _ = p.val.boolean()
			case "collation":
				f.collation = p.val
			case "scale":
				f.scale = p.val
			}
		}
	}
	return out, nil
}

package box

import (
	"slices"
	"strconv"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// fieldDef is what a field must be.
type fieldDef struct {
	name     string // empty: none
	typ      fieldType
	nullable bool
	scale    int // of a decimal of fixed size
}

// nested is what a path of an index part leads to must be.
type nested struct {
	field    uint32
	path     jsonPath
	typ      fieldType
	nullable bool
}

// format is the shape of a space's tuples: its declared format, narrowed by the
// parts of its indexes.
type format struct {
	named      []fieldDef // as declared
	fields     []fieldDef // with the index parts
	fieldCount uint32     // exact number of fields; 0: any
	required   int        // fewest fields a tuple can have
	checked    int        // fields from here on take anything
	nested     []nested   // index parts with paths
}

// newFormat merges a declared format with the parts of indexes.
func newFormat(declared []fieldDef, fieldCount uint32, indexes []*index) *format {
	f := &format{named: declared, fields: slices.Clone(declared), fieldCount: fieldCount}
	mentioned := len(declared)
	for _, ix := range indexes {
		for _, p := range ix.parts {
			if p.path != "" {
				f.nested = append(f.nested, nested{p.field, p.path, p.typ, p.nullable})
				continue
			}
			for len(f.fields) <= int(p.field) {
				f.fields = append(f.fields, fieldDef{nullable: true})
			}
			fd := &f.fields[p.field]
			if fd.typ.contains(p.typ) {
				fd.typ, fd.scale = p.typ, p.scale
			}
			fd.nullable = fd.nullable && p.nullable
		}
	}
	for i, fd := range f.fields {
		if !fd.nullable {
			f.required = i + 1
		}
		if fd.typ != typeAny || !fd.nullable && i >= mentioned {
			f.checked = i + 1
		}
	}
	return f
}

// takesAll tells whether every tuple that fits the other format fits this one.
// What is nested comes from index parts alone, and a new index looks at all
// tuples anyway.
func (f *format) takesAll(other *format) bool {
	if f.fieldCount != 0 && f.fieldCount != other.fieldCount {
		return false
	}
	for i, fd := range f.fields {
		was := fieldDef{nullable: true}
		if i < len(other.fields) {
			was = other.fields[i]
		}
		if !fd.typ.contains(was.typ) || was.nullable && !fd.nullable || fd.scale != was.scale {
			return false
		}
	}
	return true
}

// fieldName is how messages call a field: its number from 1, and its name.
func (f *format) fieldName(i int) string {
	s := strconv.Itoa(i + 1)
	if i < len(f.named) && f.named[i].name != "" {
		s += " (" + f.named[i].name + ")"
	}
	return s
}

// check tells whether a tuple has the shape. Missing fields are reported before
// wrong types.
func (f *format) check(tuple []byte) error {
	n, at := mp.ArrayOf(tuple)
	if f.fieldCount != 0 && n != int(f.fieldCount) {
		return xrow.Errorf(xrow.ErrExactFieldCount, n, f.fieldCount)
	}
	if n < f.required {
		for i := n; ; i++ {
			if !f.fields[i].nullable {
				return xrow.Errorf(xrow.ErrFieldMissing, f.fieldName(i))
			}
		}
	}
	for i := range min(n, f.checked) {
		fd := &f.fields[i]
		v := tuple[at:]
		at = mp.Skip(tuple, at)
		if fd.typ == typeAny || v[0] == 0xc0 && fd.nullable {
			continue
		}
		if !fd.typ.accepts(v) {
			return xrow.Errorf(xrow.ErrFieldType, f.fieldName(i), fd.typ, mp.KindOf(v[0]))
		}
		if fd.typ.outOfRange(v) {
			return fd.typ.rangeError(xrow.ErrFieldValueOutOfRange, v, f.fieldName(i), fd.typ, fd.typ.rangeText(v))
		}
		if fd.typ.digits() > 0 && !fd.typ.fits(v, fd.scale) {
			return xrow.Errorf(xrow.ErrFieldIrrepresentableValue, f.fieldName(i), xrow.Raw(mp.First(v)))
		}
	}
	for i := range f.nested {
		if err := f.checkNested(&f.nested[i], tuple); err != nil {
			return err
		}
	}
	return nil
}

// checkNested goes along the path of an index part. A container that is nil is
// like one that is not there.
func (f *format) checkNested(d *nested, tuple []byte) error {
	w := walker{b: tuple}
	v, path := w.field(d.field), d.path
	for len(path) > 0 {
		if v[0] == 0xc0 {
			return f.nestedMissing(d)
		}
		if c := path.container(); !c.accepts(v) {
			name := d.path[:len(d.path)-len(path)].name(int(d.field))
			if len(path) == len(d.path) {
				name = f.fieldName(int(d.field))
			}
			return xrow.Errorf(xrow.ErrFieldType, name, c, mp.KindOf(v[0]))
		}
		var found bool
		if v, path, found = path.enter(v); !found {
			return f.nestedMissing(d)
		}
	}
	if v[0] == 0xc0 && d.nullable {
		return nil
	}
	if !d.typ.accepts(v) {
		return xrow.Errorf(xrow.ErrFieldType, d.path.name(int(d.field)), d.typ, mp.KindOf(v[0]))
	}
	if d.typ.outOfRange(v) {
		return d.typ.rangeError(xrow.ErrFieldValueOutOfRange, v, d.path.name(int(d.field)), d.typ, d.typ.rangeText(v))
	}
	return nil
}

func (f *format) nestedMissing(d *nested) error {
	if d.nullable {
		return nil
	}
	return xrow.Errorf(xrow.ErrFieldMissing, d.path.name(int(d.field)))
}

// byName finds a field by its whole name.
func (f *format) byName(name []byte) (int, bool) {
	for i := range f.named {
		if f.named[i].name == string(name) {
			return i, true
		}
	}
	return 0, false
}

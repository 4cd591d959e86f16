package box

import (
	"fmt"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// parseIndex reads a row of _index for the given space. An index that can only
// be kept as a row says so in its field cannot.
func parseIndex(tuple []byte, sp *space, d door) (*index, error) {
	row := splitRow(tuple)
	ix := &index{id: uint32(row.uint(1)), name: row.string(2), unique: true}
	fail := func(detail string) error {
		return xrow.Errorf(xrow.ErrModifyIndex, shortName(ix.name), sp.name, detail)
	}
	if row.uint(1) >= maxIndexes {
		return nil, fail("index id too big")
	}
	if err := checkName(ix.name); err != nil {
		return nil, err
	}
	switch strings.ToLower(row.string(3)) {
	case "tree":
	case "hash":
		ix.hash = true
	case "rtree", "bitset":
		ix.setCannot(strings.ToUpper(row.string(3)) + " index")
	default:
		return nil, xrow.Errorf(xrow.ErrIndexType, shortName(ix.name), sp.name)
	}
	if ix.hash && sp.engine == engineVinyl {
		return nil, xrow.Errorf(xrow.ErrIndexType, shortName(ix.name), sp.name)
	}
	if err := ix.parseOpts(row.raw(4), d); err != nil {
		return nil, err
	}
	elems := splitRow(row.raw(5))
	if len(elems) == 0 {
		return nil, fail("part count must be positive")
	}
	if len(elems) > maxParts {
		return nil, fail("too many key parts")
	}
	for i, e := range elems {
		p, err := ix.parsePart(i, e, d)
		if err != nil {
			return nil, err
		}
		ix.parts = append(ix.parts, p)
	}
	if ix.cannot == "" {
		return ix, ix.checkDef(fail, sp)
	}
	ix.cannot += " '" + shortName(ix.name) + "' of space '" + shortName(sp.name) + "'"
	if !d.opaque || ix.id == 0 {
		return nil, unsupported(ix.cannot)
	}
	return ix, nil
}

// setCannot notes the first reason why the index cannot be built here.
func (ix *index) setCannot(what string) {
	if ix.cannot == "" {
		ix.cannot = what
	}
}

// checkDef tells whether the parts make sense together.
func (ix *index) checkDef(fail func(string) error, sp *space) error {
	for i, p := range ix.parts {
		switch {
		case p.field > maxFieldNo:
			return fail("field no is too big")
		case !p.typ.indexable():
			return fail(fmt.Sprintf("field type '%s' is not supported", p.typ))
		case ix.id == 0 && p.nullable:
			return xrow.Errorf(xrow.ErrNullablePrimary, sp.name)
		case ix.hash && p.nullable:
			return fail("HASH does not support nullable parts")
		}
		for _, q := range ix.parts[:i] {
			if p.field == q.field && p.path == q.path {
				return fail("same key part is indexed twice")
			}
		}
	}
	switch {
	case ix.id == 0 && !ix.unique:
		return fail("primary key must be unique")
	case ix.hash && !ix.unique:
		return fail("HASH index must be unique")
	}
	return nil
}

// parseOpts reads the options of an index; those of engines and index kinds
// that are not here are read over.
func (ix *index) parseOpts(opts []byte, d door) error {
	wrong := func(detail string) error { return xrow.Errorf(xrow.ErrWrongIndexOptions, detail) }
	ok, err := eachPair(opts, func(key string, v []byte) error {
		switch key {
		case "unique":
			if mp.KindOf(v[0]) != mp.Bool {
				return wrong("'unique' must be boolean")
			}
			ix.unique = v[0] == 0xc3
		case "func":
			if id, _ := uintOf(v); id != 0 {
				ix.setCannot("functional index")
			}
		case "dimension", "distance", "range_size", "page_size", "run_count_per_level", "run_size_ratio", "bloom_fpr", "lsn", "hint",
			"covers", "layout", "stat", "sql", "aggregates":
		default:
			if !d.peer {
				return wrong("unexpected option '" + shortName(key) + "'")
			}
			ix.setCannot("option '" + shortName(key) + "' of index")
		}
		return nil
	})
	if !ok {
		return wrong("expected a map with string keys")
	}
	return err
}

// parsePart reads [field, type, ...] or a map of options.
func (ix *index) parsePart(i int, b []byte, d door) (p part, err error) {
	wrong := func(detail string) error { return xrow.Errorf(xrow.ErrWrongIndexParts, i+1, detail) }
	name := "scalar"
	collation := uint64(0)
	if mp.KindOf(b[0]) == mp.Array {
		pair := splitRow(b)
		field, ok := uintOf(pair.raw(0))
		if !ok || field > 1<<31 {
			return p, wrong("field id must be an integer")
		}
		if mp.KindOf(pair.raw(1)[0]) != mp.Str {
			return p, wrong("field type must be a string")
		}
		p.field, name = uint32(field), pair.string(1)
	} else {
		var ok bool // without a field it is the first one
		ok, err = eachPair(b, func(key string, v []byte) error {
			switch key {
			case "field":
				field, ok := uintOf(v)
				if !ok || field > 1<<31 {
					return wrong("'field' must be unsigned")
				}
				p.field = uint32(field)
			case "type":
				name = stringOf(v)
			case "collation":
				collation, _ = uintOf(v)
			case "is_nullable":
				p.nullable = p.nullable || v[0] == 0xc3
			case "exclude_null":
				p.excludeNull = v[0] == 0xc3
				p.nullable = p.nullable || p.excludeNull
			case "sort_order":
				switch strings.ToLower(stringOf(v)) {
				case "asc", "undef":
				case "desc":
					p.desc = true
				default:
					return wrong("unknown sort order")
				}
			case "path":
				var multikey bool
				if p.path, multikey, ok = compilePath(stringOf(v)); !ok {
					return wrong("invalid path")
				}
				if multikey {
					ix.setCannot("multikey index")
				}
			case "scale":
				if p.scale, ok = scaleOf(v); !ok {
					return wrong("scale is out of range")
				}
			case "nullable_action":
			default:
				if !d.peer {
					return wrong("unexpected option '" + shortName(key) + "'")
				}
				ix.setCannot("option '" + shortName(key) + "' of a part of index")
			}
			return nil
		})
		if !ok {
			return p, wrong("expected a map")
		}
		if err != nil {
			return p, err
		}
	}
	if p.typ = parseType(name); p.typ == typeUnknown {
		if !d.peer {
			return p, wrong("unknown field type")
		}
		ix.setCannot("type '" + shortName(name) + "' of a part of index")
		return p, nil
	}
	if collation != 0 && p.typ != typeString && p.typ != typeScalar {
		return p, wrong("collation is only reasonable for 'string' and 'scalar' parts")
	}
	if !d.hasCollation(collation) {
		return p, wrong("collation not found by id")
	}
	if collation != 0 && collation != 3 {
		ix.setCannot("collation " + strconv.FormatUint(collation, 10) + " of index")
	}
	return p, nil
}

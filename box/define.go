package box

import (
	"fmt"
	"strings"

	"tarragon/xrow"
)

// product is the subject of "... does not support ...".
const product = "Tarragon"

func unsupported(what string) error { return xrow.Errorf(xrow.ErrUnsupported, product, what) }

// shortName cuts a name for a message.
func shortName(s string) string {
	if len(s) > maxNameInMessage {
		return s[:maxNameInMessage]
	}
	return s
}

func checkName(name string) error {
	if !printable(name) {
		return xrow.Errorf(xrow.ErrIdentifier, shortName(name))
	}
	return nil
}

// parseSpace reads a row of _space.
func parseSpace(tuple []byte) (*space, error) {
	row := splitRow(tuple)
	sp := &space{id: uint32(row.uint(0)), owner: uint32(row.uint(1)), name: row.string(2), engine: row.string(3), stats: &stats{}}
	if err := checkName(sp.name); err != nil {
		return nil, err
	}
	fail := func(detail string) error { return xrow.Errorf(xrow.ErrCreateSpace, shortName(sp.name), detail) }
	if row.uint(0) > lastSpace {
		return nil, fail("space id is too big")
	}
	if sp.id == 0 {
		return nil, fail("space id 0 is reserved")
	}
	if row.uint(1) > 1<<31-1 {
		return nil, fail("user id is too big")
	}
	if row.uint(4) > 1<<31-1 {
		return nil, fail("field_count is too big")
	}
	switch sp.engine {
	case engineMemtx, engineSysview, "blackhole", "service":
	case "vinyl":
		return nil, unsupported("engine 'vinyl'")
	default:
		return nil, xrow.Errorf(xrow.ErrNoSuchEngine, shortName(sp.engine))
	}
	if sp.engine != engineMemtx && sp.id >= firstUserSpace {
		return nil, unsupported("engine '" + sp.engine + "' of user spaces")
	}
	if err := sp.parseFlags(row.raw(5)); err != nil {
		return nil, err
	}
	if sp.local && sp.sync {
		return nil, fail("local space can't be synchronous")
	}
	fields, err := parseFormat(row.raw(6))
	if err != nil {
		return nil, err
	}
	sp.format = newFormat(fields, uint32(row.uint(4)), nil)
	if n := sp.format.fieldCount; n != 0 && int(n) < len(fields) {
		return nil, fail("exact_field_count must be either 0 or >= formatted field count")
	}
	return sp, nil
}

// parseFlags reads the map of options of a space.
func (sp *space) parseFlags(flags []byte) error {
	wrong := func(detail string) error { return xrow.Errorf(xrow.ErrWrongSpaceOptions, detail) }
	flag := func(dst *bool, key string, v []byte) error {
		if kindOf(v) != kindBool {
			return wrong("'" + key + "' must be boolean")
		}
		*dst = v[0] == 0xc3
		return nil
	}
	ok, err := eachPair(flags, func(key string, v []byte) error {
		switch key {
		case "group_id":
			if kindOf(v) != kindUint {
				return wrong("'group_id' must be unsigned")
			}
			id, _ := integer(v)
			if id > 1 {
				return xrow.Errorf(xrow.ErrNoSuchGroup, fmt.Sprint(id))
			}
			sp.local = id == xrow.GroupLocal
		case "temporary":
			return flag(&sp.temp, key, v)
		case "is_sync":
			return flag(&sp.sync, key, v)
		case "type":
			switch stringOf(v) {
			case "normal":
			case "data-temporary":
				sp.temp = true
			case "temporary":
				sp.temp, sp.tempType = true, true
			default:
				return wrong("unknown space type")
			}
		case "view", "defer_deletes":
			var set bool
			if err := flag(&set, key, v); err != nil || !set {
				return err
			}
			return unsupported("space option '" + key + "'")
		case "sql", "checks":
		case "constraint", "foreign_key", "upgrade":
			if kindOf(v) == kindMap && v[0] != 0x80 {
				return unsupported("space option '" + key + "'")
			}
		default:
			return wrong("unexpected option '" + shortName(key) + "'")
		}
		return nil
	})
	if !ok {
		return wrong("expected a map with string keys")
	}
	if err == nil && sp.tempType && sp.id < firstTempSpace {
		return xrow.Errorf(xrow.ErrCreateSpace, shortName(sp.name), "temporary space id must be at least 1073741824")
	}
	return err
}

// parseFormat reads the elements of a declared format.
func parseFormat(b []byte) ([]fieldDef, error) {
	var fields []fieldDef
	names := map[string]bool{}
	for i, e := range splitRow(b) {
		fd, err := parseField(i, e)
		if err != nil {
			return nil, err
		}
		if names[fd.name] {
			return nil, xrow.Errorf(xrow.ErrSpaceFieldIsDuplicate, shortName(fd.name))
		}
		names[fd.name] = true
		fields = append(fields, fd)
	}
	return fields, nil
}

func parseField(i int, b []byte) (fd fieldDef, err error) {
	wrong := func(detail string) error { return xrow.Errorf(xrow.ErrWrongSpaceFormat, i+1, detail) }
	ok, err := eachPair(b, func(key string, v []byte) error {
		switch key {
		case "name":
			if kindOf(v) != kindStr {
				return wrong("'name' must be string")
			}
			fd.name = string(text(v))
		case "type":
			if kindOf(v) != kindStr {
				return wrong("'type' must be string")
			}
			if fd.typ = parseType(string(text(v))); fd.typ == typeUnknown {
				return wrong("unknown field type")
			}
		case "is_nullable":
			if kindOf(v) != kindBool {
				return wrong("'is_nullable' must be boolean")
			}
			fd.nullable = v[0] == 0xc3
		case "default", "default_func", "constraint", "foreign_key":
			if kindOf(v) != kindNil && !(kindOf(v) == kindMap && v[0] == 0x80) {
				return unsupported("field option '" + key + "'")
			}
		case "compression":
			if s := stringOf(v); s != "" && s != "none" {
				return unsupported("compression")
			}
		case "collation":
			if id, _ := uintOf(v); id != 0 && id != 3 && fd.typ == typeUnknown {
				return wrong("collation is reasonable only for string, scalar and any fields")
			}
		}
		return nil
	})
	switch {
	case !ok:
		return fd, wrong("expected a map")
	case err != nil:
		return fd, err
	case fd.name == "":
		return fd, wrong("field name is missing")
	}
	return fd, checkName(fd.name)
}

func uintOf(b []byte) (uint64, bool) {
	if kindOf(b) != kindUint {
		return 0, false
	}
	u, _ := integer(b)
	return u, true
}

// parseIndex reads a row of _index for the given space.
func parseIndex(tuple []byte, sp *space) (*index, error) {
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
		return nil, fail(product + " does not support " + strings.ToUpper(row.string(3)) + " indexes")
	default:
		return nil, xrow.Errorf(xrow.ErrIndexType, shortName(ix.name), sp.name)
	}
	if err := ix.parseOpts(row.raw(4)); err != nil {
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
		p, err := parsePart(i, e, sp)
		if err != nil {
			return nil, err
		}
		ix.parts = append(ix.parts, p)
	}
	return ix, ix.checkDef(fail, sp)
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
			if p.field == q.field {
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
func (ix *index) parseOpts(opts []byte) error {
	wrong := func(detail string) error { return xrow.Errorf(xrow.ErrWrongIndexOptions, detail) }
	ok, err := eachPair(opts, func(key string, v []byte) error {
		switch key {
		case "unique":
			if kindOf(v) != kindBool {
				return wrong("'unique' must be boolean")
			}
			ix.unique = v[0] == 0xc3
		case "func":
			if id, _ := uintOf(v); id != 0 {
				return unsupported("functional indexes")
			}
		case "dimension", "distance", "range_size", "page_size", "run_count_per_level", "run_size_ratio", "bloom_fpr", "lsn", "hint",
			"covers", "layout", "stat", "sql", "aggregates":
		default:
			return wrong("unexpected option '" + shortName(key) + "'")
		}
		return nil
	})
	if !ok {
		return wrong("expected a map with string keys")
	}
	return err
}

// parsePart reads [field, type, ...] or a map of options.
func parsePart(i int, b []byte, sp *space) (p part, err error) {
	wrong := func(detail string) error { return xrow.Errorf(xrow.ErrWrongIndexParts, i+1, detail) }
	name := "scalar"
	collation := uint64(0)
	if kindOf(b) == kindArray {
		pair := splitRow(b)
		field, ok := uintOf(pair.raw(0))
		if !ok || field > 1<<31 {
			return p, wrong("field id must be an integer")
		}
		if kindOf(pair.raw(1)) != kindStr {
			return p, wrong("field type must be a string")
		}
		p.field, name = uint32(field), pair.string(1)
	} else {
		seen := false
		ok, err := eachPair(b, func(key string, v []byte) error {
			switch key {
			case "field":
				field, ok := uintOf(v)
				if !ok || field > 1<<31 {
					return wrong("'field' must be unsigned")
				}
				p.field, seen = uint32(field), true
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
				if stringOf(v) != "" {
					return unsupported("JSON paths in index parts")
				}
			case "nullable_action", "scale":
			default:
				return wrong("unexpected option '" + shortName(key) + "'")
			}
			return nil
		})
		if !ok {
			return p, wrong("expected a map or an array")
		}
		if err != nil {
			return p, err
		}
		if !seen {
			return p, wrong("field is missing")
		}
	}
	if p.typ = parseType(name); p.typ == typeUnknown {
		return p, wrong("unknown field type")
	}
	if collation != 0 && p.typ != typeString && p.typ != typeScalar {
		return p, wrong("collation is only reasonable for 'string' and 'scalar' parts")
	}
	if collation != 0 && collation != 3 {
		return p, unsupported("collations other than binary in index parts")
	}
	return p, nil
}

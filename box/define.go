package box

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
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
		name, _, _ = strings.Cut(name, "\x00") // where the text of the original ends
		return xrow.Errorf(xrow.ErrIdentifier, shortName(name))
	}
	return nil
}

// parseSpace reads a row of _space; was is what the space is now, nil for a new one.
func parseSpace(tuple []byte, was *space, d door) (*space, error) {
	row := splitRow(tuple)
	sp := &space{id: uint32(row.uint(0)), owner: uint32(row.uint(1)), name: row.string(2), engine: row.string(3), stats: &stats{}}
	if err := checkName(sp.name); err != nil {
		return nil, err
	}
	fail := func(detail string) error { return xrow.Errorf(xrow.ErrCreateSpace, shortName(sp.name), detail) }
	if row.uint(0) > xrow.LastSpace {
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
	case engineMemtx, engineSysview, engineBlackhole, engineService, engineVinyl, "memcs", "quiver":
	default:
		return nil, xrow.Errorf(xrow.ErrNoSuchEngine, shortName(sp.engine))
	}
	if !d.peer && (sp.engine == "memcs" || sp.engine == "quiver") { // the Enterprise Edition's
		return nil, xrow.Errorf(xrow.ErrNoSuchEngine, sp.engine)
	}
	if was != nil && was.engine != sp.engine {
		return nil, xrow.Errorf(xrow.ErrAlterSpace, was.name, "can not change space engine")
	}
	if sp.engine != engineMemtx && sp.id >= xrow.FirstUserSpace {
		if sp.engine == engineSysview || sp.engine == engineService {
			return nil, unsupported("engine '" + sp.engine + "' of user spaces")
		}
		what := "engine '" + sp.engine + "' of space '" + shortName(sp.name) + "'"
		if err := sp.lack(d, sp.engine != engineVinyl && sp.engine != engineBlackhole, lack{what: what, puts: sp.engine != engineVinyl}); err != nil {
			return nil, err
		}
	}
	if err := sp.parseFlags(row.raw(5), d); err != nil {
		return nil, err
	}
	if sp.local && sp.sync {
		return nil, fail("local space can't be synchronous")
	}
	fields, err := sp.parseFormat(row.raw(6), d)
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
func (sp *space) parseFlags(flags []byte, d door) error {
	wrong := func(detail string) error { return xrow.Errorf(xrow.ErrWrongSpaceOptions, detail) }
	flag := func(dst *bool, key string, v []byte) error {
		if mp.KindOf(v[0]) != mp.Bool {
			return wrong("'" + key + "' must be boolean")
		}
		*dst = v[0] == 0xc3
		return nil
	}
	ofSpace := " of space '" + shortName(sp.name) + "'"
	lives := 0 // options that say how long the tuples live
	ok, err := eachPair(flags, func(key string, v []byte) error {
		switch key {
		case "group_id":
			if mp.KindOf(v[0]) != mp.Uint {
				return wrong("'group_id' must be unsigned")
			}
			id, _ := mp.IntOf(v)
			if id > 1 {
				return xrow.Errorf(xrow.ErrNoSuchGroup, fmt.Sprint(id))
			}
			sp.local = id == xrow.GroupLocal
		case "temporary":
			lives++
			return flag(&sp.temp, key, v)
		case "is_sync":
			return flag(&sp.sync, key, v)
		case "type":
			lives++
			switch stringOf(v) {
			case "normal":
			case "data-temporary":
				sp.temp = true
			case "temporary":
				sp.temp, sp.tempType = true, true
			default:
				return wrong("unknown space type")
			}
		case "view":
			if err := flag(&sp.view, key, v); err != nil || !sp.view {
				return err
			}
			return sp.lack(d, false, lack{what: "view '" + shortName(sp.name) + "'"})
		case "defer_deletes":
			var set bool
			if err := flag(&set, key, v); err != nil || !set {
				return err
			}
			return sp.lack(d, false, lack{what: "option 'defer_deletes'" + ofSpace})
		case "sql", "checks":
		case "constraint":
			return eachName(v, func(name string, _ []byte) error {
				return sp.lack(d, false, lack{what: "constraint '" + name + "'" + ofSpace, puts: true})
			})
		case "foreign_key":
			return eachName(v, func(name string, key []byte) error {
				return sp.lack(d, false, foreignKey(name, ofSpace, sp.id, key))
			})
		case "upgrade":
			if mp.KindOf(v[0]) == mp.Map && v[0] != 0x80 {
				return sp.lack(d, false, lack{what: "upgrade" + ofSpace, puts: true})
			}
		default:
			if !d.peer {
				return wrong("unexpected option '" + shortName(key) + "'")
			}
			return sp.lack(d, true, lack{what: "option '" + shortName(key) + "'" + ofSpace, puts: true})
		}
		return nil
	})
	if !ok {
		return wrong("expected a map with string keys")
	}
	if err == nil && lives > 1 {
		return wrong("only one of 'type' or 'temporary' may be specified")
	}
	return err
}

// parseFormat reads the elements of a declared format.
func (sp *space) parseFormat(b []byte, d door) ([]fieldDef, error) {
	var fields []fieldDef
	names := map[string]bool{}
	for i, e := range splitRow(b) {
		fd, err := sp.parseField(i, e, d)
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

func (sp *space) parseField(i int, b []byte, d door) (fd fieldDef, err error) {
	wrong := func(detail string) error { return xrow.Errorf(xrow.ErrWrongSpaceFormat, i+1, detail) }
	if mp.KindOf(b[0]) == mp.Array && d.peer {
		pair := splitRow(b) // as the oldest schemas have it
		if fd.name, fd.typ = pair.string(0), parseType(pair.string(1)); len(pair) == 1 {
			fd.typ = typeAny
		}
		return fd, sp.knownType(&fd, d, i, pair.string(1))
	}
	ofField := " of field " + strconv.Itoa(i+1) + " of space '" + shortName(sp.name) + "'"
	typeName, action, value := "", "", nilValue
	collation := uint64(0)
	var ok bool
	ok, err = eachPair(b, func(key string, v []byte) error {
		switch key {
		case "name":
			if mp.KindOf(v[0]) != mp.Str {
				return wrong("'name' must be string")
			}
			fd.name = string(mp.TextOf(v))
		case "type":
			if mp.KindOf(v[0]) != mp.Str {
				return wrong("'type' must be string")
			}
			typeName = string(mp.TextOf(v))
			fd.typ = parseType(typeName)
		case "is_nullable":
			if mp.KindOf(v[0]) != mp.Bool {
				return wrong("'is_nullable' must be boolean")
			}
			fd.nullable = v[0] == 0xc3
		case "nullable_action":
			if mp.KindOf(v[0]) != mp.Str {
				return wrong("'nullable_action' must be string")
			}
			action = string(mp.TextOf(v))
		case "default":
			value = v
		case "default_func":
			if mp.KindOf(v[0]) != mp.Nil {
				return sp.lack(d, false, lack{what: key + ofField, fills: true, field: uint32(i), absent: true})
			}
		case "constraint":
			return eachName(v, func(name string, _ []byte) error {
				return sp.lack(d, false, lack{what: "constraint '" + name + "'" + ofField, puts: true})
			})
		case "foreign_key":
			return eachName(v, func(name string, key []byte) error {
				return sp.lack(d, false, foreignKey(name, ofField, sp.id, key))
			})
		case "scale":
			if fd.scale, ok = scaleOf(v); !ok {
				return wrong("scale is out of range")
			}
		case "compression":
			if s := stringOf(v); s != "" && s != "none" {
				return sp.lack(d, false, lack{what: "compression" + ofField})
			}
		case "collation":
			collation, _ = uintOf(v)
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
	if err := sp.knownType(&fd, d, i, typeName); err != nil {
		return fd, err
	}
	if d.peer {
		action, collation = "", 0
	}
	switch {
	case action != "" && !slices.Contains(nullableActions, action):
		return fd, wrong("unknown nullable action")
	case action != "" && fd.nullable != (action == "none"):
		return fd, wrong("conflicting nullability and nullable action properties")
	case collation != 0 && fd.typ != typeString && fd.typ != typeScalar && fd.typ != typeAny:
		return fd, wrong("collation is reasonable only for 'string', 'scalar', and 'any' fields")
	case !d.hasCollation(collation):
		return fd, xrow.Errorf(xrow.ErrWrongCollationOptions, "collation was not found by ID")
	}
	if value[0] != 0xc0 { // of another type: the text of an SQL expression, as it was before 3.0, which SQL alone used
		l := lack{what: "default" + ofField, fills: fd.typ.accepts(value), field: uint32(i), absent: true}
		if err := sp.lack(d, false, l); err != nil {
			return fd, err
		}
	}
	return fd, checkName(fd.name)
}

// nullableActions are what may be said to happen to a nil; none: it may stand there.
var nullableActions = []string{"none", "rollback", "abort", "fail", "ignore", "replace", "default"}

// scaleOf reads the scale of a decimal of fixed size.
func scaleOf(b []byte) (scale int, ok bool) {
	v, ok := int64Of(b)
	return int(v), ok && v >= -maxDigits && v <= maxDigits
}

// knownType lets a type of a later version pass for any, when told to.
func (sp *space) knownType(fd *fieldDef, d door, i int, name string) error {
	if fd.typ != typeUnknown {
		return nil
	}
	if !d.peer {
		return xrow.Errorf(xrow.ErrWrongSpaceFormat, i+1, "unknown field type")
	}
	fd.typ = typeAny
	return sp.lack(d, true, lack{what: "type '" + shortName(name) + "' of field " + strconv.Itoa(i+1) + " of space '" + shortName(sp.name) + "'", puts: true})
}

func uintOf(b []byte) (uint64, bool) {
	if mp.KindOf(b[0]) != mp.Uint {
		return 0, false
	}
	u, _ := mp.IntOf(b)
	return u, true
}

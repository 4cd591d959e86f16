package proc

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// funcOptions are those of box.schema.func.create, and version, which is ours.
var funcOptions = template{"setuid": "boolean", "if_not_exists": "boolean", "language": "string", "body": "string",
	"is_deterministic": "boolean", "is_sandboxed": "boolean", "is_multikey": "boolean", "aggregate": "string", "takes_raw_args": "boolean",
	"comment": "string", "param_list": "table", "returns": "string", "exports": "table", "opts": "table", "trigger": "string, table",
	"version": "number"}

// languages that Tarantool knows beside LUA; none of them runs here.
var languages = map[string]bool{"C": true, "SQL": false, "SQL_BUILTIN": false, "SQL_EXPR": true}

// createFunction is box.schema.func.create(name, options). A function of language GO is a
// procedure of the program; one of LUA without a body gives rights on what there is of that
// name.
func createFunction(c *call) error {
	name, err := functionName(c.arg(0))
	if err != nil {
		return err
	}
	opts, err := readOptions(c.arg(1), funcOptions)
	if err != nil {
		return err
	}
	f := functionRow{name: name, setuid: opts.isTrue("setuid"), deterministic: opts.isTrue("is_deterministic"), language: "LUA", comment: opts.str("comment")}
	if opts.has("language") {
		f.language = upper(clip(opts.str("language")))
	}
	refused := f.refuse(opts)
	if refused == nil {
		f.opts, refused = f.mapOf(opts)
	}
	return c.write(true, func(t *txn) (values, error) {
		_, found, err := t.function(mp.Encode(name))
		switch {
		case err != nil:
			return nil, err
		case found && opts.isTrue("if_not_exists"):
			return nil, nil
		case found:
			return nil, xrow.Errorf(xrow.ErrFunctionExists, clip(name))
		case refused != nil:
			return nil, refused
		}
		return nil, t.insertFunction(&f)
	})
}

// functionName is the key with which Tarantool looks for the function.
func functionName(v value) (string, error) {
	name, ok := v.str()
	switch {
	case v.isNil():
		return "", xrow.Errorf(xrow.ErrExactMatch, 1, 0)
	case !ok:
		return "", xrow.Errorf(xrow.ErrKeyPartType, 0, "string")
	case len(name) > maxFunctionName:
		return "", xrow.Errorf(xrow.ErrCreateFunction, name[:64], "function name is too long")
	}
	return name, nil
}

// maxFunctionName is Tarantool's BOX_NAME_MAX.
const maxFunctionName = 65000

// functionRow is what a new row of _func has that is not the same in all of them.
type functionRow struct {
	name, language, comment string
	setuid, deterministic   bool
	opts                    mp.Pairs
}

// refuse is the error of what does not run here.
func (f *functionRow) refuse(opts options) error {
	known, foreign := languages[f.language]
	bad := func(detail string) error { return xrow.Errorf(xrow.ErrCreateFunction, clip(f.name), detail) }
	switch {
	case foreign && known:
		return unsupported("functions of language " + f.language)
	case foreign || f.language != "LUA" && f.language != box.LanguageGo:
		return xrow.Errorf(xrow.ErrFunctionLanguage, f.language, clip(f.name))
	case f.language == "LUA" && opts.str("body") != "":
		return unsupported("functions with a body in Lua")
	case opts.isTrue("is_sandboxed") && f.language == "LUA":
		return bad("is_sandboxed option may be set only for a persistent Lua function (one with a non-empty body)")
	case opts.str("body") != "" || opts.isTrue("is_sandboxed"):
		return bad("body and is_sandboxed options are not compatible with GO language")
	}
	for _, name := range [...]string{"aggregate", "exports", "param_list", "returns", "trigger"} { // for SQL, and for triggers by rows
		if opts.has(name) {
			return unsupported("option '" + name + "' of functions")
		}
	}
	return nil
}

// mapOf is the map opts of the row.
func (f *functionRow) mapOf(opts options) (out mp.Pairs, err error) {
	if given := opts["opts"]; given != nil && given.kind() == kindMap {
		pairs, err := given.pairs()
		if err != nil {
			return out, err
		}
		for _, p := range pairs {
			if p.name == "version" && f.language == box.LanguageGo || p.name == "is_multikey" || p.name == "takes_raw_args" {
				opts[p.name] = p.val
				continue
			}
			return out, xrow.Errorf(xrow.ErrWrongFunctionOptions, "unexpected option '"+clip(p.name)+"'")
		}
	}
	for _, name := range [...]string{"is_multikey", "takes_raw_args"} {
		if opts.isTrue(name) {
			out.Put(name, true)
		}
	}
	if v := opts["version"]; v != nil {
		if f.language != box.LanguageGo {
			return out, xrow.Errorf(xrow.ErrWrongFunctionOptions, "unexpected option 'version'")
		}
		out.Put("version", v.shortest())
	}
	return out, nil
}

// insertFunction inserts the row as Tarantool lays it out.
func (t *txn) insertFunction(f *functionRow) error {
	id, err := t.nextFunctionID(f.name)
	if err != nil {
		return err
	}
	setuid, exports := 0, []string{"LUA"}
	if f.setuid {
		setuid = 1
	}
	if f.language == box.LanguageGo {
		exports = []string{}
	}
	at := time.Unix(int64(t.now), 0).UTC().Format(time.DateTime)
	none := []string{}
	return t.insert(xrow.SpaceFunc, mp.Tuple(id, t.user.User(), f.name, setuid, f.language, "", "function", none, "any", "none", "none",
		f.deterministic, false, true, exports, f.opts, f.comment, at, at, none))
}

// maxFunctionID is Tarantool's.
const maxFunctionID = 32000

// nextFunctionID is the one behind the greatest, else the first that is free.
func (t *txn) nextFunctionID(name string) (uint64, error) {
	last, err := t.as(box.UserAdmin).last(xrow.SpaceFunc)
	if err != nil {
		return 0, err
	}
	if id := last.uint(0) + 1; id <= maxFunctionID {
		return id, nil
	}
	for id := uint64(1); id <= maxFunctionID; id++ {
		if row, err := t.get(xrow.SpaceFunc, 0, keyOf(id)); err != nil || row == nil {
			return id, err
		}
	}
	return 0, xrow.Errorf(xrow.ErrCreateFunction, clip(name), "Max function count is reached")
}

// function finds the row of a function by name or by ID, if the user sees it in _vfunc.
func (t *txn) function(v value) (row tuple, ok bool, err error) {
	index := uint32(2)
	if v.kind() == kindNumber {
		index = 0
	}
	if row, err = t.get(xrow.SpaceFunc, index, mp.Tuple(v)); err != nil || row == nil {
		return nil, false, err
	}
	return row, t.schema().SeesFunction(t.user, uint32(row.uint(0)), uint32(row.uint(1))), nil
}

// dropFunction is box.schema.func.drop(name or id, options), with all rights on it.
func dropFunction(c *call) error {
	opts, err := readOptions(c.arg(1), template{"if_exists": "boolean"})
	if err != nil {
		return err
	}
	which := c.arg(0)
	switch which.kind() {
	case kindString, kindNumber:
	case kindNil:
		return xrow.Errorf(xrow.ErrExactMatch, 1, 0)
	default:
		return xrow.Errorf(xrow.ErrKeyPartType, 0, "unsigned")
	}
	return c.write(true, func(t *txn) (values, error) {
		row, ok, err := t.function(which)
		switch {
		case err != nil:
			return nil, err
		case !ok && opts.isTrue("if_exists"):
			return nil, nil
		case !ok:
			return nil, xrow.Errorf(xrow.ErrNoSuchFunction, valueText(which))
		}
		id := row.uint(0)
		if err := t.revokeAll("function", id); err != nil {
			return nil, err
		}
		return nil, t.delete(xrow.SpaceFunc, keyOf(id))
	})
}

// functionExists is box.schema.func.exists(name or id), for what the caller sees.
func functionExists(c *call) error {
	which := c.arg(0)
	q := box.Query{Space: xrow.ViewFunc, Key: mp.Tuple(which), Limit: 1}
	switch which.kind() {
	case kindString:
		q.Index = 2
	case kindNumber:
	default:
		c.reply(one(mp.Encode(false)))
		return nil
	}
	rows, err := c.rows(&q)
	if err != nil {
		return err
	}
	c.reply(one(mp.Encode(len(rows) > 0)))
	return nil
}

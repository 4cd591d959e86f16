package box

import (
	"slices"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// Fields of a row of _func.
const (
	funcLanguage  = 4
	funcRoutine   = 6
	funcReturns   = 8
	funcAggregate = 9
	funcDataUse   = 10
	funcNullCall  = 13
	funcExports   = 14
	funcOpts      = 15
)

// checkFunction tells whether a client's row of _func defines a function, in the order
// of Tarantool's func_def_new_from_tuple. Rows of older schemas end behind the language.
func checkFunction(row rowReader) error {
	name := shortName(row.string(2))
	fail := func(detail string) error { return xrow.Errorf(xrow.ErrCreateFunction, name, detail) }
	if len(row) > funcLanguage {
		if l := row.string(funcLanguage); !slices.Contains([]string{"LUA", "C", "SQL_EXPR", LanguageGo}, strings.ToUpper(l)) {
			return xrow.Errorf(xrow.ErrFunctionLanguage, shortName(l), name)
		}
	}
	if err := checkProcedure(row, fail); err != nil || len(row) <= funcOpts {
		return err
	}
	for _, one := range [...]struct {
		field        int
		value, wrong string
	}{{funcRoutine, "function", "unsupported routine_type value"}, {funcDataUse, "none", "unsupported sql_data_access value"}} {
		if !strings.EqualFold(row.string(one.field), one.value) {
			return fail(one.wrong)
		}
	}
	switch {
	case row.raw(funcNullCall)[0] != 0xc3:
		return fail("unsupported is_null_call value")
	case parseType(row.string(funcReturns)) == typeUnknown:
		return fail("invalid returns value")
	case !exportsKnown(row.raw(funcExports)):
		return fail("invalid exports value")
	case !slices.Contains([]string{"none", "group"}, strings.ToLower(row.string(funcAggregate))):
		return fail("invalid aggregate value")
	}
	procedure := strings.EqualFold(row.string(funcLanguage), LanguageGo)
	ok, err := eachPair(row.raw(funcOpts), func(key string, v []byte) error {
		switch {
		case key == "version" && procedure:
		case key != "is_multikey" && key != "takes_raw_args":
			return xrow.Errorf(xrow.ErrWrongFunctionOptions, "unexpected option '"+shortName(key)+"'")
		case mp.KindOf(v[0]) != mp.Bool:
			return xrow.Errorf(xrow.ErrWrongFunctionOptions, "'"+key+"' must be boolean")
		}
		return nil
	})
	if !ok {
		return xrow.Errorf(xrow.ErrWrongFunctionOptions, "expected a map with string keys")
	}
	return err
}

// exportsKnown tells whether an array names only what a function may be seen by.
func exportsKnown(b []byte) bool {
	n, at := mp.ArrayOf(b)
	for range n {
		if by := strings.ToUpper(stringOf(b[at:])); by != "LUA" && by != "SQL" {
			return false
		}
		at = mp.Skip(b, at)
	}
	return true
}

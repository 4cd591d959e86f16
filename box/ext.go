package box

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// checkExts refuses a value that holds a malformed decimal, uuid, datetime or
// interval, wherever it is.
func checkExts(b []byte) error {
	for i := 0; i < len(b); {
		if mp.KindOf(b[i]) == mp.Ext && !validExt(b[i:]) {
			return xrow.Errorf(xrow.ErrInvalidMsgpack, "packet body")
		}
		i, _ = mp.Token(b, i)
	}
	return nil
}

// validExt asks xrow, and of a decimal also that it can be computed with.
func validExt(b []byte) bool {
	typ, p := mp.ExtOf(b)
	if typ == mp.ExtDecimal {
		if _, ok := readDecimal(p); !ok {
			return false
		}
	}
	return xrow.CheckExt(typ, p) == nil
}

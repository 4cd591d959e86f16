package box

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// about adds to an error what it is about, as fields: where an error comes up nobody
// knows all of it. err is nobody else's yet.
func about(err error, pairs ...any) error {
	if e := (*xrow.Error)(nil); errors.As(err, &e) {
		e.Add(pairs...)
	}
	return err
}

// aboutSpace names the space (Tarantool: error_set_space). Its rows of system spaces
// pass a trigger first, which does not.
func aboutSpace(err error, sp *space) error {
	if err == nil || sp.system() {
		return err
	}
	return about(err, "space", sp.name, "space_id", sp.id)
}

// aboutIndex names the index of an exact match, or of a SELECT (error_set_index).
func aboutIndex(err error, sp *space, ix *index) error {
	if err == nil {
		return nil
	}
	return about(err, "index", ix.name, "index_id", ix.id, "space", sp.name, "space_id", sp.id)
}

// rangeError is the error of a value that is out of range: args, the value and the limits.
func (t fieldType) rangeError(code xrow.Code, v []byte, args ...any) error {
	lo, hi := t.limits()
	return xrow.Errorf(code, append(args, xrow.Raw(mp.First(v)), lo, hi)...)
}

// rangeText is the end of its text.
func (t fieldType) rangeText(v []byte) string {
	lo, hi := t.limits()
	return fmt.Sprintf("expected [%d..%d], got %s", lo, hi, numberText(v))
}

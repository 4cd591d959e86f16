package box

import (
	"bytes"
	"errors"
	"fmt"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// BeforeReplace is a function of the program around the box, which statements of clients on a
// space run before they change anything. It gets the tuple that is there, the one that the
// statement would leave, each nil where there is none, and what the client asked for. What it
// returns is left in place of that: nil is no tuple, and old that nothing happens.
//
// It is pure: what it returns depends on what it is given alone, and it does nothing else.
type BeforeReplace func(old, new []byte, op xrow.Type) ([]byte, error)

// OnReplace is told of a change that a statement has made; an error undoes that. It is pure as
// a BeforeReplace is.
type OnReplace func(old, new []byte, op xrow.Type) error

// Hooks are the functions of a space, each kind in the order in which they run. They run where a
// client's statement does, once: not for rows of the log or of peers, which are what came of it,
// and not again at the COMMIT of a draft, whose statements keep what they have returned.
type Hooks struct {
	Before []BeforeReplace
	On     []OnReplace
}

// hooked is a statement that runs hooks.
type hooked struct {
	*Hooks
	op      xrow.Type // what the client asked for
	instead *xrow.DML // what it became; nil: what it was
}

// nop is what a statement becomes that is to do nothing.
var nop = xrow.DML{Type: xrow.Nop}

// hook takes the functions that a client's statement on a space runs.
func (t *Txn) hook(sp *space) {
	t.hooked = nil
	if h := t.box.config.Hooks[sp.name]; h != nil && !sp.system() {
		t.hooked = &hooked{Hooks: h}
	}
}

// before runs the functions that may change a statement, and gives what it becomes
// (Tarantool: space_before_replace).
func (t *Txn) before(sp *space, ix *index, d *xrow.DML) (*xrow.DML, error) {
	old, now, err := t.foresee(sp, ix, d)
	if err != nil || old == nil && now == nil {
		return d, err
	}
	left := now
	for _, f := range t.hooked.Before {
		left, err = callBefore(f, sp, old, left, d.Type)
		if err == nil && left != nil {
			err = t.checkReturned(sp, left)
		}
		if err != nil {
			return nil, err
		}
	}
	return t.become(sp, d, old, now, left)
}

// become is the statement that leaves a tuple in place of the one that d would leave. An INSERT
// does not know of the tuple that is there.
func (t *Txn) become(sp *space, d *xrow.DML, old, now, left []byte) (*xrow.DML, error) {
	known := old
	if d.Type == xrow.Insert {
		known = nil
	}
	pk := sp.primary()
	switch {
	case sameTuple(left, now):
		return d, nil
	case left != nil && old != nil && !pk.keepsKey(old, left):
		return nil, xrow.Errorf(xrow.ErrCantUpdatePrimaryKey, sp.name)
	case sameTuple(left, known):
		t.hooked.instead = &nop
	case left == nil:
		key := pk.appendKey(appendArrayHead(nil, len(pk.parts)), known, len(pk.parts))
		t.hooked.instead = &xrow.DML{Type: xrow.Delete, SpaceID: sp.id, Key: key}
	default:
		t.hooked.instead = &xrow.DML{Type: xrow.Replace, SpaceID: sp.id, Tuple: left}
	}
	return t.hooked.instead, nil
}

// sameTuple tells none apart from one that is empty.
func sameTuple(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// foresee gives copies of the tuple that is there, and of the one that a statement would
// leave. Where both are nil there is nothing that it could change.
func (t *Txn) foresee(sp *space, ix *index, d *xrow.DML) (old, now []byte, err error) {
	var was ref
	switch d.Type {
	case xrow.Update, xrow.Delete:
		was, err = t.lookup(sp, ix, d.Key)
	default:
		if err = t.checkTuple(sp, d.Tuple); err == nil {
			was = t.present(sp, d.Tuple)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if was != 0 {
		old = bytes.Clone(t.box.mem.tuple(was))
	}
	switch {
	case d.Type == xrow.Insert || d.Type == xrow.Replace:
		now = bytes.Clone(d.Tuple)
	case d.Type == xrow.Upsert:
		now, err = t.foreseeUpsert(sp, d, old)
	case d.Type == xrow.Update && was != 0:
		t.work, err = t.box.updater(sp, d, false).apply(t.work[:0], old, d.Tuple)
		now = bytes.Clone(t.work)
	}
	return old, now, err
}

func (t *Txn) foreseeUpsert(sp *space, d *xrow.DML, old []byte) (now []byte, err error) {
	u := t.box.updater(sp, d, true)
	if err := u.check(d.Ops); err != nil || old == nil {
		return bytes.Clone(d.Tuple), err
	}
	t.work, err = u.apply(t.work[:0], old, d.Ops)
	return bytes.Clone(t.work), err
}

// checkReturned refuses what a function may not leave in a space.
func (t *Txn) checkReturned(sp *space, tuple []byte) error {
	if mp.Check(tuple) != nil || mp.KindOf(tuple[0]) != mp.Array {
		return xrow.Errorf(xrow.ErrBeforeReplaceRet)
	}
	if err := checkExts(tuple); err != nil {
		return err
	}
	return t.checkTuple(sp, tuple)
}

// onReplace tells of a change; old and new are versions, or none.
func (t *Txn) onReplace(sp *space, old, new ref) error {
	for _, f := range t.hooked.On {
		if err := callOn(f, sp, t.copyOf(old), t.copyOf(new), t.hooked.op); err != nil {
			return err
		}
	}
	return nil
}

// copyOf is a version's tuple for a function that may keep it.
func (t *Txn) copyOf(r ref) []byte {
	if r == 0 {
		return nil
	}
	return bytes.Clone(t.box.mem.tuple(r))
}

func callBefore(f BeforeReplace, sp *space, old, new []byte, op xrow.Type) (left []byte, err error) {
	defer func() { err = hookError("before_replace", sp, recover(), err) }()
	return f(bytes.Clone(old), bytes.Clone(new), op)
}

func callOn(f OnReplace, sp *space, old, new []byte, op xrow.Type) (err error) {
	defer func() { err = hookError("on_replace", sp, recover(), err) }()
	return f(old, new, op)
}

// hookError is the error of a statement whose function panicked, or returned one. What has
// a code stays as it is.
func hookError(what string, sp *space, panicked any, err error) error {
	var coded *xrow.Error
	switch {
	case panicked != nil:
		err = fmt.Errorf("%s of space '%s' panicked: %v", what, sp.name, panicked)
	case err == nil || errors.As(err, &coded):
		return err
	}
	return &xrow.Error{Code: xrow.ErrProcLua, Message: err.Error(), Err: err}
}

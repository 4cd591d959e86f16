package box

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// give makes a user with a right to do all.
func (w *world) give(id uint32, name string) Credentials {
	w.t.Helper()
	w.must(insert(xrow.SpaceUser, int(id), 1, name, "user", m{}, []any{}, 0))
	w.must(insert(xrow.SpacePriv, 1, int(id), "universe", 0, int(PrivAll)))
	return w.creds(id)
}

func (w *world) take(id uint32) {
	w.t.Helper()
	w.must(del(xrow.SpacePriv, int(id), "universe", 0))
	w.must(del(xrow.SpaceUser, int(id)))
}

// Who was dropped is nobody, whoever gets the number next.
func TestAttackDroppedUser(t *testing.T) {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	bob := w.give(32, "bob")
	checks := func(c Credentials) map[string]error {
		s := w.b.Schema()
		d := insert(512, 1)
		x := w.b.Begin(w.seq + 1)
		_, written := x.Execute(c, &d)
		_, _, queried := x.Query(c, &Query{Space: 512, Limit: 1, Key: arr()}, nil)
		x.Abort()
		w.seq++
		_, _, selected := w.b.Select(c, &Query{Space: 512, Limit: 1, Key: arr()}, nil)
		_, _, seen := w.b.Select(c, &Query{Space: 281, Limit: 1, Key: arr()}, nil)
		return map[string]error{"write": written, "query": queried, "select": selected, "view": seen, "user": s.CheckUser(c),
			"space": s.CheckSpace(c, 512, PrivRead), "universe": s.CheckUniverse(c, PrivSession), "call": s.CheckCall(c, "f", false),
			"eval": s.CheckEval(c), "ddl": s.CheckDDL(c, classSpace, 512, "t", 1, PrivDrop)}
	}
	hold := func(when string, c Credentials, want bool) {
		t.Helper()
		for what, err := range checks(c) {
			if (err == nil) != want {
				t.Errorf("%s: %s: %v", when, what, err)
			}
			if !want {
				wantError(t, err, xrow.ErrNoSuchUser, "User '32' is not found")
			}
		}
		if got := w.b.Schema().MayWrite(c); got != want {
			t.Errorf("%s: may write: %v", when, got)
		}
	}
	hold("before", bob, true)
	w.must(upd(xrow.SpaceUser, arr(32), []any{"=", 2, "robert"}))
	hold("renamed", bob, true)
	w.take(32)
	hold("dropped", bob, false)
	alice := w.give(32, "alice")
	hold("the number is alice's", bob, false)
	hold("alice", alice, true)
	w.do(func(x *Txn) error { // dropped and made again by one transaction, of a peer
		for _, d := range []xrow.DML{del(xrow.SpacePriv, 32, "universe", 0), del(xrow.SpaceUser, 32), insert(xrow.SpaceUser, 32, 1, "alice", "user", m{}, []any{}, 0),
			insert(xrow.SpacePriv, 1, 32, "universe", 0, int(PrivAll))} {
			if err := x.Apply(&d); err != nil {
				return err
			}
		}
		return nil
	})
	hold("alice of before", alice, false)
	hold("alice of now", w.creds(32), true)
}

// A drop that is void has ended nothing, and a user that is void was nobody.
func TestAttackDropThatIsVoid(t *testing.T) {
	w := newWorld(t)
	bob := w.give(32, "bob")
	x := w.prepare(func(x *Txn) error {
		for _, d := range []xrow.DML{del(xrow.SpacePriv, 32, "universe", 0), del(xrow.SpaceUser, 32), insert(xrow.SpaceUser, 32, 1, "eve", "user", m{}, []any{}, 0)} {
			if _, err := x.Execute(UserAdmin, &d); err != nil {
				return err
			}
		}
		return nil
	})
	eve, _ := x.Schema().Credentials(32)
	if w.b.Schema().CheckUser(bob) != nil || w.b.Schema().CheckUser(eve) == nil || eve == bob {
		t.Error("an undecided drop counts")
	}
	w.b.Rollback(w.seq)
	if err := w.b.Schema().CheckUser(bob); err != nil {
		t.Error(err)
	}
	w.take(32)
	if alice := w.give(32, "alice"); alice == bob {
		t.Error("alice has bob's credentials")
	}
}

// No number stands for the node itself.
func TestAttackInternalNumber(t *testing.T) {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.mustApply(insert(xrow.SpaceUser, 1<<32-1, 1, "evil", "user", m{}, []any{}, 0)) // a peer may have one
	for _, c := range []Credentials{1<<32 - 1, 1<<64 - 1, w.creds(1<<32 - 1), 1<<32 | UserAdmin} {
		d := insert(512, 1)
		x := w.b.Begin(w.seq + 1)
		if _, err := x.Execute(c, &d); err == nil {
			t.Errorf("%x writes", uint64(c))
		}
		x.Abort()
		w.seq++
		if _, _, err := w.b.Select(c, &Query{Space: 512, Limit: 1, Key: arr()}, nil); err == nil {
			t.Errorf("%x reads", uint64(c))
		}
	}
}

package box

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

const (
	mallory = 40 // reads and writes all spaces, and has nothing else
	ownUser = 60 // made by mallory
	joe     = 41 // made by admin, as all below
	aRole   = 42
	helper  = 43 // may also alter users and spaces
	boss    = 44 // has the role super
	aSpace  = 512
	ownRoom = 600 // mallory's space
	aSeq    = 7
	aFunc   = 70
)

// rightsWorld has one object of each class of admin's, and some of mallory's.
func rightsWorld(t *testing.T) *world {
	w := newWorld(t)
	for _, u := range []struct {
		id, owner int
		name, typ string
	}{{mallory, 1, "mallory", "user"}, {joe, 1, "joe", "user"}, {aRole, 1, "role", "role"}, {helper, 1, "helper", "user"},
		{boss, 1, "boss", "user"}, {ownUser, mallory, "own", "user"}} {
		w.must(insert(xrow.SpaceUser, u.id, u.owner, u.name, u.typ, m{}, []any{}, 0))
	}
	for _, id := range []int{mallory, helper, boss, joe} {
		w.must(insert(xrow.SpacePriv, 1, id, "universe", 0, int(PrivSession|PrivUsage)))
	}
	w.must(insert(xrow.SpacePriv, 1, mallory, "space", "", int(PrivRead|PrivWrite)))
	w.must(insert(xrow.SpacePriv, 1, helper, "space", "", int(PrivRead|PrivWrite|PrivAlter)))
	w.must(insert(xrow.SpacePriv, 1, helper, "user", "", int(PrivAlter)))
	w.must(insert(xrow.SpacePriv, 1, helper, "sequence", "", int(PrivAlter)))
	w.must(insert(xrow.SpacePriv, 1, joe, "role", int(RolePublic), int(PrivExecute)))
	w.must(insert(xrow.SpacePriv, 1, boss, "role", int(RoleSuper), int(PrivExecute)))
	w.must(insert(xrow.SpacePriv, 1, joe, "role", aRole, int(PrivExecute)))
	w.space(aSpace, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(xrow.SpaceSpace, ownRoom, mallory, "own", "memtx", 0, m{}, []any{}))
	w.must(insert(xrow.SpaceIndex, ownRoom, 0, "pk", "tree", m{"unique": true}, []any{[]any{0, "unsigned"}}))
	w.must(insert(xrow.SpaceSequence, aSeq, 1, "seq", 1, 1, 100, 1, 0, false))
	w.must(insert(xrow.SpaceSequenceData, aSeq, 5))
	w.mustApply(insert(xrow.SpaceSpaceSequence, aSpace, aSeq, false, 0, ""))
	w.mustApply(insert(xrow.SpaceTrigger, "trig", aSpace, m{"sql": "x"}))
	w.mustApply(insert(xrow.SpaceFuncIndex, aSpace, 3, aFunc))
	w.must(ups(xrow.SpaceTruncate, arr(aSpace, 1), []any{"+", 1, 1}))
	w.must(insert(xrow.SpaceFunc, function(aFunc, 1, "f", 0)...))
	return w
}

func function(id, owner int, name string, setuid int) []any {
	return []any{id, owner, name, setuid, "LUA", "", "function", []any{}, "any", "none", "none", false, false, true, []any{"LUA"}, m{}, "", "", "", []any{}}
}

// TestAttackSystemRows: rights are asked for by the row that is there and by the
// one that would be. Who may write all spaces can do nothing to what belongs to
// others, and cannot give himself anything.
func TestAttackSystemRows(t *testing.T) {
	hash := m{"chap-sha1": "M+CyEsxxray3AXo3kLjWYphuUEs="}
	set := func(field int, v any) []any { return []any{"=", field, v} }
	for _, c := range []struct {
		name string
		user uint32
		d    xrow.DML
		code xrow.Code
	}{
		// Users and roles: the takeover of admin in all forms.
		{"password of admin", mallory, upd(xrow.SpaceUser, arr(1), set(4, hash)), xrow.ErrAccessDenied},
		{"password and owner of admin", mallory, upd(xrow.SpaceUser, arr(1), set(1, mallory), set(4, hash)), xrow.ErrAccessDenied},
		{"admin replaced", mallory, replace(xrow.SpaceUser, 1, mallory, "admin", "user", hash, []any{}, 0), xrow.ErrAccessDenied},
		{"admin upserted", mallory, ups(xrow.SpaceUser, arr(1, mallory, "admin", "user", hash, []any{}, 0), set(1, mallory), set(4, hash)), xrow.ErrAccessDenied},
		{"admin by name", mallory, xrow.DML{Type: xrow.Update, SpaceID: xrow.SpaceUser, IndexID: 2, Key: arr("admin"), Tuple: arr(set(1, mallory), set(4, hash))}, xrow.ErrAccessDenied},
		{"password of another", mallory, upd(xrow.SpaceUser, arr(joe), set(1, mallory), set(4, hash)), xrow.ErrAccessDenied},
		{"password of one's own user", mallory, upd(xrow.SpaceUser, arr(ownUser), set(4, hash)), xrow.ErrAccessDenied},
		{"a role", mallory, upd(xrow.SpaceUser, arr(aRole), set(1, mallory)), xrow.ErrAccessDenied},
		{"a user", mallory, insert(xrow.SpaceUser, 50, mallory, "new", "user", hash, []any{}, 0), xrow.ErrAccessDenied},
		{"the number of none", 1, insert(xrow.SpaceUser, lastUser+1, 1, "evil", "user", m{}, []any{}, 0), xrow.ErrCreateUser},
		{"the last number", 1, insert(xrow.SpaceUser, 1<<32-1, 1, "evil", "user", m{}, []any{}, 0), xrow.ErrCreateUser},
		{"a drop", mallory, del(xrow.SpaceUser, joe), xrow.ErrAccessDenied},
		{"one's own owner", mallory, upd(xrow.SpaceUser, arr(mallory), set(1, mallory)), xrow.ErrAccessDenied},
		{"one's own type", mallory, upd(xrow.SpaceUser, arr(mallory), set(3, "role"), set(4, m{})), xrow.ErrUnsupported},
		{"who may alter users: admin", helper, upd(xrow.SpaceUser, arr(1), set(4, hash)), xrow.ErrAccessDenied},
		{"who may alter users: super", helper, upd(xrow.SpaceUser, arr(RoleSuper), set(2, "s")), xrow.ErrAccessDenied},
		{"who may alter users: an owner", helper, upd(xrow.SpaceUser, arr(joe), set(1, helper)), xrow.ErrAccessDenied},
		// Nobody does these.
		{"admin dropped", 1, del(xrow.SpaceUser, 1), xrow.ErrDropUser},
		{"guest dropped", 1, del(xrow.SpaceUser, 0), xrow.ErrDropUser},
		{"public dropped", boss, del(xrow.SpaceUser, RolePublic), xrow.ErrDropUser},
		{"replication dropped", 1, del(xrow.SpaceUser, RoleReplication), xrow.ErrDropUser},
		{"super dropped", 1, del(xrow.SpaceUser, RoleSuper), xrow.ErrDropUser},
		{"admin a role", 1, upd(xrow.SpaceUser, arr(1), set(3, "role"), set(4, m{})), xrow.ErrUnsupported},
		{"super a user", boss, upd(xrow.SpaceUser, arr(RoleSuper), set(3, "user")), xrow.ErrUnsupported},
		{"admin renamed", 1, upd(xrow.SpaceUser, arr(1), set(2, "root")), xrow.ErrUnsupported},
		{"guest renamed", boss, upd(xrow.SpaceUser, arr(0), set(2, "g")), xrow.ErrUnsupported},
		{"guest's password", 1, upd(xrow.SpaceUser, arr(0), set(4, hash)), xrow.ErrGuestUserPassword},
		{"a role that somebody has dropped", 1, del(xrow.SpaceUser, aRole), xrow.ErrDropUser},
		{"a user with rights dropped", 1, del(xrow.SpaceUser, joe), xrow.ErrDropUser},
		// Spaces and indexes.
		{"a space", mallory, insert(xrow.SpaceSpace, 700, mallory, "new", "memtx", 0, m{}, []any{}), xrow.ErrAccessDenied},
		{"the owner of a space", mallory, upd(xrow.SpaceSpace, arr(aSpace), set(1, mallory)), xrow.ErrAccessDenied},
		{"a space replaced", mallory, replace(xrow.SpaceSpace, aSpace, mallory, "t", "memtx", 0, m{}, []any{}), xrow.ErrAccessDenied},
		{"a space upserted", mallory, ups(xrow.SpaceSpace, arr(aSpace, mallory, "t", "memtx", 0, m{}, []any{}), set(1, mallory)), xrow.ErrAccessDenied},
		{"a system space", mallory, upd(xrow.SpaceSpace, arr(xrow.SpaceUser), set(1, mallory)), xrow.ErrAccessDenied},
		{"a space dropped", mallory, del(xrow.SpaceSpace, aSpace), xrow.ErrAccessDenied},
		{"one's own space given away", mallory, upd(xrow.SpaceSpace, arr(ownRoom), set(1, joe)), xrow.ErrAccessDenied},
		{"who may alter spaces: an owner", helper, upd(xrow.SpaceSpace, arr(aSpace), set(1, helper)), xrow.ErrAccessDenied},
		{"an owner who is not there", 1, upd(xrow.SpaceSpace, arr(aSpace), set(1, 99)), xrow.ErrNoSuchUser},
		{"that a space was emptied, by public's write on _truncate", joe, del(xrow.SpaceTruncate, aSpace), xrow.ErrAccessDenied},
		{"an index", mallory, insert(xrow.SpaceIndex, aSpace, 1, "sk", "tree", m{}, []any{[]any{1, "unsigned"}}), xrow.ErrAccessDenied},
		{"an index replaced", mallory, replace(xrow.SpaceIndex, aSpace, 0, "pk", "tree", m{"unique": true}, []any{[]any{0, "integer"}}), xrow.ErrAccessDenied},
		{"an index dropped", mallory, del(xrow.SpaceIndex, aSpace, 0), xrow.ErrAccessDenied},
		{"who may alter spaces: an index dropped", helper, del(xrow.SpaceIndex, aSpace, 0), xrow.ErrAccessDenied},
		// Sequences.
		{"a sequence", mallory, insert(xrow.SpaceSequence, 8, mallory, "s8", 1, 1, 100, 1, 0, false), xrow.ErrAccessDenied},
		{"the owner of a sequence", mallory, upd(xrow.SpaceSequence, arr(aSeq), set(1, mallory)), xrow.ErrAccessDenied},
		{"who may alter sequences: an owner", helper, upd(xrow.SpaceSequence, arr(aSeq), set(1, helper)), xrow.ErrAccessDenied},
		{"a sequence dropped", mallory, del(xrow.SpaceSequence, aSeq), xrow.ErrAccessDenied},
		{"a sequence moved", mallory, replace(xrow.SpaceSequenceData, aSeq, 1), xrow.ErrAccessDenied},
		{"the value of no sequence", mallory, insert(xrow.SpaceSequenceData, 99, 1), xrow.ErrNoSuchSequence},
		{"a sequence in use dropped", 1, del(xrow.SpaceSequence, aSeq), xrow.ErrDropSequence},
		{"a sequence taken from its space", mallory, del(xrow.SpaceSpaceSequence, aSpace), xrow.ErrAccessDenied},
		// What belongs to spaces.
		{"a trigger dropped", mallory, del(xrow.SpaceTrigger, "trig"), xrow.ErrAccessDenied},
		{"the function of an index dropped", mallory, del(xrow.SpaceFuncIndex, aSpace, 3), xrow.ErrAccessDenied},
		{"a function", mallory, insert(xrow.SpaceFunc, function(71, mallory, "g", 0)...), xrow.ErrAccessDenied},
		{"the owner of a function", mallory, upd(xrow.SpaceFunc, arr(aFunc), set(1, mallory)), xrow.ErrAccessDenied},
		{"a function dropped", mallory, del(xrow.SpaceFunc, aFunc), xrow.ErrAccessDenied},
		{"a collation", mallory, insert(xrow.SpaceCollation, 500, "c", mallory, "ICU", "", m{}), xrow.ErrAccessDenied},
		{"a collation dropped", mallory, del(xrow.SpaceCollation, 1), xrow.ErrAccessDenied},
		{"a collation changed", 1, upd(xrow.SpaceCollation, arr(1), set(2, mallory)), xrow.ErrUnsupported},
		// Rights.
		{"a right for oneself", mallory, insert(xrow.SpacePriv, 1, mallory, "space", aSpace, int(PrivRead)), xrow.ErrAccessDenied},
		{"more of a right", mallory, replace(xrow.SpacePriv, 1, mallory, "universe", 0, int(PrivAll)), xrow.ErrAccessDenied},
		{"the role super", mallory, insert(xrow.SpacePriv, mallory, mallory, "role", int(RoleSuper), int(PrivExecute)), xrow.ErrAccessDenied},
		{"the role of another", mallory, insert(xrow.SpacePriv, mallory, mallory, "role", aRole, int(PrivExecute)), xrow.ErrAccessDenied},
		{"another's right revoked", mallory, del(xrow.SpacePriv, joe, "role", aRole), xrow.ErrAccessDenied},
		{"one's own right on oneself's space", boss, insert(xrow.SpacePriv, boss, boss, "space", aSpace, int(PrivRead)), xrow.ErrGrant},
		{"admin's rights", 1, del(xrow.SpacePriv, 1, "universe", 0), xrow.ErrGrant},
		{"some of admin's rights", 1, replace(xrow.SpacePriv, 1, 1, "universe", 0, 1), xrow.ErrGrant},
		{"a space by name", 1, insert(xrow.SpacePriv, 1, joe, "user", "admin", int(PrivAlter)), xrow.ErrFieldType},
		{"a role as a user", 1, insert(xrow.SpacePriv, 1, joe, "user", aRole, int(PrivAlter)), xrow.ErrNoSuchUser},
		{"rights of 33 bits", 1, insert(xrow.SpacePriv, 1, joe, "space", aSpace, 1<<32|1), xrow.ErrFieldType},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := rightsWorld(t)
			_, err := w.as(c.user, c.d)
			wantError(t, err, c.code, "")
		})
	}
}

// What owners, and who was given a right, may do is theirs.
func TestSystemRowsOfOwners(t *testing.T) {
	set := func(field int, v any) []any { return []any{"=", field, v} }
	for _, c := range []struct {
		name string
		user uint32
		ds   []xrow.DML
	}{
		{"one's own name", mallory, []xrow.DML{upd(xrow.SpaceUser, arr(mallory), set(2, "m"))}},
		{"a user that one made is dropped", mallory, []xrow.DML{del(xrow.SpaceUser, ownUser)}},
		{"a space of one's own", mallory, []xrow.DML{upd(xrow.SpaceSpace, arr(ownRoom), set(2, "mine")), insert(xrow.SpacePriv, mallory, joe, "space", ownRoom, int(PrivRead)),
			del(xrow.SpacePriv, joe, "space", ownRoom), del(xrow.SpaceIndex, ownRoom, 0), del(xrow.SpaceSpace, ownRoom)}},
		{"public for everybody", mallory, []xrow.DML{insert(xrow.SpacePriv, mallory, ownUser, "role", int(RolePublic), int(PrivExecute))}},
		{"who may alter users", helper, []xrow.DML{upd(xrow.SpaceUser, arr(joe), set(2, "j"))}},
		{"who may alter spaces", helper, []xrow.DML{upd(xrow.SpaceSpace, arr(aSpace), set(2, "tt"))}},
		{"who may do all gives away", boss, []xrow.DML{upd(xrow.SpaceSpace, arr(aSpace), set(1, joe)), upd(xrow.SpaceUser, arr(joe), set(1, boss)), upd(xrow.SpaceFunc, arr(aFunc), set(1, joe)),
			upd(xrow.SpaceUser, arr(1), set(4, m{}))}},
		{"a sequence to its end", 1, []xrow.DML{del(xrow.SpaceSpaceSequence, aSpace), del(xrow.SpaceSequenceData, aSeq), del(xrow.SpaceSequence, aSeq)}},
		{"guest's empty password", 1, []xrow.DML{upd(xrow.SpaceUser, arr(0), set(4, m{"chap-sha1": "vhvewKp0tNyweZQ+cFKAlsyphfg="}))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := rightsWorld(t)
			for _, d := range c.ds {
				if _, err := w.as(c.user, d); err != nil {
					t.Errorf("%v of space %d: %v", d.Type, d.SpaceID, err)
				}
			}
		})
	}
}

// Nothing is dropped that something else stands on: its number is given again.
func TestAttackDropInUse(t *testing.T) {
	w := rightsWorld(t)
	drop := func(d xrow.DML, code xrow.Code, text string) {
		t.Helper()
		_, err := w.run(d)
		wantError(t, err, code, text)
	}
	drop(del(xrow.SpaceSequence, aSeq), xrow.ErrDropSequence, "Can't drop sequence 'seq': the sequence has data")
	w.must(del(xrow.SpaceSequenceData, aSeq))
	drop(del(xrow.SpaceSequence, aSeq), xrow.ErrDropSequence, "Can't drop sequence 'seq': the sequence is in use")
	w.must(del(xrow.SpaceSpaceSequence, aSpace))
	w.must(insert(xrow.SpacePriv, 1, joe, "sequence", aSeq, int(PrivRead)))
	drop(del(xrow.SpaceSequence, aSeq), xrow.ErrDropSequence, "Can't drop sequence 'seq': the sequence has grants")
	w.must(insert(xrow.SpacePriv, 1, joe, "function", aFunc, int(PrivExecute)))
	drop(del(xrow.SpaceFunc, aFunc), xrow.ErrDropFunction, "Can't drop function 70: function has grants")
}

// A function that runs with its owner's rights is the owner's to make; a Tarantool
// in the replica set would run it.
func TestAttackSetuid(t *testing.T) {
	w := rightsWorld(t)
	w.must(insert(xrow.SpacePriv, 1, mallory, "function", "", int(PrivCreate)))
	_, err := w.as(mallory, insert(xrow.SpaceFunc, function(71, 1, "g", 1)...))
	wantError(t, err, xrow.ErrAccessDenied, "")
	for _, d := range []xrow.DML{insert(xrow.SpaceFunc, function(71, 1, "g", 0)...), insert(xrow.SpaceFunc, function(72, mallory, "h", 1)...)} {
		if _, err := w.as(mallory, d); err != nil {
			t.Error(err)
		}
	}
	_, err = w.as(mallory, upd(xrow.SpaceFunc, arr(71), []any{"=", 3, 1}))
	wantError(t, err, xrow.ErrAccessDenied, "")
}

// The right to grant does not grant itself, and the right on a user is none on all
// of them.
func TestAttackGrants(t *testing.T) {
	w := rightsWorld(t)
	w.must(replace(xrow.SpacePriv, 1, mallory, "universe", 0, int(PrivSession|PrivUsage|PrivGrant)))
	if _, err := w.as(mallory, insert(xrow.SpacePriv, mallory, joe, "space", aSpace, int(PrivRead))); err != nil {
		t.Error(err)
	}
	for _, d := range []xrow.DML{
		insert(xrow.SpacePriv, mallory, ownUser, "universe", 0, int(PrivGrant)),
		insert(xrow.SpacePriv, mallory, ownUser, "universe", 0, int(PrivMetagrant|PrivRead)),
		del(xrow.SpacePriv, boss, "role", int(RoleSuper)), // needs no more than the right to grant
	} {
		_, err := w.as(mallory, d)
		if d.Type == xrow.Delete {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		wantError(t, err, xrow.ErrAccessDenied, "Metagrant access to universe '' is denied for user 'mallory'")
	}
	w.must(replace(xrow.SpacePriv, 1, helper, "universe", 0, int(PrivSession|PrivUsage|PrivGrant)))
	_, err := w.as(mallory, replace(xrow.SpacePriv, mallory, helper, "universe", 0, int(PrivSession))) // takes grant away
	wantError(t, err, xrow.ErrAccessDenied, "Metagrant access to universe '' is denied for user 'mallory'")
	_, err = w.as(mallory, insert(xrow.SpacePriv, mallory, mallory, "space", aSpace, int(PrivDrop)))
	wantError(t, err, xrow.ErrGrant, "Incorrect grant arguments: only object owner or admin can grant oneself")
	w = rightsWorld(t)
	w.must(insert(xrow.SpacePriv, 1, mallory, "user", int(UserGuest), int(PrivGrant)))
	_, err = w.as(mallory, insert(xrow.SpacePriv, mallory, joe, "user", "", int(PrivAlter)))
	wantError(t, err, xrow.ErrAccessDenied, "")
}

// Rights that a peer's drop has left behind are not those of the next user.
func TestAttackRightsLeftBehind(t *testing.T) {
	w := newWorld(t)
	w.must(insert(xrow.SpaceUser, 32, 1, "bob", "user", m{}, []any{}, 0))
	w.must(insert(xrow.SpaceUser, 33, 1, "eve", "user", m{}, []any{}, 0))
	w.must(insert(xrow.SpacePriv, 1, 32, "user", 33, int(PrivAlter)))
	_, err := w.run(del(xrow.SpaceUser, 33))
	wantError(t, err, xrow.ErrDropUser, "Failed to drop user or role 'eve': the user has objects")
	w.mustApply(del(xrow.SpaceUser, 33))
	if id := w.b.Schema().NextUserID(); id != 34 {
		t.Errorf("the next user has number %d", id)
	}
}

package box

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// errorWorld has one space of each kind that the tables below need.
func errorWorld(t *testing.T) *world {
	w := newWorld(t)
	w.space(512, "t", nil, []any{m{"name": "id", "type": "unsigned"}, m{"name": "name", "type": "string"}},
		pkIndex([]any{0, "unsigned"}), []any{1, "many", "tree", m{"unique": false}, []any{[]any{1, "string"}}})
	w.space(513, "h", nil, nil, []any{0, "pk", "hash", m{}, []any{[]any{0, "unsigned"}, []any{1, "unsigned"}}})
	w.space(514, "nopk", nil, nil)
	w.space(515, "small", nil, []any{m{"name": "id", "type": "unsigned"}, m{"name": "b", "type": "int8"}}, pkIndex([]any{0, "unsigned"}))
	w.must(insert(xrow.SpaceUser, 40, 1, "u1", "user", m{}, []any{}, 0))
	w.must(insert(xrow.SpacePriv, 1, 40, "universe", 0, int(PrivSession|PrivUsage)))
	w.must(insert(xrow.SpacePriv, 1, 40, "role", 2, int(PrivExecute)))
	w.must(insert(512, 1, "a"))
	return w
}

// TestDataErrors: the texts of Tarantool (src/box/errcode.h) for data.
func TestDataErrors(t *testing.T) {
	w := errorWorld(t)
	for _, c := range []struct {
		name string
		user uint32
		d    xrow.DML
		code xrow.Code
		text string
	}{
		{"no space", 1, insert(9999, 1), 36, "Space '9999' does not exist"},
		{"no right", 40, insert(512, 5, "b"), 42, "Write access to space 't' is denied for user 'u1'"},
		{"no right before no index", 40, insert(514, 5), 42, "Write access to space 'nopk' is denied for user 'u1'"},
		{"view", 1, insert(281, 1), 113, "View '_vspace' is read-only"},
		{"no index", 1, xrow.DML{Type: xrow.Delete, SpaceID: 512, IndexID: 9, Key: arr(1)}, 35, "No index #9 is defined in space 't'"},
		{"no primary index", 1, insert(514, 1), 35, "No index #0 is defined in space 'nopk'"},
		{"partial key", 1, del(512), 19, "Invalid key part count in an exact match (expected 1, got 0)"},
		{"not unique", 1, xrow.DML{Type: xrow.Delete, SpaceID: 512, IndexID: 1, Key: arr("a")}, 41, "Get() doesn't support partial keys and non-unique indexes"},
		{"key type", 1, del(512, "x"), 18, "Supplied key type of part 0 does not match index part type: expected unsigned"},
		{"missing", 1, insert(512, 1), 39, "Tuple field 2 (name) required by space format is missing"},
		{"missing before type", 1, insert(512, "x"), 39, "Tuple field 2 (name) required by space format is missing"},
		{"type", 1, insert(512, "x", "y"), 23, "Tuple field 1 (id) type does not match one required by operation: expected unsigned, got string"},
		{"type of nil", 1, insert(512, 3, nil), 23, "Tuple field 2 (name) type does not match one required by operation: expected string, got nil"},
		{"type without name", 1, insert(513, 1, -1), 23, "Tuple field 2 type does not match one required by operation: expected unsigned, got integer"},
		{"range", 1, insert(515, 1, 200), 280, "The value of field 2 (b) exceeds the supported range for type 'int8': expected [-128..127], got 200"},
		{"too large", 1, insert(512, 1, strings.Repeat("x", 1<<20)), 110, ""},
		{"primary key", 1, upd(512, arr(1), []any{"=", 0, 2}), 94, "Attempt to modify a tuple field which is part of primary index in space 't'"},
		{"field count", 1, insert(380, "a"), 5, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.as(c.user, c.d)
			wantError(t, err, c.code, c.text)
		})
	}
	if got := w.sel(512, 0, ALL); got != `[1, "a"]` {
		t.Errorf("after errors: %s", got)
	}
}

func TestSelectErrors(t *testing.T) {
	w := errorWorld(t)
	for _, c := range []struct {
		name string
		user uint32
		q    Query
		code xrow.Code
		text string
	}{
		{"no name", 1, Query{SpaceName: "x"}, 36, "Space 'x' does not exist"},
		{"no index name", 1, Query{SpaceName: "t", IndexName: "x"}, 148, "No index 'x' is defined in space 't'"},
		{"no right", 40, Query{Space: 512}, 42, "Read access to space 't' is denied for user 'u1'"},
		{"no index", 1, Query{Space: 512, Index: 7}, 35, "No index #7 is defined in space 't'"},
		{"parts", 1, Query{Space: 512, Key: arr(1, 2)}, 31, "Invalid key part count (expected [0..1], got 2)"},
		{"iterator", 1, Query{Space: 513, Iterator: LE, Key: arr()}, 112, "Index 'pk' (HASH) of space 'h' (memtx) does not support requested iterator type"},
		{"partial hash", 1, Query{Space: 513, Key: arr(1)}, 136, "HASH index  does not support selects via a partial key (expected 2 parts, got 1). Please Consider changing index type to TREE."},
		{"position", 1, Query{Space: 512, AfterPosition: []byte("kaE")}, 247, "Iterator position is invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := w.b.Select(w.creds(c.user), &c.q, nil)
			wantError(t, err, c.code, c.text)
		})
	}
}

// TestSchemaErrors: its texts for definitions (src/box/alter.cc).
func TestSchemaErrors(t *testing.T) {
	w := errorWorld(t)
	w.must(insert(512, 2, "a"))
	w.must(ups(xrow.SpaceTruncate, arr(514, 1), []any{"+", 1, 1}))
	ix := func(id int, name, typ string, opts any, parts ...any) xrow.DML {
		return insert(xrow.SpaceIndex, 512, id, name, typ, opts, parts)
	}
	sp := func(name, engine string, flags any, format ...any) xrow.DML {
		return insert(xrow.SpaceSpace, 700, 1, name, engine, 0, flags, format)
	}
	for _, c := range []struct {
		name string
		d    xrow.DML
		code xrow.Code
		text string
	}{
		{"space name exists", sp("t", "memtx", m{}), 3, ""},
		{"space name", sp("", "memtx", m{}), 70, "Invalid identifier '' (expected printable symbols only or it is too long)"},
		{"engine", sp("x", "foo", m{}), 57, "Space engine 'foo' does not exist"},
		{"vinyl", sp("x", "vinyl", m{}), 5, "Tarragon does not support engine 'vinyl' of space 'x'"},
		{"flag", sp("x", "memtx", m{"bogus": 1}), 111, "Wrong space options: unexpected option 'bogus'"},
		{"flags are an array", sp("x", "memtx", []any{}), 23, "Tuple field 6 (flags) type does not match one required by operation: expected map, got array"},
		{"group", sp("x", "memtx", m{"group_id": 7}), 155, "Replication group '7' does not exist"},
		{"local and sync", insert(xrow.SpaceSpace, 700, 1, "q4", "memtx", 0, m{"group_id": 1, "is_sync": true}, []any{}), 9, "Failed to create space 'q4': local space can't be synchronous"},
		{"field type", sp("x", "memtx", m{}, m{"name": "a", "type": "bad"}), 141, "Wrong space format field 1: unknown field type"},
		{"field array", sp("x", "memtx", m{}, []any{"id", "unsigned"}), 141, "Wrong space format field 1: expected a map"},
		{"field name", sp("x", "memtx", m{}, m{"type": "any"}), 141, "Wrong space format field 1: field name is missing"},
		{"field twice", sp("x", "memtx", m{}, m{"name": "a"}, m{"name": "a"}), 149, "Space field 'a' is duplicate"},
		{"index exists", ix(0, "pk2", "tree", m{}, []any{0, "unsigned"}), 3, ""},
		{"index type", ix(2, "h", "btree", m{}, []any{0, "unsigned"}), 13, "Unsupported index type supplied for index 'h' in space 't'"},
		{"rtree", ix(2, "r", "rtree", m{"unique": false}, []any{0, "array"}), 5, "Tarragon does not support RTREE index 'r' of space 't'"},
		{"hash not unique", ix(2, "h", "hash", m{"unique": false}, []any{0, "unsigned"}), 14, "Can't create or modify index 'h' in space 't': HASH index must be unique"},
		{"no parts", ix(2, "h", "tree", m{}), 14, "Can't create or modify index 'h' in space 't': part count must be positive"},
		{"part twice", ix(2, "h", "tree", m{}, []any{0, "unsigned"}, []any{0, "unsigned"}), 14, "Can't create or modify index 'h' in space 't': same key part is indexed twice"},
		{"part type any", ix(2, "h", "tree", m{}, []any{5, "any"}), 14, "Can't create or modify index 'h' in space 't': field type 'any' is not supported"},
		{"part type", ix(2, "h", "tree", m{}, []any{5, "bad"}), 107, "Wrong index part 1: unknown field type"},
		{"part option", ix(2, "h", "tree", m{}, m{"field": 5, "type": "string", "zz": 1}), 107, "Wrong index part 1: unexpected option 'zz'"},
		{"collation", ix(2, "h", "tree", m{}, m{"field": 5, "type": "unsigned", "collation": 1}), 107, "Wrong index part 1: collation is only reasonable for 'string' and 'scalar' parts"},
		{"option", ix(2, "h", "tree", m{"x": 1}, []any{0, "unsigned"}), 108, "Wrong index options: unexpected option 'x'"},
		{"format mismatch", insert(xrow.SpaceIndex, 515, 1, "x", "tree", m{}, []any{[]any{1, "string"}}), 27, "Field 2 (b) has type 'int8' in space format, but type 'string' in index definition"},
		{"mismatch with both", ix(2, "h", "tree", m{}, []any{1, "unsigned"}), 24, "Field 2 (name) has type 'string' in one index, but type 'unsigned' in another"},
		{"index mismatch", insert(xrow.SpaceIndex, 513, 1, "x", "tree", m{}, []any{[]any{0, "string"}}), 24, "Field 1 has type 'unsigned' in one index, but type 'string' in another"},
		{"build finds duplicates", ix(2, "h", "tree", m{"unique": true}, []any{1, "string"}), 3, `Duplicate key exists in unique index "h" in space "t" with old tuple - [1, "a"] and new tuple - [2, "a"]`},
		{"build finds wrong types", ix(2, "h", "tree", m{}, []any{2, "unsigned"}), 39, "Tuple field 3 required by space format is missing"},
		{"secondary first", insert(xrow.SpaceIndex, 514, 1, "x", "tree", m{}, []any{[]any{0, "unsigned"}}), 12, "Can't modify space 'nopk': can not add a secondary key before primary"},
		{"nullable primary", insert(xrow.SpaceIndex, 514, 0, "x", "tree", m{}, []any{m{"field": 0, "type": "unsigned", "is_nullable": true}}), 152, "Primary index of space 'nopk' can not contain nullable parts"},
		{"drop pk first", del(xrow.SpaceIndex, 512, 0), 17, "Can't drop primary key in space 't' while secondary keys exist"},
		{"drop pk of system space", del(xrow.SpaceIndex, 280, 0), 15, "Can't drop the primary key in a system space, space '_space'"},
		{"drop space with indexes", del(xrow.SpaceSpace, 512), 11, "Can't drop space 't': the space has indexes"},
		{"drop space with truncate record", del(xrow.SpaceSpace, 514), 11, "Can't drop space 'nopk': the space has truncate record"},
		{"truncate system space", ups(xrow.SpaceTruncate, arr(280, 1), []any{"+", 1, 1}), 137, "Can't truncate a system space, space '_space'"},
		{"engine change", upd(xrow.SpaceSpace, arr(512), []any{"=", 3, "blackhole"}), 12, "Can't modify space 't': can not change space engine"},
		{"group change", upd(xrow.SpaceSpace, arr(512), []any{"=", 5, m{"group_id": 1}}), 12, "Can't modify space 't': replication group is immutable"},
		{"format does not fit", upd(xrow.SpaceSpace, arr(512), []any{"=", 6, []any{m{"name": "id", "type": "unsigned"}, m{"name": "n", "type": "string"}, m{"name": "x", "type": "any"}}}), 39, "Tuple field 3 (x) required by space format is missing"},
		{"user exists", insert(xrow.SpaceUser, 41, 1, "u1", "user", m{}, []any{}, 0), 3, ""},
		{"user type", insert(xrow.SpaceUser, 41, 1, "uu", "bad", m{}, []any{}, 0), 43, "Failed to create user 'uu': unknown user type"},
		{"hash", insert(xrow.SpaceUser, 41, 1, "uu", "user", m{"chap-sha1": "x"}, []any{}, 0), 250, "Invalid 'chap-sha1' data: invalid scramble size"},
		{"system user", del(xrow.SpaceUser, 2), 44, "Failed to drop user or role 'public': the user or the role is a system"},
		{"object type", insert(xrow.SpacePriv, 1, 40, "spac", 512, 1), 49, "Unknown object type 'spac'"},
		{"grant on nothing", insert(xrow.SpacePriv, 1, 40, "space", 999, 1), 36, "Space '999' does not exist"},
		{"no privileges", insert(xrow.SpacePriv, 1, 40, "space", 512, 0), 88, "Incorrect grant arguments: the grant tuple has no privileges"},
		{"no grantee", insert(xrow.SpacePriv, 1, 99, "space", 512, 1), 45, "User '99' is not found"},
		{"no role", insert(xrow.SpacePriv, 1, 40, "role", 40, 4), 82, "Role '40' is not found"},
		{"replica id 0", insert(xrow.SpaceCluster, 0, testReplicaset), 67, "Can't initialize replica id with a reserved value 0"},
		{"replica id 32", insert(xrow.SpaceCluster, 32, testReplicaset), 73, "Replica count limit reached: 32"},
		{"uuid", insert(xrow.SpaceCluster, 2, "x"), 64, "Invalid UUID: x"},
		{"sequence of a space", insert(xrow.SpaceSpaceSequence, 512, 1, true, 0, ""), 5, "Tarragon does not support rows in space '_space_sequence'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			version := w.b.SchemaVersion()
			_, err := w.run(c.d)
			wantError(t, err, c.code, c.text)
			if w.b.SchemaVersion() != version {
				t.Error("the schema version grew")
			}
		})
	}
	if got := w.sel(512, 1, ALL); got != `[1, "a"] [2, "a"]` {
		t.Errorf("after errors: %s", got)
	}
}

// TestRights: what a user without a right is told (src/box/user_def.h).
func TestRights(t *testing.T) {
	w := errorWorld(t)
	denied := func(user uint32, d xrow.DML, text string) {
		t.Helper()
		_, err := w.as(user, d)
		wantError(t, err, xrow.ErrAccessDenied, text)
	}
	allowed := func(user uint32, d xrow.DML) {
		t.Helper()
		if _, err := w.as(user, d); err != nil {
			t.Error(err)
		}
	}
	w.must(insert(xrow.SpacePriv, 1, 40, "space", 512, int(PrivWrite)))
	allowed(40, insert(512, 50, "mine"))
	_, _, err := w.b.Select(w.creds(40), &Query{Space: 512, Limit: 1}, nil)
	wantError(t, err, xrow.ErrAccessDenied, "Read access to space 't' is denied for user 'u1'")

	// By a role, and by a role of a role.
	w.must(insert(xrow.SpaceUser, 41, 1, "inner", "role", m{}, []any{}, 0))
	w.must(insert(xrow.SpaceUser, 42, 1, "outer", "role", m{}, []any{}, 0))
	w.must(insert(xrow.SpacePriv, 1, 41, "space", 512, int(PrivRead)))
	w.must(insert(xrow.SpacePriv, 1, 42, "role", 41, int(PrivExecute)))
	w.must(insert(xrow.SpacePriv, 1, 40, "role", 42, int(PrivExecute)))
	if _, _, err := w.b.Select(w.creds(40), &Query{Space: 512, Limit: 1}, nil); err != nil {
		t.Error(err)
	}
	_, err = w.run(insert(xrow.SpacePriv, 1, 41, "role", 42, int(PrivExecute)))
	wantError(t, err, xrow.ErrRoleLoop, "Granting role 'outer' to role 'inner' would create a loop")

	// DDL needs the right on the system space and on the class.
	create := insert(xrow.SpaceSpace, 800, 40, "own", "memtx", 0, m{}, []any{})
	denied(40, create, "Write access to space '_space' is denied for user 'u1'")
	w.must(insert(xrow.SpacePriv, 1, 40, "space", xrow.SpaceSpace, int(PrivWrite)))
	w.must(insert(xrow.SpacePriv, 1, 40, "space", xrow.SpaceIndex, int(PrivWrite)))
	denied(40, create, "Create access to space 'own' is denied for user 'u1'")
	w.must(insert(xrow.SpacePriv, 1, 40, "space", "", int(PrivCreate)))
	allowed(40, create)
	allowed(40, insert(xrow.SpaceIndex, 800, 0, "pk", "tree", m{}, []any{[]any{0, "unsigned"}}))
	allowed(40, insert(800, 1)) // the owner needs no grant
	denied(40, del(xrow.SpaceSpace, 514), "Drop access to space 'nopk' is denied for user 'u1'")
	allowed(40, del(xrow.SpaceIndex, 800, 0))
	allowed(40, del(xrow.SpaceSpace, 800))

	// Without usage nothing works.
	w.must(replace(xrow.SpacePriv, 1, 40, "universe", 0, int(PrivSession)))
	denied(40, insert(512, 60, "x"), "Usage access to universe '' is denied for user 'u1'")
	if err := w.b.Schema().CheckUniverse(40, PrivExecute); err == nil {
		t.Error("may execute")
	}
	if err := w.b.Schema().CheckUniverse(UserAdmin, PrivExecute); err != nil {
		t.Error(err)
	}
}

// TestDropUser: what a user owns or granted keeps it.
func TestDropUser(t *testing.T) {
	w := errorWorld(t)
	w.must(insert(xrow.SpaceSpace, 801, 40, "own", "memtx", 0, m{}, []any{}))
	_, err := w.run(del(xrow.SpaceUser, 40))
	wantError(t, err, xrow.ErrDropUser, "Failed to drop user or role 'u1': the user has objects")
	w.must(del(xrow.SpaceSpace, 801))
	w.must(del(xrow.SpacePriv, 40, "universe", 0))
	w.must(del(xrow.SpacePriv, 40, "role", 2))
	w.must(del(xrow.SpaceUser, 40))
	if _, ok := w.b.UserByName("u1"); ok {
		t.Error("still there")
	}
}

// TestLaterStatementsSeeEarlierOnes: a space is dropped in one transaction, and
// readers see it until that is confirmed.
func TestLaterStatementsSeeEarlierOnes(t *testing.T) {
	w := errorWorld(t)
	version := w.b.SchemaVersion()
	w.prepare(func(x *Txn) error {
		for _, d := range []xrow.DML{del(xrow.SpaceIndex, 512, 1), del(xrow.SpaceIndex, 512, 0), del(xrow.SpaceSpace, 512)} {
			if _, err := x.Execute(UserAdmin, &d); err != nil {
				return err
			}
		}
		return nil
	})
	if got := w.sel(512, 1, EQ, "a"); got != `[1, "a"]` {
		t.Errorf("undecided: %s", got)
	}
	w.b.Rollback(w.seq)
	if got := w.must(insert(512, 9, "still here")); got == "" {
		t.Error("lost by rollback")
	}
	w.do(func(x *Txn) error {
		for _, d := range []xrow.DML{del(xrow.SpaceIndex, 512, 1), del(xrow.SpaceIndex, 512, 0), del(xrow.SpaceSpace, 512)} {
			if _, err := x.Execute(UserAdmin, &d); err != nil {
				return err
			}
		}
		return nil
	})
	_, err := w.run(insert(512, 1, "a"))
	wantError(t, err, xrow.ErrNoSuchSpace, "Space '512' does not exist")
	if got := w.b.SchemaVersion() - version; got != 3 {
		t.Errorf("schema version grew by %d", got)
	}
}

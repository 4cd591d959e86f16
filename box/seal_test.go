package box

import (
	"errors"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// In a sealed transaction no client changes what is the replica set's own,
// whatever its rights are and by whatever statement; in any other our own rows
// alone are kept.
func TestAttackSealedRows(t *testing.T) {
	own := arr(1, testInstance, "i-001")
	verbs := func(space uint32, key, tuple []byte) []xrow.DML {
		ops := arr([]any{"=", 1, "x"})
		return []xrow.DML{
			{Type: xrow.Insert, SpaceID: space, Tuple: tuple}, {Type: xrow.Replace, SpaceID: space, Tuple: tuple},
			{Type: xrow.Update, SpaceID: space, Key: key, Tuple: ops}, {Type: xrow.Upsert, SpaceID: space, Tuple: tuple, Ops: ops},
			{Type: xrow.Delete, SpaceID: space, Key: key},
		}
	}
	row := func(key string) []xrow.DML { return verbs(xrow.SpaceSchema, arr(key), arr(key, "x")) }
	definition := func(space int) []xrow.DML {
		return []xrow.DML{
			{Type: xrow.Update, SpaceID: xrow.SpaceSpace, Key: arr(space), Tuple: arr([]any{"=", 2, "renamed"})},
			{Type: xrow.Update, SpaceID: xrow.SpaceIndex, Key: arr(space, 0), Tuple: arr([]any{"=", 2, "renamed"})},
			{Type: xrow.Delete, SpaceID: xrow.SpaceSpace, Key: arr(space)},
		}
	}
	for _, test := range []struct {
		name  string
		what  []xrow.DML
		there []byte // a row that the statements find; nil: as the bootstrap left it
		open  bool   // refused in no transaction that is not sealed
	}{
		{"a member", verbs(xrow.SpaceCluster, arr(1), own), nil, true},
		{"a stranger", verbs(xrow.SpaceCluster, arr(9), arr(9, "22222222-0000-4000-8000-000000000002", "x")), nil, true},
		{"a member's log", verbs(xrow.SpaceGcConsumers, arr(testInstance), arr(testInstance, m{}, m{})), arr(testInstance, m{}, m{}), true},
		{"the set", row("replicaset_uuid"), nil, true},
		{"the set of old", row("cluster"), arr("cluster", "y"), true},
		{"its name", row("replicaset_name"), arr("replicaset_name", "y"), true},
		{"the version", row("version"), nil, true},
		{"the bootstrapper", row("bootstrap_leader_uuid"), arr("bootstrap_leader_uuid", "y"), true},
		{"the quorum", row("tarragon.quorum"), arr("tarragon.quorum", "y", "y"), false},
		{"the founding", row("tarragon.founding"), arr("tarragon.founding", 3), false},
		{"the last ID", row("tarragon.last_id"), arr("tarragon.last_id", 3), false},
		{"a row of a later release", row("tarragon.x"), arr("tarragon.x", 3), false},
		{"_cluster", definition(xrow.SpaceCluster), nil, true},
		{"_schema", definition(xrow.SpaceSchema), nil, true},
		{"_gc_consumers", definition(xrow.SpaceGcConsumers), nil, true},
	} {
		for _, d := range test.what {
			w := newWorld(t)
			if test.there != nil && d.Type != xrow.Insert {
				w.do(func(x *Txn) error {
					return x.ExecuteInternal(&xrow.DML{Type: xrow.Insert, SpaceID: d.SpaceID, Tuple: test.there})
				})
			}
			try := func(execute func(*Txn) error, seal bool) error {
				w.seq++
				x := w.b.Begin(w.seq)
				defer x.Abort()
				if seal {
					x.Seal()
				}
				err := execute(x)
				if len(x.Rows()) > 0 && err != nil {
					t.Errorf("%s, %v: refused, and %d rows left", test.name, d.Type, len(x.Rows()))
				}
				return err
			}
			admin := func(x *Txn) error {
				_, err := x.Execute(UserAdmin, &d)
				return err
			}
			itself := func(x *Txn) error { return x.ExecuteInternal(&d) }
			refused := func(err error) bool {
				var e *xrow.Error
				return errors.As(err, &e) && e.Code == xrow.ErrUnsupported
			}
			inUse := errors.Is(try(itself, false), xrow.ErrTupleFound) // INSERT of a row of the bootstrap
			if err := try(admin, true); !refused(err) && !(inUse && d.SpaceID == xrow.SpaceSchema) {
				t.Errorf("%s, %v by admin: %v", test.name, d.Type, err)
			}
			if err := try(itself, true); refused(err) {
				t.Errorf("%s, %v by the node itself: %v", test.name, d.Type, err)
			}
			if err := try(admin, false); refused(err) == test.open && !inUse {
				t.Errorf("%s, %v by admin where it is not sealed: %v", test.name, d.Type, err)
			}
		}
	}
	w := newWorld(t)
	w.do(func(x *Txn) error {
		x.Seal()
		_, err := x.Execute(UserAdmin, &xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceSchema, Tuple: arr("oncemine", 1)})
		return err
	})
}

package box

import "tarragon.dev/tarragon/xrow"

import "testing"

// Who was given the right to change a space of users, or all, may write. What
// everybody has from the start does not count.
func TestMayWrite(t *testing.T) {
	for _, test := range []struct {
		name  string
		class string
		id    any
		privs Priv
		want  bool
	}{
		{"nothing", "", 0, 0, false},
		{"reads a space", classSpace, 512, PrivRead, false},
		{"writes a space", classSpace, 512, PrivWrite, true},
		{"inserts only", classSpace, 512, PrivInsert, true},
		{"writes a system space", classSpace, 320, PrivWrite, false},
		{"writes all spaces", classSpace, "", PrivWrite, true},
		{"writes the universe", classUniverse, 0, PrivWrite, true},
		{"has a role", classRole, int(RoleSuper), PrivExecute, true},
	} {
		w := newWorld(t)
		w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
		if test.class != "" {
			privs := test.privs
			if test.class == classUniverse {
				privs |= PrivSession | PrivUsage
			}
			w.must(replace(xrow.SpacePriv, 1, int(UserGuest), test.class, test.id, int(privs)))
		}
		if got := w.b.Schema().MayWrite(UserGuest); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

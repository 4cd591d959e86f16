package box

import (
	"os"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// olderRows are the rows of a snapshot of Tarantool 2.6.0, schema 2.3.1, as
// keptRows; collations of single languages are left out.
func olderRows(t testing.TB) []spaceRow { return readRows(t, "kept-2.6") }

// TestOlderSchemas: a box works in each schema that a peer may have: it knows
// the users, lists what there is, and takes DDL of its clients.
func TestOlderSchemas(t *testing.T) {
	profile := func(p Profile) (rows []spaceRow) {
		for _, d := range BootstrapRows(p, testReplicaset, testInstance, "i-001", "") {
			rows = append(rows, spaceRow{d.SpaceID, d.Tuple})
		}
		return rows
	}
	for _, c := range []struct {
		name   string
		rows   []spaceRow
		max    uint32 // max_id
		absent []uint32
	}{
		{"3.8.0", profile(Profile3_8_0), 0, nil},
		{"2.10.4", profile(Profile2_10_4), 511, []uint32{341, 388, 396}},
		{"2.3.1", olderRows(t), 520, []uint32{341, 388, 396}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := loaded(t, Config{Opaque: true}, c.rows)
			if got := w.rows(); !slices.Equal(got, texts(c.rows)) {
				t.Errorf("%d rows came out, %d went in", len(got), len(c.rows))
			}
			w.listsWhatThereIs()
			last, kept := w.b.Schema().LastSpaceID()
			if last != c.max || kept != (c.max != 0) {
				t.Errorf("max_id %d %v", last, kept)
			}
			for _, id := range c.absent {
				if _, ok := w.b.Space(id); ok {
					t.Errorf("space %d is there", id)
				}
			}
			if w.b.ReplicasetUUID() == "" || len(w.b.Members()) != 1 {
				t.Error("replica set or members are not known")
			}
			for _, name := range []string{"guest", "admin"} {
				if u, ok := w.b.UserByName(name); !ok || u.Hash == nil && name == "guest" {
					t.Errorf("user %s: %v %v", name, u, ok)
				}
			}
			next := int(w.b.Schema().NextSpaceID())
			if c.max != 0 {
				w.must(upd(xrow.SpaceSchema, arr("max_id"), []any{"=", 1, next}))
			}
			w.space(uint32(next), "new", m{}, nil, pkIndex([]any{0, "unsigned"}))
			w.must(insert(uint32(next), 1))
			joe := []any{40, 1, "joe", "user", m{}}
			if info, _ := w.b.Space(xrow.SpaceUser); len(info.Fields) > len(joe) {
				joe = append(joe, []any{}, 0)
			}
			w.must(insert(xrow.SpaceUser, joe...))
			w.must(insert(xrow.SpacePriv, 1, 40, "role", 2, 4))
			w.must(insert(xrow.SpacePriv, 1, 40, "space", next, 1))
			w.must(insert(xrow.SpacePriv, 1, 40, "universe", 0, 24))
			if err := w.b.Schema().CheckSpace(w.creds(40), uint32(next), PrivRead); err != nil {
				t.Error(err)
			}
			if _, n, err := w.b.Select(w.creds(40), &Query{Space: 281, Limit: 1000}, nil); err != nil || n < 8 {
				t.Errorf("joe sees %d spaces: %v", n, err)
			}
			if got := int(w.b.Schema().NextSpaceID()); got != next+1 {
				t.Errorf("the next space has ID %d", got)
			}
		})
	}
}

// listsWhatThereIs compares the views of the dictionary with the dictionary.
func (w *world) listsWhatThereIs() {
	w.t.Helper()
	indexes := 0
	for _, sp := range w.b.Spaces() {
		indexes += len(sp.Indexes) + len(w.b.dict.spaces[sp.ID].unusable)
	}
	_, n, err := w.b.Select(UserAdmin, &Query{Space: 281, Limit: 1000}, nil)
	if err != nil || n != len(w.b.Spaces()) {
		w.t.Errorf("%d spaces are listed, %d are there: %v", n, len(w.b.Spaces()), err)
	}
	if _, n, err = w.b.Select(UserAdmin, &Query{Space: 289, Limit: 1000}, nil); err != nil || n != indexes {
		w.t.Errorf("%d indexes are listed, %d are there: %v", n, indexes, err)
	}
}

// TestUpgrade applies the rows of box.schema.upgrade() that Tarantool 3.8.0
// wrote on the snapshot of 2.6.0, and ends with the same rows as it did. Each
// is an array [type, space, tuple, key, operations, index base] of the log.
func TestUpgrade(t *testing.T) {
	w := loaded(t, Config{Opaque: true}, olderRows(t))
	data, err := os.ReadFile("testdata/upgrade-2.6-3.8.msgpack")
	if err != nil {
		t.Fatal(err)
	}
	orNil := func(b []byte) []byte {
		if b[0] == 0xc0 {
			return nil
		}
		return b
	}
	n := 0
	for at := 0; at < len(data); n++ {
		end := mp.Skip(data, at)
		row := splitRow(data[at:end])
		at = end
		d := xrow.DML{Type: xrow.Type(row.uint(0)), SpaceID: uint32(row.uint(1)), Tuple: orNil(row.raw(2)), Key: orNil(row.raw(3)), Ops: orNil(row.raw(4)),
			IndexBase: uint32(row.uint(5))}
		if d.Type == xrow.Nop {
			continue
		}
		if err := w.apply(d); err != nil {
			t.Fatalf("%v in space %d, %s%s: %v", d.Type, d.SpaceID, tupleText(append([]byte(nil), row.raw(2)...)), tupleText(row.raw(3)), err)
		}
	}
	if n < 150 {
		t.Errorf("%d rows were applied", n)
	}
	w.listsWhatThereIs()
	isOther := func(s string) bool {
		return strings.HasPrefix(s, "276 ") || strings.HasPrefix(s, "285 ") || strings.HasPrefix(s, "388 ")
	}
	got, want := slices.DeleteFunc(w.rows(), isOther), slices.DeleteFunc(texts(readRows(t, "upgraded-3.8")), isOther)
	for _, s := range want {
		if !slices.Contains(got, s) {
			t.Errorf("missing: %.200s", s)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	_, err = w.run(insert(518, 2, 2))
	wantError(t, err, xrow.ErrUnsupported, "Tarragon does not support constraint 'positive' of space 'ck'")
	_, err = w.run(insert(520, 2, 2))
	wantError(t, err, xrow.ErrUnsupported, "Tarragon does not support foreign key 'F1' of space 'SQLC'")
}

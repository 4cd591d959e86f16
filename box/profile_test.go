package box

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// A fresh database of either profile is whole, and can be loaded from its own
// tuples, as a joiner does.
func TestProfiles(t *testing.T) {
	for _, c := range []struct {
		profile Profile
		rows    int
		version string
		user    int // fields of _user
	}{
		{Profile3_8_0, 391, "\x94\xa7version\x03\x08\x00", 7},
		{Profile2_10_4, 384, "\x94\xa7version\x02\x0a\x04", 5},
	} {
		b := New(Config{})
		tx := b.Begin(1)
		rows := BootstrapRows(c.profile, testReplicaset, testInstance, "", "")
		last := uint32(0)
		for i := range rows {
			if rows[i].SpaceID < last {
				t.Fatalf("space %d behind space %d", rows[i].SpaceID, last)
			}
			if last = rows[i].SpaceID; last == xrow.SpacePriv {
				last = xrow.SpaceSpace // _cluster is the last one
			}
			if err := tx.ExecuteInternal(&rows[i]); err != nil {
				t.Fatalf("row of space %d: %v", rows[i].SpaceID, err)
			}
		}
		tx.Prepare()
		b.Confirm(1)
		if got := b.ReplicasetUUID(); got != testReplicaset {
			t.Errorf("replica set %q", got)
		}
		view := b.OpenView()
		joiner := New(Config{})
		n, found := 0, false
		var at Cursor
		for more := true; more; {
			var err error
			more, err = view.Next(&at, 100, func(space uint32, tuple []byte) error {
				n++
				found = found || string(tuple) == c.version
				if space == xrow.SpaceUser && int(tuple[0]&0xf) != c.user {
					t.Errorf("a user of %d fields", int(tuple[0]&0xf))
				}
				return joiner.Load(space, tuple)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := joiner.LoadDone(); err != nil {
			t.Fatal(err)
		}
		if n != c.rows || !found || joiner.ReplicasetUUID() != testReplicaset || len(joiner.Members()) != 1 {
			t.Errorf("%d tuples, version there %v, replica set %q, members %v", n, found, joiner.ReplicasetUUID(), joiner.Members())
		}
	}
}

// With the old schema nothing is granted that an old member refuses.
func TestElderGrantor(t *testing.T) {
	for profile, want := range map[Profile]bool{Profile3_8_0: true, Profile2_10_4: false} {
		b := New(Config{})
		run := func(seq uint64, execute func(*Txn) error) error {
			tx := b.Begin(seq)
			if err := execute(tx); err != nil {
				tx.Abort()
				return err
			}
			tx.Prepare()
			b.Confirm(seq)
			return nil
		}
		seq := uint64(0)
		for _, d := range append(BootstrapRows(profile, testReplicaset, testInstance, "", ""),
			xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceUser, Tuple: []byte("\x97\x20\x01\xa3bob\xa4user\x80\x90\x00")},
			xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpacePriv, Tuple: []byte("\x95\x01\x20\xa8universe\x00\xce\xff\xff\xff\xff")}) {
			seq++
			if err := run(seq, func(tx *Txn) error { return tx.ExecuteInternal(&d) }); err != nil {
				t.Fatal(err)
			}
		}
		grant := func(grantor byte) error {
			seq++
			d := xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpacePriv, Tuple: []byte("\x95" + string(rune(grantor)) + "\x00\xa8universe\x00\x01")}
			return run(seq, func(tx *Txn) error {
				bob, _ := b.Schema().Credentials(32)
				_, err := tx.Execute(bob, &d)
				return err
			})
		}
		if err := grant(32); (err == nil) != want {
			t.Errorf("profile %d, granted by bob: %v", profile, err)
		}
		if err := grant(1); err != nil {
			t.Errorf("profile %d, granted by admin: %v", profile, err)
		}
	}
}

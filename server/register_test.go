package server

import (
	"errors"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// An instance that a Tarantool registered in the row of a former life takes the
// mark that it finds there, once: a mark that changes later is a former life.
func TestRowOfFormerLife(t *testing.T) {
	const uuid = "11111111-0000-4000-8000-000000000001"
	store, err := xlog.Open(xlog.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	l := newLife(&config.Instance{})
	l.store, l.identity = store.Core(0), identity{UUID: uuid, Incarnation: 5}
	if err := l.save(l.store); err != nil {
		t.Fatal(err)
	}
	marked := func(incarnation uint64) *box.Box {
		b := box.New(box.Config{})
		for _, d := range box.BootstrapRows(box.Profile3_8_0, "aaaaaaaa-0000-4000-8000-000000000000", uuid, "", "") {
			tuple := d.Tuple
			if d.SpaceID == xrow.SpaceCluster {
				tuple = instance.MemberTuple(1, uuid, "i1", incarnation)
			}
			if err := b.Load(d.SpaceID, tuple); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.LoadDone(); err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := l.noteRegistered(); err != nil { // a JOIN
		t.Fatal(err)
	}
	if err := l.checkLife(marked(9)); err != nil {
		t.Fatalf("after a JOIN: %v", err)
	}
	if again, err := loadIdentity(l.store, l.conf); err != nil || again.Incarnation != 9 {
		t.Errorf("stored: %+v, %v", again, err)
	}
	if err := l.setMembership(member); err != nil { // as register does once the row is there
		t.Fatal(err)
	}
	var anew *rejoin
	if err := l.checkLife(marked(10)); !errors.As(err, &anew) || !anew.newLife {
		t.Errorf("later: %v", err)
	}
	// One that replaces this life, and whose fate is open: this disk counts until it is decided.
	b := marked(9)
	tx := b.Begin(1)
	for _, d := range []xrow.DML{{Type: xrow.Delete, SpaceID: xrow.SpaceCluster, Key: []byte{0x91, 1}},
		{Type: xrow.Insert, SpaceID: xrow.SpaceCluster, Tuple: instance.MemberTuple(2, uuid, "i1", 10)}} {
		if err := tx.Apply(&d); err != nil {
			t.Fatal(err)
		}
	}
	tx.Prepare()
	if err := l.checkLife(b); err != nil {
		t.Errorf("while it is open: %v", err)
	}
	b.Confirm(1)
	if err := l.checkLife(b); !errors.As(err, &anew) || !anew.newLife {
		t.Errorf("once it is decided: %v", err)
	}
}

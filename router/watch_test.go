package router

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// A client that watches a key is told its value at the next leader once, and then what changes there; of the
// former leader it hears nothing more.
func TestWatchersOverAFailover(t *testing.T) {
	const key = "app.config"
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	a.acks = make(chan string, 100)
	a.tells(key, "first")
	b.tells(key, "second")
	r := startTest(t, nil, a, b)
	leadsTo(t, r, RW, "a takes writes in term 5, say 2 of 2")
	c := client(t, r, RW)
	next := func(want string) {
		t.Helper()
		if err := c.Watch(key); err != nil { // the first time it asks, then it acknowledges
			t.Fatal(err)
		}
		got, value, err := c.ReadEvent()
		if err != nil || got != key || len(value) == 0 || string(value[1:]) != want {
			t.Fatalf("%s %q, %v; want %s", got, value, err, want)
		}
	}
	next("first")
	a.says(follows(6, 2))
	b.says(leadsIn(6, 2))
	next("second")
	a.tells(key, "of the former leader")
	for acked := 0; acked < 2; {
		if <-a.acks == key { // the router has both values
			acked++
		}
	}
	a.stop()
	if err := c.Watch(key); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteRow(&xrow.Row{Type: xrow.Ping, Sync: 1}); err != nil {
		t.Fatal(err)
	}
	if row, err := c.ReadRow(); err != nil || row.Type != xrow.OK {
		t.Fatalf("told %v, %v: nothing has changed", row.Type, err)
	}
	b.tells(key, "third")
	if _, value, err := c.ReadEvent(); err != nil || string(value[1:]) != "third" {
		t.Fatalf("%q, %v", value, err)
	}
	b.cut(func(*fakeConn) bool { return true }) // it comes back with another value
	b.tells(key, "fourth")
	next("fourth")
}

package replication

import (
	"fmt"
	"net"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// leaderSays is a leader that takes one connection: it answers the greeting and ID, and
// hands the rest over.
func leaderSays(t *testing.T, uuid string, then func(l *iproto.Link)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		_ = ln.Close() // one only
		var salt [32]byte
		if _, err := nc.Write(iproto.AppendGreeting(nil, "3.8.0", uuid, &salt)); err != nil {
			return
		}
		l := iproto.NewLink(nc, xrow.MaxFrame)
		if row, err := l.ReadRow(); err == nil {
			_, _ = l.Write(iproto.AppendEmpty(nil, row.Sync, 1))
		}
		then(l)
	}()
	return ln.Addr().String()
}

// What the leader has answered is so, READONLY is certain, what was given to a connection
// that breaks is lost and not sent again, and what had none is unsent.
func TestForwardBreaks(t *testing.T) {
	h := newTestHub(t, 1, nil)
	addr := leaderSays(t, testUUID(2), func(l *iproto.Link) {
		for n := range 3 {
			row, err := l.ReadRow()
			if err != nil {
				t.Error(err)
				return
			}
			if name, _, err := xrow.DecodeCall(row.Body); row.Type != xrow.Call || name != xrow.ForwardCall || err != nil {
				t.Errorf("%v %q, %v", row.Type, name, err)
			}
			switch n {
			case 0:
				_, _ = l.Write(iproto.AppendData(nil, row.Sync, 1, xrow.ForwardedData([]byte{0x90}, 2, 9)))
			case 1:
				_, _ = l.Write(xrow.AppendErrorReply(nil, xrow.Errorf(xrow.ErrReadonly), row.Sync, 1))
			}
		}
	})
	a := newApplier(h.Hub, Peer{Addr: addr})
	a.peer, a.uuid = 2, testUUID(2)
	h.mu.Lock()
	h.appliers = append(h.appliers, a)
	h.mu.Unlock()
	ask := func(nos ...uint64) {
		e := &instance.Effects{}
		for _, no := range nos {
			e.Forwards = append(e.Forwards, instance.Forward{No: no, To: 2, Term: 3, User: "bob", DML: xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: []byte{0x91, 1}}})
		}
		h.Handle(e)
	}
	is := func(no uint64, fate instance.ForwardFate) instance.ForwardAnswer {
		t.Helper()
		got := wait(t, h.node, func(ev instance.ForwardAnswer) bool { return true })
		if got.No != no || got.Fate != fate {
			t.Fatalf("request %d has fate %d, want %d of %d: %v", got.No, got.Fate, fate, no, got.Err)
		}
		return got
	}
	ask(1)
	if a := is(1, instance.ForwardDone); a.Origin != 2 || a.LSN != 9 || fmt.Sprintf("%x", a.Data) != "90" {
		t.Errorf("%+v", a)
	}
	ask(2, 3)
	is(2, instance.ForwardRefused)
	is(3, instance.ForwardLost)
	ask(4)
	if a := is(4, instance.ForwardUnsent); a.Err == nil {
		t.Error("nothing is said of why")
	}
	h.Handle(&instance.Effects{Forwards: []instance.Forward{{No: 5, To: 7}}})
	is(5, instance.ForwardUnsent)
}

package replication

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// memSink keeps what a JOIN brings.
type memSink struct {
	tuples     map[uint32]int
	state      *instance.State
	aborted    bool
	registered bool
	failAdd    error
	inserted   int
}

func (s *memSink) Add(space uint32, _ []byte) error {
	if s.tuples == nil {
		s.tuples = make(map[uint32]int)
	}
	s.tuples[space]++
	s.inserted++
	return s.failAdd
}

func (s *memSink) Finish(st instance.State, registered bool) error {
	s.state, s.registered = &st, registered
	return nil
}
func (s *memSink) Abort() { s.aborted = true }

// fakeView has n tuples of the spaces 512 and 514 and of a local 513, in pages of
// some, and the row of a member.
type fakeView struct {
	member string
	n      int

	at, page int
}

func (v *fakeView) Fill() (more bool) {
	v.at += v.page
	v.page = min(v.n-v.at, 250)
	return v.at+v.page < v.n
}

func (v *fakeView) Rows() iter.Seq2[uint32, []byte] {
	return func(yield func(uint32, []byte) bool) {
		for i := v.at; i < v.at+v.page; i++ {
			space, tuple := []uint32{512, 513, 514}[i%3], msgp.AppendInt([]byte{0x91}, i)
			if i == 0 {
				space, tuple = xrow.SpaceCluster, msgp.AppendString([]byte{0x92, 0x01}, v.member)
			}
			if !yield(space, tuple) {
				return
			}
		}
	}
}

func isLocal(space uint32) bool { return space == 513 }

// joinServer answers JOIN with a state and a view, or what spoil makes of it.
func joinServer(t *testing.T, s instance.State, v fakeView, spoil func(j *joinStream) error) string {
	t.Helper()
	h := newTestHub(t, 1, nil)
	b := &backend{replicate: func(l *iproto.Link, row *xrow.Row) error {
		if _, err := xrow.DecodeJoin(row.Body); err != nil {
			return err
		}
		j := joinStream{hub: h.Hub, link: l, sync: row.Sync, version: 1, ours: true, final: true, out: newOutlet(h.Hub, l, nil)}
		defer j.out.close()
		j.ok(&s.VClock)
		j.meta(&s)
		if err := j.sendRows(&v, isLocal); err != nil {
			return err
		}
		if spoil != nil {
			if err := spoil(&j); err != nil {
				return err
			}
		}
		j.ok(&s.VClock)
		j.ok(&s.VClock)
		if err := j.flush(); err != nil {
			return err
		}
		return j.out.finish()
	}}
	_, addr := serve(t, testUUID(1), "127.0.0.1:0", b)
	return addr
}

func goodState() instance.State {
	return instance.State{VClock: vclock.VClock{1: 40, 2: 7}, Term: 5, Vote: 1, Confirmed: 38,
		ConfirmedOf: vclock.VClock{1: 38, 2: 7},
		History: []terms.Span{{Term: 2, Owner: 2, First: 3, Last: 7, Writer: 2, Rules: terms.Tarantool},
			{Term: 4, Owner: 1, First: 30, Last: 40, Writer: 1, Rules: terms.Strong}}}
}

func TestJoin(t *testing.T) {
	addr := joinServer(t, goodState(), fakeView{member: testUUID(2), n: 3000}, nil)
	var sink memSink
	id := Identity{UUID: testUUID(2), Name: "two", Incarnation: 77, Version: 1, Term: 5}
	if err := Join(context.Background(), Peer{Addr: addr}, id, time.Minute, &sink, nil); err != nil {
		t.Fatal(err)
	}
	if sink.tuples[xrow.SpaceCluster] != 1 || sink.tuples[512] != 999 || sink.tuples[513] != 0 || sink.tuples[514] != 1000 {
		t.Errorf("tuples %v", sink.tuples)
	}
	want, got := goodState(), *sink.state
	if got.VClock != want.VClock || got.Term != 5 || got.Vote != 1 || got.Confirmed != 38 || len(got.History) != 2 ||
		got.History[0] != want.History[0] || got.History[1] != want.History[1] {
		t.Errorf("state %+v", got)
	}
}

// A state that is broken, cut off or too old is worth nothing.
func TestJoinFails(t *testing.T) {
	id := Identity{UUID: testUUID(2), Version: 1}
	for _, test := range []struct {
		name   string
		id     func(*Identity)
		state  func(*instance.State)
		member string
		spoil  func(*joinStream) error
		want   error
	}{
		{name: "older term in effect", id: func(i *Identity) { i.InEffect = 5 }, want: errStale},
		{name: "less committed", id: func(i *Identity) { i.InEffect, i.Confirmed = 4, 39 }, want: errStale},
		{name: "not registered", member: testUUID(3), want: xrow.ErrUnknownReplica},
		{name: "an error in the middle", spoil: func(*joinStream) error { return xrow.Errorf(xrow.ErrLoading) }, want: xrow.ErrLoading},
		{name: "an unknown row", spoil: func(j *joinStream) error { j.row(xrow.Ping, 0, nil); return nil }, want: xrow.ErrUnknownRequestType},
		{name: "confirmed outside of its term", state: func(s *instance.State) { s.Confirmed = 41 }, want: xrow.ErrProtocol},
		{name: "a term in effect that is not reached", state: func(s *instance.State) { s.Term = 3 }, want: xrow.ErrProtocol},
		{name: "rows of a term that are not there", state: func(s *instance.State) { s.VClock[1] = 39 }, want: xrow.ErrProtocol},
		{name: "an end before the snapshot", spoil: func(j *joinStream) error {
			j.ok(&vclock.VClock{1: 50})
			return nil
		}, want: xrow.ErrProtocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, id, member := goodState(), id, testUUID(2)
			if test.state != nil {
				test.state(&s)
			}
			if test.id != nil {
				test.id(&id)
			}
			if test.member != "" {
				member = test.member
			}
			addr := joinServer(t, s, fakeView{member: member, n: 10}, test.spoil)
			var sink memSink
			err := Join(context.Background(), Peer{Addr: addr}, id, time.Minute, &sink, nil)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if sink.state != nil && !errors.Is(err, ErrFinalStage) {
				t.Error("the state was finished")
			}
		})
	}
}

// JOIN asks the core, and waits for its answer by tag.
func TestServeJoin(t *testing.T) {
	h := newTestHub(t, 1, nil)
	answer := func(s instance.Snapshot) {
		ev := wait(t, h.node, func(instance.JoinRequest) bool { return true })
		if ev.UUID != testUUID(2) || ev.Name != "two" || ev.Incarnation != 77 {
			t.Errorf("asked %+v", ev)
		}
		s.Tag = ev.Tag
		if !h.Snapshot(s) {
			t.Error("a JOIN's answer was not taken")
		}
	}
	if h.Snapshot(instance.Snapshot{Tag: 5}) {
		t.Error("a checkpoint's answer was taken")
	}
	var sink memSink
	id := Identity{UUID: testUUID(2), Name: "two", Incarnation: 77, Version: 1}
	result := make(chan error)
	join := func() { result <- Join(context.Background(), Peer{Addr: h.addr}, id, time.Minute, &sink, nil) }
	go join()
	answer(instance.Snapshot{Err: xrow.Errorf(xrow.ErrReadonly)})
	if err := <-result; !errors.Is(err, xrow.ErrReadonly) || !Retry(err) {
		t.Errorf("got %v", err)
	}
	go join()
	answer(instance.Snapshot{State: goodState(), ID: 2})
	if err := <-result; !errors.Is(err, xrow.ErrUnknownReplica) { // the view of this test is empty
		t.Errorf("got %v", err)
	}
}

package instance

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// silentAdapters take effects and keep the replies.
type silentAdapters struct {
	mu      sync.Mutex
	replies []Reply
}

func (a *silentAdapters) Append(uint64, *xrow.Group, []xrow.LostRow) {}
func (a *silentAdapters) Handle(*Effects)                            {}
func (a *silentAdapters) Changed(*Effects)                           {}
func (a *silentAdapters) Reply(r []Reply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replies = append(a.replies, r...)
}

// What Submit has taken is answered, and its buffers are given back, also when
// the loop ends before it looks.
func TestLoopEndAnswersAll(t *testing.T) {
	core, err := New(Config{UUID: "u", Mode: ModeCandidate, Rand: rand.New(rand.NewPCG(1, 2))}, box.New(box.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	a := &silentAdapters{}
	l := NewLoop(core, LoopConfig{Journal: a, Peers: a, Clients: a, Watcher: a})
	const senders, each = 8, 200
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken, released := 0, 0
	for i := range senders {
		wg.Go(func() {
			for k := range each {
				ev := Write{Requests: []Request{{Conn: 1, Sync: uint64(i*each + k), DML: xrow.DML{Type: xrow.Replace, SpaceID: 1}}},
					Release: func() { mu.Lock(); released++; mu.Unlock() }}
				err := l.Submit(ev)
				if err == nil {
					mu.Lock()
					taken++
					mu.Unlock()
				} else if !errors.Is(err, ErrClosed) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it ends with its first look, or some looks later
	_ = l.Run(ctx)
	wg.Wait()
	if taken != released || taken != len(a.replies) {
		t.Errorf("%d taken, %d answered, %d released", taken, len(a.replies), released)
	}
	if err := l.Submit(Shutdown{}); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

// An adapter may read the core as soon as there is a loop: it must not see one
// that has not begun, whose disk holds nothing.
func TestLoopKnowsWhereItStands(t *testing.T) {
	core, err := New(Config{UUID: "u", Mode: ModeCandidate, Rand: rand.New(rand.NewPCG(1, 2))}, box.New(box.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := core.Restore(State{VClock: vclock.VClock{1: 7}, Term: 1, NextGroup: 1}); err != nil {
		t.Fatal(err)
	}
	a := &silentAdapters{}
	l := NewLoop(core, LoopConfig{Journal: a, Peers: a, Clients: a, Watcher: a})
	l.Read(func(c *Core) {
		if got := c.Info(l.Now().Mono).Synced; got != (vclock.VClock{1: 7}) {
			t.Errorf("synced %s", got)
		}
	})
}

// gaveWay is a Watcher that waits for one thing.
type gaveWay struct {
	silentAdapters
	told chan struct{}
}

func (a *gaveWay) Changed(e *Effects) {
	if e.GaveWay {
		close(a.told)
	}
}

// That a lone founder gives way is told also when nothing else has changed, as
// in one that does not lead.
func TestLoopTellsOfGivingWay(t *testing.T) {
	b := box.New(box.Config{})
	rows := append(box.BootstrapRows(box.Profile3_8_0, uuidOf(99), uuidOf(1), "", ""), FoundingRow(2))
	slices.SortStableFunc(rows, func(a, b xrow.DML) int { return int(a.SpaceID) - int(b.SpaceID) })
	for _, r := range rows {
		if err := b.Load(r.SpaceID, r.Tuple); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.LoadDone(); err != nil {
		t.Fatal(err)
	}
	core, err := New(Config{UUID: uuidOf(1), Mode: ModeVoter, Rand: rand.New(rand.NewPCG(1, 2))}, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := core.Restore(State{Term: 1, NextGroup: 1}); err != nil {
		t.Fatal(err)
	}
	a := &gaveWay{told: make(chan struct{})}
	l := NewLoop(core, LoopConfig{Journal: a, Peers: a, Clients: a, Watcher: a})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = l.Run(ctx) }()
	if err := l.Submit(GiveWay{}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.told:
	case <-time.After(10 * time.Second):
		t.Error("nobody was told")
	}
}

// A Step takes what its bound of work has room for, and one event at least; what
// waits longer is not lost.
func TestStepIsBounded(t *testing.T) {
	small := Write{Requests: make([]Request, 768)}
	large := Write{Requests: []Request{{DML: xrow.DML{Tuple: make([]byte, 1<<20)}}}}
	rows := Rows{Rows: []xrow.Row{{Body: make([]byte, 64<<20)}}}
	for _, test := range []struct {
		name  string
		ev    Event
		steps []int
	}{
		{"requests", small, []int{3, 3, 3, 1}},
		{"bytes of clients", large, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"bytes of peers", rows, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"small events", &Ack{}, []int{10}},
	} {
		l := &Loop{}
		from := make(chan Event, 10)
		for range cap(from) {
			from <- test.ev
		}
		var steps []int
		for len(from) > 0 {
			l.batch, l.room = l.batch[:0], maxWork
			l.drain(from)
			steps = append(steps, len(l.batch))
		}
		if !slices.Equal(steps, test.steps) {
			t.Errorf("%s: steps of %v events, want %v", test.name, steps, test.steps)
		}
	}
}

// A SELECT lets go of the latch before anything is made of what it found, and
// holds it for no more than a slice: a Step can come in between each time.
func TestSelectInSlices(t *testing.T) {
	core, err := New(Config{UUID: "u", Mode: ModeCandidate, Rand: rand.New(rand.NewPCG(1, 2))}, box.New(box.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range box.BootstrapRows(box.Profile3_8_0, "11111111-0000-0000-0000-000000000001", "22222222-0000-0000-0000-000000000001", "", "") {
		if err := core.Box().Load(d.SpaceID, d.Tuple); err != nil {
			t.Fatal(err)
		}
	}
	if err := core.Box().LoadDone(); err != nil {
		t.Fatal(err)
	}
	l := NewLoop(core, LoopConfig{})
	free := freeSink{loop: l, t: t}
	n, err := l.Select(box.UserAdmin, &box.Query{Space: 281, Iterator: box.ALL, Key: []byte{0x90}, Limit: 1 << 30}, &free)
	if err != nil || n == 0 || free.taken == 0 {
		t.Fatalf("%d tuples, %d slices: %v", n, free.taken, err)
	}
	if _, scan := l.Longest(); scan == 0 {
		t.Error("the slice was not measured")
	}
}

// freeSink takes the latch for itself whenever it is given something.
type freeSink struct {
	loop  *Loop
	t     *testing.T
	taken int
}

func (s *freeSink) Take([]byte) error {
	s.taken++
	if !s.loop.latch.TryLock() {
		s.t.Fatal("the latch is held while the answer is copied")
	}
	s.loop.latch.Unlock()
	return nil
}

// stepCounter counts the Steps that answered something.
type stepCounter struct {
	silentAdapters
	steps int
}

func (a *stepCounter) Reply(r []Reply) {
	a.steps++
	a.silentAdapters.Reply(r)
}

// Who is ready to hand something over when the Loop wakes comes along: many
// clients with a request each make few Steps, and with that few groups.
func TestLoopGathersWhoIsReady(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that all are ready and none runs
	core, err := New(Config{UUID: "u", Mode: ModeCandidate, Rand: rand.New(rand.NewPCG(1, 2))}, box.New(box.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	a := &stepCounter{}
	l := NewLoop(core, LoopConfig{Journal: a, Peers: a, Clients: a, Watcher: a})
	var loop, clients sync.WaitGroup
	loop.Go(func() { _ = l.Run(t.Context()) })
	runtime.Gosched() // it waits for events
	const n = 64
	start := make(chan struct{})
	for i := range n {
		clients.Go(func() {
			<-start
			if err := l.Submit(Write{Requests: []Request{{Conn: 1, Sync: uint64(i), DML: xrow.DML{Type: xrow.Replace, SpaceID: 1}}}}); err != nil {
				t.Error(err)
			}
		})
	}
	runtime.Gosched() // they wait for the start
	close(start)
	clients.Wait()
	for answered := 0; answered < n; runtime.Gosched() {
		a.mu.Lock()
		answered = len(a.replies)
		a.mu.Unlock()
	}
	l.Close()
	loop.Wait()
	if a.steps > n/8 {
		t.Errorf("%d Steps for %d requests", a.steps, n)
	}
}

// orderOf notes which adapters a Step calls, one after the other.
type orderOf struct{ calls []string }

func (o *orderOf) Append(uint64, *xrow.Group, []xrow.LostRow) { o.calls = append(o.calls, "journal") }
func (o *orderOf) Handle(*Effects)                            { o.calls = append(o.calls, "peers") }
func (o *orderOf) Reply([]Reply)                              { o.calls = append(o.calls, "clients") }
func (o *orderOf) Changed(*Effects)                           { o.calls = append(o.calls, "watcher") }

// Of those that a Step wakes the journal is the last: Go runs it next, in the Loop's
// place, so that the sync has begun before relays and senders run.
func TestLoopWakesTheJournalLast(t *testing.T) {
	c := leaderCrowd(t, 0)
	o := &orderOf{}
	l := &Loop{core: c.core, cfg: LoopConfig{Journal: o, Peers: o, Clients: o, Watcher: o, Clock: func() Now { return c.now }}}
	l.latch.init()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	step := func(events ...Event) []string {
		o.calls = nil
		l.batch = events
		l.step(timer)
		return o.calls
	}
	first, second := replaces(513), replaces(513)
	if got := step(Write{Requests: first}); !slices.Equal(got, []string{"peers", "journal"}) {
		t.Errorf("of writes: %q", got)
	}
	// The first group is on disk, its clients are answered, and the second one goes.
	if got := step(Write{Requests: second}, Written{Group: c.core.out.flight.no}); !slices.Equal(got, []string{"peers", "clients", "journal"}) {
		t.Errorf("of writes and a group on disk: %q", got)
	}
}

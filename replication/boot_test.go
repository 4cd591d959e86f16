package replication

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// cand is one of ours.
func cand(id uint32, b xrow.Ballot) candidate {
	b.Kind = xrow.Tarragon
	if !b.IsBooted {
		b.IsRO = true
	}
	return candidate{uuid: testUUID(id), peer: Peer{Addr: testUUID(id)}, ballot: b}
}

// The order of candidates: each point of the score, then vclock, then UUID.
func TestBetter(t *testing.T) {
	order := []candidate{
		cand(9, xrow.Ballot{IsBooted: true, CanLead: true}),
		cand(8, xrow.Ballot{IsBooted: true}),
		cand(7, xrow.Ballot{IsBooted: true, IsRO: true, CanLead: true, VClock: vclock.VClock{1: 9, 2: 1}}),
		cand(2, xrow.Ballot{IsBooted: true, IsRO: true, CanLead: true, VClock: vclock.VClock{1: 3, 2: 4}}), // less in sum
		cand(1, xrow.Ballot{IsBooted: true, IsRO: true, CanLead: true, VClock: vclock.VClock{1: 3}}),
		cand(1, xrow.Ballot{IsBooted: true, IsRO: true, IsROCfg: true, CanLead: true, VClock: vclock.VClock{1: 99}}),
		cand(3, xrow.Ballot{CanLead: true}),
		cand(4, xrow.Ballot{CanLead: true}),
		cand(1, xrow.Ballot{}),
		cand(1, xrow.Ballot{IsROCfg: true, CanLead: true}),
	}
	for i := range order {
		for k := range order {
			want := 0
			if i < k {
				want = -1
			} else if i > k {
				want = 1
			}
			if got := better(&order[i], &order[k]); got != want {
				t.Errorf("%d against %d: %d, want %d", i, k, got, want)
			}
		}
	}
}

func newBoot(id uint32, configured int) *Boot {
	b := &Boot{Self: Identity{UUID: testUUID(id)}, CanLead: true, Logger: zerolog.Nop()}
	for i := range configured {
		b.Peers = append(b.Peers, Peer{Addr: testUUID(uint32(i + 1))})
	}
	return b
}

func TestJudge(t *testing.T) {
	named := func(id, leader uint32) candidate {
		return cand(id, xrow.Ballot{CanLead: true, BootstrapLeader: testUUID(leader)})
	}
	self := func(id uint32) candidate { return cand(id, xrow.Ballot{CanLead: true}) }
	booted := cand(3, xrow.Ballot{IsBooted: true, IsRO: true})
	for _, test := range []struct {
		name       string
		self, n    int
		seen       []candidate
		want       Action
		undecided  bool
		joinsFirst string
	}{
		{name: "alone", self: 1, n: 1, seen: []candidate{self(1)}, want: ActionBootstrap},
		{name: "no majority answers", self: 1, n: 3, seen: []candidate{self(1)}, undecided: true},
		{name: "named by a majority", self: 1, n: 3, seen: []candidate{self(1), named(2, 1)}, want: ActionBootstrap},
		{name: "not named yet", self: 1, n: 3, seen: []candidate{self(1), named(2, 0), named(3, 3)}, undecided: true},
		{name: "another one is better", self: 2, n: 3, seen: []candidate{self(2), named(1, 2), named(3, 2)}, undecided: true},
		{name: "half is no majority", self: 1, n: 4, seen: []candidate{self(1), named(2, 1), named(3, 3), named(4, 3)}, undecided: true},
		{name: "a booted peer is visible", self: 1, n: 3, seen: []candidate{self(1), named(2, 1), booted},
			want: ActionJoin, joinsFirst: testUUID(3)},
		{name: "of two booted the writable one", self: 1, n: 3, seen: []candidate{self(1), booted, cand(2, xrow.Ballot{IsBooted: true})},
			want: ActionJoin, joinsFirst: testUUID(2)},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, why := newBoot(uint32(test.self), test.n).judge(test.seen)
			if (why != "") != test.undecided || why == "" && d.Action != test.want {
				t.Fatalf("%v, %q", d.Action, why)
			}
			if test.joinsFirst != "" && d.Peers[0].Addr != test.joinsFirst {
				t.Errorf("joins %v", d.Peers)
			}
		})
	}
}

// An instance that has to join anew waits for a member, whoever names it.
func TestJudgeMustJoin(t *testing.T) {
	b := newBoot(1, 3)
	b.MustJoin = true
	named := cand(2, xrow.Ballot{CanLead: true, BootstrapLeader: testUUID(1)})
	if d, why := b.judge([]candidate{cand(1, xrow.Ballot{CanLead: true}), named}); why == "" {
		t.Errorf("it decides to %v", d.Action)
	}
	if d, why := b.judge([]candidate{cand(3, xrow.Ballot{IsBooted: true})}); why != "" || d.Action != ActionJoin {
		t.Errorf("%v, %q", d.Action, why)
	}
}

// Nobody to join is no join.
func TestJoinNobody(t *testing.T) {
	b := newBoot(1, 3)
	b.RetryPause = time.Millisecond
	if err := b.JoinAny(context.Background(), nil, nil); err == nil {
		t.Error("joined nobody")
	}
}

// A ballot keeps its name for many rounds, so that who counts on it is not
// deceived; but not for ever, or two halves would wait for each other.
func TestNameIsSticky(t *testing.T) {
	b := newBoot(3, 4)
	if got := b.name(testUUID(2)); got != testUUID(2) {
		t.Fatal(got)
	}
	for i := range roundsToForget {
		want := testUUID(2)
		if i == roundsToForget-1 {
			want = testUUID(1)
		}
		if got := b.name(testUUID(1)); got != want {
			t.Fatalf("round %d: %s", i, got)
		}
	}
}

func TestJudgeData(t *testing.T) {
	data := &BootData{VClock: vclock.VClock{0: 50, 1: 10}}
	has := func(id uint32, gc, v vclock.VClock) candidate {
		return cand(id, xrow.Ballot{IsBooted: true, VClock: v, GCVClock: gc})
	}
	for _, test := range []struct {
		name string
		seen []candidate
		want Action
	}{
		{"nobody answers", nil, ActionRecover},
		{"a peer has the rows", []candidate{has(2, vclock.VClock{1: 20}, vclock.VClock{1: 30}), has(3, vclock.VClock{1: 10}, vclock.VClock{1: 30})}, ActionRecover},
		{"no peer has the rows", []candidate{has(2, vclock.VClock{1: 20}, vclock.VClock{1: 30}), has(3, vclock.VClock{1: 11}, vclock.VClock{1: 40})}, ActionJoin},
		{"we hold what no peer holds", []candidate{has(2, vclock.VClock{1: 20, 2: 4}, vclock.VClock{1: 9, 2: 9})}, ActionRecover},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBoot(1, 3)
			b.Data = data
			if d, _ := b.judge(append(test.seen, cand(1, xrow.Ballot{}))); d.Action != test.want {
				t.Errorf("%v", d.Action)
			} else if d.Action == ActionJoin && d.Peers[0].Addr != testUUID(3) {
				t.Errorf("joins %v", d.Peers)
			}
		})
	}
}

// Three empty instances: one begins, the others join it.
func TestDecideThree(t *testing.T) {
	boots := make([]*Boot, 3)
	var mu sync.Mutex
	booted := make([]bool, 3)
	peers := make([]Peer, 3)
	for i := range boots {
		boots[i] = &Boot{Self: Identity{UUID: testUUID(uint32(i + 1))}, CanLead: true, RetryPause: time.Millisecond * 5, Logger: zerolog.Nop()}
		_, peers[i].Addr = serve(t, testUUID(uint32(i+1)), "127.0.0.1:0", &backend{hub: func() *Hub { return nil }, ballot: func(dst []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			if booted[i] {
				return (&xrow.Ballot{IsBooted: true, CanLead: true}).AppendBody(dst)
			}
			return boots[i].AppendBallot(dst)
		}})
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	actions := make([]Decision, 3)
	var wg sync.WaitGroup
	for i, b := range boots {
		b.Peers = peers
		wg.Go(func() {
			d, err := b.Decide(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			actions[i] = d
			if d.Action == ActionBootstrap {
				mu.Lock()
				booted[i] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	first := slices.IndexFunc(actions, func(d Decision) bool { return d.Action == ActionBootstrap })
	if first < 0 {
		t.Fatalf("%v", actions)
	}
	for i, d := range actions {
		if i != first && (d.Action != ActionJoin || d.Peers[0].Addr != peers[first].Addr) {
			t.Errorf("instance %d: %v %v, instance %d began", i, d.Action, d.Peers, first)
		}
	}
}

// An appointed instance begins the replica set though another one is the better
// one, but neither beside a booted peer nor without a majority.
func TestAppointed(t *testing.T) {
	b := newBoot(2, 3)
	b.Appointed = true
	better := cand(1, xrow.Ballot{CanLead: true})
	own := cand(2, xrow.Ballot{IsROCfg: true})
	if d, why := b.judge([]candidate{own}); why == "" {
		t.Errorf("alone: %v", d.Action)
	}
	if d, why := b.judge([]candidate{own, better, cand(3, xrow.Ballot{IsBooted: true})}); why != "" || d.Action != ActionJoin {
		t.Errorf("beside a booted peer: %v %s", d.Action, why)
	}
	theirs := better
	theirs.ballot.Kind = xrow.Tarantool
	if d, why := b.judge([]candidate{own, cand(3, xrow.Ballot{}), theirs}); why != "" || !d.Tarantools {
		t.Errorf("it does not see who waits: %+v %s", d, why)
	}
	if d, why := b.judge([]candidate{own, better}); why != "" || d.Tarantools || d.Action != ActionBootstrap || b.Ballot().BootstrapLeader != testUUID(2) {
		t.Errorf("with a majority: %v %s", d.Action, why)
	}
}

// With an instance of Tarantool's kind among them nobody is named before all
// have answered or had their time: it would end its process over another name.
func TestPatience(t *testing.T) {
	b := newBoot(2, 3)
	theirs, ours := cand(1, xrow.Ballot{CanLead: true}), cand(2, xrow.Ballot{CanLead: true})
	theirs.ballot.Kind = xrow.Tarantool
	if d, why := b.judge([]candidate{ours, theirs}); why == "" || b.Ballot().BootstrapLeader != "" {
		t.Errorf("%v %s, names %q", d.Action, why, b.Ballot().BootstrapLeader)
	}
	b.impatient = true
	if _, why := b.judge([]candidate{ours, theirs}); why == "" || b.Ballot().BootstrapLeader != testUUID(1) {
		t.Errorf("after a time: %s, names %q", why, b.Ballot().BootstrapLeader)
	}
	b = newBoot(2, 3)
	if _, why := b.judge([]candidate{ours, cand(3, xrow.Ballot{CanLead: true})}); why == "" || b.Ballot().BootstrapLeader != testUUID(2) {
		t.Errorf("ours alone: %s, names %q", why, b.Ballot().BootstrapLeader)
	}
	b.hasty = true
	if d, why := b.judge([]candidate{ours, cand(3, xrow.Ballot{CanLead: true})}); why == "" || d.Action == ActionBootstrap {
		t.Errorf("at once: %v %s", d.Action, why)
	}
	b.hasty = false
	if _, why := b.judge([]candidate{ours, theirs, cand(3, xrow.Ballot{CanLead: true})}); why == "" {
		t.Error("it begins without votes")
	}
	b = newBoot(2, 3)
	b.Mixed = true
	if _, why := b.judge([]candidate{ours, cand(3, xrow.Ballot{CanLead: true})}); why == "" || b.Ballot().BootstrapLeader != "" {
		t.Errorf("one who is silent may be a Tarantool: %s, names %q", why, b.Ballot().BootstrapLeader)
	}
	b.impatient = true
	if _, why := b.judge([]candidate{ours, cand(3, xrow.Ballot{CanLead: true})}); why == "" || b.Ballot().BootstrapLeader != testUUID(2) {
		t.Errorf("after a time: %s, names %q", why, b.Ballot().BootstrapLeader)
	}
}

// stillLog holds nothing.
type stillLog struct{ Log }

func (stillLog) Oldest() (v vclock.VClock) { return v }

// With Tarantool's strategies native and supervised joiners wait for an
// instance whose ballot names itself: the writable one does.
func TestBallotNamesSelf(t *testing.T) {
	node := newFakeNode(1)
	h := &Hub{cfg: Config{UUID: testUUID(1), NameSelf: true, Log: stillLog{}}, node: node}
	if b := h.Ballot(); b.BootstrapLeader != testUUID(1) || !b.IsBooted {
		t.Errorf("%+v", b)
	}
	node.info.RO = true
	if b := h.Ballot(); b.BootstrapLeader != "" {
		t.Errorf("read-only: %+v", b)
	}
}

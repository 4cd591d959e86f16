package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// shadow is an anonymous replica: a core with a disk, which follows a host, now this one
// and now that. It has no network of its own: what a host has let go to its relays comes
// at once.
type shadow struct {
	f      *follower
	rng    *rand.Rand
	filter string // its filter; empty: it has all

	core *instance.Core // nil: it has no state yet
	box  *box.Box

	base   *checkpoint
	log    []*xrow.Group // behind base
	first  uint64        // number of log[0]
	synced uint64        // last one on disk
	vclock vclock.VClock // on disk

	asked     *node // for a state, or to be registered; nil: nobody was
	askedLife int   // of that one
	state     *instance.ShareState
	shared    vclock.VClock  // what it was sent before that
	pos       vclock.VClock  // what it was sent
	next      uint64         // group of the host to be read next; 0: it is not subscribed
	of        *instance.Core // of the host's process that it is subscribed to: a stream ends with that
	gap       *xrow.Gap
	gen       uint64 // of the stream

	copy baseCopy
}

// now is the time that a Step is told.
func (s *shadow) now() instance.Now {
	w := s.f.w
	return instance.Now{Mono: time.Hour + w.now, Wall: 1.7e9 + w.now.Seconds()}
}

// join asks a host for its state.
func (s *shadow) join(n *node) {
	if !s.mayAsk(n) {
		return
	}
	life := n.life
	n.snaps[n.tag] = func(snap instance.Snapshot) {
		s.asked = nil
		if snap.Err != nil {
			return
		}
		if n.life != life {
			return
		}
		s.f.c.given(s, n, "a state")
		tuples, _, err := slice(snap.View, &box.Cursor{}, 1<<30, false)
		n.post(instance.CloseView{View: snap.View})
		if err != nil {
			s.fail("reads a view: %v", err)
			return
		}
		snap.State.NextGroup = 1
		s.base, s.log, s.first, s.synced = &checkpoint{state: snap.State, tuples: tuples}, nil, 1, 0
		s.f.c.met.Joins++
		s.start()
	}
	n.post(instance.JoinRequest{Tag: n.tag, Kind: instance.JoinAnon, UUID: s.uuid(), Name: s.name(), Filter: s.filter, Feature: instance.FeatureLevel, Incarnation: 1})
}

// mayAsk begins a request, unless one is under way at a host that has not crashed since.
func (s *shadow) mayAsk(n *node) bool {
	if s.asked != nil && s.asked.life == s.askedLife {
		return false
	}
	s.asked, s.askedLife = n, n.life
	n.tag++
	return true
}

func (s *shadow) name() string { return fmt.Sprint("reader", s.f.no) }

// register has a host register the reader, if it leads.
func (s *shadow) register(n *node) {
	if !s.mayAsk(n) {
		return
	}
	n.snaps[n.tag] = func(instance.Snapshot) { s.asked = nil }
	n.post(instance.JoinRequest{Tag: n.tag, Kind: instance.JoinReplica, UUID: s.uuid(), Name: s.name(), Filter: s.filter, Feature: instance.FeatureLevel})
}

func (s *shadow) uuid() string {
	kind := 1
	if s.filter != "" {
		kind = 2
	}
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", 0xf0000000+s.f.no*16+kind, s.f.w.seed&0xffffffffffff)
}

// start recovers what is on the disk.
func (s *shadow) start() {
	w := s.f.w
	s.copy, s.next, s.state, s.vclock = baseCopy{}, 0, nil, s.base.state.VClock
	s.log = s.log[:s.synced+1-s.first]
	s.box = box.New(box.Config{BuildAtOnce: w.plan.once})
	c := w.plan.config
	c.UUID, c.Name, c.Mode, c.ReadOnly, c.Filter = s.uuid(), "reader", instance.ModeOff, true, s.filter
	if s.filter != "" && w.plan.indexes {
		c.BuildRows = 2 // so that an index takes many turns
	}
	c.Rand = rand.New(rand.NewPCG(w.seed, 77))
	c.Trace = func(f instance.Fact) { s.f.c.traced(s, f) }
	var err error
	if s.core, err = instance.New(c, s.box); err != nil {
		s.fail("%v", err)
		return
	}
	for _, t := range s.base.tuples {
		if err := s.box.Load(t.space, t.tuple); err != nil {
			s.fail("load space %d: %v", t.space, err)
			return
		}
	}
	if err := instance.LoadDone(s.box, s.filter); err != nil {
		s.fail("load: %v", err)
		return
	}
	if err := s.core.Restore(s.base.state); err != nil {
		s.fail("restore: %v", err)
		return
	}
	for i, g := range s.log {
		if no := s.first + uint64(i); no >= s.base.state.NextGroup {
			if err := s.core.Replay(no, g); err != nil {
				s.fail("replay: %v", err)
				return
			}
		}
		s.vclock.Merge(&g.After)
	}
	s.core.Start(s.now())
	s.step()
}

func (s *shadow) fail(format string, args ...any) {
	s.f.w.fail("filter", "reader %d (filter %q): %s", s.f.no, s.filter, fmt.Sprintf(format, args...))
}

// subscribe begins a stream of a host, of what it has on its disk on.
func (s *shadow) subscribe(n *node) {
	if s.filter != "" && !s.given(n) {
		return
	}
	next, ok := n.seek(&s.vclock)
	if !ok {
		s.base, s.core = nil, nil // the log that it needs is gone: it joins anew
		return
	}
	s.pos, s.next, s.gap, s.gen, s.of = s.vclock, next, nil, 0, n.core
	if s.state != nil {
		s.gap, s.gen = xrow.NewGap(s.state.Share), s.state.Gen
	}
	s.step(instance.Upstream{Peer: n.id, State: instance.UpstreamFollow, Kind: xrow.Tarragon, Feature: instance.FeatureLevel})
}

// given tells whether the host knows the share that is asked for.
func (s *shadow) given(n *node) bool {
	if s.state == nil {
		return false
	}
	f := n.core.Filter(s.filter)
	if f == nil {
		return false
	}
	gives, behind := f.Gives(s.state.Share)
	switch {
	case behind:
		s.f.c.met.Behind++
	case !gives && s.state.Share.Version+maxFormer >= f.Version:
		s.fail("%s gives %+v, and not %+v", n.label(), f, s.state.Share)
	case !gives:
		s.base, s.core = nil, nil
	}
	return gives
}

// registeredAt tells whether the host knows that the reader is registered with its filter.
func (s *shadow) registeredAt(n *node) bool {
	if s.filter == "" || s.f.w.plan.filterFault == "unchecked" {
		return true
	}
	r := instance.FindReplica(n.core.Replicas(), s.uuid())
	if r == nil {
		if l := s.f.w.leader(); l != nil && l.active() {
			s.register(l)
		}
		return false
	}
	err := r.Refuse(s.filter, xrow.Tarragon)
	if err != nil {
		s.f.c.met.Refused++
	}
	return err == nil
}

// maxFormer is how many versions back a share is certainly known.
const maxFormer = 10

// pull takes some groups of the host's log, or all.
func (s *shadow) pull(n *node, all bool) {
	if !s.registeredAt(n) {
		s.next = 0
		return
	}
	if s.next == 0 || s.of != n.core {
		s.next = 0
		if s.subscribe(n); s.next == 0 || s.f.w.failure != nil {
			return
		}
	}
	s.gap.Reset()
	var runs [][]byte
	for s.next <= n.relayed && (all || s.rng.IntN(3) > 0) {
		g := n.disk.at(s.next)
		if g == nil {
			s.next = 0
			return
		}
		if s.gap != nil {
			if f := n.core.Filter(s.filter); f != nil && s.f.w.plan.filterFault == "sender's filter" {
				runs = s.gap.Flush(runs)
				s.gap = xrow.NewGap(&f.Share)
			}
			s.gap.Own(n.box.OwnSpaces())
		}
		if s.next%2 == 0 { // as from the log, and as from memory
			runs = g.Cut(&s.pos, 1<<0, s.gap, runs)
		} else {
			runs = g.CutAt(g.Places(), &s.pos, 1<<0, s.gap, runs)
		}
		s.next++
	}
	runs = s.gap.Flush(runs)
	rows, err := decode(runs, nil)
	if err != nil {
		s.fail("%v", err)
		return
	}
	if len(rows) > 0 {
		s.f.c.given(s, n, "rows")
		if s.f.c.w.plan.filterFault == "no key" {
			for i := range rows {
				rows[i].From = 0
			}
		}
		s.step(instance.Rows{From: n.id, Gen: s.gen, Rows: rows})
	}
}

// sync tells the core that its newest group is safe.
func (s *shadow) sync() {
	last := s.first + uint64(len(s.log)) - 1
	if s.core == nil || last == s.synced {
		return
	}
	s.synced = last
	if len(s.log) > 0 {
		s.vclock.Merge(&s.log[len(s.log)-1].After)
	}
	s.step(instance.Written{Group: last})
}

// step is a Step, and what it allows.
func (s *shadow) step(events ...instance.Event) {
	eff := s.core.Step(s.now(), events)
	if eff.Fatal != nil {
		s.fail("%v", eff.Fatal)
		return
	}
	if eff.Group != nil {
		s.log = append(s.log, eff.Group)
		if s.filter != "" {
			s.f.c.logged(s, eff.Group)
		}
	}
	if eff.Share != nil {
		share := *eff.Share
		s.state, s.next, s.shared = &share, 0, s.pos
	}
	for _, r := range eff.Refused {
		s.refused(r)
	}
	if s.filter != "" && s.f.w.plan.filterFault == "indexes forgotten" {
		s.box.LeaveOut(nil)
	}
	if s.f.w.failure == nil {
		s.copy.told(s, eff)
	}
	for _, snap := range append([]instance.Snapshot(nil), eff.Snaps...) {
		s.saved(snap)
	}
}

// refused ends the stream: an error that makes an applier come back is all that there
// may be.
func (s *shadow) refused(r instance.Refusal) {
	if r.Err.Class() != "SystemError" {
		s.fail("stream of %d: %v", r.Peer, r.Err)
	}
	s.next = 0
}

// checkpoint writes down what is decided.
func (s *shadow) checkpoint() {
	if s.core != nil {
		s.step(instance.StartCheckpoint{Tag: 1})
	}
}

func (s *shadow) saved(snap instance.Snapshot) {
	if snap.Err != nil {
		s.fail("%v", snap.Err)
		return
	}
	state := snap.Complete()
	tuples, _, err := slice(snap.View, &box.Cursor{}, 1<<30, true)
	if err != nil {
		s.fail("%v", err)
	}
	s.base = &checkpoint{state: state, tuples: tuples}
	for s.first < state.NextGroup && s.first <= s.synced {
		s.log, s.first = s.log[1:], s.first+1
	}
	s.step(instance.CloseView{View: snap.View})
}

// crash loses what is not on the disk.
func (s *shadow) crash() {
	s.copy.end(s)
	s.start()
}

package sim

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// filterKinds are not drawn: they strike in worlds of their own (TestFilters), which have
// replicas with a filter.
var filterKinds = []faultKind{{"filter", strikeFilter}, {"indexes", (*World).changeIndexes}, {"replica", strikeReplica}}

// filterName is the filter of all filtered readers of a world.
const filterName = "share"

// FilterMet counts what filtered readers met.
type FilterMet struct {
	Changes         int // of the filter, that an operator was told are there
	Joins, Moves    int // states taken; hosts that a reader went to
	Crashes         int
	Ordered, Copied int // base copies
	Broken, Failed  int // that a sender, a change of the schema or the reader itself ended
	Compared        int // with a reader that has all, at the same decided state
	Absent, Lacking int // spaces in these, not there and on their way
	Gaps            int // rows that stand for others, in logs of readers
	Behind          int // hosts that did not know the reader's share yet
	Undecided       int // base copies that opened above undecided rows
	LeftOut, Formed int // indexes that filters left out, and that were being built again, when they were compared
	Indexed         int // indexes that were, and are there
	Dropped         int // replicas, that an operator was told are, or have all
	Refused         int // times that one was turned away for that
}

// Add sums.
func (m *FilterMet) Add(o FilterMet) {
	for i, v := range o.values() {
		*m.values()[i] += *v
	}
}

func (m *FilterMet) values() []*int {
	return []*int{&m.Changes, &m.Joins, &m.Moves, &m.Crashes, &m.Ordered, &m.Copied, &m.Broken, &m.Failed, &m.Compared, &m.Absent, &m.Lacking, &m.Gaps,
		&m.Behind, &m.Undecided, &m.LeftOut, &m.Formed, &m.Indexed, &m.Dropped, &m.Refused}
}

// filteredChecker has pairs of anonymous readers, one with a filter and one with all. They
// read the same host; where both have decided the same, the first has the filter's share of
// what the second has, and says of all else that it is not there. Nothing of an absent space is in its log.
type filteredChecker struct {
	w         *World
	followers []*follower
	met       FilterMet
	indexes   *rand.Rand // which of them filters leave out; nil: they have all
}

// follower is such a pair.
type follower struct {
	w               *World
	c               *filteredChecker
	no              int
	rng             *rand.Rand
	slot            int // of the host
	left            int // turns that it stays there
	all, part       *shadow
	wantsCheckpoint bool
}

// start begins the readers of a world that has some.
func (c *filteredChecker) start() {
	if !c.w.plan.filters {
		return
	}
	if c.w.plan.indexes {
		c.indexes = rand.New(rand.NewPCG(c.w.seed, 600))
	}
	for no := range 2 {
		f := &follower{w: c.w, c: c, no: no, rng: rand.New(rand.NewPCG(c.w.seed, uint64(500+no)))}
		f.all = &shadow{f: f, rng: f.rng}
		f.part = &shadow{f: f, rng: f.rng, filter: filterName}
		c.followers = append(c.followers, f)
		f.soon()
	}
}

func (f *follower) soon() {
	f.w.after(time.Duration(1+f.rng.IntN(30))*time.Millisecond, func() {
		if f.w.failure == nil {
			f.turn()
			f.soon()
		}
	})
}

// turn lets the readers read on, and some of them crash or go elsewhere.
func (f *follower) turn() {
	if f.left--; f.left < 0 && (f.w.half < ending || !f.served()) {
		f.slot, f.left = f.w.nodes[f.rng.IntN(len(f.w.nodes))].slot, 1+f.rng.IntN(60)
		f.all.next, f.part.next = 0, 0
		f.c.met.Moves++
	}
	n := f.w.hosts[f.slot]
	if !n.active() || n.id == 0 || n.relayed == 0 {
		return
	}
	f.comeBack()
	for _, s := range []*shadow{f.all, f.part} {
		if s.core == nil {
			if s.filter == "" || n.core.Filter(s.filter) != nil && (n == f.w.leader() || s.registeredAt(n)) {
				s.join(n)
			}
			continue
		}
		if s.step(); f.rng.IntN(3) > 0 {
			s.sync()
		}
		if f.w.failure == nil {
			s.pull(n, s == f.all || f.rng.IntN(2) == 0 || f.w.half >= liveness)
		}
	}
	p := f.part
	if p.core == nil || f.w.failure != nil {
		return
	}
	p.copy.goOn(p, n)
	switch {
	case f.wantsCheckpoint || f.rng.IntN(60) == 0:
		f.wantsCheckpoint = false
		p.checkpoint()
	case f.w.half == safety && f.rng.IntN(80) == 0:
		f.c.met.Crashes++
		p.crash()
	}
	if f.w.failure == nil {
		f.compare()
	}
}

// served tells whether the host is there still: one that has left gives nobody the rest.
func (f *follower) served() bool { return slices.Contains(f.w.nodes, f.w.hosts[f.slot]) }

// traced counts what the core of a reader tells.
func (c *filteredChecker) traced(s *shadow, f instance.Fact) {
	switch {
	case s.filter == "":
	case f.Kind == instance.FactCopyFailed:
		c.met.Failed++
	case f.Kind == instance.FactCopied && s.core.Undecided() > 0:
		c.met.Undecided++
	}
}

// given looks at what a host gives a filtered reader: its row says so there, as of what is
// decided. It reads the row by itself.
func (c *filteredChecker) given(s *shadow, n *node, what string) {
	if s.filter == "" {
		return
	}
	var row [4]string // uuid, name, filter, state
	tuple := n.box.Own(&box.OwnReplica, s.uuid())
	if len(tuple) > 0 {
		rest := tuple[1:]
		for i := range row {
			row[i], rest, _ = msgp.ReadStringBytes(rest)
		}
	}
	if row[2] != s.filter || row[3] != "registered" {
		s.fail("%s gives it %s, and its row there is %q", n.label(), what, row)
	}
}

// logged looks at a group of a filtered reader: nothing of a space that its share leaves
// out may be in it.
func (c *filteredChecker) logged(s *shadow, g *xrow.Group) {
	for i := range g.Table {
		ref := &g.Table[i]
		if s.state != nil && ref.SpaceID >= spaceRegisters && isClientSpace(ref.SpaceID) && ref.LSN > s.shared[ref.Origin] && !s.state.Share.Has(ref.SpaceID) {
			s.fail("logs a row of space %d, which %+v leaves out", ref.SpaceID, s.state.Share)
		}
		if r, err := g.Row(i); err == nil && r.From != 0 {
			c.met.Gaps++
		}
	}
}

// compare holds the reader with a filter against the one that has all.
func (f *follower) compare() {
	if f.all.core == nil {
		return
	}
	if f.all.core.Decided() == f.part.core.Decided() {
		f.compareAll()
	}
}

// compareAll is for readers that hold the same, but for void rows.
func (f *follower) compareAll() {
	filter := f.all.core.Filter(filterName)
	if filter == nil {
		return
	}
	f.c.met.Compared++
	for _, space := range []uint32{xrow.SpaceSpace, xrow.SpaceIndex, xrow.SpaceCluster, xrow.SpaceSchema, spaceRegisters, spaceJournal, spaceCache, spaceLocks} {
		f.compareSpace(space, filter)
	}
}

// tuples are what clients find in a space by an index.
func (s *shadow) tuples(space, index uint32) ([]byte, error) {
	tuples, _, err := s.box.Select(admin, &box.Query{Space: space, Index: index, Iterator: iterAll, Key: []byte{0x90}, Limit: 1 << 30}, nil)
	return tuples, err
}

func (f *follower) compareSpace(space uint32, filter *instance.Filter) {
	want, err := f.all.tuples(space, 0)
	if err != nil {
		return // it was dropped, or is not there yet
	}
	got, err := f.part.tuples(space, 0)
	share := &filter.Share
	has := share.Has(space)
	switch {
	case errors.Is(err, xrow.ErrNotReplicated):
		if f.c.met.Absent++; has {
			f.part.fail("space %d is not replicated, and %+v has it", space, share)
		}
	case errors.Is(err, xrow.ErrBeingCopied):
		if f.c.met.Lacking++; !has {
			f.part.fail("space %d is being copied, and %+v leaves it out", space, share)
		}
	case err != nil:
		f.part.fail("space %d: %v", space, err)
	case !has:
		f.part.fail("space %d is served, and %+v leaves it out", space, share)
	case !bytes.Equal(got, want):
		f.part.fail("space %d at %v is\n%x, where all is\n%x; %s", space, f.part.core.Decided(), got, want, f.part.copyState())
	case isClientSpace(space):
		f.compareIndex(space, filter)
	}
}

// compareIndex holds the second index of a space that is here against that of the reader with
// all: it is there if the filter does not leave it out, and then has the same.
func (f *follower) compareIndex(space uint32, filter *instance.Filter) {
	want, err := f.all.tuples(space, 1)
	if err != nil {
		return // there is none
	}
	got, err := f.part.tuples(space, 1)
	out := slices.Contains(filter.Indexes, [2]uint32{space, 1})
	switch {
	case f.part.box.Misaligned() && !f.part.box.Settled():
		return // what is undecided has to go once first, and a change of the schema cannot
	case errors.Is(err, xrow.ErrIndexNotReplicated):
		if f.c.met.LeftOut++; !out {
			f.part.fail("the index of space %d is left out, and %+v has it", space, filter)
		}
	case errors.Is(err, xrow.ErrIndexBeingBuilt):
		if f.c.met.Formed++; out {
			f.part.fail("the index of space %d is being built, and %+v leaves it out", space, filter)
		}
	case err != nil:
		f.part.fail("the index of space %d: %v", space, err)
	case out:
		f.part.fail("the index of space %d is served, and %+v leaves it out", space, filter)
	case !bytes.Equal(got, want):
		f.part.fail("by the index of space %d at %v is\n%x, where all is\n%x", space, f.part.core.Decided(), got, want)
	default:
		f.c.met.Indexed++
	}
}

func (s *shadow) copyState() string {
	return fmt.Sprintf("share %+v, log from group %d, at %v", s.state, s.first, s.vclock)
}

// describe tells how the readers stand.
func (c *filteredChecker) describe() (text string) {
	for _, f := range c.followers {
		for _, s := range []*shadow{f.all, f.part} {
			if s.core == nil {
				text += fmt.Sprintf("reader %d (filter %q) has no state; ", f.no, s.filter)
				continue
			}
			text += fmt.Sprintf("reader %d (filter %q) of n%d: decided %v, %s, copy %+v; ", f.no, s.filter, f.slot, s.core.Decided(), s.copyState(), s.copy.order)
		}
	}
	return text
}

// whole tells whether all readers stand where the set stands, with all that their filter gives. A reader
// may have more than the set: what a member wrote that is gone, and nobody else has got. That is void.
func (c *filteredChecker) whole() bool {
	leader := c.w.inEffect()
	if leader == nil {
		return false
	}
	set := leader.disk.vclock.Global()
	for _, f := range c.followers {
		if f.all.core == nil || f.part.core == nil {
			return leader.core.Filter(filterName) == nil
		}
		a, b := f.all.core.Decided(), f.part.core.Decided()
		if !a.Covers(&set) || !b.Covers(&set) || f.part.box.Forms() {
			return false
		}
		for _, space := range []uint32{spaceRegisters, spaceJournal, spaceCache, spaceLocks} {
			if _, _, err := f.part.box.Select(admin, &box.Query{Space: space, Iterator: iterAll, Key: []byte{0x90}, Limit: 1}, nil); errors.Is(err, xrow.ErrBeingCopied) {
				return false
			}
		}
	}
	for _, f := range c.followers {
		f.compareAll()
	}
	return true
}

// strikeReplica lets an operator drop a filtered reader, or say that it has all.
func strikeReplica(w *World) {
	n := w.leader()
	if n == nil || n.core == nil || !n.active() {
		return
	}
	c := &w.check.filtered
	f := c.followers[w.between(0, 1000)%time.Duration(len(c.followers))]
	o := w.load.begin(n, opByHand, 0)
	o.answered = func(*xrow.Error) {
		if o.outcome == acknowledged {
			c.met.Dropped++
		}
	}
	if w.chance(2) {
		n.post(instance.DropReplica{Conn: 1, Sync: uint64(o.id), Name: f.part.name()})
		return
	}
	n.post(instance.AlterReplica{Conn: 1, Sync: uint64(o.id), Name: f.part.name()})
}

// comeBack lets an operator register a reader again that was dropped or altered.
func (f *follower) comeBack() {
	n := f.w.leader()
	if n == nil || n.core == nil || !n.active() || f.rng.IntN(30) > 0 {
		return
	}
	raiseFeature(n)
	r := instance.FindReplica(n.core.Replicas(), f.part.uuid())
	if r == nil || r.Refuse(filterName, xrow.Tarragon) == nil {
		return
	}
	o := f.w.load.begin(n, opByHand, 0)
	n.post(instance.AlterReplica{Conn: 1, Sync: uint64(o.id), Name: r.Name, Filter: filterName})
}

// raiseFeature lets an operator raise the level that filters need, where it is lower.
func raiseFeature(n *node) {
	if n.core.Info(0).Feature.Level < instance.FeatureLevel {
		o := n.w.load.begin(n, opByHand, 0)
		n.post(instance.RaiseFeature{Conn: 1, Sync: uint64(o.id)})
	}
}

// strikeFilter lets an operator give the filter another share.
func strikeFilter(w *World) {
	n := w.leader()
	if n == nil || n.core == nil || !n.active() {
		return
	}
	c := &w.check.filtered
	f := instance.Filter{Share: xrow.Share{Filter: filterName, Version: 1, New: w.chance(2)}}
	for _, id := range []uint32{spaceRegisters, spaceJournal, spaceCache, spaceLocks} {
		if w.chance(2) {
			f.Spaces = append(f.Spaces, id)
		}
	}
	raiseFeature(n)
	c.leaveOut(&f)
	w.changeFilter(n, func(was *instance.Filter) *instance.Filter {
		if was != nil {
			f.Former = append([]xrow.Share{was.Share}, was.Former...)
			f.Former = slices.Clip(f.Former[:min(len(f.Former), 16)])
			f.Version = was.Version + 1
		}
		return &f
	}, func() { c.met.Changes++ })
}

// changeIndexes lets an operator leave other indexes out, of the same spaces.
func (w *World) changeIndexes() {
	n := w.leader()
	if n == nil || n.core == nil || !n.active() || n.core.Filter(filterName) == nil {
		return
	}
	c := &w.check.filtered
	w.changeFilter(n, func(was *instance.Filter) *instance.Filter {
		f := *was
		f.Version, f.Indexes = was.Version+1, nil
		f.Former = append([]xrow.Share{was.Share}, was.Former...)
		f.Former = slices.Clip(f.Former[:min(len(f.Former), 16)])
		return c.leaveOut(&f)
	}, func() {})
}

// leaveOut lets a filter leave out some of the second indexes of spaces that it has, in worlds
// in which that changes.
func (c *filteredChecker) leaveOut(f *instance.Filter) *instance.Filter {
	if c.indexes == nil {
		return f
	}
	for _, id := range []uint32{spaceRegisters, spaceJournal, spaceCache, spaceLocks} {
		if c.indexes.IntN(2) == 0 && f.Has(id) {
			f.Indexes = append(f.Indexes, [2]uint32{id, 1})
		}
	}
	return f
}

// changeFilter has the leader put a tuple made of the filter's newest one.
func (w *World) changeFilter(n *node, change func(was *instance.Filter) *instance.Filter, done func()) {
	o := w.load.begin(n, opByHand, 0)
	o.answered = func(*xrow.Error) {
		if o.outcome == acknowledged {
			done()
		}
	}
	core := n.core
	n.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(o.id), User: admin, IsSync: true, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		return []byte{0x90}, tx.PutOwn(&box.OwnFilter, change(core.Filter(filterName)).Tuple())
	}}}})
}

package instance

import (
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// A filtered replica has one base copy under way at a time, of all spaces whose tuples are not here: of one view
// of one sender. docs/protocol/filters.md has the rules.

// copying is a base copy of some spaces, of one view of one sender.
type copying struct {
	CopyOrder
	since  time.Duration // when it was ordered
	source CopySource
	first  time.Duration // when tuples could come
	view   vclock.VClock // decided by the sender when it opened the view
	viewed bool          // view is known
	ready  bool          // view is decided here: tuples are taken
	whole  bool          // all of them are here
	tuples int           // taken so far
	total  int           // about
	rows   []copiedTxn   // what was committed since the order, with rows of these spaces
	size   int           // their bytes
}

// copiedTxn is a committed transaction as it is in the log.
type copiedTxn struct {
	origin uint32
	lsn    uint64 // of its last row
	frames []byte
}

// CopyOrder asks for a base copy: a member opens a view of the spaces once it has decided
// all that is named, and sends it.
type CopyOrder struct {
	Order  uint64 // names it in CopyBegins, CopyRows and CopyEnds
	Share  *xrow.Share
	Spaces []uint32      // ascending
	VClock vclock.VClock // what this replica holds, decided or not
	Term   uint64        // newest one whose PROMOTE is among that, in effect or not
}

// CopyBegins tells what was decided by the sender when it opened the view. Tuples may
// come once Effects.CopyReady names the order.
type CopyBegins struct {
	Order  uint64
	VClock vclock.VClock
	Tuples int // about how many there are
	Source CopySource
}

// CopySource is where a base copy comes from, for people.
type CopySource struct {
	From    string // name or address of the sender
	Command bool   // a transfer command brings it, and not the connection
}

// CopyRows are tuples of a base copy, in the order of the view. They are valid during the Step.
type CopyRows struct {
	Order   uint64
	Space   uint32
	Tuples  [][]byte
	Release func()
}

// CopyEnds ends a base copy: all of it has come, or the error says why not.
type CopyEnds struct {
	Order uint64
	Err   error
	Busy  bool // it fits, and nobody has room for it now
}

func (CopyBegins) event() {}
func (CopyRows) event()   {}
func (CopyEnds) event()   {}

// of tells whether the copy is of a space, among others.
func (o *CopyOrder) of(space uint32) bool {
	_, ordered := slices.BinarySearch(o.Spaces, space)
	return ordered
}

// A base copy that has failed begins anew after a pause, which doubles each time: one that
// does not fit will not fit the next time either, and each try costs its sender a view.
const (
	copyPause     = time.Second // Config.CopyPause
	copyPauseMost = time.Minute
)

// copyTrouble is why no base copy has come.
type copyTrouble struct {
	fails int    // tries in a row
	why   string // the newest failure; empty: nothing failed since the last one that came
}

// note takes a failure down, and tells how long the next try waits: pause behind the first
// one. Who finds all senders busy stands in no worse light for it.
func (t *copyTrouble) note(why error, busy bool, pause time.Duration) time.Duration {
	t.why = why.Error()
	if busy {
		return pause
	}
	t.fails++
	return min(pause<<min(t.fails-1, 6), copyPauseMost)
}

// percent is about how much of a copy is here.
func (s *sharing) percent(space uint32) int {
	c := s.copy
	if c == nil || c.total == 0 || !c.of(space) {
		return 0
	}
	return min(100*c.tuples/c.total, 99)
}

// dropCopy gives a copy up, with what has come of it. The spaces are still lacking.
func (c *Core) dropCopy() {
	s := &c.share
	for _, id := range s.copy.Spaces {
		s.drops = insertID(s.drops, id)
	}
	s.copy = nil
	s.next = c.now.Mono
}

// failCopy begins a copy anew, after a pause.
func (c *Core) failCopy(why error, busy bool) {
	c.trace(FactCopyFailed, 0, c.share.copy.Order, why.Error())
	c.dropCopy()
	c.share.next = c.now.Mono + c.share.trouble.note(why, busy, c.cfg.CopyPause)
	c.showShare()
}

// orderCopy asks for a copy of all that is lacking.
func (c *Core) orderCopy() {
	s := &c.share
	before := len(s.lacks)
	s.lacks = slices.DeleteFunc(s.lacks, func(id uint32) bool { _, there := c.box.Space(id); return !there })
	if len(s.lacks) < before {
		c.showShare()
	}
	if len(s.lacks) == 0 {
		s.trouble = copyTrouble{}
		return
	}
	s.orders++
	term, _, _ := c.limbo.Newest()
	s.copy = &copying{since: c.now.Mono, CopyOrder: CopyOrder{Order: s.orders, Share: s.now, Spaces: slices.Clone(s.lacks), VClock: c.out.vclock.Global(), Term: term}}
	order := s.copy.CopyOrder
	c.eff.Copy = &order
}

// deadline is when a copy begins anew; 0: none does by itself.
func (s *sharing) deadline() time.Duration {
	if s.copy != nil || len(s.lacks) == 0 {
		return 0
	}
	return s.next
}

// copyOf is the copy that an event is about; nil: it was given up.
func (s *sharing) copyOf(order uint64) *copying {
	if s.copy == nil || s.copy.Order != order {
		return nil
	}
	return s.copy
}

func (c *Core) copyBegins(ev CopyBegins) {
	if p := c.share.copyOf(ev.Order); p != nil {
		c.share.kept = nil // as in takeRows
		p.view, p.viewed, p.total, p.source = ev.VClock, true, ev.Tuples, ev.Source
		p.rows = slices.DeleteFunc(p.rows, func(r copiedTxn) bool {
			if p.covers(r.origin, r.lsn) {
				p.size -= len(r.frames)
				return true
			}
			return false
		})
	}
}

// covers tells whether the view is known to have what a transaction did.
func (p *copying) covers(origin uint32, lsn uint64) bool { return p.viewed && lsn <= p.view[origin] }

func (c *Core) copyRows(ev CopyRows) {
	p := c.share.copyOf(ev.Order)
	if p == nil || !p.ready || p.whole {
		return
	}
	if !p.of(ev.Space) {
		c.failCopy(protocolError(fmt.Sprintf("tuples of space %d in a base copy of %v", ev.Space, p.Spaces)), false)
		return
	}
	for _, tuple := range ev.Tuples {
		if err := c.box.CopyIn(ev.Space, tuple); err != nil {
			c.failCopy(err, false)
			return
		}
	}
	before := c.share.percent(ev.Space)
	p.tuples += len(ev.Tuples)
	if c.share.percent(ev.Space) != before {
		c.showShare()
	}
}

func (c *Core) copyEnds(ev CopyEnds) {
	p := c.share.copyOf(ev.Order)
	switch {
	case p == nil:
	case ev.Err != nil:
		c.failCopy(ev.Err, ev.Busy)
	case !p.ready:
		c.failCopy(protocolError("a base copy that ends before it began"), false)
	default:
		p.whole = true
	}
}

// keepForCopy keeps what was committed while a copy is under way.
func (s *sharing) keepForCopy(done []entry) {
	for i := range done {
		if e := &done[i]; e.P.copied && !s.copy.covers(e.Origin, e.LSN) {
			s.copy.rows = append(s.copy.rows, copiedTxn{e.Origin, e.LSN, e.P.frames})
			s.copy.size += len(e.P.frames)
		}
	}
}

// crowded tells whether rows of peers wait for a copy. Until its view is open they may, for
// its sender needs nothing of us; while that is ahead of what is decided here it needs what
// they bring; from then on nothing that it needs is behind them, but one that is whole may need
// the CONFIRM of a change of the schema.
func (s *sharing) crowded(limit int) bool {
	p := s.copy
	return p != nil && p.size >= limit && (!p.viewed || p.ready) && !p.whole
}

// openCopied makes spaces whose copy is whole ones like all others: with what was
// committed behind the view, and what is undecided. For that all that is undecided goes
// from the box once and comes again.
func (c *Core) openCopied() {
	s := &c.share
	if c.definesUndecided() {
		return
	}
	p := s.copy
	if c.limbo.Len() > 0 {
		c.box.Rollback(c.limbo.At(0).Seq)
	}
	lacked := s.lacks
	s.lacks = slices.DeleteFunc(slices.Clone(s.lacks), p.of)
	err := c.applyCopied(p)
	if err == nil {
		err = c.takeAllAgain()
	}
	if err != nil { // the spaces are emptied, and what was applied of them goes with that
		s.lacks = lacked
		if c.limbo.Len() > 0 {
			c.box.Rollback(c.limbo.At(0).Seq)
		}
		c.mustTakeAgain()
		c.failCopy(err, false)
		return
	}
	s.copy, s.trouble = nil, copyTrouble{}
	c.trace(FactCopied, 0, p.Order, "")
	c.eff.Checkpoint = true
	c.showShare()
}

// applyCopied applies what was committed behind the view. It was committed once by those
// who had all of it: that it does not fit shows that the copy is wrong.
func (c *Core) applyCopied(p *copying) error {
	c.seq++
	tx := c.box.Begin(c.seq)
	for i := range p.rows {
		r := &p.rows[i]
		if err := c.redoSome(tx, r.frames, p.of); err != nil {
			tx.Abort()
			return err
		}
	}
	tx.Prepare()
	c.box.Confirm(c.seq)
	return nil
}

// takeAllAgain runs the statements of all that is undecided anew.
func (c *Core) takeAllAgain() error {
	for i := range c.limbo.Len() {
		e := c.limbo.At(i)
		c.seq++
		e.Seq = c.seq
		tx := c.box.Begin(c.seq)
		if err := c.redo(tx, e.P.frames); err != nil {
			tx.Abort()
			return err
		}
		tx.Prepare()
	}
	return nil
}

// restartCopy begins a copy anew where a row that is about to be applied changes the
// definition of one of its spaces.
func (c *Core) restartCopy(a *arrival) {
	p := c.share.copy
	if p == nil {
		return
	}
	for i := range a.dml {
		if id, ok := box.Defines(&a.dml[i]); ok && p.of(id) {
			c.trace(FactCopyFailed, 0, p.Order, "the definition of a space changes")
			c.dropCopy()
			c.emptyDropped()
			c.showShare()
			return
		}
	}
}

// mustTakeAgain is takeAllAgain for what was taken before, with the same spaces.
func (c *Core) mustTakeAgain() {
	if err := c.takeAllAgain(); err != nil {
		panic(fmt.Sprintf("instance: what was undecided does not fit any more: %v", err))
	}
}

package sim

import (
	"math/rand/v2"
	"slices"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// readerChecker: an anonymous instance of Tarantool's kind may follow a set of
// ours through its failovers. A few models of such readers read the log of one
// host after another, as a relay sends it, with Tarantool's filter and queue
// (docs/protocol/limbo.md#what-tarantools-read-in-a-strong-term). No row may end their stream, and what they decide
// about synchronous transactions is what our history says.
//
// One thing is let pass: a reader that got a PROMOTE which no quorum ever had. It
// took effect there, which nobody can know. Such a reader joins anew.
type readerChecker struct {
	w       *World
	readers []*reader
	met     ReaderMet
}

// ReaderMet counts what readers met.
type ReaderMet struct {
	Rows, Promotes, Confirms, Nops, Voids int
	Joins                                 int // anew: the log that they need was gone
	Raced                                 int // had a PROMOTE that took effect nowhere
}

// Add sums.
func (m *ReaderMet) Add(o ReaderMet) {
	m.Rows += o.Rows
	m.Promotes += o.Promotes
	m.Confirms += o.Confirms
	m.Nops += o.Nops
	m.Voids += o.Voids
	m.Joins += o.Joins
	m.Raced += o.Raced
}

// reader is Tarantool's queue and the place in the stream.
type reader struct {
	c      *readerChecker
	rng    *rand.Rand // its own: readers change nothing in the life of a seed
	slot   int        // the host that it reads
	down   int        // groups until somebody starts it again
	left   int        // groups that it reads there before it goes on to another
	vclock vclock.VClock

	term      uint64
	termOf    [vclock.Max]uint64
	owner     uint32
	confirmed uint64
	of        vclock.VClock
	queue     []queued
	promotes  []uint64 // terms of PROMOTEs that it took
	effect    uint64   // newest term that this host's log told to be in effect
}

// queued is a transaction of the queue: its last row.
type queued struct {
	*row
	sync bool
}

func (c *readerChecker) init(w *World) {
	c.w = w
	if w.plan.broken != (Break{}) {
		return // the other checkers have to see what is planted
	}
	for i := range uint64(3) {
		r := &reader{c: c, rng: rand.New(rand.NewPCG(w.seed, 100+i))}
		r.move()
		c.readers = append(c.readers, r)
	}
}

// synced lets those read on who are connected to a host.
func (c *readerChecker) synced(n *node) {
	for _, r := range c.readers {
		if r.slot != n.slot || c.w.failure != nil {
			continue
		}
		if r.left--; r.left < 0 {
			r.move()
			continue
		}
		if r.down > 0 {
			r.down--
			continue
		}
		r.read(n)
	}
}

// left lets those go on to another host who are connected to one that is left.
func (c *readerChecker) left(n *node) {
	for _, r := range c.readers {
		if r.slot == n.slot {
			r.move()
		}
	}
}

func (r *reader) move() {
	among := r.c.w.nodes
	r.slot, r.left, r.effect = among[r.rng.IntN(len(among))].slot, 1+r.rng.IntN(60), 0
}

// read takes all that a host has on its disk and it lacks.
func (r *reader) read(n *node) {
	no, ok := n.seek(&r.vclock)
	if !ok {
		r.join(n)
		return
	}
	for ; no <= n.disk.synced; no++ {
		g := n.disk.logged(no)
		from := 0 // of the transaction
		for i, x := range g.rows {
			if x.lsn <= r.vclock[x.origin] {
				from = i + 1
				continue
			}
			if x.kind == xrow.Promote && x.origin == n.id && slices.Contains(n.void, x.lsn) {
				r.vclock.Follow(x.origin, x.lsn) // it comes as a NOP
				from = i + 1
				continue
			}
			if x.flags&xrow.FlagCommit == 0 {
				continue
			}
			if !r.take(n, g.rows[from:i+1], x.flags) {
				return
			}
			r.vclock.Follow(x.origin, x.lsn)
			from = i + 1
		}
	}
}

// join begins anew with the newest checkpoint of a host.
func (r *reader) join(n *node) {
	c := n.disk.newest()
	if c == nil {
		r.move()
		return
	}
	r.c.met.Joins++
	*r = reader{c: r.c, rng: r.rng, slot: r.slot, left: r.left, vclock: c.state.VClock, of: c.state.ConfirmedOf}
	r.vclock[0] = 0
	if g := c.state.Undecided; g != nil {
		for _, ref := range g.Table {
			r.vclock[ref.Origin] = min(r.vclock[ref.Origin], ref.LSN-1)
		}
	}
	for _, s := range c.state.History { // only those in effect
		r.term, r.owner = s.Term, s.Owner
		r.termOf[s.Owner] = s.Term
	}
	r.confirmed = r.of[r.owner]
}

// take is the applier. false: the stream ends.
func (r *reader) take(n *node, txn []loggedRow, flags xrow.Flags) bool {
	r.c.met.Rows++
	last := txn[len(txn)-1]
	why := ""
	switch last.kind {
	case xrow.Promote:
		why = r.promote(last.row)
	case xrow.Confirm:
		why = r.confirm(last.row)
	case xrow.Rollback, xrow.Demote:
		why = "we never write this"
	default:
		why = r.submit(txn, flags)
	}
	if why == "" || r.c.w.failure != nil {
		return why == ""
	}
	known := last.kind == xrow.Promote && last.term < r.effect // the host should have seen that it is void
	if !known && (r.raced(r.term) || last.kind == xrow.Promote && r.raced(last.term)) {
		r.c.met.Raced++
		r.join(n)
		r.down = 10 + r.rng.IntN(60) // or it would stop at the same row, with the same checkpoint before it
		return false
	}
	r.c.w.fail("reader", "a Tarantool that reads %s stops at %v %d:%d of term %d, LSN %d of %d: %s; its queue of %d in term %d has %d, confirmed %d",
		n.label(), last.kind, last.origin, last.lsn, last.term, last.synchro.LSN, last.synchro.ReplicaID, why, r.owner, r.term, len(r.queue), r.confirmed)
	return false
}

// raced tells whether it took a PROMOTE that the chain of a term leaves out.
func (r *reader) raced(term uint64) bool {
	for _, t := range r.promotes {
		if t < term {
			if _, ok := r.c.w.check.history.end(term, t); !ok {
				return true
			}
		} else if t > term {
			return true
		}
	}
	return false
}

func (r *reader) promote(p *row) string {
	s := &p.synchro
	n := len(r.queue)
	switch {
	case s.Term <= r.term:
		return "obsolete term"
	case s.LSN < r.confirmed:
		return "already processed range"
	case s.LSN > r.confirmed && n == 0:
		return "future lsn"
	case s.LSN > r.confirmed && (s.LSN < r.queue[0].lsn || s.LSN > r.queue[n-1].lsn):
		return "out of queue range"
	}
	r.c.met.Promotes++
	r.promotes = append(r.promotes, s.Term)
	r.commit(s.LSN)
	for _, e := range r.queue {
		r.c.met.Voids++
		if end, ok := r.c.w.check.history.end(s.Term, e.term); ok && e.lsn <= end && e.kind != xrow.Nop && !r.raced(s.Term) {
			r.c.w.fail("reader", "a Tarantool voids %d:%d at PROMOTE of term %d, which keeps LSNs of term %d up to %d", e.origin, e.lsn, s.Term, e.term, end)
		}
	}
	r.term, r.termOf[p.origin], r.owner = s.Term, s.Term, p.origin
	r.confirmed, r.queue = r.of[r.owner], nil
	return ""
}

func (r *reader) confirm(c *row) string {
	s := &c.synchro
	switch {
	case s.ReplicaID == 0 || s.LSN == 0:
		return "zero owner or LSN"
	case s.LSN > r.of[s.ReplicaID] && s.ReplicaID != r.owner:
		return "foreign owner"
	}
	r.c.met.Confirms++
	r.effect = max(r.effect, c.term)
	if s.ReplicaID == r.owner {
		r.commit(s.LSN)
	}
	return ""
}

// commit decides up to an LSN, and asynchronous ones up to the next that is open.
func (r *reader) commit(lsn uint64) {
	if lsn <= r.confirmed {
		return
	}
	for len(r.queue) > 0 && (r.queue[0].lsn <= lsn || !r.queue[0].sync) {
		r.queue = r.queue[1:]
	}
	r.confirmed = lsn
	r.of[r.owner] = lsn
}

func (r *reader) submit(txn []loggedRow, flags xrow.Flags) string {
	last := txn[len(txn)-1]
	nops := true
	for _, x := range txn {
		nops = nops && x.kind == xrow.Nop
	}
	sync := flags&xrow.FlagWaitAck != 0
	switch old := r.termOf[last.origin] != r.term; {
	case nops:
		return ""
	case old && flags&xrow.FlagWaitSync != 0:
		r.c.met.Nops++
		if end, ok := r.c.w.check.history.end(r.term, last.term); ok && last.lsn <= end && !r.raced(r.term) {
			r.c.w.fail("reader", "a Tarantool makes %d:%d of term %d a NOP; term %d keeps that up to LSN %d", last.origin, last.lsn, last.term, r.term, end)
		}
		return ""
	case old && r.owner != 0:
		return "async transaction from an old term"
	case sync && r.owner != last.origin:
		return "the queue is unclaimed or another's"
	case sync || len(r.queue) > 0:
		r.queue = append(r.queue, queued{last.row, sync})
	}
	return ""
}

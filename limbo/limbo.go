package limbo

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
)

// Promote is a PROMOTE row.
type Promote struct {
	Term      uint64
	Owner     uint32
	LSN       uint64
	PrevTerm  uint64 // the row that it follows: 0, 0, 0 for the first of all
	PrevOwner uint32
	PrevLSN   uint64      // under Tarantool's rules: up to here the previous owner's rows are confirmed
	Named     uint64      // strong rules: what PrevLSN is for a Tarantool, see Names
	Last      uint64      // greatest LSN held of its term; set by the limbo
	Rules     terms.Rules // of its term
	Began     terms.Began // how its term begins, but for Took
}

// Entry is a transaction whose outcome is open.
type Entry[P any] struct {
	Origin uint32
	LSN    uint64 // of its last row
	Term   uint64 // 0: decided by its write
	Seq    uint64 // local transaction number, strictly growing
	Group  uint64 // number of the group that it is in
	Bytes  int
	Sync   bool // it is synchronous itself
	// Behind is the term of our own pending PROMOTE under Tarantool's rules
	// that it came behind: that voids it if it takes effect. 0: none.
	Behind uint64
	P      P
}

// Limbo is the machine. The zero value holds nothing and no term is in effect.
type Limbo[P any] struct {
	spans     []terms.Span // terms in effect, oldest first; the last one is current
	pending   []Promote    // not in effect, ascending terms, all greater than the current
	confirmed uint64       // LSN of the current owner up to which all is committed
	// confirmedOf is the greatest LSN of each owner, ever, that a Tarantool which
	// read our log holds for confirmed: in strong terms that of a synchronous
	// transaction. None for owner 0. Tarantool: confirmed_vclock.
	confirmedOf vclock.VClock
	lastSync    uint64 // LSN of the last synchronous transaction taken in the current term
	claimed     uint64 // greatest LSN that a CONFIRM in Tarantool's term named, held or not

	queue   queue[P]
	settled int // entries at the head that are decided: they wait for our disk only
	shown   int // entries at the head that their own leader's readers see

	written uint64 // groups on disk

	leading bool
	worth   uint64             // greatest own LSN of the term that is no CONFIRM: what is worth committing
	acks    [vclock.Max]uint64 // own LSN that each member has synced
	told    uint64             // LSN of the newest CONFIRM written in this term

	committed    []Entry[P]
	void         []Entry[P]
	again        []Entry[P] // newest first, see TakeAgain
	voidPromotes []Promote
}

// Current is the term in effect; zero if none ever was.
func (l *Limbo[P]) Current() terms.Span {
	if len(l.spans) == 0 {
		return terms.Span{}
	}
	return l.spans[len(l.spans)-1]
}

// History lists the terms in effect, oldest first. The caller must not change it.
func (l *Limbo[P]) History() []terms.Span { return l.spans }

// Confirmed is the LSN of the current owner up to which all is committed.
func (l *Limbo[P]) Confirmed() uint64 { return l.confirmed }

// Pending lists PROMOTEs that are not in effect. The caller must not change it.
func (l *Limbo[P]) Pending() []Promote { return l.pending }

// Len is the number of undecided transactions, Size their bytes.
func (l *Limbo[P]) Len() int { return l.queue.len() }

// Size is the bytes of undecided transactions.
func (l *Limbo[P]) Size() int { return l.queue.size }

// At is an undecided transaction, the oldest one is 0. It is valid until it is
// decided. To go over all of them takes as long as there are many: nothing that
// happens in each Step may.
func (l *Limbo[P]) At(i int) *Entry[P] { return l.queue.at(i) }

// Oldest is At(0), for readers that hold the owner off side by side.
func (l *Limbo[P]) Oldest() *Entry[P] { return &l.queue.nodes.Peek(0).Entry }

// OldestOf is the oldest undecided transaction of an origin, nil if it has none.
// The LSNs of one origin ascend in the queue. Safe for readers, as Oldest is.
func (l *Limbo[P]) OldestOf(origin uint32) *Entry[P] { return l.queue.oldestOf(origin) }

// Looked is how often an entry was looked at. Tests hold it against Len.
func (l *Limbo[P]) Looked() uint64 { return l.queue.nodes.Looked() }

// ConfirmedOf is the greatest LSN of each owner that a Tarantool which read our
// log holds for confirmed.
func (l *Limbo[P]) ConfirmedOf() vclock.VClock { return l.confirmedOf }

// Restore sets the terms in effect from a checkpoint.
func (l *Limbo[P]) Restore(history []terms.Span, confirmed uint64, of vclock.VClock) {
	l.spans, l.confirmedOf = slices.Clone(history), of
	l.confirmed, l.claimed = confirmed, confirmed
	if cur := l.Current(); cur.Rules == terms.Tarantool {
		l.noteConfirmed(cur.Owner, confirmed)
	}
}

// TakeTxn appends a transaction of another instance, which was judged. decided:
// its author's write has decided it, and its entry has no term.
func (l *Limbo[P]) TakeTxn(r terms.Rules, e Entry[P]) (decided bool) {
	e = l.by(r).place(e)
	l.Push(e)
	return e.Term == 0
}

// Push appends an undecided transaction.
func (l *Limbo[P]) Push(e Entry[P]) {
	if n := l.queue.len(); n > 0 && l.queue.at(n-1).Seq >= e.Seq {
		panic(fmt.Sprintf("limbo: transaction %d after %d", e.Seq, l.queue.at(n-1).Seq))
	}
	if cur := l.Current(); e.Term != 0 && e.Term != cur.Term {
		panic(fmt.Sprintf("limbo: entry of term %d while %d is in effect", e.Term, cur.Term))
	}
	l.queue.push(e)
	if e.Sync && e.Term != 0 {
		l.lastSync = e.LSN
	}
	if l.leading {
		// Rows of older terms still come in behind our PROMOTE: their LSNs are
		// another instance's.
		if newest, _, _ := l.Newest(); e.Term == newest {
			l.worth = max(l.worth, e.LSN)
		}
	}
	if e.Term == 0 {
		l.decide(l.Current().Rules)
	}
}

// drain decides what can be decided at the head of the queue, and commits what
// of it our disk has. Under Tarantool's rules an asynchronous transaction
// is committed once nothing synchronous before it is open.
func (l *Limbo[P]) drain(r terms.Rules) {
	l.decide(r)
	for l.settled > 0 {
		if e := l.queue.at(0); e.Term == 0 && e.Group > l.written {
			return
		}
		l.committed = append(l.committed, l.queue.popFront())
		l.settled--
		l.shown = max(l.shown-1, 0)
	}
}

func (l *Limbo[P]) decide(r terms.Rules) {
	for ; l.settled < l.queue.len(); l.settled++ {
		e := l.queue.at(l.settled)
		if e.Behind != 0 || e.Term != 0 && e.LSN > l.confirmed && (e.Sync || r != terms.Tarantool) {
			return
		}
		if e.Sync && e.Term != 0 {
			l.noteConfirmed(e.Origin, e.LSN)
		}
	}
}

// voidFrom voids all from a place in the queue on, newest first, but for what
// has no term.
func (l *Limbo[P]) voidFrom(at int) {
	for l.queue.len() > at {
		if e := l.queue.popBack(); e.Term == 0 {
			l.again = append(l.again, e)
		} else {
			l.void = append(l.void, e)
		}
	}
	l.shown = min(l.shown, at)
}

// TakeCommitted gives what was committed since it was asked last, oldest
// first. It is valid until the next call of any method.
func (l *Limbo[P]) TakeCommitted() []Entry[P] {
	out := l.committed
	l.committed = l.committed[:0]
	return out
}

// TakeVoid gives what was voided, newest first; otherwise like TakeCommitted.
func (l *Limbo[P]) TakeVoid() []Entry[P] {
	out := l.void
	l.void = l.void[:0]
	return out
}

// TakeAgain gives what has no term and stood behind something that was voided,
// oldest first; otherwise like TakeCommitted. It was decided by its author's
// write, so it is taken anew, and pushed, without what was before it.
func (l *Limbo[P]) TakeAgain() []Entry[P] {
	out := l.again
	l.again = l.again[:0]
	slices.Reverse(out)
	return out
}

// Written tells that groups up to a number are on disk.
func (l *Limbo[P]) Written(group uint64) {
	l.written = max(l.written, group)
	l.drain(l.Current().Rules)
}

// Show moves the mark of what the leader's own readers see over asynchronous
// entries that are on its disk, up to the first synchronous one, and calls f
// with each that is newly seen.
func (l *Limbo[P]) Show(f func(e *Entry[P])) {
	for l.shown < l.queue.len() {
		e := l.queue.at(l.shown)
		if e.Sync || e.Behind != 0 || e.Group > l.written {
			return
		}
		l.shown++
		f(e)
	}
}

// Waits tells whether a transaction waits for a decision. Then an asynchronous
// one waits behind it, under Tarantool's rules.
func (l *Limbo[P]) Waits() bool { return l.queue.len() > l.settled }

// Unwritten tells whether something that is decided waits for our disk.
func (l *Limbo[P]) Unwritten() bool { return l.settled > 0 }

// HasSync tells whether an undecided synchronous transaction is queued: an
// asynchronous one behind it waits for it.
func (l *Limbo[P]) HasSync() bool { return l.queue.syncs > 0 }

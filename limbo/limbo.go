package limbo

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/vclock"
)

// Span is a term in effect: the LSNs of its owner that belong to it.
type Span struct {
	Term  uint64
	Owner uint32
	First uint64 // LSN of its PROMOTE
	Last  uint64 // greatest LSN held of it

	Writer    uint32 // who wrote its PROMOTE or DEMOTE: Owner, which is 0 after a DEMOTE
	Tarantool bool   // Tarantool's rules hold in it, not the strong ones
}

// Promote is a PROMOTE row.
type Promote struct {
	Term      uint64
	Owner     uint32
	LSN       uint64
	PrevTerm  uint64 // the row that it follows: 0, 0, 0 for the first of all
	PrevOwner uint32
	PrevLSN   uint64 // under Tarantool's rules: up to here the previous owner's rows are confirmed
	Named     uint64 // strong rules: what PrevLSN is for a Tarantool, see Names
	Last      uint64 // greatest LSN held of its term; set by the limbo
	Tarantool bool   // Tarantool's rules hold in its term
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

// Verdict is what becomes of a row that arrives.
type Verdict uint8

// Verdicts.
const (
	Keep  Verdict = iota // take it
	Void                 // a newer term in effect excludes it: keep it as NOP
	Alien                // its term never promoted anybody here: a disk lied, or a bug
)

// Limbo is the machine. The zero value holds nothing and no term is in effect.
type Limbo[P any] struct {
	spans     []Span    // terms in effect, oldest first; the last one is current
	pending   []Promote // not in effect, ascending terms, all greater than the current
	confirmed uint64    // LSN of the current owner up to which all is committed
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
func (l *Limbo[P]) Current() Span {
	if len(l.spans) == 0 {
		return Span{}
	}
	return l.spans[len(l.spans)-1]
}

// History lists the terms in effect, oldest first. The caller must not change it.
func (l *Limbo[P]) History() []Span { return l.spans }

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
func (l *Limbo[P]) Restore(history []Span, confirmed uint64, of vclock.VClock) {
	l.spans, l.confirmedOf = slices.Clone(history), of
	l.confirmTo(confirmed)
	l.claimed = l.confirmed
}

// Newest is the newest PROMOTE in the log, in effect or not, with the greatest
// LSN held of its term: what a new PROMOTE follows.
func (l *Limbo[P]) Newest() (term uint64, owner uint32, last uint64) {
	if n := len(l.pending); n > 0 {
		p := l.pending[n-1]
		return p.Term, p.Owner, p.Last
	}
	s := l.Current()
	if s.Owner == 0 {
		return s.Term, 0, 0
	}
	return s.Term, s.Owner, s.Last
}

// Judge says what becomes of a row of a term.
func (l *Limbo[P]) Judge(term uint64, origin uint32) Verdict {
	cur := l.Current()
	switch {
	case term == 0:
		return Keep
	case term < cur.Term:
		// The term in effect names rows that were held when its PROMOTE was
		// taken. One that comes only now is not among them.
		return Void
	case term == cur.Term:
		if origin != cur.Owner {
			return Alien
		}
		return Keep
	}
	for _, p := range l.pending {
		if p.Term == term && p.Owner == origin {
			return Keep
		}
	}
	return Alien
}

// Note takes down that a row of a term is held now. worth: it is more than a
// CONFIRM.
func (l *Limbo[P]) Note(term, lsn uint64, worth bool) {
	if n := len(l.spans); n > 0 && l.spans[n-1].Term == term {
		l.spans[n-1].Last = max(l.spans[n-1].Last, lsn)
	}
	for i := range l.pending {
		if l.pending[i].Term == term {
			l.pending[i].Last = max(l.pending[i].Last, lsn)
		}
	}
	// Rows of older terms still come in behind our PROMOTE: their LSNs are
	// another instance's.
	if newest, _, _ := l.Newest(); l.leading && worth && term == newest {
		l.worth = max(l.worth, lsn)
	}
}

// Next is the LSN that the next row of a term must have: what is held of a
// term is always a prefix of it. 0: the term is not known here.
func (l *Limbo[P]) Next(term uint64) uint64 {
	if cur := l.Current(); cur.Term == term {
		return cur.Last + 1
	}
	if i := l.find(term); i >= 0 {
		return l.pending[i].Last + 1
	}
	return 0
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
	if e.Term == 0 {
		l.decide(l.Current().Tarantool)
	}
}

// AddPromote takes a PROMOTE down. void: it is not worth keeping, a newer term
// is in effect. An error: the row that it follows is not held, which no honest
// disk brings about.
func (l *Limbo[P]) AddPromote(p Promote) (void bool, err error) {
	cur := l.Current()
	if p.Term <= cur.Term {
		return true, nil
	}
	for _, q := range l.pending {
		if q.Term == p.Term {
			return false, fmt.Errorf("limbo: two PROMOTEs of term %d, by %d and %d", p.Term, q.Owner, p.Owner)
		}
	}
	if p.PrevTerm >= p.Term {
		return false, fmt.Errorf("limbo: PROMOTE of term %d by %d follows term %d", p.Term, p.Owner, p.PrevTerm)
	}
	if p.PrevTerm != 0 && !p.Tarantool && !l.holds(p.PrevTerm, p.PrevOwner, p.PrevLSN) {
		return false, fmt.Errorf("limbo: PROMOTE of term %d by %d follows LSN %d of %d in term %d, which is not here",
			p.Term, p.Owner, p.PrevLSN, p.PrevOwner, p.PrevTerm)
	}
	p.Last = p.LSN
	l.pending = append(l.pending, p)
	slices.SortFunc(l.pending, func(a, b Promote) int { return int(int64(a.Term - b.Term)) })
	return false, nil
}

// holds tells whether the row (term, owner, lsn) is held and not excluded.
func (l *Limbo[P]) holds(term uint64, owner uint32, lsn uint64) bool {
	if cur := l.Current(); cur.Term == term {
		return cur.Owner == owner && (owner == 0 || cur.First <= lsn && lsn <= cur.Last)
	}
	for _, p := range l.pending {
		if p.Term == term {
			return p.Owner == owner && p.LSN <= lsn && lsn <= p.Last
		}
	}
	return false
}

// Confirm is the fact that the rows of a term are committed up to an LSN. An
// error: the term is unknown, or its chain leads not to the term in effect, or
// what is in effect left out what this says is committed.
func (l *Limbo[P]) Confirm(term, lsn uint64) error {
	cur := l.Current()
	if term < cur.Term {
		return l.checkSettled(term, lsn)
	}
	if term > cur.Term {
		if err := l.effect(term); err != nil {
			return err
		}
	}
	l.confirmTo(min(lsn, l.Current().Last))
	l.drain(l.Current().Tarantool)
	return nil
}

// CheckConfirm is the error that Confirm would give.
func (l *Limbo[P]) CheckConfirm(term, lsn uint64) error {
	switch cur := l.Current(); {
	case term < cur.Term:
		return l.checkSettled(term, lsn)
	case term > cur.Term:
		_, err := l.chain(term)
		return err
	}
	return nil
}

// checkSettled judges a CONFIRM of a term that a newer one has followed. A quorum
// had what it names, so whoever won later held it and named it: beyond the span
// of its term, or of a term that is void, it shows that a disk lied.
//
// Not known is what Tarantool's rules settled, which leave committed rows
// out when elections race, and what a Tarantool's state does not tell.
func (l *Limbo[P]) checkSettled(term, lsn uint64) error {
	i := slices.IndexFunc(l.spans, func(s Span) bool { return s.Term >= term })
	s := l.spans[i]
	switch {
	case s.Tarantool || s.Term == term && l.spans[i+1].Tarantool:
		return nil
	case s.Term > term:
		return fmt.Errorf("limbo: LSN %d in term %d is committed, but term %d is in effect without that term", lsn, term, s.Term)
	case lsn > s.Last:
		return fmt.Errorf("limbo: LSN %d of %d in term %d is committed, but term %d left out what is behind LSN %d",
			lsn, s.Owner, term, l.spans[i+1].Term, s.Last)
	}
	return nil
}

// effect settles the queue by the chain of the PROMOTE of a term.
func (l *Limbo[P]) effect(term uint64) error {
	chain, err := l.chain(term)
	if err != nil {
		return err
	}
	l.dropPending(func(q Promote) bool {
		return q.Term < term && !slices.ContainsFunc(chain, func(p Promote) bool { return p.Term == q.Term })
	})
	for k := len(chain) - 1; k >= 0; k-- {
		l.begin(chain[k])
	}
	l.pending = slices.DeleteFunc(l.pending, func(q Promote) bool { return q.Term <= term })
	return nil
}

// chain are the pending PROMOTEs from that of a term, which takes effect, back to
// the term that is in effect, newest first. It leaves out nothing that is known to
// be committed.
func (l *Limbo[P]) chain(term uint64) (chain []Promote, err error) {
	i := l.find(term)
	if i < 0 {
		return nil, fmt.Errorf("limbo: term %d takes effect, but its PROMOTE is not here", term)
	}
	cur, p := l.Current(), l.pending[i]
	for {
		chain = append(chain, p)
		if p.PrevTerm == cur.Term {
			break
		}
		j := l.find(p.PrevTerm)
		if j < 0 || p.PrevTerm < cur.Term || p.PrevTerm >= p.Term {
			return nil, fmt.Errorf("limbo: the chain of term %d leads not to term %d, which is in effect", term, cur.Term)
		}
		p = l.pending[j]
	}
	if cur.Term != 0 && p.PrevLSN < l.confirmed && !p.Tarantool {
		return nil, fmt.Errorf("limbo: term %d takes effect and leaves out LSN %d of %d in term %d; LSN %d is committed",
			term, p.PrevLSN+1, cur.Owner, cur.Term, l.confirmed)
	}
	return chain, nil
}

// begin settles the queue by a PROMOTE and makes its term the current one.
func (l *Limbo[P]) begin(p Promote) {
	l.confirmed = max(l.confirmed, p.PrevLSN)
	l.drain(p.Tarantool)
	l.NoteConfirmed(l.Current().Owner, p.named())
	if p.Tarantool {
		l.voidFrom(l.firstSync(l.confirmed + 1))
	} else {
		l.voidFrom(l.settled)
		if n := len(l.spans); n > 0 && p.PrevOwner != 0 {
			l.spans[n-1].Last = p.PrevLSN
		}
	}
	l.lastSync = 0
	l.spans = append(l.spans, Span{Term: p.Term, Owner: p.Owner, First: p.LSN, Last: p.Last, Writer: p.Owner, Tarantool: p.Tarantool})
	if p.Tarantool {
		l.own()
		return
	}
	l.confirmed, l.claimed = p.LSN, 0
}

// Voided counts the pending PROMOTEs that the effect of a term would void.
func (l *Limbo[P]) Voided(term uint64) (n int) {
	on := term
	for i := len(l.pending) - 1; i >= 0; i-- {
		p := l.pending[i]
		if p.Term > term {
			continue
		}
		if p.Term == on {
			on = p.PrevTerm
		} else {
			n++
		}
	}
	return n
}

func (l *Limbo[P]) find(term uint64) int {
	return slices.IndexFunc(l.pending, func(p Promote) bool { return p.Term == term })
}

// drain decides what can be decided at the head of the queue, and commits what
// of it our disk has. Under Tarantool's rules an asynchronous transaction
// is committed once nothing synchronous before it is open.
func (l *Limbo[P]) drain(tarantool bool) {
	l.decide(tarantool)
	for l.settled > 0 {
		if e := l.queue.at(0); e.Term == 0 && e.Group > l.written {
			return
		}
		l.committed = append(l.committed, l.queue.popFront())
		l.settled--
		l.shown = max(l.shown-1, 0)
	}
}

func (l *Limbo[P]) decide(tarantool bool) {
	for ; l.settled < l.queue.len(); l.settled++ {
		e := l.queue.at(l.settled)
		if e.Behind != 0 || e.Term != 0 && e.LSN > l.confirmed && (e.Sync || !tarantool) {
			return
		}
		if e.Sync && e.Term != 0 {
			l.NoteConfirmed(e.Origin, e.LSN)
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
	l.drain(l.Current().Tarantool)
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

// HasSync tells whether an undecided synchronous transaction is queued: an
// asynchronous one behind it waits for it.
func (l *Limbo[P]) HasSync() bool { return l.queue.syncs > 0 }

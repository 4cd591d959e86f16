package limbo

import "slices"

// Kind is the type of a row that acts on the queue.
type Kind uint8

// Kinds.
const (
	Confirmation Kind = iota // CONFIRM
	Rollback                 // ROLLBACK
	Promotion                // PROMOTE without the strong rules
	Demotion                 // DEMOTE
)

// Request is a row that acts on the queue by Tarantool's rules.
type Request struct {
	Kind     Kind
	Origin   uint32 // who wrote it
	Row      uint64 // its own LSN
	Owner    uint32 // whose transactions are meant
	LSN      uint64 // of them; see the kinds
	Term     uint64 // of a promotion or demotion
	PrevTerm uint64 // ours: term of the PROMOTE that a promotion follows; 0: not told
	Known    uint64 // greatest LSN of Owner that is held
}

// Refusal is why a request cannot be taken: a split brain, or nonsense.
type Refusal struct {
	SplitBrain bool
	Text       string
}

func (r *Refusal) Error() string { return r.Text }

func nonsense(text string) error { return &Refusal{Text: text} }

func split(text string) error { return &Refusal{SplitBrain: true, Text: text} }

// Check is Tarantool's filter (limbo.md section 9): it tells whether a
// request may be taken.
func (l *Limbo[P]) Check(r Request) error {
	if r.Owner == 0 && r.Kind != Promotion {
		return nonsense("synchronous requests with zero replica_id")
	}
	switch r.Kind {
	case Confirmation:
		return l.checkConfirm(r)
	case Rollback:
		return l.checkRollback(r)
	}
	return l.checkPromote(r)
}

var (
	errZeroLSN = nonsense("zero LSN for CONFIRM/ROLLBACK")
	errForeign = split("got a request from a foreign synchro queue owner")
)

// Tarantool: txn_limbo_filter_confirm.
func (l *Limbo[P]) checkConfirm(r Request) error {
	switch {
	case r.LSN == 0:
		return errZeroLSN
	case r.LSN > l.confirmedOf[r.Owner] && r.Owner != l.Current().Owner:
		return errForeign
	}
	return nil // nothing new, whoever says it, or something of the present owner's
}

// Tarantool: txn_limbo_filter_rollback.
func (l *Limbo[P]) checkRollback(r Request) error {
	cur := l.Current()
	switch {
	case r.LSN == 0:
		return errZeroLSN
	case r.Owner == cur.Owner:
		return nil
	case r.LSN <= l.confirmedOf[r.Owner] || r.Origin == cur.Writer:
		return errForeign
	}
	return nil // an older term's: what it means is void already
}

// Tarantool: txn_limbo_filter_promote_demote.
func (l *Limbo[P]) checkPromote(r Request) error {
	newest, _, _ := l.Newest() // our own pending one has taken effect in Tarantool's eyes
	switch {
	case r.Term == 0:
		return nonsense("PROMOTE/DEMOTE with a zero term")
	case r.Term <= newest:
		return split("got a PROMOTE/DEMOTE with an obsolete term")
	}
	if i := l.followed(r); i >= 0 {
		// It follows a PROMOTE that is in effect for its writer only: nothing is
		// queued in that term.
		if p := &l.pending[i]; r.LSN > max(p.Last, l.confirmedOf[p.Owner]) {
			return split("got a request mentioning future lsn")
		}
		return nil
	}
	first, last := l.lsnRange()
	low, told := l.confirmed, l.claimed
	if cur := l.Current(); !cur.Tarantool {
		low, told = l.confirmedOf[cur.Owner], l.confirmed // its writer read a strong term as Tarantools do
	}
	switch {
	case r.LSN < low:
		return split("got a request with lsn from an already processed range")
	case r.LSN == low || r.LSN <= told:
		return nil
	case last == 0:
		return split("got a request mentioning future lsn")
	case r.LSN < first || r.LSN > last:
		return split("got a request lsn out of queue range")
	}
	return nil
}

// lsnRange is that of the queue: of what waits for a decision.
func (l *Limbo[P]) lsnRange() (first, last uint64) {
	if !l.Waits() {
		return 0, 0
	}
	return l.queue.at(l.settled).LSN, l.queue.at(l.queue.len() - 1).LSN
}

// Waits tells whether a transaction waits for a decision. Then an asynchronous
// one waits behind it, under Tarantool's rules.
func (l *Limbo[P]) Waits() bool { return l.queue.len() > l.settled }

// followed is the place of the pending PROMOTE that a promotion says it
// follows; -1: it follows the term in effect. Without a word on the term the
// named owner tells it.
func (l *Limbo[P]) followed(r Request) int {
	for i := len(l.pending) - 1; i >= 0; i-- {
		p := &l.pending[i]
		if p.Term < r.Term && p.Owner == r.Owner && (r.PrevTerm == p.Term || r.PrevTerm == 0 && p.Owner != l.Current().Owner) {
			return i
		}
	}
	return -1
}

// Take applies a request. Where it does not pass Check it does what is left of
// it, as Tarantool does in recovery: nothing if it is out of date.
func (l *Limbo[P]) Take(r Request) error {
	cur := l.Current()
	switch r.Kind {
	case Confirmation:
		if r.Owner == cur.Owner {
			l.claimed = max(l.claimed, r.LSN)
			// Tarantool takes an LSN beyond all that was written, and refuses the
			// next PROMOTE for it.
			l.confirmTo(min(r.LSN, max(r.Known, l.confirmed)))
			l.drain(true)
		}
	case Rollback:
		if r.Owner == cur.Owner {
			l.voidFrom(l.firstSync(r.LSN))
		}
	default:
		if newest, _, _ := l.Newest(); r.Term > newest {
			return l.takePromote(r)
		}
	}
	return nil
}

// confirmTo notes that the owner's rows are committed up to an LSN.
func (l *Limbo[P]) confirmTo(lsn uint64) {
	l.confirmed = max(l.confirmed, lsn)
	if cur := l.Current(); cur.Tarantool {
		l.NoteConfirmed(cur.Owner, l.confirmed)
	}
}

// NoteConfirmed takes down what a row tells Tarantools: an owner's transactions are
// confirmed up to an LSN.
func (l *Limbo[P]) NoteConfirmed(owner uint32, lsn uint64) {
	if owner != 0 {
		l.confirmedOf[owner] = max(l.confirmedOf[owner], lsn)
	}
}

// named is the LSN that a PROMOTE tells Tarantools.
func (p *Promote) named() uint64 {
	if p.Tarantool {
		return p.PrevLSN
	}
	return p.Named
}

// takePromote settles the queue and changes its owner, at once.
func (l *Limbo[P]) takePromote(r Request) error {
	if i := l.followed(r); i >= 0 {
		if err := l.effect(l.pending[i].Term); err != nil {
			return err
		}
	}
	l.dropPending(func(p Promote) bool { return p.Term < r.Term })
	p := Promote{Term: r.Term, Owner: r.Origin, LSN: r.Row, PrevLSN: r.LSN, Last: r.Row, Tarantool: true}
	l.begin(p)
	if r.Kind == Demotion {
		l.spans[len(l.spans)-1].Owner = 0
		l.own()
	}
	return nil
}

// dropPending drops PROMOTEs that a newer term leaves out. What came behind
// them stands behind older ones, if any.
func (l *Limbo[P]) dropPending(void func(Promote) bool) {
	n := len(l.pending)
	l.pending = slices.DeleteFunc(l.pending, func(p Promote) bool {
		if void(p) {
			l.voidPromotes = append(l.voidPromotes, p)
		}
		return void(p)
	})
	if len(l.pending) == n || l.queue.behind == 0 {
		return
	}
	for i := range l.queue.len() { // once for a PROMOTE of ours that is void
		if e := l.queue.at(i); e.Behind != 0 {
			l.queue.setBehind(e, l.pendingUpTo(e.Behind))
		}
	}
}

// pendingUpTo is the newest pending PROMOTE under Tarantool's rules whose
// term is not greater, 0 if there is none.
func (l *Limbo[P]) pendingUpTo(term uint64) uint64 {
	for i := len(l.pending) - 1; i >= 0; i-- {
		if p := &l.pending[i]; p.Tarantool && p.Term <= term {
			return p.Term
		}
	}
	return 0
}

// own begins a term of the present owner under Tarantool's rules: what is
// known to be confirmed of it goes on from where it was.
func (l *Limbo[P]) own() {
	l.confirmed = 0
	if owner := l.Current().Owner; owner != 0 {
		l.confirmed = l.confirmedOf[owner]
	}
	l.claimed, l.told = l.confirmed, l.confirmed
}

// firstSync is the place of the first synchronous transaction from an LSN on
// whose fate is open.
//
// Synchronous ones are all of the queue's owner, so their LSNs ascend: what is
// looked at from the end is what the caller voids.
func (l *Limbo[P]) firstSync(lsn uint64) int {
	first := l.queue.len()
	for i := l.queue.lastSync(); i >= l.settled && l.queue.at(i).LSN >= lsn; i = l.queue.syncUpTo(i - 1) {
		first = i
	}
	if l.queue.behind == 0 {
		return first
	}
	for i := l.settled; i < first; i++ {
		if l.queue.at(i).Behind != 0 {
			return i
		}
	}
	return first
}

// Names is the LSN that a new PROMOTE names to Tarantools as confirmed of the owner
// that it follows: what the filter of each of them accepts that has read this
// log or, of the terms that it is made of, more. A strong term has its last
// synchronous transaction, whatever was told of it: who knows that it is
// confirmed expects just that, for others it is in their queue. With none it is
// what older rows confirmed, as it is in a term that is not in effect: an
// Tarantool has it in effect all the same, and nothing was written in it.
func (l *Limbo[P]) Names() uint64 {
	if n := len(l.pending); n > 0 {
		owner := l.pending[n-1].Owner
		lsn := l.confirmedOf[owner]
		for i := range l.pending {
			if p := &l.pending[i]; p.PrevOwner == owner {
				lsn = max(lsn, p.named())
			}
		}
		return lsn
	}
	switch cur := l.Current(); {
	case cur.Tarantool:
		return l.LastSync()
	case cur.Owner == 0:
		return 0
	default:
		return max(l.confirmedOf[cur.Owner], l.lastSync)
	}
}

// LastSync is the LSN of the last synchronous transaction whose fate is open:
// what a new leader confirms by its PROMOTE once a quorum has it. With none it
// is what is confirmed.
func (l *Limbo[P]) LastSync() uint64 {
	if i := l.queue.lastSync(); i >= l.settled {
		return l.queue.at(i).LSN
	}
	return l.confirmed
}

// Hold notes that a row of an instance is held: the newest term ends with the
// last row of its writer. Terms under the strong rules are told by Note.
func (l *Limbo[P]) Hold(origin uint32, lsn uint64) {
	if n := len(l.spans); n > 0 && l.spans[n-1].Tarantool && l.spans[n-1].Writer == origin {
		l.spans[n-1].Last = max(l.spans[n-1].Last, lsn)
	}
}

// TakeVoidPromotes gives PROMOTEs that a newer term left out since it was asked last.
func (l *Limbo[P]) TakeVoidPromotes() []Promote {
	out := l.voidPromotes
	l.voidPromotes = nil
	return out
}

// TermOf is the term of a row that came without a stamp, by the history of
// PROMOTEs under the strong rules: whatever its owner wrote behind the PROMOTE of
// a term belongs to that term. 0: no such term.
func (l *Limbo[P]) TermOf(origin uint32, lsn uint64) uint64 {
	for i := len(l.pending) - 1; i >= 0; i-- {
		if p := &l.pending[i]; !p.Tarantool && p.Owner == origin && lsn > p.LSN {
			return p.Term
		}
	}
	if cur := l.Current(); !cur.Tarantool && cur.Term != 0 && cur.Owner == origin && lsn > cur.First {
		return cur.Term
	}
	return 0
}

// Mixed tells whether a term under Tarantool's rules ever was in effect.
func (l *Limbo[P]) Mixed() bool {
	return slices.ContainsFunc(l.spans, func(s Span) bool { return s.Tarantool })
}

// OwnPending is the newest PROMOTE of ours under Tarantool's rules that is
// not in effect; false: there is none.
func (l *Limbo[P]) OwnPending() (p Promote, ok bool) {
	if n := len(l.pending); n > 0 && l.pending[n-1].Tarantool {
		return l.pending[n-1], true
	}
	return p, false
}

// Unwritten tells whether something that is decided waits for our disk.
func (l *Limbo[P]) Unwritten() bool { return l.settled > 0 }

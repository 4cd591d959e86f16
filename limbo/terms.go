package limbo

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/terms"
)

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

// Held takes down that a row is held now, of whatever type: the term of its stamp
// ends with it, and the newest one, under Tarantool's rules, if its writer wrote it.
func (l *Limbo[P]) Held(origin uint32, term, lsn uint64) {
	if i := l.find(term); i >= 0 {
		l.pending[i].Last = max(l.pending[i].Last, lsn)
		return
	}
	if n := len(l.spans); n > 0 {
		if cur := &l.spans[n-1]; cur.Term == term || cur.Rules == terms.Tarantool && cur.Writer == origin {
			cur.Last = max(cur.Last, lsn)
		}
	}
}

// AddPromote takes a PROMOTE down. void: it is not worth keeping, a newer term
// is in effect. An error: the row that it follows is not held, which no honest
// disk brings about.
func (l *Limbo[P]) AddPromote(p Promote) (void bool, err error) {
	v, err := l.judgePromote(&p)
	if v == Void || err != nil {
		return v == Void, err
	}
	p.Last = p.LSN
	l.pending = append(l.pending, p)
	slices.SortFunc(l.pending, func(a, b Promote) int { return int(int64(a.Term - b.Term)) })
	return false, nil
}

func (l *Limbo[P]) judgePromote(p *Promote) (Verdict, error) {
	if p.Term <= l.Current().Term {
		return Void, nil
	}
	if i := l.find(p.Term); i >= 0 {
		return Keep, fmt.Errorf("limbo: two PROMOTEs of term %d, by %d and %d", p.Term, l.pending[i].Owner, p.Owner)
	}
	if p.PrevTerm >= p.Term {
		return Keep, fmt.Errorf("limbo: PROMOTE of term %d by %d follows term %d", p.Term, p.Owner, p.PrevTerm)
	}
	if p.PrevTerm != 0 && p.Rules == terms.Strong && !l.holds(p.PrevTerm, p.PrevOwner, p.PrevLSN) {
		return Keep, fmt.Errorf("limbo: PROMOTE of term %d by %d follows LSN %d of %d in term %d, which is not here",
			p.Term, p.Owner, p.PrevLSN, p.PrevOwner, p.PrevTerm)
	}
	return Keep, nil
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
		return strong[P]{l}.checkSettled(term, lsn)
	}
	if term > cur.Term {
		if err := l.effect(term); err != nil {
			return err
		}
	}
	cur = l.Current()
	l.confirmed = max(l.confirmed, min(lsn, cur.Last))
	l.drain(cur.Rules)
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
		l.begin(&chain[k])
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
	if cur.Term != 0 && p.PrevLSN < l.confirmed && p.Rules == terms.Strong {
		return nil, fmt.Errorf("limbo: term %d takes effect and leaves out LSN %d of %d in term %d; LSN %d is committed",
			term, p.PrevLSN+1, cur.Owner, cur.Term, l.confirmed)
	}
	return chain, nil
}

// begin settles the queue by a PROMOTE and makes its term the current one.
func (l *Limbo[P]) begin(p *Promote) {
	l.confirmed = max(l.confirmed, p.PrevLSN)
	l.drain(p.Rules)
	l.noteConfirmed(l.Current().Owner, p.named())
	l.by(p.Rules).settle(p)
}

// open adds the term of a PROMOTE to those in effect.
func (l *Limbo[P]) open(p *Promote) {
	l.lastSync = 0
	l.spans = append(l.spans, terms.Span{Term: p.Term, Owner: p.Owner, First: p.LSN, Last: p.Last, Writer: p.Owner, Rules: p.Rules, Began: p.Began})
}

// Opened takes down when the CONFIRM of the PROMOTE in effect was written, as
// [terms.Micros]: the row of its writer behind it. Rows that are not that change nothing.
func (l *Limbo[P]) Opened(term, lsn, at uint64) {
	n := len(l.spans)
	if n == 0 {
		return
	}
	s := &l.spans[n-1]
	if s.Term != term || s.First+1 != lsn || s.Rules != terms.Strong || s.Began.At == 0 {
		return
	}
	s.Began.Took = 1 // clocks may go back
	if at > s.Began.At {
		s.Began.Took = at - s.Began.At
	}
}

// closed drops what the CONFIRM of the newest term told if that is void: whoever else has
// this history may never have had it.
func (l *Limbo[P]) closed() {
	if s := &l.spans[len(l.spans)-1]; s.Last <= s.First {
		s.Began.Took = 0
	}
}

func (l *Limbo[P]) find(term uint64) int {
	return slices.IndexFunc(l.pending, func(p Promote) bool { return p.Term == term })
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
		if p := &l.pending[i]; p.Rules == terms.Tarantool && p.Term <= term {
			return p.Term
		}
	}
	return 0
}

// Names is the LSN that a new PROMOTE names to Tarantools as confirmed of the owner
// that it follows: what the filter of each of them accepts that has read this
// log or, of the terms that it is made of, more. In a term that is not in effect it
// is what older rows confirmed: a Tarantool has it in effect all the same, and
// nothing was written in it.
func (l *Limbo[P]) Names() uint64 {
	n := len(l.pending)
	if n == 0 {
		return l.by(l.Current().Rules).names()
	}
	owner := l.pending[n-1].Owner
	lsn := l.confirmedOf[owner]
	for i := range l.pending {
		if p := &l.pending[i]; p.PrevOwner == owner {
			lsn = max(lsn, p.named())
		}
	}
	return lsn
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
		if p := &l.pending[i]; p.Rules == terms.Strong && p.Owner == origin && lsn > p.LSN {
			return p.Term
		}
	}
	if cur := l.Current(); cur.Rules == terms.Strong && cur.Owner == origin && lsn > cur.First {
		return cur.Term
	}
	return 0
}

// Mixed tells whether a term under Tarantool's rules ever was in effect.
func (l *Limbo[P]) Mixed() bool {
	return slices.ContainsFunc(l.spans, func(s terms.Span) bool { return s.Rules == terms.Tarantool })
}

// OwnPending is the newest PROMOTE of ours under Tarantool's rules that is
// not in effect; false: there is none.
func (l *Limbo[P]) OwnPending() (p Promote, ok bool) {
	if n := len(l.pending); n > 0 && l.pending[n-1].Rules == terms.Tarantool {
		return l.pending[n-1], true
	}
	return p, false
}

// named is the LSN that a PROMOTE tells Tarantools.
func (p *Promote) named() uint64 {
	if p.Rules == terms.Tarantool {
		return p.PrevLSN
	}
	return p.Named
}

// noteConfirmed takes down what a row tells Tarantools: an owner's transactions are
// confirmed up to an LSN.
func (l *Limbo[P]) noteConfirmed(owner uint32, lsn uint64) {
	if owner != 0 {
		l.confirmedOf[owner] = max(l.confirmedOf[owner], lsn)
	}
}

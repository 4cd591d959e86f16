package limbo

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/terms"
)

// strong is the limbo by the strong rules, where a PROMOTE takes effect when a
// quorum has it, and rows are of the term that they are stamped with.
type strong[P any] struct{ *Limbo[P] }

func (s strong[P]) judge(r Row) (Verdict, error) {
	if r.Kind == Promotion {
		if r.Begins == 0 || r.Begins != r.Term {
			return Keep, misorder("PROMOTE with a wrong term")
		}
		p := r.promote(terms.Strong)
		return s.judgePromote(&p)
	}
	cur := s.Current()
	next, promoted := s.next(r.Term, r.Origin)
	switch {
	case r.Term < cur.Term && r.Kind == Confirmation:
		return Keep, s.checkConfirm(r.Term, r.UpTo)
	case r.Term == 0:
		return Keep, nil
	case r.Term < cur.Term:
		// The term in effect names rows that were held when its PROMOTE was
		// taken. One that comes only now is not among them.
		return Void, nil
	case !promoted && r.Kind == Confirmation:
		return Keep, fmt.Errorf("CONFIRM of term %d by instance %d without its PROMOTE", r.Term, r.Origin)
	case !promoted && r.Empty: // it stands for rows of a term that was void before we saw its PROMOTE
		return Idle, nil
	case !promoted:
		return Keep, fmt.Errorf("row %d of instance %d in term %d without the PROMOTE of that term", r.LSN, r.Origin, r.Term)
	case r.Kind == Confirmation:
		if err := s.checkConfirm(r.Term, r.UpTo); err != nil {
			return Keep, err // before the log has it
		}
	}
	switch {
	case r.LSN != next && !r.Partial:
		// Within a term LSNs have no gaps, so that a node holds a prefix of each.
		return Keep, misorder(fmt.Sprintf("LSN %d of instance %d in term %d, expected %d", r.LSN, r.Origin, r.Term, next))
	case r.Term > cur.Term && r.Kind == Transaction:
		// A leader takes writes only behind the CONFIRM of its PROMOTE.
		return Keep, misorder(fmt.Sprintf("LSN %d of instance %d in term %d before the CONFIRM of its PROMOTE", r.LSN, r.Origin, r.Term))
	}
	return Keep, nil
}

// next is the LSN that the next row of a term must have: what is held of a term is
// always a prefix of it. false: no PROMOTE of it by that instance is held, or it is
// out of date.
func (s strong[P]) next(term uint64, by uint32) (lsn uint64, ok bool) {
	if cur := s.Current(); cur.Term == term {
		return cur.Last + 1, cur.Owner == by
	}
	if i := s.find(term); i >= 0 {
		return s.pending[i].Last + 1, s.pending[i].Owner == by
	}
	return 0, false
}

// place: all transactions of a term wait for its CONFIRM.
func (s strong[P]) place(e Entry[P]) Entry[P] { return e }

func (s strong[P]) take(r Row) error {
	if r.Kind == Promotion {
		_, err := s.AddPromote(r.promote(terms.Strong))
		return err
	}
	if r.Term >= s.Current().Term {
		s.noteConfirmed(r.Owner, r.Named)
	}
	err := s.Confirm(r.Term, r.UpTo)
	if r.LSN == s.Current().First+1 {
		s.Opened(r.Term, r.LSN, r.At)
	}
	return err
}

// promote is the PROMOTE of a promotion.
func (r *Row) promote(rules terms.Rules) Promote {
	p := Promote{Term: r.Begins, Owner: r.Origin, LSN: r.LSN, PrevTerm: r.PrevTerm, PrevOwner: r.Owner, PrevLSN: r.UpTo, Named: r.Named, Rules: rules}
	if r.Began != nil {
		p.Began = *r.Began
	}
	return p
}

// checkConfirm is the error that Confirm would give.
func (s strong[P]) checkConfirm(term, lsn uint64) error {
	switch cur := s.Current(); {
	case term < cur.Term:
		return s.checkSettled(term, lsn)
	case term > cur.Term:
		_, err := s.chain(term)
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
func (s strong[P]) checkSettled(term, lsn uint64) error {
	i := slices.IndexFunc(s.spans, func(s terms.Span) bool { return s.Term >= term })
	switch span := s.spans[i]; {
	case span.Rules == terms.Tarantool || span.Term == term && s.spans[i+1].Rules == terms.Tarantool:
		return nil
	case span.Term > term:
		return fmt.Errorf("limbo: LSN %d in term %d is committed, but term %d is in effect without that term", lsn, term, span.Term)
	case lsn > span.Last:
		return fmt.Errorf("limbo: LSN %d of %d in term %d is committed, but term %d left out what is behind LSN %d",
			lsn, span.Owner, term, s.spans[i+1].Term, span.Last)
	}
	return nil
}

func (s strong[P]) lead(lsn uint64) uint64 {
	if lsn <= s.confirmed {
		return 0
	}
	_ = s.Confirm(s.Current().Term, lsn) // in the term in effect nothing contradicts it
	return lsn
}

func (s strong[P]) settle(p *Promote) {
	s.voidFrom(s.settled)
	if n := len(s.spans); n > 0 && p.PrevOwner != 0 {
		s.spans[n-1].Last = p.PrevLSN
		s.closed()
	}
	s.open(p)
	s.confirmed, s.claimed = p.LSN, 0
}

// names: a strong term has its last synchronous transaction, whatever was told of
// it: who knows that it is confirmed expects just that, for others it is in their
// queue. With none it is what older rows confirmed.
// tells names the last synchronous transaction that is decided, be it of an earlier
// owner: what Tarantools know already they accept from anybody. Only in a set that
// never had a synchronous transaction there is none; LSN 0 is not accepted.
func (s strong[P]) tells(lsn uint64) (owner uint32, named uint64) {
	owner = s.Current().Owner
	for id := uint32(0); id < uint32(len(s.confirmedOf)) && s.confirmedOf[owner] == 0; id++ {
		if s.confirmedOf[id] != 0 {
			owner = id
		}
	}
	if s.confirmedOf[owner] == 0 {
		s.noteConfirmed(owner, lsn)
	}
	return owner, s.confirmedOf[owner]
}

func (s strong[P]) names() uint64 {
	owner := s.Current().Owner
	if owner == 0 {
		return 0
	}
	return max(s.confirmedOf[owner], s.lastSync)
}

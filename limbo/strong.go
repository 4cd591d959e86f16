package limbo

import (
	"fmt"
	"slices"
)

// strong is the limbo by the strong rules, where a PROMOTE takes effect when a
// quorum has it, and rows are of the term that they are stamped with.
type strong[P any] struct{ *Limbo[P] }

func (s strong[P]) judge(t Txn) (Verdict, error) {
	cur := s.Current()
	switch {
	case t.Term == 0:
		return Keep, nil
	case t.Term < cur.Term:
		// The term in effect names rows that were held when its PROMOTE was
		// taken. One that comes only now is not among them.
		return Void, nil
	case s.promoted(t.Term, t.Origin):
	case t.Empty: // it stands for rows of a term that was void before we saw its PROMOTE
		return Idle, nil
	default:
		return Keep, fmt.Errorf("row %d of instance %d in term %d without the PROMOTE of that term", t.LSN, t.Origin, t.Term)
	}
	if err := s.checkGap(t.Origin, t.Term, t.LSN, t.Partial); err != nil {
		return Keep, err
	}
	if t.Term > cur.Term {
		// A leader takes writes only behind the CONFIRM of its PROMOTE.
		return Keep, misorder(fmt.Sprintf("LSN %d of instance %d in term %d before the CONFIRM of its PROMOTE", t.LSN, t.Origin, t.Term))
	}
	return Keep, nil
}

// promoted tells whether a PROMOTE of a term by an instance is held, and not
// out of date.
func (s strong[P]) promoted(term uint64, by uint32) bool {
	if cur := s.Current(); cur.Term == term {
		return cur.Owner == by
	}
	i := s.find(term)
	return i >= 0 && s.pending[i].Owner == by
}

// checkGap: within a term LSNs have no gaps, so that a node holds a prefix of
// each term.
func (s strong[P]) checkGap(origin uint32, term, lsn uint64, partial bool) error {
	if next := s.Next(term); lsn != next && !partial {
		return misorder(fmt.Sprintf("LSN %d of instance %d in term %d, expected %d", lsn, origin, term, next))
	}
	return nil
}

// judgeRequest judges CONFIRM and PROMOTE; there is no other such row.
func (s strong[P]) judgeRequest(r Request) (Verdict, error) {
	if r.Kind == Promotion {
		if r.Term == 0 || r.Term != r.Stamp {
			return Keep, misorder("PROMOTE with a wrong term")
		}
		p := r.promote(Strong)
		return s.judgePromote(&p)
	}
	old := r.Stamp < s.Current().Term
	if !old && !s.promoted(r.Stamp, r.Origin) {
		return Keep, fmt.Errorf("CONFIRM of term %d by instance %d without its PROMOTE", r.Stamp, r.Origin)
	}
	if err := s.checkConfirm(r.Stamp, r.LSN); err != nil {
		return Keep, err // before the log has it
	}
	if old {
		return Keep, nil
	}
	return Keep, s.checkGap(r.Origin, r.Stamp, r.Row, r.Partial)
}

// place: all transactions of a term wait for its CONFIRM.
func (s strong[P]) place(e Entry[P]) Entry[P] { return e }

func (s strong[P]) take(r Request) error {
	if r.Kind == Promotion {
		_, err := s.AddPromote(r.promote(Strong))
		return err
	}
	if r.Stamp >= s.Current().Term {
		s.NoteConfirmed(r.Owner, r.Named)
	}
	return s.Confirm(r.Stamp, r.LSN)
}

// promote is the PROMOTE of a promotion.
func (r Request) promote(rules Rules) Promote {
	return Promote{Term: r.Term, Owner: r.Origin, LSN: r.Row, PrevTerm: r.PrevTerm, PrevOwner: r.Owner, PrevLSN: r.LSN, Named: r.Named, Rules: rules}
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
	i := slices.IndexFunc(s.spans, func(s Span) bool { return s.Term >= term })
	switch span := s.spans[i]; {
	case span.Rules == Tarantool || span.Term == term && s.spans[i+1].Rules == Tarantool:
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
	s.confirmHeld(lsn)
	return lsn
}

func (s strong[P]) settle(p *Promote) {
	s.voidFrom(s.settled)
	if n := len(s.spans); n > 0 && p.PrevOwner != 0 {
		s.spans[n-1].Last = p.PrevLSN
	}
	s.open(p)
	s.confirmed, s.claimed = p.LSN, 0
}

// names: a strong term has its last synchronous transaction, whatever was told of
// it: who knows that it is confirmed expects just that, for others it is in their
// queue. With none it is what older rows confirmed.
func (s strong[P]) names() uint64 {
	owner := s.Current().Owner
	if owner == 0 {
		return 0
	}
	return max(s.confirmedOf[owner], s.lastSync)
}

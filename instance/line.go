package instance

import (
	"fmt"
	"slices"
	"sort"

	"tarragon.dev/tarragon/terms"
)

// Line is what an instance holds of its replica set, as far as it tells where it stands: the
// terms in effect, what is committed of the newest one, and the end of its log.
type Line struct {
	History   []terms.Span // oldest first
	Confirmed uint64       // LSN of the newest one's owner
	// Term, Owner and Last are the newest PROMOTE of the log, in effect or not, and
	// the greatest LSN held of its term.
	Term  uint64
	Owner uint32
	Last  uint64
}

// Line is that of this instance. Readers hold the shared side of the Loop's latch.
func (c *Core) Line() Line {
	l := Line{History: slices.Clone(c.limbo.History()), Confirmed: c.limbo.Confirmed()}
	l.Term, l.Owner, l.Last = c.limbo.Newest()
	return l
}

// Standing is where a line stands beside the history of a peer.
type Standing uint8

// Standings.
const (
	Unjudged Standing = iota // the peer knows no more, or it cannot be compared
	Equal                    // nothing is missing on either side
	Behind                   // rows are to come
	Ahead                    // rows of ours are void, or their fate is open
	Parted                   // of what both know to be committed they hold different rows
)

func (s Standing) String() string {
	return [...]string{"not compared", "equal", "behind", "ahead", "parted"}[s]
}

// Comparison is a Standing with what it rests on.
type Comparison struct {
	Standing
	Void uint64 // Ahead: rows of ours that the newer term leaves out; 0: their fate is open
	Text string // where both stand; of lines that part where they do
}

// Compare holds this line against the history of a peer, which was asked for later. Only one whose
// newest term in effect is not below ours judges, and only by rows that we hold as
// confirmed: terms in effect are facts, whoever leads. Of terms under Tarantool's rules
// nothing follows, for elections may race there.
func (l *Line) Compare(theirs []terms.Span, confirmed uint64) Comparison {
	n, m := len(l.History), len(theirs)
	if n == 0 || m == 0 || mixedSpans(l.History) || mixedSpans(theirs) {
		return Comparison{}
	}
	ours, newest := &l.History[n-1], &theirs[m-1]
	if newest.Term < ours.Term {
		return Comparison{}
	}
	if text := l.parts(theirs); text != "" {
		return Comparison{Standing: Parted, Text: text}
	}
	c := Comparison{Text: fmt.Sprintf("here the log ends with LSN %d of instance %d in term %d; there term %d of instance %d is in effect, up to LSN %d",
		l.Last, l.Owner, l.Term, newest.Term, newest.Owner, newest.Last)}
	at := findTerm(theirs, l.Term)
	switch {
	case l.Term > newest.Term: // a PROMOTE of which the peer does not know that it is in effect
		c.Standing = Ahead
	case at < 0: // ours is void, and so is what came behind it
		c.Standing, c.Void = Ahead, l.Last-l.voidFrom()+1
	case at < m-1 && l.Last > theirs[at].Last:
		c.Standing, c.Void = Ahead, l.Last-theirs[at].Last
	case at == m-1 && l.Last > newest.Last:
		c.Standing = Ahead
	case at == m-1 && l.Last == newest.Last && l.Confirmed == confirmed:
		c.Standing = Equal
	default:
		c.Standing = Behind
	}
	return c
}

// findTerm is the place of a term; -1: there is none.
func findTerm(spans []terms.Span, term uint64) int {
	at := sort.Search(len(spans), func(i int) bool { return spans[i].Term >= term })
	if at == len(spans) || spans[at].Term != term {
		return -1
	}
	return at
}

// voidFrom is the LSN of the newest PROMOTE, as far as the history tells: what is void
// begins there at the latest.
func (l *Line) voidFrom() uint64 {
	first := uint64(1)
	for i := range l.History {
		if s := &l.History[i]; s.Owner == l.Owner {
			first = max(first, s.Last+1)
		}
	}
	return min(first, l.Last)
}

// parts tells where two lines part, of which the peer's goes on at least as far; empty: nowhere.
func (l *Line) parts(theirs []terms.Span) string {
	was, next := "at the beginning", 0
	for i := range l.History {
		s := &l.History[i]
		at := findTerm(theirs, s.Term)
		switch {
		case at < 0 && s.Term < theirs[0].Term:
			continue // it does not tell as far back
		case at < 0:
			return fmt.Sprintf("%s: here term %d of instance %d followed, there it was never in effect", was, s.Term, s.Owner)
		}
		if next > 0 && at != next {
			return fmt.Sprintf("%s: here term %d of instance %d followed, there term %d of instance %d", was, s.Term, s.Owner, theirs[next].Term, theirs[next].Owner)
		}
		next = at + 1
		t := &theirs[at]
		last := s.Last // final, but of our newest term
		if i == len(l.History)-1 {
			last = l.Confirmed
		}
		switch {
		case t.Owner != s.Owner || t.First != s.First:
			return fmt.Sprintf("%s: here term %d is that of instance %d from its LSN %d on, there that of instance %d from its LSN %d on",
				was, s.Term, s.Owner, s.First, t.Owner, t.First)
		case at < len(theirs)-1 && t.Last < last || i < len(l.History)-1 && t.Last != last:
			return fmt.Sprintf("behind LSN %d of instance %d in term %d: here LSN %d is committed, there the term ends with LSN %d",
				min(t.Last, last), s.Owner, s.Term, last, t.Last)
		}
		was = fmt.Sprintf("behind LSN %d of instance %d in term %d", min(t.Last, s.Last), s.Owner, s.Term)
	}
	return ""
}

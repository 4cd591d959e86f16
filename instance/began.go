package instance

import (
	"slices"
	"sort"
	"time"

	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/terms"
)

// Each PROMOTE says how the write role came to move, and for how long nobody had led by its
// writer's own clock; the CONFIRM behind it is when writes were taken again. Both are rows
// of one writer, so that no clock is compared with another one, and all who hold them tell
// the same history.

// beganBy is how a term begins by its PROMOTE, written at a moment; m nil: it does not say.
func beganBy(m *terms.Move, at uint64) terms.Began {
	if m == nil {
		return terms.Began{At: at}
	}
	return terms.Began{Kind: m.Kind, By: m.By, Reason: m.Reason, At: at, Gap: m.Gap, Loose: m.Loose, Token: m.Token}
}

// moveOf is the inverse of beganBy.
func moveOf(p *limbo.Promote) *terms.Move {
	b := &p.Began
	if p.Rules != terms.Strong || b.Kind == terms.Unknown {
		return nil
	}
	return &terms.Move{Kind: b.Kind, To: p.Owner, By: b.By, Reason: b.Reason, Gap: b.Gap, Loose: b.Loose, Token: b.Token}
}

// calm is since when nobody leads in effect, as far as this instance knows.
//
// Invariant: since is 0 while somebody does, and before this process saw a leader.
type calm struct {
	leader uint32        // in effect, when we looked last; 0: none
	since  time.Duration // when it gave its last word
	row    float64       // wall time of the newest row that came, by its author's clock
}

// gap is for how long nobody led, at least a microsecond; 0: not known. Who was started
// since knows no more than when the newest row was written: so long at most.
func (s *calm) gap(now Now) (gap uint64, loose bool) {
	switch {
	case s.since != 0:
		return micros(now.Mono - s.since), false
	case s.row != 0 && now.Wall > s.row:
		return terms.Micros(now.Wall - s.row), true
	}
	return 0, false
}

// noteCalm looks at who leads in effect.
func (c *Core) noteCalm() {
	s, cur, now := &c.lead.calm, c.limbo.Current(), c.now.Mono
	leader := c.raft.Leader()
	if c.lead.handed || !c.raft.SeesLeader() || cur.Term != c.raft.Term() || cur.Owner != leader {
		if s.leader != 0 && leader == s.leader { // silent, or gone
			s.since = now - c.raft.LeaderIdle(now)
		} else if s.leader != 0 {
			s.since = now
		}
		s.leader = 0
		return
	}
	s.leader, s.since = leader, 0
}

// micros is a length in microseconds, at least one.
func micros(d time.Duration) uint64 { return uint64(max(d.Microseconds(), 1)) }

// infoTerms is how many terms Info has: it is made at each change of status.
const infoTerms = 100

func (c *Core) newestTerms() []terms.Span {
	all := c.limbo.History()
	return slices.Clone(all[max(len(all)-infoTerms, 0):])
}

// HistoryPage are the terms in effect behind a term, oldest first, as many as limit at
// most. more: there are newer ones. Readers hold the shared side of the Loop's latch.
func (c *Core) HistoryPage(after uint64, limit int) (page []terms.Span, more bool) {
	all := c.limbo.History()
	from := sort.Search(len(all), func(i int) bool { return all[i].Term > after })
	to := min(from+limit, len(all))
	return slices.Clone(all[from:to]), to < len(all)
}

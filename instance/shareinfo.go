package instance

import (
	"time"

	"tarragon.dev/tarragon/box"
)

// Undecided is how many transactions are undecided. Safe under the shared side of the Loop's
// latch.
func (c *Core) Undecided() int { return c.limbo.Len() }

// ShareInfo is how a filtered replica stands, for people.
type ShareInfo struct {
	Filter  string // empty: it has no filter
	Version uint64
	Gone    bool         // there is no such filter any more: what it gave is kept
	Absent  []string     // names of spaces that are not here, by their IDs
	Copied  []CopiedInfo // spaces whose tuples are on their way
	Copy    *CopyInfo    // how these come; nil: nothing is lacking

	Indexes   []box.IndexLeftOut // that are not here, or not complete
	Sequences []string           // whose next is refused
}

// CopiedInfo is a space whose tuples are on their way.
type CopiedInfo struct {
	Space   string
	Percent int // about
	Rows    int // of the whole copy, so far
}

// CopyStage is how far a base copy is.
type CopyStage string

// Stages of a base copy, in their order.
const (
	CopyPauses CopyStage = "waits"    // for the next try
	CopyAsks   CopyStage = "asks"     // nobody has opened a view yet
	CopyBehind CopyStage = "behind"   // what the view stands on is not decided here yet
	CopyComes  CopyStage = "comes"    // tuples come
	CopyOpens  CopyStage = "complete" // all of them are here: the spaces open with the next decision
)

// CopyInfo is how the base copy of all that is lacking stands.
type CopyInfo struct {
	Stage   CopyStage
	Source  CopySource // zero: nobody has answered
	Percent int
	Rows    int
	Total   int           // about
	Rate    int           // rows a second since the first of them could come
	For     time.Duration // since it was ordered
	Failed  int           // tries in a row that came to nothing
	Why     string        // the newest failure; empty: nothing failed
	Next    time.Duration // until the next try
}

func (c *Core) shareInfo(now time.Duration) (i ShareInfo) {
	s := &c.share
	if i.Filter = s.filter; s.filter == "" || s.now == nil {
		return i
	}
	i.Version, i.Gone = s.now.Version, s.gone
	i.Indexes = c.box.IndexesLeftOut()
	if len(s.indexes.refused) > 0 {
		for _, seq := range c.box.Sequences() {
			if c.SequenceLeftOut(&seq) != nil {
				i.Sequences = append(i.Sequences, seq.Name)
			}
		}
	}
	for _, sp := range c.box.Spaces() {
		switch {
		case !c.box.Shareable(sp.ID):
		case s.isLacking(sp.ID):
			copied := CopiedInfo{Space: sp.Name, Percent: s.percent(sp.ID)}
			if s.copy != nil {
				copied.Rows = s.copy.tuples
			}
			i.Copied = append(i.Copied, copied)
		case !s.now.Has(sp.ID):
			i.Absent = append(i.Absent, sp.Name)
		}
	}
	if len(i.Copied) > 0 {
		i.Copy = s.copyInfo(now)
	}
	return i
}

func (s *sharing) copyInfo(now time.Duration) *CopyInfo {
	p := s.copy
	i := &CopyInfo{Stage: CopyPauses, Failed: s.trouble.fails, Why: s.trouble.why}
	if p == nil {
		i.Next = max(s.next-now, 0)
		return i
	}
	i.Source, i.Rows, i.Total, i.For = p.source, p.tuples, p.total, max(now-p.since, 0)
	i.Percent = s.percent(p.Spaces[0])
	switch {
	case !p.viewed:
		i.Stage = CopyAsks
	case !p.ready:
		i.Stage = CopyBehind
	case p.whole:
		i.Stage = CopyOpens
	default:
		i.Stage = CopyComes
	}
	if took := now - p.first; p.ready && took > 0 {
		i.Rate = int(float64(p.tuples) / took.Seconds())
	}
	return i
}

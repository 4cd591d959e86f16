package instance

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
}

// CopiedInfo is a space whose tuples are on their way.
type CopiedInfo struct {
	Space   string
	Percent int // about
	Rows    int // of the whole copy, so far
}

func (c *Core) shareInfo() (i ShareInfo) {
	s := &c.share
	if i.Filter = s.filter; s.filter == "" || s.now == nil {
		return i
	}
	i.Version, i.Gone = s.now.Version, s.gone
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
	return i
}

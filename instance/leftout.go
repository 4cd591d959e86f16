package instance

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// A filtered replica has no trees of the indexes that its confirmed filter leaves out. That
// is the instance's own affair: no row, no share and no checkpoint tells of it, and each
// recovery begins with what the filter says in the state that it loads.

// leftOut is how the indexes of a filtered replica follow its filter.
type leftOut struct {
	version uint64        // of the filter whose lists these are, and that of the box
	refused []uint32      // sequences, ascending
	changed bool          // the filter, or a definition, since the box was looked at
	at      time.Duration // when the next slice of those that are formed is due
}

// LoadDone ends the load of a state: indexes that the filter of a replica leaves out are
// not built. An empty filter leaves out none.
func LoadDone(b *box.Box, filter string) error {
	if filter != "" {
		if f := readFilter(b.Own(&box.OwnFilter, filter)); f != nil {
			b.LeaveOut(f.Indexes)
		}
	}
	return b.LoadDone()
}

// noteLeftOut is noteFilter for indexes. f is nil where the filter is no more: what it left out
// stays so.
func (s *sharing) noteLeftOut(b *box.Box, f *Filter) {
	s.indexes.changed = true
	if f != nil && f.Version != s.indexes.version {
		s.indexes.version, s.indexes.refused = f.Version, f.Sequences
		b.LeaveOut(f.Indexes)
	}
}

// SequenceLeftOut is the answer to a client that asks for the next value of a sequence that the
// filter leaves out; nil: it does not. Safe under the shared side of the Loop's latch.
func (c *Core) SequenceLeftOut(seq *box.Named) error {
	if _, found := slices.BinarySearch(c.share.indexes.refused, seq.ID); !found {
		return nil
	}
	return xrow.Errorf(xrow.ErrSequenceNotReplicated, seq.Name, c.cfg.Name, c.share.filter)
}

// misaligned tells whether the box has to be given other indexes. An undecided change of
// the schema may be void, so nothing is settled before it is decided.
func (c *Core) misaligned() bool {
	s := &c.share.indexes
	if s.changed && !c.box.Misaligned() && !c.definesUndecided() {
		s.changed = false
	}
	return s.changed
}

// alignIndexes gives the box the indexes that it is to have, where nothing is undecided.
func (c *Core) alignIndexes() {
	if s := &c.share.indexes; s.changed {
		s.changed = false
		if c.box.Misaligned() {
			c.seq++
			c.box.AlignIndexes(c.seq)
			c.eff.Status = true
		}
	}
}

// formIndexes goes on with those that are not left out any more.
func (c *Core) formIndexes() {
	s := &c.share.indexes
	if c.now.Mono < s.at || !c.box.Forms() {
		return
	}
	more, err := c.box.Form(c.cfg.BuildRows)
	if err != nil {
		c.trace(FactIndexFailed, 0, 0, err.Error())
	}
	if more {
		s.at = c.now.Mono + c.cfg.BuildPause
	}
	if !c.box.Forms() {
		c.trace(FactIndexesFormed, 0, 0, "")
		c.eff.Status = true
	}
}

// deadline is when formIndexes has something to do; 0: not by itself.
func (s *leftOut) deadline(now time.Duration) time.Duration {
	if s.at <= now {
		return 0
	}
	return s.at
}

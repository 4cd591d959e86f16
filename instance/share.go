package instance

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// A filtered replica has the spaces that its confirmed filter gives it. Rows of others it
// does not get; what it gets of spaces whose tuples are not all here goes to its log and is
// not applied, until a base copy of them has come. docs/protocol/filters.md has the rules,
// test/model/filter tries them.

// sharing is what a filtered replica has, and what it is being given.
//
// Invariant: the tuples of a space of now are here, and follow the log, unless it is in
// lacks; then none of its statements is applied, but for those that open it.
type sharing struct {
	filter  string        // of Config; empty: this replica has all
	now     *xrow.Share   // by the confirmed filter as we adopted it; nil: not known yet
	gen     uint64        // of now: rows that came for an earlier one are not taken
	lacks   []uint32      // ascending
	drops   []uint32      // whose tuples are still here, and are not wanted
	copy    *copying      // under way; nil: none
	orders  uint64        // given so far
	next    time.Duration // no order before that
	trouble copyTrouble   // with the orders since the last copy that came
	tell    bool          // the streams have to hear of now
	gone    bool          // the filter is no more: what we had of it we keep
	kept    *keptShare    // what our disk has was given by another one; nil: it was not

	indexes leftOut
}

// keptShare is what the disk of a replica has that was started with another filter than
// before. That may be a slip of the pen, so nothing takes its place before a member has
// given something by the new one: then it is what is registered.
type keptShare struct {
	filter string // empty: it had all
}

// noteKept looks at a state of our disk.
func (s *sharing) noteKept(complete *xrow.Share) {
	switch {
	case s.filter == "":
	case complete == nil:
		s.kept = &keptShare{}
	case complete.Filter != s.filter:
		s.kept = &keptShare{complete.Filter}
	}
}

// refuseCheckpoint tells why none may be made now; nil: one may.
func (c *Core) refuseCheckpoint() *xrow.Error {
	kept := c.share.kept
	if kept == nil {
		return nil
	}
	had, back := "all that there is", "with an empty directory"
	if kept.filter != "" {
		had, back = "what "+withFilter(kept.filter)+" gave", "with tarragon.filter: "+kept.filter
	}
	return &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf("Instance '%s' is started with filter '%s', and its disk has %s: no checkpoint takes the place of that before a member has given something by the new filter. Where that is a mistake, start it %s",
		c.cfg.Name, c.share.filter, had, back)}
}

// ShareState is what the streams of a filtered replica are to have.
type ShareState struct {
	Gen   uint64 // for Rows
	Share *xrow.Share
}

// takes tells whether statements of a space are applied here.
func (c *Core) takes(space uint32) bool {
	s := &c.share
	return s.filter == "" || (s.now.Has(space) && !s.isLacking(space) || !c.box.Shareable(space)) && space != c.box.OwnSpaces().Never
}

func (s *sharing) isLacking(space uint32) bool {
	_, lacks := slices.BinarySearch(s.lacks, space)
	return lacks
}

// complete is the share whose tuples are all here; nil: all spaces are.
func (s *sharing) complete() *xrow.Share {
	if s.filter == "" || s.now == nil {
		return nil
	}
	c := *s.now
	c.Spaces = slices.Clone(c.Spaces)
	if c.New {
		c.Spaces = append(c.Spaces, s.lacks...)
		slices.Sort(c.Spaces)
		c.Spaces = slices.Compact(c.Spaces)
	} else {
		c.Spaces = slices.DeleteFunc(c.Spaces, s.isLacking)
	}
	return &c
}

// restoreShare begins with what a state has. One of a replica with another filter, or with
// none, has nothing for this one: the log behind it was cut by what nobody knows any more.
func (c *Core) restoreShare(complete *xrow.Share) {
	s := &c.share
	if s.filter == "" {
		return
	}
	if complete == nil || complete.Filter != s.filter {
		complete = &xrow.Share{Filter: s.filter}
		for _, sp := range c.box.Spaces() {
			if c.box.Shareable(sp.ID) {
				s.drops = insertID(s.drops, sp.ID)
			}
		}
	}
	s.now, s.gen, s.tell = complete, s.gen+1, true
}

// noteFilter follows the confirmed filter. It is called whenever a transaction on system
// spaces was committed.
func (c *Core) noteFilter() {
	s := &c.share
	if s.filter == "" || s.now == nil {
		return
	}
	f := c.Filter(s.filter)
	s.noteLeftOut(c.box, f)
	if s.gone = f == nil; s.gone || s.now.Filter == f.Filter && s.now.Version == f.Version && s.now.Same(&f.Share) {
		return
	}
	was := s.now
	s.now, s.gen, s.tell, s.trouble = &f.Share, s.gen+1, true, copyTrouble{}
	for _, sp := range c.box.Spaces() {
		if !c.box.Shareable(sp.ID) {
			continue
		}
		switch had, has := was.Has(sp.ID), s.now.Has(sp.ID); {
		case has && !had:
			s.lacks = insertID(s.lacks, sp.ID)
		case had && !has:
			s.lacks = deleteID(s.lacks, sp.ID)
			s.drops = insertID(s.drops, sp.ID)
		}
	}
	// One that was dropped is not among these, and its ID may be given to another space before anybody looks.
	s.lacks = slices.DeleteFunc(s.lacks, func(id uint32) bool { return !s.now.Has(id) })
	if s.copy != nil && slices.ContainsFunc(s.copy.Spaces, func(id uint32) bool { return !s.isLacking(id) }) {
		c.dropCopy()
	}
	c.trace(FactShare, 0, f.Version, s.filter)
	c.emptyDropped()
	c.showShare()
}

func insertID(ids []uint32, id uint32) []uint32 {
	at, there := slices.BinarySearch(ids, id)
	if there {
		return ids
	}
	return slices.Insert(ids, at, id)
}

func deleteID(ids []uint32, id uint32) []uint32 {
	at, there := slices.BinarySearch(ids, id)
	if !there {
		return ids
	}
	return slices.Delete(ids, at, at+1)
}

// showShare tells the box which spaces clients may read.
func (c *Core) showShare() {
	s := &c.share
	now := &box.Sharing{Instance: c.cfg.Name, Share: s.now}
	for _, id := range s.lacks {
		now.Copied = append(now.Copied, box.Copied{Space: id, Percent: s.percent(id)})
	}
	c.box.Share(now)
	c.eff.Status = true
}

// emptyDropped frees what is not wanted any more, once nothing is undecided: rows
// that change a filter are a barrier, so that is mostly at once.
func (c *Core) emptyDropped() bool {
	s := &c.share
	if c.box.Settled() {
		if len(s.drops) > 0 {
			c.seq++
			c.box.Empty(c.seq, s.drops)
			s.drops = s.drops[:0]
		}
		c.alignIndexes()
	}
	return len(s.drops) == 0 && !c.misaligned()
}

// emptyBelow is emptyDropped where there is always something undecided: that leaves the box
// for it, and comes again. Only for the end of a Step, when the queue has told all.
func (c *Core) emptyBelow() bool {
	if c.emptyDropped() {
		return true
	}
	if c.definesUndecided() {
		return false
	}
	if c.limbo.Len() > 0 {
		c.box.Rollback(c.limbo.At(0).Seq)
	}
	empty := c.emptyDropped()
	c.mustTakeAgain()
	return empty
}

// definesUndecided tells whether a change of the schema is undecided: it is a barrier, and
// decided soon.
func (c *Core) definesUndecided() bool {
	for i := range c.limbo.Len() {
		if c.limbo.At(i).P.ddl {
			return true
		}
	}
	return false
}

// stepShare asks for what is lacking, and goes on with what has come.
func (c *Core) stepShare() {
	s := &c.share
	if s.filter == "" || !c.started || s.now == nil {
		return
	}
	if s.tell {
		s.tell = false
		c.eff.Share = &ShareState{Gen: s.gen, Share: s.now}
	}
	if c.gate.build != nil {
		return // no other transaction may begin
	}
	empty := c.emptyBelow()
	c.formIndexes()
	switch {
	case s.copy == nil && empty && c.now.Mono >= s.next:
		c.orderCopy()
	case s.copy == nil:
	case s.copy.viewed && !s.copy.ready:
		if v := c.Decided(); v.Covers(&s.copy.view) {
			s.copy.ready, s.copy.first = true, c.now.Mono
			c.eff.CopyReady = s.copy.Order
		} else if s.copy.size >= c.cfg.BacklogMaxSize { // of several who write without a leader
			c.failCopy(errors.New("too much was committed beside the view, before that was decided here"), false)
		}
	case s.copy.whole:
		c.openCopied()
	}
}

// leaveOut passes over a statement of a space whose tuples are not here. Where a base copy of
// them is to come it stays a row of its transaction, and of the log; of a space that this
// replica does not have nothing stays.
func (c *Core) leaveOut(a *arrival, i int) {
	switch {
	case c.share.isLacking(a.dml[i].SpaceID):
		a.copied, a.empty = true, false
	case !a.logged:
		a.rows[i] = nopOf(&a.rows[i])
	}
}

// ShareState is what the streams of this replica are to have; nil: all. Safe under the shared
// side of the Loop's latch.
func (c *Core) ShareState() *ShareState {
	if c.share.filter == "" {
		return nil
	}
	return &ShareState{Gen: c.share.gen, Share: c.share.now}
}

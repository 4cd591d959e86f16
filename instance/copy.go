package instance

import (
	"slices"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// CopyRequest asks this instance for a base copy of some spaces: the answer is a Snapshot
// with a view of them, and what was decided when it was opened.
type CopyRequest struct {
	Tag uint64
	CopyOrder
}

func (CopyRequest) event() {}

// copyWaiter is one that is not decided enough yet.
type copyWaiter struct {
	client
	req CopyRequest
}

// copyRequest opens the view once this instance has decided all that the replica holds. A
// view before that could lack a row that was undecided, was cut on its way to the replica,
// and is committed later.
func (c *Core) copyRequest(ev CopyRequest) {
	c.waits.copies = append(c.waits.copies, copyWaiter{client{until: c.now.Mono + c.cfg.WaitLimit}, ev})
}

func (c *Core) judgeCopy(w *copyWaiter, late bool) outcome {
	switch {
	case c.share.filter != "":
		c.eff.Snaps = append(c.eff.Snaps, Snapshot{Tag: w.req.Tag, Err: c.sharesOnly()})
	case c.hasDecidedAll(&w.req.CopyOrder):
		s := Snapshot{Tag: w.req.Tag, View: c.box.OpenView(), State: State{VClock: c.Decided(), Term: c.limbo.Current().Term}}
		s.View.Among(w.req.Spaces)
		c.eff.Snaps = append(c.eff.Snaps, s)
	case late:
		c.eff.Snaps = append(c.eff.Snaps, Snapshot{Tag: w.req.Tag, Err: &xrow.Error{Code: xrow.ErrSystem,
			Message: "This instance has not decided yet all that the replica holds"}})
	default:
		return outcome{}
	}
	return outcome{known: true}
}

// hasDecidedAll tells whether each row that the replica holds is committed here, or void by
// the history of terms. Of a term before the one in effect all is decided, whoever has it:
// what is not named is void. Of the one in effect what is committed is decided; what a replica
// holds of a later one is not.
func (c *Core) hasDecidedAll(o *CopyOrder) bool {
	cur := c.limbo.Current()
	if cur.Term < o.Term {
		return false
	}
	decided := c.Decided()
	for id := range o.VClock {
		if id == 0 || o.VClock[id] <= decided[id] {
			continue
		}
		if cur.Term == o.Term && uint32(id) == cur.Owner || !c.everLed(uint32(id)) {
			return false
		}
	}
	return true
}

// everLed tells whether an instance was the leader of a term in effect.
func (c *Core) everLed(id uint32) bool {
	for _, s := range slices.Backward(c.limbo.History()) {
		if s.Owner == id {
			return true
		}
	}
	return false
}

// narrow says what of the state a joiner with a filter gets.
func (c *Core) narrow(j *JoinRequest, s *State) *xrow.Error {
	switch {
	case c.share.filter != "":
		return c.sharesOnly()
	case j.Filter == "":
		return nil
	case !j.anonymous():
		return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", "members with a filter: a replica with a filter is anonymous")
	}
	f := c.Filter(j.Filter)
	switch {
	case f == nil:
		return noSuchFilter(j.Filter)
	case c.limbo.Current().Rules == terms.Tarantool:
		return refuseRules(j.Filter)
	}
	s.Share = &f.Share
	return nil
}

func noSuchFilter(name string) *xrow.Error {
	return &xrow.Error{Code: xrow.ErrIllegalParams, Message: "Filter '" + name + "' does not exist"}
}

// sharesOnly is the answer to who asks a filtered replica for what it does not have.
func (c *Core) sharesOnly() *xrow.Error {
	return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", "a copy of what a filtered replica has (filter '"+c.share.filter+"')")
}

// refuseRules is the answer to a replica with a filter where a term is under Tarantool's rules:
// its rows are decided by their author, a PROMOTE voids none, and CONFIRM names rows that may have been cut. So nothing
// tells when a view is right (docs/decisions/0044).
func refuseRules(filter string) *xrow.Error {
	return xrow.Errorf(xrow.ErrUnsupported, "A replica with a filter ('"+filter+"')", "terms under Tarantool's rules, which begin where an instance of Tarantool is a member")
}

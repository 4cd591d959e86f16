package instance

import (
	"errors"

	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// noteVoidPromotes remembers PROMOTEs of ours that took effect nowhere. n are all
// that are void.
func (c *Core) noteVoidPromotes() (n int) {
	void := c.limbo.TakeVoidPromotes()
	for _, p := range void {
		if p.Rules == terms.Tarantool { // those of ours are told of by number
			c.trace(FactPromoteVoid, p.Owner, p.LSN, "")
		}
		if p.Owner == c.ownID() {
			c.lead.void(p.LSN)
		}
	}
	return len(void)
}

// refusal is the limbo's word as a client knows it.
func (c *Core) refusal(err error) error {
	var r *limbo.Refusal
	switch {
	case !errors.As(err, &r):
		return c.contradiction(err.Error())
	case r.Kind == limbo.SplitBrain:
		return splitBrain(r.Text)
	case r.Kind == limbo.Misorder:
		return protocolError(r.Text)
	}
	return xrow.Errorf(xrow.ErrUnsupported, "Replication", r.Text)
}

// contradiction ends a stream whose rows do not fit our history of PROMOTEs. Under the
// strong rules alone no honest disk brings that about: what a peer says wrongly now
// it may say rightly later. Where Tarantools had a say it is a split brain.
func (c *Core) contradiction(text string) error {
	if !c.limbo.Mixed() && c.members.kinds.tarantools == 0 {
		return protocolError(text)
	}
	return splitBrain(text)
}

package instance

import (
	"fmt"
	"strings"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
)

// A configuration may prefer an instance as leader. Elections do not look at that: whoever leads gives the
// role back, by an ordinary switchover, when the preferred one could have taken over at any
// moment of the calm time, by the clock of who leads. So it can do nothing that an operator who types
// switchover could not. docs/coordinators.md has the rules, decision 0054 the reasons.

const (
	// DefaultCalm is how long the preferred leader must be well before it gets the role back.
	DefaultCalm = time.Minute

	byPreference = "tarragon.preferred_leader" // who asks for such a switchover
	// A switchover for one of these reasons says nothing about who should lead.
	reasonUpgrade  = "upgrade"  // tarragon upgrade
	reasonShutdown = "shutdown" // a leader that is told to stop
)

// preferring is how long the preferred leader has been well, as who leads sees it.
//
// Invariant: while calm is set we lead, the preferred one could take over at each Step since, no two
// Steps were further apart than the death timeout, no stream to or from it began or ended, and whatever we
// had at a moment it had within a death timeout.
type preferring struct {
	calm   time.Duration // since when; 0: it is not well
	looked time.Duration // when it was found well last
	had    vclock.VClock // what we had
	at     time.Duration // then
	broken uint32        // members whose streams have begun or ended since we looked, a bit each
	why    string        // why it is not well
}

// streams notes that a stream to or from a member begins or ends.
func (p *preferring) streams(peer uint32) { p.broken |= 1 << (peer % vclock.Max) }

// keepsUp tells whether a member whose ack this is has within a death timeout what we had.
func (p *preferring) keepsUp(now, death time.Duration, ack, mine *vclock.VClock) bool {
	if all := ack.Global(); p.calm == 0 || all.Covers(&p.had) {
		p.had, p.at = mine.Global(), now
	}
	return now < p.at+death
}

// stepPreferred has a leader that another one is preferred to hand over to that, when it has been
// well for the calm time. A move that does not come about begins the calm time anew.
func (c *Core) stepPreferred() {
	p, now := &c.preferring, c.now.Mono
	m, why := c.whyKeep()
	switch {
	case why != "":
	case p.broken&(1<<m.ID) != 0:
		why = "its connection has begun or ended just now"
	case p.looked != 0 && now >= p.looked+c.cfg.DeathTimeout:
		why = "this instance stood still" // whatever came meanwhile is read now: nobody knows when it was said
	case !p.keepsUp(now, c.cfg.DeathTimeout, &c.peers.acked[m.ID], &c.out.vclock):
		why = "it lacks what was written a death timeout ago"
	}
	if why != "" {
		*p = preferring{why: why}
		return
	}
	p.broken, p.looked, p.why = 0, now, ""
	if p.calm == 0 {
		p.calm = now
	}
	if now < p.calm+c.cfg.PreferredCalm {
		return
	}
	calm := now - p.calm
	*p = preferring{why: "leadership moves to it"}
	c.switchover(SwitchoverRequest{To: m.UUID, By: byPreference, Reason: fmt.Sprintf("it is preferred, and has been well for %v", calm.Round(time.Second))})
}

// whyKeep is the preferred leader, or why it gets nothing from us. What only the leader knows is not asked
// of others.
func (c *Core) whyKeep() (*box.Member, string) {
	switch {
	case !c.lead.leading || !c.writable():
		return nil, "this instance does not lead"
	case c.lead.move != nil:
		return nil, "leadership is about to move"
	case c.pauseInfo(c.now.Mono).Left > 0:
		return nil, "elections are paused"
	}
	m := c.members.named(c.cfg.Preferred)
	if m == nil {
		return nil, "it is no member; members are " + c.members.names()
	}
	if m.ID == c.members.self {
		return nil, "it leads"
	}
	if who := c.madeByHand(); who != "" {
		return nil, "leadership was moved here by hand, by " + who
	}
	return m, c.unfit(m, DefaultMaxLag)
}

// madeByHand tells who has wanted this instance to lead; empty: nobody, it came about.
func (c *Core) madeByHand() string {
	history := c.limbo.History()
	if len(history) == 0 {
		return ""
	}
	b := &history[len(history)-1].Began
	switch {
	case b.Kind == terms.ByHand, b.Kind == terms.Forced:
	case b.Kind != terms.Switchover, b.Reason == reasonUpgrade, b.Reason == reasonShutdown && c.members.named(b.By) != nil, strings.HasPrefix(b.By, "tarragon."):
		return ""
	}
	if b.By == "" {
		return "somebody"
	}
	return b.By
}

// preferredDue is when the calm time is over; 0: it does not run.
func (c *Core) preferredDue() time.Duration {
	if p := &c.preferring; p.calm != 0 {
		return p.calm + c.cfg.PreferredCalm
	}
	return 0
}

// Preferred is who should lead by this instance's configuration, and what keeps it from that.
type Preferred struct {
	Name string // empty: nobody is preferred
	Calm time.Duration
	Left time.Duration // of the calm time; 0: it does not run here
	Why  string        // why it does not
}

func (c *Core) preferredInfo(now time.Duration) Preferred {
	i := Preferred{Name: c.cfg.Preferred, Calm: c.cfg.PreferredCalm, Why: c.preferring.why}
	if due := c.preferredDue(); due != 0 {
		i.Left = max(due-now, time.Nanosecond)
	}
	return i
}

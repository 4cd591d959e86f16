package sim

import (
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// mandateChecker: in a supervised set nobody writes behind the end of its lease, and along
// the terms in effect tokens ascend. It reckons leases by the words that came to a host and
// by the clock of that host; what a core makes of them it does not ask.
type mandateChecker struct {
	w      *World
	leases map[leaseKey]time.Duration // until when, by the clock of the host
	leads  []leadsBy                  // by slot
	seen   map[*instance.Core]uint64  // term whose token was looked at last
	met    Supervised
}

type leaseKey struct {
	core  *instance.Core
	token uint64
}

// leadsBy is the PROMOTE that a host wrote last.
type leadsBy struct {
	term, token uint64
	bound       bool // by a lease
}

func (c *mandateChecker) init(w *World) {
	c.w, c.leases, c.seen = w, map[leaseKey]time.Duration{}, map[*instance.Core]uint64{}
	c.leads = make([]leadsBy, len(w.hosts))
}

// stepped takes down until when who was told to lead may. A word that comes when the lease
// is over renews nothing.
func (c *mandateChecker) stepped(n *node, batch []instance.Event) {
	if !c.w.plan.agents {
		return
	}
	for _, ev := range batch {
		if p, ok := ev.(instance.PromoteRequest); ok && p.Token != 0 {
			key := leaseKey{n.core, p.Token}
			if until, told := c.leases[key]; !told || n.mono() < until {
				c.leases[key] = max(until, n.mono()+p.Lease)
			}
		}
	}
	c.ascend(n)
}

// ascend looks at the terms that have taken effect since.
func (c *mandateChecker) ascend(n *node) {
	page, _ := n.core.HistoryPage(c.seen[n.core], 100)
	if len(page) == 0 {
		return
	}
	c.seen[n.core] = page[len(page)-1].Term
	token := uint64(0)
	all, _ := n.core.HistoryPage(0, 1<<20)
	for i := range all {
		b := &all[i].Began
		if own := b.Kind == terms.Supervised || b.Kind == terms.Switchover; b.Token < token || own && b.Token == token && !c.byHand(b) {
			c.w.fail("mandate", "%s: term %d of instance %d has token %d, and there was %d before", n.label(), all[i].Term, all[i].Owner, b.Token, token)
			return
		}
		token = b.Token
	}
}

// byHand: no agent of ours moved leadership so.
func (c *mandateChecker) byHand(b *terms.Began) bool {
	return b.By != "agent" && b.Kind != terms.Supervised
}

// wrote sees the rows of an author as it hands them to its disk, and those of others as
// they come.
func (c *mandateChecker) wrote(n *node, r *row) {
	if !c.w.plan.agents {
		return
	}
	l := &c.leads[n.slot]
	switch m := r.synchro.Move; {
	case r.kind == xrow.Promote && r.origin == n.id:
		*l = leadsBy{term: r.term}
		if m != nil && (m.Kind == terms.Supervised || m.Kind == terms.Switchover && m.By == "agent") {
			l.token, l.bound = m.Token, true
		}
	case r.kind == xrow.Confirm && m != nil && m.To == n.id && m.Token != 0:
		key := leaseKey{n.core, m.Token}
		c.leases[key] = max(c.leases[key], n.mono()+time.Duration(m.Lease)*time.Millisecond)
	case r.op != 0 && r.origin == n.id && r.term == l.term && l.bound:
		// What was taken before may wait for the disk for as long as that takes.
		until := n.moment(c.leases[leaseKey{n.core, l.token}])
		if o := c.w.load.ops[r.op-1]; o.began > until {
			c.w.fail("mandate", "%s took LSN %d by token %d, asked for %v behind the end of its lease", n.label(), r.lsn, l.token, o.began-until)
		}
	}
}

// fact counts leaders whose lease ended.
func (c *mandateChecker) fact(f instance.Fact) {
	if string(f.Kind) == raft.FactResign && f.Text == "its lease is over" {
		c.met.Ended++
	}
}

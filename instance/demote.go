package instance

import (
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// demotion is a box.ctl.demote with elections off, on its way to a DEMOTE in the
// log.
type demotion struct {
	client
	term  uint64 // the one that DEMOTE ends the ownership in
	group uint64 // that DEMOTE is in; 0: it is not written yet
}

// demote gives leadership up in the same term: the queue keeps its owner, and is
// frozen until the next PROMOTE. With elections off, and in a term under the
// Tarantool's rules, it does as Tarantool: DEMOTE leaves the queue to nobody,
// and every master writes again. A strong term has no DEMOTE: nobody else could
// tell which rows of it are void.
func (c *Core) demote(ev DemoteRequest) {
	if err := c.refuseLeading(); err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	if err := c.releasedBy(ev.Token); err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	cur := c.limbo.Current()
	if c.cfg.Mode == raft.Off {
		switch {
		case c.waits.demotion != nil || len(c.waits.promotes) > 0:
			c.eff.reply(ev.Conn, ev.Sync, nil, xrow.Errorf(xrow.ErrUnsupported, "box.ctl.demote", "simultaneous invocations"))
			return
		case cur.Owner == 0 && len(c.limbo.Pending()) == 0:
			c.eff.reply(ev.Conn, ev.Sync, noValues, nil)
			return
		case cur.Owner != c.members.self || cur.Term < c.raft.Term() || len(c.limbo.Pending()) > 0:
			c.eff.reply(ev.Conn, ev.Sync, nil, xrow.Errorf(xrow.ErrNotLeader, c.raft.Leader()))
			return
		case cur.Rules == terms.Tarantool:
			c.beginDemotion(ev)
			return
		}
	}
	if c.raft.State() == raft.StateLeader {
		c.raft.Resign(c.now.Mono, "box.ctl.demote")
	}
	c.eff.reply(ev.Conn, ev.Sync, noValues, nil)
}

// beginDemotion moves to a new term. DEMOTE is written once that is on disk.
func (c *Core) beginDemotion(ev DemoteRequest) {
	term := c.raft.Term() + 1
	c.waits.demotion = &demotion{client: client{ev.Conn, ev.Sync, c.now.Mono + c.cfg.PromoteTimeout}, term: term}
	c.adopt(term)
}

// stepDemotion goes on with a demotion: it waits for the term, then for a quorum
// on the last synchronous transaction, then for the disk.
func (c *Core) stepDemotion() {
	d := c.waits.demotion
	if d == nil {
		return
	}
	newest, _, _ := c.limbo.Newest()
	switch {
	case d.group != 0 && c.out.written >= d.group:
		c.waits.endDemotion(succeeds(noValues), &c.eff)
	case c.out.failed != nil:
		c.waits.endDemotion(fails(&xrow.Error{Code: xrow.ErrWALIO, Message: c.out.failed.Error()}), &c.eff)
	case d.group != 0:
	case c.raft.Term() > d.term || newest >= d.term:
		c.waits.endDemotion(fails(xrow.Errorf(xrow.ErrInterferingElections)), &c.eff)
	case c.now.Mono >= d.until:
		c.waits.endDemotion(fails(xrow.Errorf(xrow.ErrQuorumWait, c.members.confirmed.synchroQuorum, "the last synchronous transaction has no quorum yet")), &c.eff)
	case c.raft.Saved().Term < d.term:
	case c.limbo.Waits() && !c.members.confirmed.commit(c.synced(c.limbo.Current().Owner, c.limbo.LastSync())):
	default:
		c.writeDemote(d.term)
		d.group = c.out.nextNo
	}
}

// endDemotion answers whoever asked for it.
func (w *waits) endDemotion(o outcome, eff *Effects) {
	eff.reply(w.demotion.conn, w.demotion.sync, o.data, o.err)
	w.demotion = nil
}

// writeDemote confirms all that waits and leaves the queue to nobody.
func (c *Core) writeDemote(term uint64) {
	cur := c.limbo.Current()
	req := limbo.Row{Kind: limbo.Demotion, Origin: c.members.self, Owner: cur.Owner, UpTo: c.limbo.LastSync(), Begins: term}
	began := beganBy(nil, terms.Micros(c.now.Wall))
	req.Began = &began
	body := xrow.Synchro{ReplicaID: req.Owner, LSN: req.UpTo, Term: term}
	by := c.author()
	by.term = c.raft.Term()
	req.LSN = c.out.addSynchro(by, xrow.Demote, &body, term)
	if err := c.limbo.Take(terms.Tarantool, req); err != nil {
		panic("instance: " + err.Error())
	}
	c.tookEffect(false)
	c.settle()
}

package instance

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// SplitBrain is a peer whose rows contradict ours. Its stream stays refused until
// the operator acts.
type SplitBrain struct {
	Peer uint32
	Text string
}

// split finds the peer among those whose rows contradict ours; nil: it is not.
func (g *gate) split(peer uint32) *SplitBrain {
	if i := slices.IndexFunc(g.splits, func(s SplitBrain) bool { return s.Peer == peer }); i >= 0 {
		return &g.splits[i]
	}
	return nil
}

// refuse ends a stream for now: what is still on its way is dropped, and its peer
// sends that again.
func (g *gate) refuse(from uint32, err *xrow.Error, eff *Effects) {
	eff.refuseStream(from, err)
	g.cut |= 1 << from
}

// holdRows puts rows behind those that wait already. false: they are more than
// the limit, and the stream ends.
func (g *gate) holdRows(ev *Rows, limit int, eff *Effects) bool {
	if g.backlog.size+sizeOf(ev.Rows) > limit && len(g.backlog.events) > 0 {
		// Such an error makes an applier come back.
		g.refuse(ev.From, xrow.Errorf(xrow.ErrSystem, fmt.Sprintf("more than %d bytes wait for a change of the schema", limit)), eff)
		return false
	}
	g.backlog.add(ev.From, ev.Gen, ev.Rows)
	return true
}

// cutStream ends a stream, with all that is still on its way.
func (c *Core) cutStream(from uint32, err *xrow.Error) {
	if err.Code == xrow.ErrSplitBrain && c.out.failed == nil && c.gate.split(from) == nil {
		c.trace(FactSplitBrain, from, 0, err.Message)
		c.gate.splits = append(c.gate.splits, SplitBrain{Peer: from, Text: err.Message})
	}
	c.gate.refuse(from, err, &c.eff)
	c.gate.backlog.drop(from)
}

// streamBegins lets a peer's rows in again, unless they contradict ours.
func (g *gate) streamBegins(peer uint32, eff *Effects) {
	if s := g.split(peer); s != nil {
		g.refuse(peer, &xrow.Error{Code: xrow.ErrSplitBrain, Message: s.Text}, eff)
		return
	}
	g.cut &^= 1 << peer
}

// upstream takes a change of the stream that a peer's rows come by.
func (c *Core) upstream(ev Upstream) {
	begins := ev.State == UpstreamFollow
	c.preferring.streams(ev.Peer)
	if begins {
		if err := c.heardKind(ev.Peer, ev.Kind); err != nil {
			c.cutStream(ev.Peer, clientError(err))
			return
		}
		c.peers.heardFeature(ev.Peer, ev.Feature, ev.Kind)
		c.peers.heardProcedures(ev.Peer, ev.Procedures)
	}
	c.raft.Upstream(c.now.Mono, ev.Peer, begins, ev.State == UpstreamRefused)
	if !begins {
		return
	}
	if ev.Back && ev.Kind == xrow.Tarragon {
		c.wentBack(ev.Peer)
	}
	c.gate.streamBegins(ev.Peer, &c.eff)
	c.tellAck(0)
}

// downstream takes a peer that subscribed, and looks at the vclock of its SUBSCRIBE.
func (c *Core) downstream(ev Downstream) {
	c.preferring.streams(ev.Peer)
	if !ev.Up {
		return
	}
	if err := c.heardKind(ev.Peer, ev.Kind); err != nil {
		c.eff.endRelay(ev.Peer, clientError(err))
		return
	}
	c.peers.heardFeature(ev.Peer, ev.Feature, ev.Kind)
	c.peers.heardProcedures(ev.Peer, ev.Procedures)
	if ev.Peer == 0 || ev.Peer >= vclock.Max || !c.knowsNoMore(&ev) {
		return
	}
	if ev.Kind == xrow.Tarantool {
		return // Tarantool does not know that its disk has gone back, and goes on
	}
	if ev.VClock.Covers(&c.peers.acked[ev.Peer]) {
		c.peers.back &^= 1 << ev.Peer
		return
	}
	c.wentBack(ev.Peer)
}

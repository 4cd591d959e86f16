package sim

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// One host of a world may lie, or somebody who speaks for it: beside what it says by
// the protocol, another member hears from it what no honest peer says. What must never
// follow: that a member takes itself for one that lost its disk, that a write is
// lost, that nobody can be elected. What a liar may do is end its own streams, and
// silence others for a while.

// strikeLiar lets a host tell another one a lie.
func strikeLiar(w *World) {
	if w.liar == nil {
		w.liar = w.nodes[w.rng.IntN(len(w.nodes))]
	}
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	id := n.memberID(w.liar)
	if n == w.liar || !n.active() || n.id == 0 || id == 0 || n.voters < 3 {
		return
	}
	lie := lies[w.rng.IntN(len(lies))]
	w.tell(n, "is lied to by n%d: %s", w.liar.slot, lie.name)
	w.count(LieTold)
	w.check.prevote.byHand[n.slot] = w.now + 500*time.Millisecond // a lie may bring a term, in which nobody leads, before that is on any disk
	n.post(lie.events(n, id)...)
}

// falsehood is what is told to a host in the name of a member.
type falsehood struct {
	name   string
	events func(n *node, id uint32) []instance.Event
}

// farTerm is a term in which no election would be the last.
const farTerm = 1 << 62

var lies = []falsehood{
	{"an ack of what was not written", func(n *node, id uint32) []instance.Event {
		a := n.w.net.ack()
		*a = instance.Ack{From: id, VClock: n.beyond(n.id), Term: farTerm}
		return []instance.Event{a}
	}},
	{"a SUBSCRIBE with rows that were not written", func(n *node, id uint32) []instance.Event {
		return []instance.Event{instance.Downstream{Peer: id, Up: true, Kind: xrow.Tarragon, VClock: n.beyond(n.id)}}
	}},
	{"acks that were not given", func(n *node, id uint32) []instance.Event {
		return []instance.Event{instance.ShownBefore{From: id, Shown: instance.Shown{Ack: n.beyond(id)}}}
	}},
	{"a vote that was not given", func(n *node, id uint32) []instance.Event {
		return []instance.Event{instance.ShownBefore{From: id, Shown: instance.Shown{Term: n.core.Info(n.mono()).Term + 1, Vote: id}}}
	}},
	{"the last term", func(n *node, id uint32) []instance.Event {
		return []instance.Event{instance.RaftMsg{From: id, Msg: xrow.Raft{Term: farTerm, State: 1}}}
	}},
	{"that it showed the last term", func(n *node, id uint32) []instance.Event {
		return []instance.Event{instance.ShownBefore{From: id, Shown: instance.Shown{Term: farTerm}}}
	}},
	{"that it is a Tarantool", func(n *node, id uint32) []instance.Event {
		return []instance.Event{instance.Downstream{Peer: id, Up: true, Kind: xrow.Tarantool, VClock: n.disk.vclock},
			instance.Upstream{Peer: id, State: instance.UpstreamFollow, Kind: xrow.Tarantool}}
	}},
	{"a PROMOTE by Tarantool's rules", func(n *node, id uint32) []instance.Event {
		return n.forged(id, xrow.Promote, 1, &xrow.Synchro{ReplicaID: n.id, LSN: n.disk.vclock[n.id]})
	}},
	{"a PROMOTE that follows what is not there", func(n *node, id uint32) []instance.Event {
		return n.forged(id, xrow.Promote, 1, &xrow.Synchro{ReplicaID: n.id, LSN: 1 << 40, PrevTerm: n.core.Info(n.mono()).Term, Rules: xrow.RulesStrong})
	}},
	{"a ROLLBACK", func(n *node, id uint32) []instance.Event {
		return n.forged(id, xrow.Rollback, 0, &xrow.Synchro{ReplicaID: n.id, LSN: 1})
	}},
	{"a CONFIRM of a term that nobody leads", func(n *node, id uint32) []instance.Event {
		return n.forged(id, xrow.Confirm, 1, &xrow.Synchro{ReplicaID: id, LSN: 1 << 40, Rules: xrow.RulesStrong})
	}},
	{"a row of a term that nobody leads", func(n *node, id uint32) []instance.Event {
		return n.forged(id, xrow.Insert, 1, nil)
	}},
	{"a row of the last term", func(n *node, id uint32) []instance.Event {
		return n.forged(id, xrow.Insert, farTerm, nil)
	}},
	{"a PROMOTE in the last term", func(n *node, id uint32) []instance.Event {
		return n.forged(id, xrow.Promote, farTerm, &xrow.Synchro{Rules: xrow.RulesStrong})
	}},
}

// beyond is a vclock with more rows of an instance than it has written.
func (n *node) beyond(id uint32) vclock.VClock {
	v := n.disk.vclock.Global()
	v[id] += 1_000_000_000
	return v
}

// forged is one row in the name of a member, behind all that is held of it, in a term
// that lies so far ahead.
func (n *node) forged(id uint32, t xrow.Type, ahead uint64, body *xrow.Synchro) []instance.Event {
	held := n.handedOver()
	r := xrow.Row{Type: t, ReplicaID: id, LSN: held[id] + 1, TSN: held[id] + 1, Flags: xrow.FlagCommit,
		Body: []byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x91, 1}}
	if ahead != 0 {
		r.Term = n.core.Info(n.mono()).Term + ahead
	}
	if body != nil {
		body.Term = r.Term
		r.Body = body.AppendBody(nil)
	}
	return []instance.Event{instance.Rows{From: id, Rows: []xrow.Row{r}}}
}

// repent ends the lies: whoever told them is there no more, what connections the
// others have they open anew, and they are told what to think of it. A majority of which a
// liar is part may need its voice.
func (w *World) repent() {
	if w.liar == nil {
		return
	}
	for _, n := range w.nodes {
		if n != w.liar && !n.back {
			n.post(instance.Trust{}) // the operator knows who lied
		}
	}
	for _, c := range slices.Clone(w.net.conns) {
		if c.ends[dialler].host == w.liar || c.ends[acceptor].host == w.liar {
			c.reset()
		}
	}
}

// liesOf tells whether what a member says may be a lie.
func (n *node) liesOf(id uint32) bool { return n.w.liar != nil && n.memberID(n.w.liar) == id }

package sim

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// applier is the dialling side of a connection to one peer: it reads the
// peer's rows and answers with acks.
type applier struct {
	n          *node
	peer       *node
	conn       *conn // nil: none
	id         uint32
	subscribed bool
	since      time.Duration // when the stream began
	sync       uint64        // VCLOCK_SYNC of the newest heartbeat that the core has seen
	raft       xrow.Raft     // what the peer showed last
	known      vclock.VClock // what the peer had acked to us when we dialled
	waits      []packet      // rows that were parked, and what came behind them
	target     vclock.VClock // what the peer held when it took us
	tried      bool          // an attempt has come to something,
	lacks      bool          // the last one with rows that the peer no longer has,
	gap        bool          // and the one before it, too
	lacksAt    time.Duration // when that began
}

// dialPeers starts an applier for every other host.
func (n *node) dialPeers() {
	for _, peer := range n.w.nodes {
		if peer == n {
			continue
		}
		n.follow(peer)
	}
	n.watch(n.life)
}

// follow starts the applier for a host.
func (n *node) follow(peer *node) {
	a := &applier{n: n, peer: peer, id: n.memberID(peer)}
	n.links[peer.slot] = a
	a.dialSoon(0)
}

func (a *applier) dialSoon(d time.Duration) {
	life := a.n.life
	a.n.w.after(d, func() {
		if a.n.life == life && a.n.running() && a.n.core != nil && a.conn == nil {
			a.dial()
		}
	})
}

func (a *applier) dial() {
	n := a.n
	if n.links[a.peer.slot] != a {
		return // the peer has left
	}
	if n.paused {
		a.dialSoon(n.w.plan.config.Heartbeat)
		return
	}
	hi := hello{incarnation: n.incarnation(), vclock: n.handedOver()}
	a.known = n.core.ShownBy(n.memberID(a.peer)).Ack
	a.conn = n.w.net.dial(n, a.peer, packet{kind: packetDial, hello: &hi}, a.receive, a.lost)
}

// handedOver is the vclock of everything that the core gave to the journal,
// safe or not: where a stream from a peer goes on.
func (n *node) handedOver() (v vclock.VClock) {
	v = n.disk.vclock
	if k := len(n.disk.groups); k > 0 {
		v.Merge(&n.disk.groups[k-1].After)
	}
	return v
}

func (a *applier) receive(c *conn, p *packet) {
	if a.conn != c {
		return
	}
	if len(a.waits) > 0 || a.n.parked && p.kind == packetRows {
		a.waits = append(a.waits, *p)
		return
	}
	a.read(p)
}

// unpark reads what waited with a stream.
func (a *applier) unpark() {
	waits := a.waits
	a.waits = nil
	for i := range waits {
		a.read(&waits[i])
	}
}

// read takes a packet.
func (a *applier) read(p *packet) {
	a.n.w.check.prevote.look(a.n)
	switch p.kind {
	case packetWelcome:
		a.subscribed, a.id, a.sync, a.since = true, p.hello.id, 0, a.n.w.now
		a.target, a.tried, a.gap = p.hello.vclock.Global(), true, false
		said := instance.ShownBefore{From: a.id}
		if p.hello.shownBy != 0 && p.hello.shownBy == a.n.incarnation() {
			said.Shown = p.hello.shown
		}
		a.n.post(said)
		back := a.id == a.n.memberID(a.peer) && !p.hello.vclock.Covers(&a.known)
		a.n.post(instance.Upstream{Peer: a.id, State: instance.UpstreamFollow, Kind: a.peer.kind(), Feature: a.peer.reads(), Back: back})
		if p.hello.raft != nil {
			a.hearRaft(*p.hello.raft)
		}
	case packetRefuse:
		a.refused(p.hello)
	case packetRows:
		rows, err := decode(p.rows, a.n.w.net.rows())
		if err != nil {
			a.n.w.fail("stream", "%s cannot read rows of n%d: %v", a.n.label(), a.peer.slot, err)
			return
		}
		a.n.post(instance.Rows{From: a.id, Rows: rows})
	case packetRaft:
		a.hearRaft(*p.raft)
	case packetBeat:
		a.n.post(instance.Heartbeat{From: a.id, Sync: p.sync})
	}
}

func (a *applier) hearRaft(r xrow.Raft) {
	a.raft = r
	a.n.post(instance.RaftMsg{From: a.id, Msg: r})
	a.n.pumpAll()
}

// refused ends an attempt: the peer is there and does not want us now.
func (a *applier) refused(by *hello) {
	n := a.n
	a.conn.close(dialler)
	a.conn, a.waits = nil, nil
	switch {
	case by.cause == refusedGap:
		n.w.tell(n, "lacks rows that n%d no longer has", a.peer.slot)
	case by.cause == refusedUnknown && n.id != 0 && !n.isTarantool() && !a.peer.isTarantool():
		others := n.handedOver()
		if others[n.id] = 0; by.vclock.Covers(&others) { // not a row of ours was to come
			n.post(instance.Removed{})
		}
	}
	a.noteEnd(by.cause == refusedGap)
	a.dialSoon(a.n.w.between(50*time.Millisecond, 300*time.Millisecond))
}

// noteEnd takes down how an attempt ended, as replication.Hub does: two gaps in a
// row are one.
func (a *applier) noteEnd(gap bool) {
	if gap && !a.lacks {
		a.lacksAt = a.n.w.now
	}
	a.tried, a.gap, a.lacks = true, gap && a.lacks, gap
	if from := a.n.allBehind(); from != nil {
		a.n.joinAnew(from)
	}
}

// allBehind is a peer that no longer has what this instance lacks, if every peer was
// tried and none brings it on, see replication.Hub. nil: there is none, or what is
// lacking is void.
func (n *node) allBehind() *node {
	if n.core == nil {
		return nil
	}
	if i := n.core.Info(n.mono()); i.HasAll() {
		return nil
	}
	held, wait := n.handedOver(), time.Duration(0)
	for _, a := range n.links {
		switch {
		case a == nil: // ourselves, or nobody
		case !a.tried || a.subscribed && (a.id == n.lazy || !held.Covers(&a.target)):
			return nil
		case a.subscribed:
			wait = n.w.plan.config.DeathTimeout
		}
	}
	for _, a := range n.links {
		if a != nil && a.gap && n.w.now-a.lacksAt >= wait {
			return a.peer
		}
	}
	return nil
}

// lost ends a stream, or an attempt that nobody answered.
func (a *applier) lost(c *conn, refused bool) {
	if a.conn != c {
		return
	}
	a.n.w.check.prevote.look(a.n)
	was := a.subscribed
	a.conn, a.subscribed, a.raft, a.waits = nil, false, xrow.Raft{}, nil
	if a.id == 0 {
		a.id = a.n.memberID(a.peer)
	}
	state := instance.UpstreamLost
	if refused {
		state = instance.UpstreamRefused
	}
	if a.id != 0 && (was || refused) {
		a.n.post(instance.Upstream{Peer: a.id, State: state})
	}
	a.noteEnd(false)
	if was && !a.n.w.split {
		pause := time.Duration(0) // a refusal says that the process is gone
		if a.n.w.now-a.since <= a.n.w.plan.config.Heartbeat {
			pause = a.n.w.between(5*time.Millisecond, 20*time.Millisecond)
		}
		a.dialSoon(pause)
		return
	}
	a.dialSoon(a.n.w.between(50*time.Millisecond, 300*time.Millisecond))
}

// refuseStream ends the stream of a peer whose rows cannot be taken: too many
// wait. For another reason it happens to liars only.
func (n *node) refuseStream(r instance.Refusal) {
	if n.w.toleratesRefusal(r.Err) || n.liesOf(r.Peer) || r.Err.Code == xrow.ErrSystem {
		for _, a := range n.links {
			if a != nil && a.subscribed && a.id == r.Peer {
				c := a.conn
				c.close(dialler)
				a.lost(c, false)
			}
		}
		return
	}
	n.w.fail("stream", "%s refuses the rows of %d: %v", n.label(), r.Peer, r.Err)
}

// watch closes connections that fell silent, for the whole life of a process.
func (n *node) watch(life int) {
	n.w.after(n.w.plan.config.Heartbeat, func() {
		if n.life != life || !n.running() {
			return
		}
		if !n.paused {
			n.w.check.sick.look(n)
			for _, c := range append([]*conn(nil), n.w.net.conns...) {
				for side := range c.ends {
					if c.ends[side].host == n && c.alive(side) {
						c.expire(side)
					}
				}
			}
		}
		n.watch(life)
	})
}

// expire closes a side that heard nothing for the death timeout.
func (c *conn) expire(side int) {
	e := &c.ends[side]
	if c.net.w.now-e.heard <= max(c.patience, c.net.w.plan.config.DeathTimeout) || c.patience != 0 && side == acceptor {
		return
	}
	hangUp := e.hangUp
	c.close(side)
	if hangUp != nil {
		hangUp()
	}
}

// rows is room for the rows of a packet.
func (net *network) rows() (r []xrow.Row) {
	if n := len(net.room); n > 0 {
		r, net.room = net.room[n-1], net.room[:n-1]
	}
	return r
}

// ack is an event that nobody has.
func (net *network) ack() (a *instance.Ack) {
	n := len(net.acks)
	if n == 0 {
		return new(instance.Ack)
	}
	a, net.acks = net.acks[n-1], net.acks[:n-1]
	return a
}

// released takes the room of events back: the Step that they were for is over,
// and the core has copied what it needs of them.
func (net *network) released(batch []instance.Event) {
	for _, ev := range batch {
		switch ev := ev.(type) {
		case instance.Rows:
			clear(ev.Rows)
			net.room = append(net.room, ev.Rows[:0])
		case *instance.Ack:
			*ev = instance.Ack{}
			net.acks = append(net.acks, ev)
		}
	}
}

// noteSyncs remembers what the acks of this Step will repeat.
func (n *node) noteSyncs(batch []instance.Event) {
	for _, ev := range batch {
		if beat, ok := ev.(instance.Heartbeat); ok {
			for _, a := range n.links {
				if a != nil && a.subscribed && a.id == beat.From {
					a.sync = beat.Sync
				}
			}
		}
	}
}

// ack tells every peer that we follow what is on our disk.
func (n *node) ack(s *instance.AckState) {
	n.w.check.acked(n, s)
	n.acked = s.VClock
	for _, a := range n.links {
		if a != nil && a.subscribed {
			a.conn.send(dialler, packet{kind: packetAck, ack: s, sync: a.sync})
		}
	}
}

// learnID looks up our own replica ID and those of our peers.
func (n *node) learnID() {
	if n.id = n.core.Info(n.mono()).ID; n.id != n.lastID && n.id != 0 {
		n.lastID, n.parting = n.id, nil
	}
	n.voters = 0
	if n.box != nil {
		for _, m := range n.box.Members() {
			if !m.Learner {
				n.voters++
			}
		}
	}
	for _, a := range n.links {
		if a != nil && !a.subscribed {
			a.id = n.memberID(a.peer)
		}
	}
}

// memberID is the ID that our _cluster has for a host; 0: none.
func (n *node) memberID(peer *node) uint32 { return n.memberOf(peer).ID }

// memberOf is the confirmed row that our _cluster has for a host; zero: none.
func (n *node) memberOf(peer *node) (m box.Member) {
	if n.box == nil {
		return m
	}
	for _, m := range n.box.Members() {
		if m.UUID == peer.uuid {
			return m
		}
	}
	return m
}

package sim

import (
	"encoding/binary"
	"slices"
	"sort"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// relay is the accepting side of a connection: it sends what is in the log.
type relay struct {
	n    *node
	conn *conn
	peer *node
	id   uint32

	next uint64        // the group to send next
	pos  vclock.VClock // what the peer has or was sent
	term uint64        // newest term that the peer was shown: a PROMOTE must not overtake it
	held uint64        // groups up to here are sent even to a peer that sees the leader
}

// accept takes what arrives on a connection that a peer opened.
func (n *node) accept(c *conn, p *packet) {
	if p.kind != packetDial && p.kind != packetForward {
		return
	}
	if n.core == nil {
		c.refuse(refusedBusy)
		return
	}
	if p.kind == packetForward {
		n.serveForward(c)
		return
	}
	if p.hello.join {
		n.serveJoin(c, p.hello)
		return
	}
	n.subscribe(c, p.hello)
}

func (c *conn) refuse(cause refusal) {
	c.send(acceptor, packet{kind: packetRefuse, hello: &hello{cause: cause}})
	c.close(acceptor)
}

// subscribe begins a stream from the peer's vclock on.
func (n *node) subscribe(c *conn, hi *hello) {
	peer := c.ends[dialler].host
	m := n.memberOf(peer)
	if n.id == 0 {
		c.refuse(refusedBusy)
		return
	}
	if m.ID == 0 || m.Incarnation != 0 && hi.incarnation != 0 && m.Incarnation != hi.incarnation {
		for _, u := range n.core.UndecidedMembers() {
			if u.UUID == peer.uuid && u.Incarnation == hi.incarnation {
				c.refuse(refusedBusy)
				return
			}
		}
		c.send(acceptor, packet{kind: packetRefuse, hello: &hello{cause: refusedUnknown, vclock: n.disk.vclock}})
		c.close(acceptor)
		return
	}
	next, ok := n.seek(&hi.vclock)
	if !ok {
		c.refuse(refusedGap)
		return
	}
	for _, old := range append([]*relay(nil), n.relays...) {
		if old.peer == peer {
			old.conn.close(acceptor)
			old.gone()
		}
	}
	r := &relay{n: n, conn: c, peer: peer, id: m.ID, next: next, pos: hi.vclock, held: n.relayed}
	n.relays = append(n.relays, r)
	c.ends[acceptor].receive = r.receive
	c.ends[acceptor].hangUp = r.gone
	n.post(instance.Downstream{Peer: r.id, Up: true, Kind: peer.kind(), Feature: peer.reads(), VClock: hi.vclock})
	if n.shown != nil {
		r.term = n.shown.Term
	}
	welcome := hello{id: n.id, raft: n.shown, vclock: n.disk.vclock}
	if !n.isTarantool() && !peer.isTarantool() {
		welcome.shown, welcome.shownBy = n.core.ShownBy(m.ID), m.Incarnation
	}
	c.send(acceptor, packet{kind: packetWelcome, hello: &welcome})
	r.pump()
}

// seek finds the newest group before which the peer lacks nothing. Groups follow
// each other, so the peer lacks nothing before any older one either.
func (n *node) seek(v *vclock.VClock) (no uint64, ok bool) {
	d := n.disk
	if last := n.handedOver(); v.Covers(&last) {
		return d.next(), true
	}
	for i := len(d.groups) - 1; i >= 0 && i >= len(d.groups)-4; i-- { // most peers lack little
		if v.Covers(&d.groups[i].Before) {
			return d.first + uint64(i), true
		}
	}
	lacking := sort.Search(len(d.groups), func(i int) bool { return !v.Covers(&d.groups[i].Before) })
	if lacking > 0 {
		return d.first + uint64(lacking) - 1, true
	}
	return d.first, len(d.groups) == 0 && v.Covers(&d.vclock)
}

func (r *relay) receive(p *packet) {
	if p.kind == packetAck {
		r.pos.Merge(&p.ack.VClock)
		a := r.n.w.net.ack()
		*a = instance.Ack{From: r.id, VClock: p.ack.VClock, Term: p.ack.Term, Sync: p.sync}
		r.n.post(a)
	}
}

// gone ends the stream.
func (r *relay) gone() {
	for i, o := range r.n.relays {
		if o == r {
			r.n.relays = append(r.n.relays[:i:i], r.n.relays[i+1:]...)
			r.n.post(instance.Downstream{Peer: r.id, Up: false})
			return
		}
	}
}

// endRelay ends the stream to a peer that claims rows of this host that its disk
// does not have. Honest peers do so only when the disk went back.
func (n *node) endRelay(r instance.Refusal) {
	if !n.back && !n.liesOf(r.Peer) && n.w.plan.broken == (Break{}) {
		n.w.fail("stream", "%s takes %d for a liar: %v", n.label(), r.Peer, r.Err)
		return
	}
	for _, to := range append([]*relay(nil), n.relays...) {
		if to.id == r.Peer {
			to.conn.close(acceptor)
			to.gone()
		}
	}
}

// raft shows the peer the newest election state.
func (r *relay) raft() {
	r.term = r.n.shown.Term
	r.conn.send(acceptor, packet{kind: packetRaft, raft: r.n.shown})
}

// beat sends a heartbeat to every peer. What a relay held back for a whole
// interval goes out with it.
func (n *node) beat(sync uint64) {
	for _, r := range n.relays {
		r.conn.send(acceptor, packet{kind: packetBeat, sync: sync})
		r.pump()
		r.held = n.relayed
	}
}

func (n *node) pumpAll() {
	for _, r := range n.relays { // who leaves meanwhile leaves a copy
		r.pump()
	}
}

// pump sends the groups that may go out and that the peer lacks.
func (r *relay) pump() {
	for r.next <= r.n.relayed {
		if r.next > r.held && r.peerSeesLeader() {
			return // the leader sends them itself; we do if the peer loses it
		}
		g := r.n.disk.at(r.next)
		if g == nil {
			r.conn.close(acceptor) // the log is gone: the peer finds out when it subscribes again
			r.gone()
			return
		}
		for _, ref := range g.Table {
			if ref.Term > r.term {
				return
			}
		}
		if runs := g.Cut(&r.pos, 0, nil, nil); len(runs) > 0 {
			if r.peer.isTarantool() {
				runs = r.n.withoutVoid(runs)
			}
			r.conn.send(acceptor, packet{kind: packetRows, rows: runs})
		}
		r.next++
	}
}

// withoutVoid puts NOPs in the place of our PROMOTEs that are void.
func (n *node) withoutVoid(runs [][]byte) [][]byte {
	if len(n.void) == 0 {
		return runs
	}
	rows, err := decode(runs, nil)
	if err != nil {
		n.w.fail("stream", "%s cannot read its own log: %v", n.label(), err)
	}
	var out []byte
	for _, r := range rows {
		if r.Type == xrow.Promote && r.ReplicaID == n.id && slices.Contains(n.void, r.LSN) {
			r.Type, r.Body = xrow.Nop, nil
			n.w.met.HiddenPromotes++
		}
		out = r.Append(out)
	}
	return [][]byte{out}
}

// peerSeesLeader tells whether this peer gets its rows from the leader.
func (r *relay) peerSeesLeader() bool {
	if r.n.lazy == 0 || r.id == r.n.lazy {
		return false
	}
	a := r.n.links[r.peer.slot]
	return a != nil && a.subscribed && a.raft.IsLeaderSeen && a.raft.LeaderID == r.n.lazy
}

// decode reads the frames of a packet and puts the rows behind others.
func decode(runs [][]byte, rows []xrow.Row) ([]xrow.Row, error) {
	for _, run := range runs {
		for len(run) > 0 {
			size := xrow.FrameHead + int(binary.BigEndian.Uint32(run[1:]))
			row, err := xrow.Decode(run[xrow.FrameHead:size])
			if err != nil {
				return nil, err
			}
			rows, run = append(rows, row), run[size:]
		}
	}
	return rows, nil
}

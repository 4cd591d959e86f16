package sim

import (
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// network is what lies between the hosts.
type network struct {
	w     *World
	cut   [][]bool          // cut[a][b]: nothing gets from a to b
	extra [][]time.Duration // added to every delay from a to b
	conns []*conn           // open or half-open, in the order of their dialling
	spare []*packet         // were handed over
	room  [][]xrow.Row      // of rows that were handed over
	acks  []*instance.Ack   // were handed over
}

func (net *network) init(w *World, hosts int) {
	net.w = w
	net.cut = make([][]bool, hosts)
	net.extra = make([][]time.Duration, hosts)
	for i := range net.cut {
		net.cut[i] = make([]bool, hosts)
		net.extra[i] = make([]time.Duration, hosts)
	}
}

// delay draws how long a packet travels.
func (net *network) delay(from, to int) time.Duration {
	d := net.w.plan.wire.draw(net.w) + net.extra[from][to]
	if net.w.chance(400) {
		d += net.w.between(time.Millisecond, 40*time.Millisecond) // a retransmission
	}
	return d
}

// conn is one TCP connection: an applier (its dialler) and a relay, or a
// joiner and the instance that it joins from.
type conn struct {
	net   *network
	ends  [2]end
	pipes [2]pipe // pipes[i] leads to ends[i]

	patience time.Duration // of the dialler, who leaves first: how long it may be silent; 0: the death timeout, of both
}

// end is one side of a connection, as its process sees it.
type end struct {
	host    *node
	life    int  // of the process; another one knows nothing of this connection
	closed  bool // this side has closed
	heard   time.Duration
	backlog []*packet // arrived while the process was paused

	receive func(p *packet) // p is the network's again when it returns
	hangUp  func()          // the other side closed, or the connection was reset
}

const (
	dialler  = 0
	acceptor = 1
)

// pipe is one direction: packets arrive in order or not at all.
type pipe struct {
	last  time.Duration // arrival of the packet before
	sent  uint64        // packets, so far
	stuck []*packet     // met a cut; they go on when it heals, in the order of their sending
	got   uint64        // packets handed over, so far
	early []*packet     // arrived before one that was stuck
}

func (q *pipe) hold(p *packet) { q.stuck = inOrder(append(q.stuck, p)) }

// inOrder moves the newest of some packets to its place among those in order.
func inOrder(ps []*packet) []*packet {
	for i := len(ps) - 1; i > 0 && ps[i].number < ps[i-1].number; i-- {
		ps[i], ps[i-1] = ps[i-1], ps[i]
	}
	return ps
}

// packet is what one write to a socket carries. What it points to belongs to
// all who get it, and never changes.
type packet struct {
	number uint64 // in its direction
	conn   *conn
	to     int // the side that it goes to
	kind   packetKind
	rows   [][]byte // frames
	raft   *xrow.Raft
	sync   uint64
	ack    *instance.AckState
	hello  *hello
	part   *joinPart

	forward *instance.Forward
	body    []byte
	err     *xrow.Error
}

type packetKind uint8

const (
	packetDial      packetKind = iota // dialler: SUBSCRIBE or JOIN
	packetWelcome                     // acceptor: its answer
	packetRefuse                      // acceptor: an error instead
	packetRows                        // whole transactions
	packetRaft                        // election state
	packetBeat                        // heartbeat
	packetAck                         // applier's answer
	packetJoin                        // part of a state transfer
	packetForward                     // a request for the leader; the first of a connection has none
	packetForwarded                   // its answer
	packetFin                         // closed in order
	packetConnReset                   // closed by the kernel
)

// hello is the content of packetDial, packetWelcome and packetRefuse.
type hello struct {
	join        bool
	incarnation uint64 // of a joiner's store
	id          uint32 // of the sender
	vclock      vclock.VClock
	raft        *xrow.Raft
	shown       instance.Shown // a welcome: what the dialler has shown to the acceptor,
	shownBy     uint64         // and by which incarnation; 0: nothing is told
	cause       refusal
}

// refusal is why an acceptor closes instead of answering.
type refusal uint8

const (
	refusedBusy    refusal = iota // not there yet, not a leader, ...: try again
	refusedGap                    // rows that the peer lacks are no longer in the log
	refusedUnknown                // the peer is not registered under that ID
)

// dial opens a connection; what comes of it arrives by the two functions.
func (net *network) dial(from, to *node, first packet, receive func(*conn, *packet), hangUp func(*conn, bool)) *conn {
	c := &conn{net: net}
	c.ends[dialler] = end{host: from, life: from.life, heard: net.w.now}
	c.ends[acceptor] = end{host: to, life: -1, closed: true} // until somebody is there
	c.ends[dialler].receive = func(p *packet) { receive(c, p) }
	c.ends[dialler].hangUp = func() { hangUp(c, false) }
	net.conns = append(net.conns, c)
	net.w.after(net.delay(from.slot, to.slot), func() { c.knock(first, hangUp) })
	return c
}

// knock is the arrival of the dialler's first packet.
func (c *conn) knock(first packet, hangUp func(*conn, bool)) {
	from, to := c.ends[dialler].host, c.ends[acceptor].host
	if c.ends[dialler].closed || c.net.cut[from.slot][to.slot] || c.net.cut[to.slot][from.slot] || to.hostGone {
		return // silence: the dialler's time limit ends it
	}
	if !to.running() {
		c.net.w.after(c.net.delay(to.slot, from.slot), func() {
			if c.alive(dialler) {
				c.drop(dialler)
				hangUp(c, true)
			}
		})
		return
	}
	e := &c.ends[acceptor]
	e.life, e.heard, e.closed = to.life, c.net.w.now, false
	e.receive = func(p *packet) { to.accept(c, p) }
	c.arrive(acceptor, &first)
}

// alive tells whether the process at one end still has this connection.
func (c *conn) alive(side int) bool {
	e := &c.ends[side]
	return !e.closed && e.host.running() && e.host.life == e.life
}

// send writes a packet at one side.
func (c *conn) send(side int, p packet) {
	if c.alive(side) {
		c.carry(1-side, p)
	}
}

// carry brings a packet to a side, if the wire lets it.
func (c *conn) carry(to int, content packet) {
	p := c.net.packet()
	*p = content
	p.conn, p.to = c, to
	c.pipes[to].sent++
	p.number = c.pipes[to].sent
	p.leave()
}

// leave puts a packet on the wire.
func (p *packet) leave() {
	c, to := p.conn, p.to
	a, b := c.ends[1-to].host.slot, c.ends[to].host.slot
	pipe := &c.pipes[to]
	if c.net.cut[a][b] || len(pipe.stuck) > 0 {
		pipe.hold(p)
		return
	}
	at := max(c.net.w.now+c.net.delay(a, b), pipe.last+1)
	pipe.last = at
	c.net.w.queue.push(at, p)
}

// happen is the other end of the wire.
func (p *packet) happen() {
	c, to := p.conn, p.to
	pipe := &c.pipes[to]
	switch {
	case c.net.cut[c.ends[1-to].host.slot][c.ends[to].host.slot] || len(pipe.stuck) > 0:
		pipe.hold(p)
		return
	case p.number != pipe.got+1:
		pipe.early = inOrder(append(pipe.early, p))
		return
	}
	for {
		pipe.got++
		c.arrive(to, p)
		if len(pipe.early) == 0 || pipe.early[0].number != pipe.got+1 {
			return
		}
		p, pipe.early = pipe.early[0], pipe.early[1:]
	}
}

// packet is one that nobody has.
func (net *network) packet() (p *packet) {
	n := len(net.spare)
	if n == 0 {
		return new(packet)
	}
	p, net.spare = net.spare[n-1], net.spare[:n-1]
	return p
}

// arrive hands a packet to a process, or to the kernel of its host.
func (c *conn) arrive(side int, p *packet) {
	e := &c.ends[side]
	if e.host.paused && c.alive(side) && !e.host.hostGone {
		e.backlog = append(e.backlog, p)
		return
	}
	c.handOver(side, p)
	*p = packet{}
	c.net.spare = append(c.net.spare, p)
}

func (c *conn) handOver(side int, p *packet) {
	e := &c.ends[side]
	closes := p.kind == packetFin || p.kind == packetConnReset
	switch {
	case e.host.hostGone || e.closed && closes:
	case !c.alive(side):
		if !closes {
			c.carry(1-side, packet{kind: packetConnReset}) // nobody listens here: the kernel says so
		}
	case closes:
		e.heard = c.net.w.now
		c.drop(side)
		if e.hangUp != nil {
			e.hangUp()
		}
	default:
		e.heard = c.net.w.now
		if e.receive != nil {
			e.receive(p)
		}
	}
}

// wake lets a process that was paused read what has arrived meanwhile.
func (c *conn) wake(side int) {
	e := &c.ends[side]
	backlog := e.backlog
	e.backlog = nil
	for _, p := range backlog {
		c.arrive(side, p)
	}
}

// close ends one side in order; the other side hears of it if the wire lets it.
func (c *conn) close(side int) {
	if c.ends[side].closed {
		return
	}
	tell := c.alive(side)
	c.drop(side)
	if tell {
		c.carry(1-side, packet{kind: packetFin})
	}
}

// drop forgets one side without a word.
func (c *conn) drop(side int) {
	c.ends[side].closed = true
	c.ends[side].backlog = nil
	if c.ends[1-side].closed {
		c.net.forget(c)
	}
}

func (net *network) forget(c *conn) {
	for i, o := range net.conns {
		if o == c {
			net.conns = append(net.conns[:i:i], net.conns[i+1:]...)
			return
		}
	}
}

// processDied ends the sides of a dead process. Its kernel tells the peers,
// unless the whole host is gone.
func (net *network) processDied(n *node, hostGone bool) {
	for _, c := range append([]*conn(nil), net.conns...) {
		for side := range c.ends {
			e := &c.ends[side]
			if e.host != n || e.closed {
				continue
			}
			c.drop(side)
			if !hostGone {
				c.carry(1-side, packet{kind: packetConnReset})
			}
		}
	}
}

// sever stops everything from a to b.
func (net *network) sever(a, b int) { net.cut[a][b] = true }

func (net *network) healAll() {
	for a := range net.cut {
		for b := range net.cut {
			net.heal(a, b)
		}
	}
}

// heal reopens a direction. What was stuck goes on, or the connection that
// carried it is reset and the packets are lost.
func (net *network) heal(a, b int) {
	if !net.cut[a][b] {
		return
	}
	net.cut[a][b] = false
	for _, c := range append([]*conn(nil), net.conns...) {
		for to := range c.ends {
			if c.ends[1-to].host.slot != a || c.ends[to].host.slot != b || len(c.pipes[to].stuck) == 0 {
				continue
			}
			stuck := c.pipes[to].stuck
			c.pipes[to].stuck = nil
			if net.w.chance(2) {
				c.reset()
				continue
			}
			for _, p := range stuck {
				p.leave()
			}
		}
	}
}

// reset breaks a connection: both sides hear of it, packets in flight are lost.
func (c *conn) reset() {
	for side := range c.ends {
		c.pipes[side].stuck = nil
		if !c.alive(side) {
			continue
		}
		e := &c.ends[side]
		if e.host.paused {
			e.backlog = append(e.backlog, &packet{kind: packetConnReset})
			continue
		}
		hangUp := e.hangUp
		c.drop(side)
		if hangUp != nil {
			hangUp()
		}
	}
}

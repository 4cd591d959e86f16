package sim

import (
	"errors"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
)

// joinPart is a piece of a state transfer. The last one carries the state.
type joinPart struct {
	tuples []spaceTuple
	state  *instance.State
	id     uint32
}

// joiner is the receiving side: a process without a core.
type joiner struct {
	n      *node
	keeps  bool // the old store is still there: ID, own LSN and undecided rows stay
	id     uint32
	shown  instance.Shown // by the core that has just stopped
	from   *node          // whom a joiner with a store asks
	conn   *conn
	tuples []spaceTuple

	asked   *node // in the last attempt
	leaders int   // that it asked
}

// replaced counts whose place it took.
func (j *joiner) replaced(id uint32) {
	w := j.n.w
	for _, d := range w.departures {
		if d.joiner != j.n || d.life != j.n.life {
			continue
		}
		for _, m := range w.nodes {
			if m != j.n && m.id == d.id && m.uuid == j.n.uuid {
				w.count(ReplacedByUUID)
			} else if m != j.n && m.id == d.id && m.name == j.n.name {
				w.count(ReplacedByName)
			}
		}
	}
}

// beginJoin makes a process without a core ask around for the state.
func (n *node) beginJoin(keeps bool) {
	n.joining = &joiner{n: n, keeps: keeps}
	n.joining.trySoon(0)
	n.watch(n.life)
}

// joinAnew lets a replica that lacks rows which no peer has any more ask one of
// them for its state. Its core goes on meanwhile: it votes, and may catch up by
// itself.
func (n *node) joinAnew(from *node) {
	if n.joining != nil {
		return
	}
	n.joining = &joiner{n: n, keeps: true, from: from}
	n.joining.trySoon(0)
}

// retire stops the core that went on while the state came.
func (j *joiner) retire() {
	j.id = j.n.id
	if r := j.n.shown; r != nil {
		j.shown.Term, j.shown.Vote = r.Term, r.Vote
	}
	j.shown.Ack = j.n.acked
	j.n.retire()
}

// retire stops the core of a process for good. Its journal drains first.
func (n *node) retire() {
	n.w.net.processDied(n, false)
	for n.disk.synced+1 < n.disk.next() && !n.disk.failing {
		n.disk.settle(n.disk.synced + 1)
		n.w.check.synced(n, n.disk.logged(n.disk.synced))
	}
	n.endProcess()
	n.up = true
}

func (j *joiner) trySoon(d time.Duration) {
	life := j.n.life
	j.n.w.after(d, func() {
		if j.n.life != life || !j.n.running() || j.n.joining != j || j.conn != nil {
			return
		}
		if j.n.paused {
			j.trySoon(50 * time.Millisecond)
			return
		}
		j.try()
	})
}

// try asks one peer: mostly one that calls itself leader.
func (j *joiner) try() {
	w := j.n.w
	master := w.nodes[w.rng.IntN(len(w.nodes))]
	for _, n := range w.nodes {
		if n.running() && n.shown != nil && n.shown.State == stateLeader && !w.chance(4) {
			master = n
		}
	}
	if j.from != nil {
		master = j.from
	}
	if master == j.n {
		j.trySoon(20 * time.Millisecond)
		return
	}
	j.tuples = nil
	if master != j.asked {
		j.asked = master
		j.leaders++
	}
	hi := hello{join: true, incarnation: j.n.incarnation()}
	j.conn = w.net.dial(j.n, master, packet{kind: packetDial, hello: &hi}, j.receive, j.lost)
}

func (j *joiner) lost(c *conn, refused bool) {
	if j.conn == c && j.keeps {
		j.n.joining = nil // the next refusal begins anew
	} else if j.conn == c {
		j.conn = nil
		j.trySoon(j.n.w.between(50*time.Millisecond, 400*time.Millisecond))
	}
}

func (j *joiner) receive(c *conn, p *packet) {
	if j.conn != c {
		return
	}
	if p.kind == packetRefuse {
		c.close(dialler)
		j.lost(c, false)
		return
	}
	if p.kind != packetJoin {
		return
	}
	j.tuples = append(j.tuples, p.part.tuples...)
	if p.part.state != nil {
		c.close(dialler)
		j.finish(*p.part.state, p.part.id)
	}
}

// finish writes the new store. It becomes valid with one last sync; a crash
// before that leaves the old one.
func (j *joiner) finish(state instance.State, id uint32) {
	n, life := j.n, j.n.life
	n.w.after(n.w.plan.sync.draw(n.w)+n.disk.slow, func() {
		if n.life != life || !n.running() {
			return
		}
		if j.keeps {
			j.retire()
		}
		kept, err := j.merge(state)
		// This peer has to learn from us first. Where Tarantool's rules hold the
		// server would rather begin a new life: so much is not modelled.
		if errors.Is(err, instance.ErrBehind) || n.w.mixed() && errors.Is(err, instance.ErrUncovered) {
			n.w.tell(n, "does not take the state of a peer: %v", err)
			n.reset()
			n.recover()
			return
		}
		if n.back && errors.Is(err, instance.ErrLostData) {
			n.noticesLoss(err)
			return
		}
		if err != nil {
			n.w.fail("join", "%s cannot keep its rows: %v", n.label(), err)
			return
		}
		kept.State.NextGroup = n.disk.next()
		c := &checkpoint{state: kept.State, tuples: j.tuples}
		n.disk.replace(c, &kept)
		n.w.check.joined(n, c)
		n.w.tell(n, "joined as %d (keeps: %v): vclock %v, term %d", id, j.keeps, n.disk.vclock, n.disk.term)
		switch {
		case n.wiped:
			n.w.count(WipedCameBack)
			n.wiped = false
		case !j.keeps:
			n.w.count(Joined)
			j.replaced(id)
		}
		if j.leaders > 1 {
			n.w.count(JoinedElsewhere)
		}
		if j.keeps {
			n.w.count(JoinedAnew)
		}
		n.reset()
		n.recover()
	})
}

// joinServer is the sending side of a state transfer.
type joinServer struct {
	n      *node
	conn   *conn
	snap   instance.Snapshot
	cursor box.Cursor
	open   bool // the view is ours to close
}

func (n *node) serveJoin(c *conn, hi *hello) {
	s := &joinServer{n: n, conn: c}
	n.served = append(n.served, s)
	c.ends[acceptor].receive = func(*packet) {}
	c.ends[acceptor].hangUp = s.end
	peer := c.ends[dialler].host
	n.w.ambush.joins(c)
	n.tag++
	n.snaps[n.tag] = s.begin
	n.post(instance.JoinRequest{Tag: n.tag, UUID: peer.uuid, Name: peer.name, Incarnation: hi.incarnation, Feature: peer.reads()})
}

func (s *joinServer) begin(snap instance.Snapshot) {
	if snap.Err != nil {
		s.n.w.tell(s.n, "refuses a join: %v", snap.Err)
		s.conn.refuse(refusedBusy)
		return
	}
	s.snap, s.open = snap, true
	if s.n.saving {
		s.n.w.count(JoinRacedCheckpoint)
	}
	if !s.conn.alive(acceptor) {
		s.end()
		return
	}
	s.sendSoon()
}

func (s *joinServer) sendSoon() {
	w, life := s.n.w, s.n.life
	w.after(w.between(200*time.Microsecond, 3*time.Millisecond), func() {
		if s.n.life != life || !s.n.running() || !s.open {
			return
		}
		if s.n.paused {
			s.sendSoon()
			return
		}
		s.send()
	})
}

// send takes the next slice of the view. Writes go on between slices.
func (s *joinServer) send() {
	part, more, err := slice(s.snap.View, &s.cursor, s.n.w.plan.slice, false)
	if err != nil {
		s.n.w.fail("join", "%s reads its view: %v", s.n.label(), err)
		return
	}
	// An idle joiner says nothing; the stream itself is its sign of life.
	s.conn.ends[acceptor].heard = s.n.w.now
	if more {
		s.conn.send(acceptor, packet{kind: packetJoin, part: &joinPart{tuples: part}})
		s.sendSoon()
		return
	}
	state := s.snap.State
	s.conn.send(acceptor, packet{kind: packetJoin, part: &joinPart{tuples: part, state: &state, id: s.snap.ID}})
	s.end()
}

func (s *joinServer) end() {
	if s.open {
		s.open = false
		s.n.post(instance.CloseView{View: s.snap.View})
	}
	for i, o := range s.n.served {
		if o == s {
			s.n.served = append(s.n.served[:i:i], s.n.served[i+1:]...)
			return
		}
	}
}

// slice copies some tuples of a view. Those of local spaces never leave the
// instance.
func slice(v *box.View, c *box.Cursor, limit int, local bool) (part []spaceTuple, more bool, err error) {
	more, err = v.Next(c, limit, func(space uint32, tuple []byte) error {
		if local || !v.IsLocal(space) {
			part = append(part, spaceTuple{space, append([]byte(nil), tuple...)})
		}
		return nil
	})
	return part, more, err
}

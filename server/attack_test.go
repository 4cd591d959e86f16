package server

import (
	"context"
	"errors"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/google/uuid"
)

// rogue is somebody who has the password of the members' user and has joined in the
// name of a configured instance that is down.
type rogue struct {
	s           *set
	uuid        string
	incarnation uint64
	id          uint32
	joined      vclock.VClock
	set         string
	streams     map[*node1]*iproto.Client
	heard       map[*node1]chan error // how its stream ended
}

func (s *set) newRogue(name string) *rogue {
	s.t.Helper()
	r := &rogue{s: s, uuid: uuid.NewString(), incarnation: 77, streams: map[*node1]*iproto.Client{}, heard: map[*node1]chan error{}}
	lead := s.leader()
	lead.server().main().engine.Load().loop.Read(func(c *instance.Core) { r.set = c.Box().ReplicasetUUID() })
	s.until("the rogue has joined", func() bool { return r.join(s.leader(), name) == nil })
	info, _ := s.leader().info()
	for _, m := range info.Members {
		if m.UUID == r.uuid {
			r.id = m.ID
		}
	}
	return r
}

func (r *rogue) login(n *node1) *iproto.Client {
	t := r.s.t
	t.Helper()
	c, err := iproto.Dial(context.Background(), n.addr)
	if err == nil {
		err = c.Login("replicator", "r")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (r *rogue) join(n *node1, name string) error {
	c := r.login(n)
	defer c.Close()
	req := xrow.JoinRequest{InstanceUUID: r.uuid, InstanceName: name, ServerVersion: versionNumber(), Incarnation: r.incarnation}
	if err := c.WriteRow(&xrow.Row{Type: xrow.Join, Body: req.AppendBody(nil)}); err != nil {
		return err
	}
	for oks := 0; oks < 3; {
		row, err := c.ReadRow()
		if err != nil {
			return err
		}
		if e := row.AsError(); e != nil {
			return e
		}
		if row.Type == xrow.OK {
			var at xrow.Ack
			if err := at.Decode(row.Body); err != nil {
				return err
			}
			r.joined = at.VClock
			oks++
		}
	}
	return nil
}

// subscribe opens a stream in the place of the one that there was, and reads it on.
func (r *rogue) subscribe(n *node1, v vclock.VClock, kind xrow.Kind) error {
	if old := r.streams[n]; old != nil {
		old.Close()
		ended := <-r.heard[n]
		r.s.t.Log("the stream before:", ended)
		delete(r.streams, n)
	}
	c := r.login(n)
	req := xrow.SubscribeRequest{ReplicasetUUID: r.set, InstanceUUID: r.uuid, VClock: v, ServerVersion: versionNumber(), Kind: kind, Incarnation: r.incarnation}
	row, err := c.Do(xrow.Subscribe, req.AppendBody(nil)) // refused while the old relay is there
	if err != nil {
		return err
	}
	if _, err := xrow.DecodeSubscribeOK(row.Body); err != nil {
		return err
	}
	ended := make(chan error, 1)
	r.streams[n], r.heard[n] = c, ended
	go func() {
		for {
			row, err := c.ReadRow()
			if e := row.AsError(); err == nil && e != nil {
				err = e
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	return nil
}

func (r *rogue) ack(n *node1, v vclock.VClock, term uint64) error {
	a := xrow.Ack{VClock: v, Term: term}
	return r.streams[n].WriteRow(&xrow.Row{Type: xrow.OK, Body: a.AppendBody(nil)})
}

// sound says what an attack has done to the instances that run; nil: nothing.
func (s *set) sound() error {
	for _, n := range s.nodes {
		if n.stop == nil {
			continue
		}
		i, ok := n.info()
		switch {
		case !ok:
			return errors.New(n.name + " does not serve")
		case i.Failed != nil:
			return i.Failed
		case i.Doubted != "":
			return errors.New(i.Doubted)
		case i.Term > 1000:
			return errors.New("its term is beyond all elections")
		}
	}
	return nil
}

// attacked begins a set of four of which the last is down, and lets a rogue in.
func attacked(t *testing.T) (*set, *rogue) {
	s := newSet(t, 4, "")
	for _, n := range s.nodes[:3] {
		n.start()
	}
	s.leader()
	s.makeSpace()
	s.fill(0, 10)
	return s, s.newRogue("i4")
}

// An ack of what was not written, and a term in it, end that connection and nothing else.
func TestAttackAcks(t *testing.T) {
	s, r := attacked(t)
	for _, n := range s.nodes[:3] {
		s.until("its row is here, too", func() bool { return r.subscribe(n, r.joined, xrow.Tarragon) == nil })
		if err := r.ack(n, r.joined, 1<<62); err != nil {
			t.Fatal(err)
		}
		i, _ := n.info()
		v := r.joined
		v[i.ID] += 1_000_000_000
		if err := r.ack(n, v, 1<<62); err != nil {
			t.Fatal(err)
		}
		if err := <-r.heard[n]; !errors.Is(err, xrow.ErrProtocol) {
			t.Errorf("%s: the stream ended with %v", n.name, err)
		}
	}
	s.fill(10, 20)
	if err := s.sound(); err != nil {
		t.Error(err)
	}
}

// One voter that claims to hold more of everybody's rows is refused by all of them,
// and silences nobody for good.
func TestAttackClaims(t *testing.T) {
	s, r := attacked(t)
	lead := s.leader()
	s.until("the JOIN is over", func() bool { return r.subscribe(lead, r.joined, xrow.Tarragon) == nil })
	s.until("the rogue is a voter", func() bool {
		i, _ := lead.info()
		if err := r.ack(lead, i.Synced.Global(), i.Term); err != nil {
			t.Fatal(err)
		}
		for _, m := range i.Members {
			if m.ID == r.id {
				return !m.Learner
			}
		}
		return false
	})
	for _, n := range s.nodes[:3] {
		i, _ := n.info()
		v := i.Synced.Global()
		v[i.ID] += 1_000_000_000
		s.until("its row is here, too", func() bool { return r.subscribe(n, v, xrow.Tarragon) == nil })
		if err := <-r.heard[n]; !errors.Is(err, xrow.ErrProtocol) {
			t.Errorf("%s: the stream ended with %v", n.name, err)
		}
	}
	s.fill(10, 20)
	s.until("nobody is silenced", func() bool { return s.sound() == nil })
	for _, n := range s.nodes[:3] {
		if i, _ := n.info(); i.ID == 0 || i.ID > 3 {
			t.Errorf("%s has joined anew", n.name)
		}
	}
}

// A member of ours that says it is a Tarantool does not end the strong rules.
func TestAttackRules(t *testing.T) {
	s, r := attacked(t)
	if err := r.subscribe(s.leader(), r.joined, xrow.Tarantool); err == nil {
		if err := <-r.heard[s.leader()]; !errors.Is(err, xrow.ErrProtocol) {
			t.Errorf("the stream ended with %v", err)
		}
	}
	s.fill(10, 20)
	for _, n := range s.nodes[:3] {
		if i, _ := n.info(); i.Tarantool || i.Tarantools != 0 {
			t.Errorf("%s is under Tarantool's rules", n.name)
		}
	}
}

// An operator's word raises a term further than a peer's would.
func TestAdoptTerm(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	n := s.nodes[0]
	n.call("tarragon.adopt_term", 5_000_000)
	s.until("it leads in a term beyond that", func() bool {
		i, ok := n.info()
		return ok && i.Term > 5_000_000 && !i.RO
	})
	s.fill(0, 10)
}

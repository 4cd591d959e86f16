package server

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"

	"github.com/tarantool/go-tarantool/v2"
)

// sees starts an instance that knows these ones only.
func (n *node1) sees(peers ...*node1) {
	n.set.t.Helper()
	n.flags = nil
	if len(peers) < len(n.set.nodes) {
		var list []string
		for _, p := range peers {
			list = append(list, "replicator:r@"+p.addr)
		}
		n.flags = []config.Flag{{Name: "f", Path: "replication.peers", Value: strings.Join(list, ",")}}
	}
	n.start()
}

func (n *node1) setUUID() (uuid string) {
	if _, ok := n.info(); !ok {
		return ""
	}
	if e := n.of("").engine.Load(); e != nil { // it may have begun anew since
		e.loop.Read(func(c *instance.Core) { uuid = c.Box().ReplicasetUUID() })
	}
	return uuid
}

func (n *node1) incarnation() uint64 { return n.server().main().life.identity.Incarnation }

// found has an instance begin a replica set that nobody else sees, and stops it.
func (n *node1) found() (set string) {
	n.set.t.Helper()
	n.sees(n)
	n.lone()
	set = n.setUUID()
	if err := n.halt(); err != nil {
		n.set.t.Fatal(err)
	}
	return set
}

func (n *node1) lone() {
	n.set.t.Helper()
	n.set.until(n.name+" founds a set alone", func() bool {
		i, ok := n.info()
		return ok && i.Founding.Lone && i.ROReason == "founding"
	})
}

// oneSet waits until all that run are members of one complete set.
func (s *set) oneSet() (uuid string) {
	s.t.Helper()
	s.until("one complete set", func() bool {
		uuid = ""
		for _, n := range s.nodes {
			if n.stop == nil {
				continue
			}
			i, ok := n.info()
			if set := n.setUUID(); !ok || i.Founding.Need > 0 || uuid != "" && set != uuid {
				return false
			}
			uuid = n.setUUID()
		}
		return uuid != ""
	})
	return uuid
}

// gaveWay: an instance has a new store, says so, and has kept the old one.
func (n *node1) gaveWay(before uint64) {
	n.set.t.Helper()
	if n.incarnation() == before {
		n.set.t.Errorf("%s is what it was", n.name)
	}
	if !strings.Contains(n.log.String(), "giving way to another replica set") {
		n.set.t.Errorf("%s does not say that it gave way", n.name)
	}
	all := n.formers()
	if len(all) != 1 || !strings.Contains(all[0].Why, "gives way") {
		n.set.t.Errorf("former slots: %+v", all)
	} else if _, was := StoredIdentity(all[0].Values); was != before {
		n.set.t.Errorf("the former slot is of incarnation %d, not %d", was, before)
	}
}

// The bootstrapper is cut off before anybody has joined it, and the others begin
// another set. It takes no write meanwhile, and gives way when it sees them:
// while it runs, or at its next start, also where the configuration gives all
// sets one UUID.
func TestFounderGivesWay(t *testing.T) {
	for _, test := range []struct {
		name   string
		yaml   string
		behind bool // it starts when the others are there
	}{
		{name: "running"},
		{name: "restarted", behind: true},
		{name: "one uuid", yaml: "database: {replicaset_uuid: 5a5a5a5a-0000-4000-8000-000000000000}\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSet(t, 3, test.yaml)
			first, rest := s.nodes[0], s.nodes[1:]
			set := first.found()
			if !test.behind {
				first.sees(s.nodes...)
				first.lone()
			}
			before := first.incarnation()
			for _, n := range rest {
				n.sees(rest...)
			}
			s.makeSpaceAt(rest)
			s.fillAt(rest, 0, 100)
			if test.behind {
				first.sees(s.nodes...)
			}
			if now := s.oneSet(); now == set && test.yaml == "" {
				t.Errorf("the set that gave way is %s", now)
			}
			first.gaveWay(before)
			for _, n := range rest { // they learn of the third
				if err := n.halt(); err != nil {
					t.Fatal(err)
				}
				n.sees(s.nodes...)
			}
			s.fill(100, 200)
			s.level()
			for _, n := range s.nodes {
				if i, _ := n.info(); n.rows() != 200 || len(i.Members) != 3 {
					t.Errorf("%s has %d rows, members %v", n.name, n.rows(), i.Members)
				}
			}
		})
	}
}

func (s *set) makeSpaceAt(nodes []*node1) { (&set{t: s.t, nodes: nodes}).makeSpace() }

func (s *set) fillAt(nodes []*node1, from, to int) { (&set{t: s.t, nodes: nodes}).fill(from, to) }

// Two lone founders see each other: one gives way, and one only.
func TestTwoLoneFounders(t *testing.T) {
	s := newSet(t, 3, "")
	a, b := s.nodes[0], s.nodes[1]
	sets := []string{a.found(), b.found()}
	before := []uint64{a.incarnation(), b.incarnation()}
	a.sees(s.nodes...)
	b.sees(s.nodes...)
	stays := slices.Index(sets, s.oneSet())
	if stays < 0 {
		t.Fatalf("the set is none of %v", sets)
	}
	if sets[stays] != slices.Min(sets) {
		t.Logf("the greater uuid stayed of %v", sets) // one start was slow: the other saw a set that somebody had joined
	}
	s.nodes[1-stays].gaveWay(before[1-stays])
	if s.nodes[stays].incarnation() != before[stays] {
		t.Errorf("%s gave way too", s.nodes[stays].name)
	}
	s.makeSpace()
	s.fill(0, 10)
}

// While a set is being founded a client gets READONLY, which says why; so do
// box.info and the events that pools watch. What the file says of users is
// written all the same, or nobody could join.
func TestFoundingRefusesWrites(t *testing.T) {
	s := newSet(t, 3, "")
	n := s.nodes[0]
	n.sees(n)
	n.lone()
	conn := n.dial()
	defer conn.Close()
	for _, req := range []tarantool.Request{
		tarantool.NewInsertRequest("_schema").Tuple([]any{"x", 1}),
		tarantool.NewCallRequest("box.schema.space.create").Args([]any{"t"}),
		tarantool.NewCallRequest("box.schema.user.create").Args([]any{"u"}),
	} {
		_, err := conn.Do(req).Get()
		var e tarantool.Error
		if !errors.As(err, &e) || e.Code != 7 || !strings.Contains(e.Msg, "is being founded: 1 of 2 configured instances have joined") {
			t.Errorf("%v", err)
		}
	}
	info, _ := n.call("box.info")[0].(map[any]any)
	if info["ro"] != true || info["ro_reason"] != "founding" {
		t.Errorf("ro %v, %v", info["ro"], info["ro_reason"])
	}
	if ro := n.event("box.status")["is_ro"]; ro != true {
		t.Errorf("box.status: is_ro %v", ro)
	}
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	n.flags = nil // who sees itself only hears of no election of the others
	s.startAll()
	s.makeSpace()
	s.fill(0, 10)
}

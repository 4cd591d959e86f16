package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"weak"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/tinylib/msgp/msgp"
)

// Groups of the tests, beside the replica set.
const top, side = "top", "side"

var allGroups = []string{"", top, side}

// groups gives each instance two Cores more.
func (s *set) groups() *set {
	for _, n := range s.nodes {
		n.beside = []string{top, side}
	}
	return s
}

// of is the node of a group; nil: it is between two runs.
func (n *node1) of(group string) *node {
	s := n.server()
	switch {
	case s == nil:
		return nil
	case group == "":
		return s.main()
	}
	if b := s.beside[group]; b != nil {
		return b.node.Load()
	}
	return nil
}

// groupInfo is the state of the core of a group; ok: its node is ready.
func (n *node1) groupInfo(group string) (i instance.Info, ok bool) {
	nd := n.of(group)
	if nd == nil || nd.engine.Load() == nil || !nd.ready.Load() {
		return i, false
	}
	nd.engine.Load().loop.Read(func(c *instance.Core) { i = c.Info(0) })
	return i, true
}

func (n *node1) groupReady(group string) bool { _, ok := n.groupInfo(group); return ok }

// groupLeader is an instance that takes writes for a group.
func (s *set) groupLeader(group string) (leader *node1) {
	s.t.Helper()
	s.until("a leader of group '"+group+"'", func() bool {
		for _, n := range s.nodes {
			if i, ok := n.groupInfo(group); ok && n.stop != nil && !i.RO {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

// mark is the text that _schema of a group has under a key; empty: none.
func (n *node1) mark(group, key string) (text string) {
	nd := n.of(group)
	if nd == nil || nd.engine.Load() == nil {
		return ""
	}
	nd.engine.Load().loop.Read(func(c *instance.Core) {
		for _, tuple := range tuplesOf(c.Box(), xrow.SpaceSchema) {
			if have := schemaValue(tuple, key); have != "" {
				text = have
			}
		}
	})
	return text
}

// tuplesOf are the tuples of a system space as an administrator sees them.
func tuplesOf(b *box.Box, space uint32) (out [][]byte) {
	q := box.Query{Space: space, Iterator: box.ALL, Key: []byte{0x90}, Limit: 1 << 20}
	rows, _, err := b.Select(admin(), &q, nil)
	if err != nil {
		panic(err)
	}
	for len(rows) > 0 {
		n, err := mp.Scan(rows)
		if err != nil {
			panic(err)
		}
		out, rows = append(out, rows[:n]), rows[n:]
	}
	return out
}

// admin is who writes into the Cores.
func admin() box.Credentials { return box.Credentials(box.UserAdmin) }

// put writes a mark into a group, at its leader, and waits until all that run have it.
// No client reaches the Core of a group, so the write goes to its Loop.
func (s *set) put(group, key, text string) {
	s.t.Helper()
	tuple := msgp.AppendString(msgp.AppendString([]byte{0x92}, key), text)
	s.until("a write in group '"+group+"'", func() bool {
		lead := s.groupLeader(group)
		nd := lead.of(group)
		if nd == nil {
			return false
		}
		answer := make(chan *xrow.Error, 1)
		conn := lead.server().port.calls.add(func(r instance.Reply) { answer <- r.Err })
		err := nd.engine.Load().loop.Submit(instance.Write{Requests: []instance.Request{{Conn: conn, User: admin(),
			DML: xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSchema, Tuple: tuple}}}})
		return err == nil && <-answer == nil
	})
	for _, n := range s.nodes {
		if n.stop != nil {
			s.until(fmt.Sprintf("%s has %q of group '%s'", n.name, key, group), func() bool { return n.mark(group, key) == text })
		}
	}
}

func (s *set) allReady() {
	s.t.Helper()
	for _, n := range s.nodes {
		for _, g := range allGroups {
			s.until(n.name+" is ready in group '"+g+"'", func() bool {
				i, ok := n.groupInfo(g)
				return ok && i.Founding.Need == 0 && len(i.Members) == len(s.nodes)
			})
		}
	}
}

func (s *set) startGroups() {
	for _, n := range s.nodes {
		n.start()
	}
	s.allReady()
}

// Each process runs three Cores over one store and one port: three replica sets with
// leaders, members and data of their own. What one of them writes the others never
// see, and a restart brings all of it back.
func TestThreeGroups(t *testing.T) {
	s := newSet(t, 2, "").groups()
	s.startGroups()
	sets := map[string]string{}
	for _, g := range allGroups {
		for _, n := range s.nodes {
			n.of(g).engine.Load().loop.Read(func(c *instance.Core) { sets[c.Box().ReplicasetUUID()] += g + " " })
		}
		s.put(g, "mark", "of "+g)
		s.put(g, "only "+g, g+"!")
	}
	if len(sets) != len(allGroups) {
		t.Errorf("replica sets: %v", sets)
	}
	if got, want := len(s.nodes[0].server().store.Cores()), len(allGroups); got != want {
		t.Errorf("the store has %d Cores, not %d", got, want)
	}
	check := func() {
		t.Helper()
		for _, n := range s.nodes {
			for _, g := range allGroups {
				s.until("what was decided is known to be", func() bool { return n.mark(g, "mark") == "of "+g && n.mark(g, "only "+g) != "" })
				for _, other := range allGroups {
					if got := n.mark(g, "only "+other); (got != "") != (g == other) {
						t.Errorf("%s: group '%s' has %q of group '%s'", n.name, g, got, other)
					}
				}
			}
		}
	}
	check()
	for _, n := range s.nodes {
		if err := n.halt(); err != nil {
			t.Fatal(err)
		}
	}
	s.startGroups()
	check()
	for _, g := range allGroups {
		s.put(g, "mark", "of "+g)
	}
}

// A node that finds its state slowly, or not at all, holds nobody back: the others
// become ready and take writes, and it follows when it can.
func TestNodesAreReadyAlone(t *testing.T) {
	s := newSet(t, 1, "").groups()
	n := s.nodes[0]
	goOn := make(chan struct{})
	var fails atomic.Int32
	broken := errors.New("no luck")
	n.begins = func(ctx context.Context, group string) error {
		switch group {
		case top:
			select {
			case <-goOn:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		case side:
			if fails.Add(1) < 3 {
				return broken
			}
		}
		return nil
	}
	n.start()
	s.until("the replica set is ready", func() bool { return n.groupReady("") })
	s.put("", "mark", "x")
	if n.groupReady(top) {
		t.Error("ready without its state")
	}
	s.until("the one that failed twice is ready", func() bool { return n.groupReady(side) })
	s.put(side, "mark", "y")
	if !strings.Contains(n.log.String(), broken.Error()) {
		t.Error("nobody was told")
	}
	if n.groupReady(top) {
		t.Error("ready without its state")
	}
	close(goOn)
	s.until("the slow one is ready", func() bool { return n.groupReady(top) })
	s.put(top, "mark", "z")
	if n.runs != 1 {
		t.Errorf("%d runs of the process", n.runs)
	}
}

// The same the other way round: the replica set's node is the slow one.
func TestReplicaSetIsReadyLast(t *testing.T) {
	s := newSet(t, 1, "").groups()
	n := s.nodes[0]
	goOn := make(chan struct{})
	n.begins = func(ctx context.Context, group string) error {
		if group == "" {
			<-goOn
		}
		return nil
	}
	n.start()
	for _, g := range []string{top, side} {
		s.until("group '"+g+"' is ready", func() bool { return n.groupReady(g) })
		s.put(g, "mark", g)
	}
	if n.groupReady("") {
		t.Error("ready without its state")
	}
	close(goOn)
	s.until("all are", func() bool { return n.groupReady("") })
}

// A node that has to join anew fills a slot beside its own and comes back in it, under
// a new identity if it has lost data. The others run on, and so does the process.
func TestJoinAnewAlone(t *testing.T) {
	for name, newLife := range map[string]bool{"beyond the log": false, "a lost disk": true} {
		t.Run(name, func(t *testing.T) {
			s := newSet(t, 3, "").groups()
			s.startGroups()
			for _, g := range allGroups {
				s.put(g, "mark", "of "+g)
			}
			lead := s.groupLeader(top)
			var n *node1
			for _, other := range s.nodes {
				if other != lead {
					n = other
				}
			}
			before, _ := n.groupInfo(top)
			was, slot := n.of(top), n.server().store.Core(1)
			engines := map[string]*engine{"": n.of("").engine.Load(), side: n.of(side).engine.Load()}
			was.broken(&rejoin{cause: errors.New(name), newLife: newLife})
			s.until("it is back", func() bool { return n.of(top) != was && n.groupReady(top) })
			s.until("it is a member", func() bool {
				i, ok := n.groupInfo(top)
				return ok && (i.ID != before.ID) == newLife && i.Leader != 0
			})
			if n.server().store.Core(1) == slot {
				t.Error("it has its former slot")
			}
			s.until("it has its data", func() bool { return n.mark(top, "mark") == "of "+top })
			s.put(top, "mark", "behind")
			for g, e := range engines {
				if n.of(g).engine.Load() != e {
					t.Errorf("group '%s' began anew as well", g)
				}
			}
			if n.runs != 1 {
				t.Errorf("%d runs of the process", n.runs)
			}
			if err := n.halt(); err != nil {
				t.Fatal(err)
			}
			n.start()
			s.until("it is back after a restart", func() bool { return n.groupReady(top) && n.groupReady(side) && n.groupReady("") })
			s.until("with its data", func() bool { return n.mark(top, "mark") == "behind" })
		})
	}
}

// The replica set's node has to join anew: it fills a slot beside its own, while the other
// two Cores of the process, leaders and streams to their peers, go on. Clients are told that it loads.
func TestReplicaSetJoinsAnewAlone(t *testing.T) {
	for name, newLife := range map[string]bool{"beyond the log": false, "a lost disk": true} {
		t.Run(name, func(t *testing.T) {
			s := newSet(t, 3, "").groups()
			s.startGroups()
			for _, g := range allGroups {
				s.put(g, "mark", "of "+g)
			}
			n := s.groupLeader(top)
			left, goOn := make(chan struct{}), make(chan struct{})
			var once sync.Once
			n.anew = func() {
				once.Do(func() { close(left) })
				<-goOn
			}
			before, _ := n.groupInfo("")
			was, slot := n.of(""), n.server().store.Core(0)
			engines := map[string]*engine{top: n.of(top).engine.Load(), side: n.of(side).engine.Load()}
			was.broken(&rejoin{cause: errors.New(name), newLife: newLife})
			<-left
			for _, g := range []string{top, side} {
				s.put(g, "meanwhile", g)
				if got := n.downstreams(g); got != 2 {
					t.Errorf("%d peers follow it in group '%s'", got, g)
				}
			}
			if err := n.login(); !errors.Is(err, xrow.ErrLoading) {
				t.Errorf("a client: %v", err)
			}
			// It has not asked anybody yet. What says nothing would pass for a member.
			if raw, err := n.of("").appendBallot(nil); err != nil {
				t.Error(err)
			} else if b, err := xrow.DecodeBallot(raw); err != nil || b.IsBooted {
				t.Errorf("its ballot says %+v, %v", b, err)
			}
			close(goOn)
			s.until("it is back", func() bool { return n.of("") != was && n.groupReady("") })
			s.until("it is a member", func() bool {
				i, ok := n.groupInfo("")
				return ok && (i.ID != before.ID) == newLife && i.Leader != 0
			})
			s.until("it has its data", func() bool { return n.mark("", "mark") == "of " })
			s.put("", "mark", "behind")
			for g, e := range engines {
				if n.of(g).engine.Load() != e {
					t.Errorf("group '%s' began anew as well", g)
				}
			}
			check := func() {
				t.Helper()
				if n.server().store.Core(0).Number() == slot.Number() {
					t.Error("it has its former slot")
				}
				want := 0
				if newLife {
					want = 1
				}
				if all := n.formers(); len(all) != want || newLife && (all[0].Slot != slot.Number() || all[0].Core != 0 || all[0].Why != name) {
					t.Errorf("former slots: %+v", all)
				}
				for _, g := range []string{top, side} {
					s.until("group '"+g+"' has its data", func() bool { return n.mark(g, "mark") == "of "+g && n.mark(g, "meanwhile") == g })
				}
				s.until("so has the replica set", func() bool { return n.mark("", "mark") == "behind" })
			}
			check()
			if n.runs != 1 {
				t.Errorf("%d runs of the process", n.runs)
			}
			if err := n.halt(); err != nil {
				t.Fatal(err)
			}
			if r, err := xlog.Verify(nil, storeDir(n.load())); err != nil || !r.OK() || len(r.Cores) != 3 {
				t.Errorf("%v, %v", r, err)
			}
			n.start()
			s.until("it is back after a restart", func() bool { return n.groupReady(top) && n.groupReady(side) && n.groupReady("") })
			check()
		})
	}
}

// downstreams counts the peers that follow a node.
func (n *node1) downstreams(group string) (follow int) {
	for _, p := range n.of(group).hub.Load().Status() {
		if p.Downstream != nil && p.Downstream.Status == "follow" {
			follow++
		}
	}
	return follow
}

// login is a try of a client.
func (n *node1) login() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := iproto.Dial(ctx, n.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return c.Login("admin1", "a")
}

// A store that fails ends the writes of all Cores, and no node.
func TestStoreFailsForAll(t *testing.T) {
	s := newSet(t, 1, "").groups()
	n := s.nodes[0]
	var broken errorfs.Toggle
	broken.Injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.EIO
		}
		return nil
	})
	n.openStore = func(o xlog.Options) (*xlog.Store, error) {
		o.FS = errorfs.Wrap(vfs.Default, &broken)
		return xlog.Open(o)
	}
	s.startGroups()
	for _, g := range allGroups {
		s.put(g, "mark", g)
	}
	broken.On()
	lead := n.of(top).engine.Load()
	tuple := msgp.AppendString(msgp.AppendString([]byte{0x92}, "mark"), "lost")
	if err := lead.loop.Submit(instance.Write{Requests: []instance.Request{{Conn: 1, User: admin(),
		DML: xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSchema, Tuple: tuple}}}}); err != nil {
		t.Fatal(err)
	}
	for _, g := range allGroups {
		s.until("group '"+g+"' knows", func() bool { i, ok := n.groupInfo(g); return ok && i.Failed != nil })
		if n.mark(g, "mark") != g {
			t.Errorf("group '%s' is not read any more", g)
		}
	}
	if n.runs != 1 {
		t.Errorf("%d runs of the process", n.runs)
	}
}

// One of two instances knows no groups: the other one finds nobody for them, goes on
// with its replica set, and leaves no trace in the members of that one.
func TestPeerWithoutTheGroup(t *testing.T) {
	s := newSet(t, 2, "")
	s.nodes[0].beside = []string{top}
	for _, n := range s.nodes {
		n.start()
	}
	s.until("both are members", func() bool {
		for _, n := range s.nodes {
			if i, ok := n.groupInfo(""); !ok || len(i.Members) != 2 {
				return false
			}
		}
		return true
	})
	n := s.nodes[0]
	s.until("it waits", func() bool {
		return strings.Contains(n.log.String(), `"core":"top","reason":"1 of 2 configured instances answer`)
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	id := replication.Identity{Group: top, UUID: n.of("").life.UUID, Incarnation: 99, Version: versionNumber()}
	err := replication.Join(ctx, replication.Peer{Addr: s.nodes[1].addr, User: "replicator", Password: "r"}, id, patience, nil, new(replication.Progress))
	if !errors.Is(err, xrow.ErrCfg) || !strings.Contains(err.Error(), "This instance has no group 'top'") {
		t.Errorf("a JOIN: %v", err)
	}
	for _, nd := range s.nodes {
		i, _ := nd.groupInfo("")
		for _, m := range i.Members {
			if m.Incarnation == 99 {
				t.Errorf("%s has a member by the JOIN into a group: %+v", nd.name, m)
			}
		}
	}
	s.put("", "mark", "x")
}

// What a run of the replica set's node had in memory is let go when the next one begins, and
// is not there twice: nothing of the process still refers to it.
func TestRunLeavesNoMemory(t *testing.T) {
	s := newSet(t, 3, "").groups()
	s.startGroups()
	s.makeSpace()
	s.fill(0, 10)
	s.level()
	n := s.nodes[0]
	s.until("a client is let in", func() bool { return n.login() == nil })
	end := func() weak.Pointer[engine] {
		was := n.of("")
		defer was.broken(&rejoin{cause: errors.New("a test")})
		return weak.Make(was.engine.Load())
	}
	was := end()
	s.until("it is back", func() bool {
		return n.groupReady("") && n.of("").engine.Load() != was.Value() && n.of("").life.anew == nil
	})
	s.until("the run before is gone from memory", func() bool {
		runtime.GC()
		return was.Value() == nil
	})
}

// A node whose run is over lets nobody in: who came in then would stay in the next run as
// a user of this one.
func TestLeavingNodeServesNobody(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	n := s.nodes[0]
	s.until("a client is let in", func() bool { return n.login() == nil })
	n.of("").leaving.Store(true)
	if err := n.login(); !errors.Is(err, xrow.ErrLoading) {
		t.Error(err)
	}
}

// Clients come, read and write all the while in which the replica set's node joins anew,
// again and again. Each gets an answer or the end of its connection.
func TestClientsOfANodeThatJoinsAnew(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	n := s.nodes[0]
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 6 {
		clients.Go(func() {
			for ctx.Err() == nil {
				c, err := iproto.Dial(ctx, n.addr)
				if err != nil {
					continue
				}
				end := context.AfterFunc(ctx, func() { _ = c.Close() })
				for err = c.Login("admin1", "a"); err == nil; {
					_, err = c.Call("box.info", []byte{0x90})
				}
				end()
				_ = c.Close()
			}
		})
	}
	for round := range 4 {
		before := n.of("")
		s.until("it serves", func() bool { return n.login() == nil })
		before.broken(&rejoin{cause: errors.New("a test")})
		s.until("it is back", func() bool { return n.of("") != before && n.groupReady("") && n.of("").life.anew == nil })
		s.fill(round*10, round*10+10)
	}
	stop()
	clients.Wait()
	s.level()
	if got := n.rows(); got != 40 || n.runs != 1 {
		t.Errorf("%d rows, %d runs of the process", got, n.runs)
	}
}

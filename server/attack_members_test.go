package server

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/google/uuid"
	"github.com/tarantool/go-tarantool/v2"
	"github.com/tinylib/msgp/msgp"
)

// rogue is a peer that says what the test wants, as a user.
func (n *node1) rogue(user, password string) *iproto.Client {
	n.set.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var c *iproto.Client
	n.set.until("a login at "+n.name+" as "+user, func() bool {
		var err error
		if c, err = iproto.Dial(ctx, n.addr); err != nil {
			return false
		}
		if err = c.Login(user, password); err != nil {
			c.Close()
		}
		return err == nil
	})
	n.set.t.Cleanup(func() { c.Close() })
	return c
}

// request sends one request and gives the first answer.
func (n *node1) request(user, password string, kind xrow.Type, body []byte) error {
	n.set.t.Helper()
	c := n.rogue(user, password)
	defer c.Close()
	_, err := c.Do(kind, body)
	return err
}

func (n *node1) joinAs(user, password string, req xrow.JoinRequest) error {
	n.set.t.Helper()
	req.ServerVersion = 3<<16 | 8<<8
	return n.request(user, password, xrow.Join, req.AppendBody(nil))
}

// wantError tells whether an error has a code and says a text.
func wantError(t *testing.T, what string, err error, code xrow.Code, text string) {
	t.Helper()
	var e *xrow.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("%s: %v, want error %d with %q", what, err, code, text)
	}
}

// notData are the statements of a client on what is the replica set's own.
func notData(self string) (all []xrow.DML) {
	ops := msgp.AppendInt(msgp.AppendInt(msgp.AppendString([]byte{0x91, 0x93}, "="), 3), 7)
	row := func(space uint32, key, tuple []byte) {
		all = append(all, xrow.DML{Type: xrow.Replace, SpaceID: space, Tuple: tuple}, xrow.DML{Type: xrow.Update, SpaceID: space, Key: key, Tuple: ops},
			xrow.DML{Type: xrow.Upsert, SpaceID: space, Tuple: tuple, Ops: ops}, xrow.DML{Type: xrow.Delete, SpaceID: space, Key: key})
	}
	stranger := uuid.NewString()
	for id := 1; id <= 9; id += 2 {
		row(xrow.SpaceCluster, []byte{0x91, byte(id)}, instance.MemberTuple(uint32(id), stranger, "", 0))
	}
	all = append(all, xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceCluster, Tuple: instance.MemberTuple(9, stranger, "zz", 7)})
	for _, key := range []string{"tarragon.quorum", "version", "replicaset_uuid", "replicaset_name"} {
		row(xrow.SpaceSchema, msgp.AppendString([]byte{0x91}, key), msgp.AppendString(msgp.AppendString([]byte{0x92}, key), "1"))
	}
	all = append(all, xrow.DML{Type: xrow.Insert, SpaceID: 388, Tuple: append(msgp.AppendString([]byte{0x93}, self), 0x80, 0x80)})
	return all
}

// Who counts is no data: neither a replication user, whose role may write
// _cluster, nor a super user, nor admin changes it by a statement, on a lone node
// and on a set of three. The verb of the operator does.
func TestAttackMembersAreNoData(t *testing.T) {
	for _, size := range []int{1, 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newSet(t, size, "")
			s.startAll()
			s.makeSpace()
			lead := s.leader()
			before := mustInfo(t, lead)
			for _, who := range []struct{ user, password string }{{"replicator", "r"}, {"admin1", "a"}} {
				c := lead.rogue(who.user, who.password)
				for _, d := range notData(before.Members[0].UUID) {
					body := d.AppendBody(nil)
					_, err := c.Do(d.Type, body)
					var e *xrow.Error
					switch {
					case !errors.As(err, &e):
						t.Errorf("%s: %v of space %d: %v", who.user, d.Type, d.SpaceID, err)
					case e.Code == xrow.ErrUnsupported, e.Code == xrow.ErrAccessDenied && who.user == "replicator" && d.SpaceID != xrow.SpaceCluster:
					default: // what it would find never matters for _cluster
						t.Errorf("%s: %v of space %d: %v", who.user, d.Type, d.SpaceID, err)
					}
				}
			}
			for _, name := range []string{"box.space._cluster:delete", "box.space._cluster:insert"} {
				conn := lead.dial()
				_, err := conn.Do(tarantool.NewCallRequest(name).Args([]any{[]any{9, uuid.NewString()}})).Get()
				conn.Close()
				var te tarantool.Error
				if !errors.As(err, &te) || !strings.Contains(te.Msg, "tarragon expel") {
					t.Errorf("%s: %v", name, err)
				}
			}
			s.fill(0, 10)
			after := mustInfo(t, lead)
			if after.Voters != before.Voters || len(after.Members) != size || after.Tarantool || after.Tarantools != 0 {
				t.Errorf("members %v, Tarantool's rules %v", after.Members, after.Tarantool)
			}
			if size == 1 {
				return
			}
			out := s.nodes[0]
			if out == lead {
				out = s.nodes[1]
			}
			lead.call("tarragon.expel", out.name)
			s.until("it is expelled by the verb", func() bool { i, ok := lead.info(); return ok && len(i.Members) == size-1 })
		})
	}
}

// Somebody with the password of a replication user comes under names that are
// nobody's, or somebody else's: the leader writes nothing.
func TestAttackJoin(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.level()
	lead := s.leader()
	before := mustInfo(t, lead)
	stranger := uuid.NewString()
	other := before.Members[0]
	if other.ID == before.ID {
		other = before.Members[1]
	}
	wantError(t, "without a name", lead.joinAs("replicator", "r", xrow.JoinRequest{InstanceUUID: stranger, Incarnation: 77}), xrow.ErrCfg, "tarragon.members")
	wantError(t, "of another name", lead.joinAs("replicator", "r", xrow.JoinRequest{InstanceUUID: stranger, InstanceName: "i9", Incarnation: 77}), xrow.ErrCfg, `"i9"`)
	wantError(t, "of a name that is taken", lead.joinAs("replicator", "r", xrow.JoinRequest{InstanceUUID: stranger, InstanceName: other.Name, Incarnation: 77}),
		xrow.ErrInstanceNameDuplicate, other.Name)
	wantError(t, "of a uuid that is taken", lead.joinAs("replicator", "r", xrow.JoinRequest{InstanceUUID: other.UUID, InstanceName: other.Name, Incarnation: 77}),
		xrow.ErrCfg, "")
	wantError(t, "as a Tarantool", lead.joinAs("replicator", "r", xrow.JoinRequest{InstanceUUID: stranger}), xrow.ErrUnsupported, "tarragon.allow_tarantool")
	reg := xrow.RegisterRequest{InstanceUUID: stranger, InstanceName: "i9", Incarnation: 77, VClock: before.Synced.Global()}
	wantError(t, "by REGISTER", lead.request("replicator", "r", xrow.Register, reg.AppendBody(nil)), xrow.ErrCfg, "tarragon.members")
	if after := mustInfo(t, lead); after.Synced.Global() != before.Synced.Global() || len(after.Members) != 3 {
		t.Errorf("before %v %v, after %v %v", &before.Synced, before.Members, &after.Synced, after.Members)
	}
}

// Where anybody may come, who joins and never acks counts for nothing, and there
// are no more than max_members of all.
func TestAttackManyJoins(t *testing.T) {
	s := newSet(t, 3, "tarragon: {members: ['*'], max_members: 6}\n")
	s.startAll()
	s.makeSpace()
	lead := s.leader()
	for i := range 3 {
		if err := lead.joinAs("replicator", "r", xrow.JoinRequest{InstanceUUID: uuid.NewString(), Incarnation: 77 + uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, "one more", lead.joinAs("replicator", "r", xrow.JoinRequest{InstanceUUID: uuid.NewString(), Incarnation: 99}), xrow.ErrReplicaMax, "tarragon.max_members")
	_ = s.nodes[0].halt()
	s.fill(0, 10) // two of three voters are enough
	if i := mustInfo(t, s.leader()); len(i.Members) != 6 || bits.OnesCount32(i.Voters) != 3 {
		t.Errorf("members %v, voters %b", i.Members, i.Voters)
	}
}

// newReaderSet has a user that may read all, and do nothing else. Its leader goes on
// alone.
func newReaderSet(t *testing.T, n int, yaml string) *set {
	s := newSet(t, n, yaml)
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	ours := strings.NewReplacer("    admin1:", "    reader: {password: q, privileges: [{permissions: [read], universe: true}]}\n    admin1:",
		"failover: election,", "failover: election, election_fencing_mode: 'off',").Replace(string(text))
	if err := os.WriteFile(s.file, []byte(ours), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// A reader is no member and cannot become one, nor pass for one: neither by JOIN
// and REGISTER, under whatever uuid, nor by SUBSCRIBE, nor by a statement.
func TestAttackReader(t *testing.T) {
	s := newReaderSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.level()
	lead := s.leader()
	var down *node1
	for _, n := range s.nodes {
		if n != lead {
			down = n
		}
	}
	before := mustInfo(t, lead)
	i := mustInfo(t, down)
	if err := down.halt(); err != nil {
		t.Fatal(err)
	}
	set := lead.server().main().engine.Load().box.ReplicasetUUID()
	var lost box.Member
	for _, m := range before.Members {
		if m.ID == i.ID {
			lost = m
		}
	}
	stranger := uuid.NewString()
	for _, id := range []string{stranger, lost.UUID} {
		wantError(t, "JOIN", lead.joinAs("reader", "q", xrow.JoinRequest{InstanceUUID: id, InstanceName: lost.Name, Incarnation: lost.Incarnation}), xrow.ErrAccessDenied, "_cluster")
		wantError(t, "JOIN as a next life", lead.joinAs("reader", "q", xrow.JoinRequest{InstanceUUID: id, InstanceName: lost.Name, Incarnation: 99}), xrow.ErrAccessDenied, "_cluster")
	}
	reg := xrow.RegisterRequest{InstanceUUID: stranger, InstanceName: "i2", Incarnation: 77, VClock: before.Synced.Global()}
	wantError(t, "REGISTER", lead.request("reader", "q", xrow.Register, reg.AppendBody(nil)), xrow.ErrAccessDenied, "_cluster")
	sub := xrow.SubscribeRequest{ReplicasetUUID: set, InstanceUUID: lost.UUID, Incarnation: lost.Incarnation, Kind: xrow.Tarragon, Process: 5,
		VClock: before.Synced.Global(), ServerVersion: 3<<16 | 8<<8}
	wantError(t, "SUBSCRIBE as a member", lead.request("reader", "q", xrow.Subscribe, sub.AppendBody(nil)), xrow.ErrAccessDenied, "_cluster")
	for _, d := range notData(lost.UUID) {
		wantError(t, "DML", lead.request("reader", "q", d.Type, d.AppendBody(nil)), xrow.ErrAccessDenied, "")
	}
	if after := mustInfo(t, lead); len(after.Members) != 3 || after.Synced.Global() != before.Synced.Global() {
		t.Errorf("members %v, vclock %v", after.Members, &after.Synced)
	}
}

// A reader that takes the uuid of an instance which is about to join does not keep
// it away: neither by a stream nor by a state that it does not read on.
func TestAttackReaderTakesPlace(t *testing.T) {
	s := newReaderSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	lead := s.leader()
	conn := lead.dial()
	defer conn.Close()
	for i := range 32 { // more than buffers of sockets hold
		if _, err := conn.Do(tarantool.NewReplaceRequest("t").Tuple([]any{i, strings.Repeat("x", 900_000)})).Get(); err != nil {
			t.Fatal(err)
		}
	}
	joins := func(id string) error {
		return lead.joinAs("replicator", "r", xrow.JoinRequest{InstanceUUID: id, InstanceName: "i9", Incarnation: 7})
	}
	stream, state := uuid.NewString(), uuid.NewString()
	sub := xrow.SubscribeRequest{ReplicasetUUID: lead.server().main().engine.Load().box.ReplicasetUUID(), InstanceUUID: stream, Anon: true, Kind: xrow.Tarragon, Process: 5,
		VClock: mustInfo(t, lead).Synced.Global(), ServerVersion: 3<<16 | 8<<8}
	if _, err := lead.rogue("reader", "q").Do(xrow.Subscribe, sub.AppendBody(nil)); err != nil {
		t.Fatal(err)
	}
	fetch := xrow.JoinRequest{InstanceUUID: state}
	if _, err := lead.rogue("reader", "q").Do(xrow.FetchSnap, fetch.AppendBody(nil)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{stream, state} { // it comes as far as the list of names
		wantError(t, "JOIN", joins(id), xrow.ErrCfg, `"i9"`)
	}
}

// The acks of an anonymous replica decide nothing, whatever they say and whatever
// term they name.
func TestAttackReaderAcks(t *testing.T) {
	s := newReaderSet(t, 3, "database: {txn_synchro_timeout: 0.5}\n")
	s.startAll()
	s.makeSpace()
	s.level()
	lead := s.leader()
	before := mustInfo(t, lead)
	set := lead.server().main().engine.Load().box.ReplicasetUUID()
	sub := xrow.SubscribeRequest{ReplicasetUUID: set, InstanceUUID: uuid.NewString(), Anon: true, Kind: xrow.Tarragon, Process: 5,
		VClock: before.Synced.Global(), ServerVersion: 3<<16 | 8<<8}
	c := lead.rogue("reader", "q")
	if _, err := c.Do(xrow.Subscribe, sub.AppendBody(nil)); err != nil {
		t.Fatal(err)
	}
	for _, n := range s.nodes {
		if n != lead {
			_ = n.halt()
		}
	}
	conn := lead.dial()
	defer conn.Close()
	write := conn.Do(tarantool.NewReplaceRequest("t").Tuple([]any{1, "alone"}))
	mine := mustInfo(t, lead)
	s.until("the write waits", func() bool { mine = mustInfo(t, lead); return mine.QueueLen > 0 })
	v := mine.Synced.Global()
	for id := 1; id < vclock.Max; id++ {
		v[id] += 1000
	}
	ack := xrow.Ack{VClock: v, Term: mine.Term + 1000}
	if err := c.WriteRow(&xrow.Row{Type: xrow.OK, Body: ack.AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	if _, err := write.Get(); err == nil {
		t.Error("a write was acknowledged by a leader and a reader")
	}
	if after := mustInfo(t, lead); after.Term != before.Term || after.QueueLen == 0 {
		t.Errorf("term %d, it was %d; %d undecided", after.Term, before.Term, after.QueueLen)
	}
}

// The right to read all is what an anonymous replica of ours needs, from its first
// connection on.
func TestReaderFollows(t *testing.T) {
	s := newReaderSet(t, 2, "")
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	lead, n := s.nodes[0], s.nodes[1]
	peers := "replication: {anon: true, election_mode: 'off', peers: ['reader:q@" + lead.addr + "']}, "
	if err := os.WriteFile(s.file, []byte(strings.Replace(string(text), "i2: {", "i2: {"+peers, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	lead.start()
	s.makeSpace()
	s.fill(0, 100)
	n.start()
	s.until("it holds all", func() bool { i, ok := n.info(); return ok && i.ID == 0 && n.rows() == 100 })
	s.fill(100, 200)
	s.until("it follows", func() bool { return n.rows() == 200 })
}

// A set grows: the new instance has the new file before the leader has. It is
// refused, with a word on what to do, and let in once the leader's file names it,
// without a restart.
func TestGrowth(t *testing.T) {
	s := newSet(t, 3, "tarragon: {members: [i1, i2]}\n")
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	s.nodes[0].start()
	s.nodes[1].start()
	s.until("two of three", func() bool { i, ok := s.leader().info(); return ok && bits.OnesCount32(i.Voters) == 2 })
	late := s.nodes[2]
	late.start()
	s.until("it is refused, and says why", func() bool { return strings.Contains(late.log.String(), "tarragon.members") })
	if i := mustInfo(t, s.leader()); len(i.Members) != 2 {
		t.Fatalf("members %v", i.Members)
	}
	if err := os.WriteFile(s.file, []byte(strings.Replace(string(text), "tarragon: {members: [i1, i2]}\n", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.until("it is let in", func() bool { i, ok := s.leader().info(); return ok && bits.OnesCount32(i.Voters) == 3 })
	for _, n := range s.nodes {
		if n.runs != 1 {
			t.Errorf("%s was started %d times", n.name, n.runs)
		}
	}
}

// reload is Config.Reload of an instance.
func (n *node1) reload() (*config.Instance, error) {
	return config.Load(config.Source{File: n.set.file, Instance: n.name, Flags: n.flags})
}

package server

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// scripted plays a master of Tarantool's kind: what it sends is what the test
// says, to the byte.
type scripted struct {
	t        testing.TB
	addr     string
	uuid     string
	set      string
	rows     []xrow.DML // of its snapshot
	at       vclock.VClock
	register bool // the joiner's row comes in the final stage

	mu     sync.Mutex
	asked  []string                  // requests that came
	refuse map[xrow.Type]*xrow.Error // what is answered instead
	// stream is what follows the answer to a SUBSCRIBE.
	stream func(c *iproto.Link, req *xrow.SubscribeRequest)
	// join replaces the end of an answer to a JOIN, behind the snapshot rows.
	join func(c *iproto.Link, joiner string) (done bool)
}

func newScripted(t testing.TB) *scripted {
	o := &scripted{t: t, uuid: "aaaaaaaa-0000-4000-8000-000000000001", set: "bbbbbbbb-0000-4000-8000-000000000001",
		at: vclock.VClock{1: 100}, register: true}
	o.rows = box.BootstrapRows(box.Profile2_10_4, o.set, o.uuid, "", "")
	add := func(space uint32, tuple []byte) {
		o.rows = append(o.rows, xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: tuple})
	}
	add(280, mpSpace(512, "tree", "memtx"))
	add(280, mpSpace(513, "vin", "vinyl"))
	add(280, mpSpace(514, "hash", "memtx"))
	add(288, mpIndex(512, "tree", "unsigned"))
	add(288, mpIndex(513, "tree", "unsigned"))
	add(288, mpIndex(514, "hash", "string"))
	for i := range 50 {
		add(512, mpTuple(i, "row"))
	}
	for i := range 50 { // in the order of a hash
		add(514, appendID(msgp.AppendString([]byte{0x92}, fmt.Sprint("k", i*37%50)), i))
	}
	for _, id := range []int{515, 516} {
		add(280, mpSpace(id, fmt.Sprint("more", id), "memtx"))
		add(288, mpIndex(id, "tree", "unsigned"))
		add(uint32(id), mpTuple(id, "of a space out of order"))
	}
	add(280, mpSpace(517, "empty", "memtx"))
	hashed := []uint32{512, 514, 516, 515} // spaces of users are in a hash table too
	rank := func(r xrow.DML) int { return int(r.SpaceID) + 1000*(1+slices.Index(hashed, r.SpaceID)) }
	slices.SortStableFunc(o.rows, func(a, b xrow.DML) int { return cmp.Compare(rank(a), rank(b)) })
	add(513, mpTuple(7, "late")) // vinyl comes last
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.addr = l.Addr().String()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go o.serve(nc)
		}
	}()
	return o
}

func mpTuple(id int, text string) []byte {
	return msgp.AppendString(appendID([]byte{0x92}, id), text)
}

func mpSpace(id int, name, engine string) []byte {
	b := appendID(appendID([]byte{0x97}, id), 1)
	b = msgp.AppendString(msgp.AppendString(b, name), engine)
	return append(b, 0, 0x80, 0x90)
}

func mpIndex(space int, kind, field string) []byte {
	b := msgp.AppendString(appendID(appendID([]byte{0x96}, space), 0), "pk")
	b = msgp.AppendBool(msgp.AppendString(append(msgp.AppendString(b, kind), 0x81), "unique"), true)
	return msgp.AppendString(append(b, 0x91, 0x92, 0), field)
}

func (o *scripted) serve(nc net.Conn) {
	defer nc.Close()
	var salt [32]byte
	if _, err := nc.Write(iproto.AppendGreeting(nil, "2.6.0", o.uuid, &salt)); err != nil {
		return
	}
	c := iproto.NewLink(nc, xrow.MaxFrame)
	for {
		row, err := c.ReadRow()
		if err != nil {
			return
		}
		o.mu.Lock()
		o.asked = append(o.asked, row.Type.String())
		refused := o.refuse[row.Type]
		o.mu.Unlock()
		if refused != nil {
			o.send(c, errorRow(refused, row.Sync))
			continue
		}
		switch row.Type {
		case xrow.Vote:
			b := xrow.Ballot{IsBooted: true, VClock: o.at}
			o.send(c, &xrow.Row{Type: xrow.OK, Sync: row.Sync, Body: b.AppendBody(nil)})
		case xrow.Auth:
			o.send(c, &xrow.Row{Type: xrow.OK, Sync: row.Sync})
		case xrow.Join, xrow.FetchSnap:
			req, _ := xrow.DecodeJoin(row.Body)
			o.answerJoin(c, req.InstanceUUID, row.Type == xrow.FetchSnap)
		case xrow.Register:
			req, _ := xrow.DecodeRegister(row.Body)
			v := vclock.VClock{1: o.at[1] + 1}
			o.send(c, o.registration(req.InstanceUUID), okRow(&v))
		case xrow.Subscribe:
			req, err := xrow.DecodeSubscribe(row.Body)
			if err != nil {
				o.t.Error(err)
			}
			ok := xrow.SubscribeOK{ReplicasetUUID: o.set, VClock: o.at}
			o.send(c, &xrow.Row{Type: xrow.OK, ReplicaID: 1, Body: ok.AppendBody(nil)})
			o.mu.Lock()
			stream := o.stream
			o.mu.Unlock()
			stream(c, &req)
			return
		default:
			o.send(c, errorRow(xrow.Errorf(xrow.ErrUnknownRequestType, uint32(row.Type)), row.Sync))
		}
	}
}

func errorRow(e *xrow.Error, sync uint64) *xrow.Row {
	return &xrow.Row{Type: xrow.ErrorFlag | xrow.Type(e.Code), Sync: sync, Body: xrow.AppendErrorBody(nil, e)}
}

func okRow(v *vclock.VClock) *xrow.Row {
	return &xrow.Row{Type: xrow.OK, Body: xrow.AppendVClockBody(nil, v)}
}

func (o *scripted) answerJoin(c *iproto.Link, joiner string, anon bool) {
	o.send(c, okRow(&o.at))
	for i := range o.rows {
		o.send(c, &xrow.Row{Type: xrow.Insert, Body: o.rows[i].AppendBody(nil)})
	}
	o.mu.Lock()
	join := o.join
	o.mu.Unlock()
	if join != nil && join(c, joiner) {
		return
	}
	stop := o.at
	stop[1]++
	if anon {
		o.send(c, okRow(&o.at))
		return
	}
	o.send(c, okRow(&stop))
	if o.register {
		o.send(c, o.registration(joiner))
	}
	o.send(c, okRow(&stop))
}

// registration is the row that makes the joiner member 2.
func (o *scripted) registration(uuid string) *xrow.Row {
	d := xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceCluster, Tuple: msgp.AppendString([]byte{0x92, 2}, uuid)}
	return o.row(o.at[1]+1, &d)
}

// row is a transaction of one row.
func (o *scripted) row(lsn uint64, d *xrow.DML) *xrow.Row {
	return &xrow.Row{Type: d.Type, ReplicaID: 1, LSN: lsn, TSN: lsn, Timestamp: 1e9, Flags: xrow.FlagCommit, Body: d.AppendBody(nil)}
}

func (o *scripted) insert(lsn uint64, id int) *xrow.Row {
	return o.row(lsn, &xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: mpTuple(id, "new")})
}

func (o *scripted) send(c *iproto.Link, rows ...*xrow.Row) {
	var b []byte
	for _, r := range rows {
		b = r.Append(b)
	}
	_, _ = c.Write(b) // the other end may have gone
}

// ack reads acks until one covers an LSN, and answers whether it came.
func (o *scripted) ack(c *iproto.Link, lsn uint64) bool {
	for {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		row, err := c.ReadRow()
		if err != nil {
			return false
		}
		var a xrow.Ack
		if err := a.Decode(row.Body); err != nil {
			o.t.Errorf("ack: %v", err)
			return false
		}
		if a.VClock[1] >= lsn {
			return true
		}
	}
}

func (o *scripted) count(request string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.asked {
		if r == request {
			n++
		}
	}
	return n
}

// follow sets what comes behind SUBSCRIBE.
func (o *scripted) follow(f func(c *iproto.Link, req *xrow.SubscribeRequest)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stream = f
}

// replica is one instance of ours that has o as its only peer.
func (o *scripted) replica(more ...config.Flag) *node1 {
	n := newSet(o.t, 2, "").nodes[0] // the other one stays down: not all may be anonymous
	n.flags = append([]config.Flag{{Path: "replication.failover", Value: "off"}, {Path: "database.mode", Value: "ro"},
		{Path: "replication.peers", Value: "replicator:r@" + o.addr}}, more...)
	return n
}

// upstream is what status tells of the stream from o.
func (n *node1) upstream() (status, message string) {
	s := n.server()
	if s == nil || s.main().hub.Load() == nil {
		return "", ""
	}
	for _, p := range s.main().hub.Load().Status() {
		if p.Upstream != nil {
			return string(p.Upstream.Status), p.Upstream.Message
		}
	}
	return "", ""
}

// tuples counts those of a space.
func (n *node1) tuples(space uint32) (count int) {
	n.server().main().engine.Load().loop.Read(func(c *instance.Core) {
		if info, ok := c.Box().Space(space); ok {
			count = info.Rows
		}
	})
	return count
}

// keep reads what comes until the other end goes.
func keep(c *iproto.Link) {
	_ = c.SetReadDeadline(time.Time{})
	for {
		if _, err := c.ReadRow(); err != nil {
			return
		}
	}
}

// An instance joins one of Tarantool's kind and follows it: gaps are legal, a
// transaction of several rows comes whole, and all is there after a restart.
func TestFollowsTarantool(t *testing.T) {
	o := newScripted(t)
	uuid, acked := "", make(chan struct{})
	o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
		uuid = req.InstanceUUID
		if req.VClock != (vclock.VClock{1: 100}) || req.IDFilter != 0 {
			t.Errorf("subscribed with %+v", req)
		}
		d := xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: mpTuple(1001, "tx")}
		first, last := o.row(150, &d), o.row(151, &xrow.DML{Type: xrow.Delete, SpaceID: 512, Key: []byte{0x91, 3}})
		first.Flags, last.TSN = 0, 150
		o.send(c, o.registration(req.InstanceUUID), o.insert(140, 1000), first, last)
		if !o.ack(c, 151) {
			t.Error("no ack")
		}
		close(acked)
		keep(c)
	})
	n := o.replica()
	n.start()
	n.set.until("it holds all", func() bool {
		i, ok := n.info()
		return ok && i.Synced == vclock.VClock{1: 151}
	})
	<-acked // not on its way when the instance stops
	i, _ := n.info()
	if i.ID != 2 || i.UUID != uuid || len(i.Members) != 2 {
		t.Errorf("it is %d %s of %v", i.ID, i.UUID, i.Members)
	}
	if a, b, c := n.tuples(512), n.tuples(513), n.tuples(514); a != 51 || b != 1 || c != 50 {
		t.Errorf("%d, %d and %d rows", a, b, c)
	}
	again := make(chan vclock.VClock, 64)
	o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
		again <- req.VClock
		keep(c)
	})
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	n.start()
	if v := <-again; v != (vclock.VClock{1: 151}) {
		t.Errorf("after a restart it has %s", v)
	}
	n.set.until("it is back", func() bool { _, ok := n.info(); return ok })
	if n.tuples(512) != 51 || o.count("JOIN") != 1 {
		t.Errorf("%d rows, %d JOINs", n.tuples(512), o.count("JOIN"))
	}
}

// What cannot be applied ends the stream, with an error that says where, and
// changes nothing: not the data, not the vclock.
func TestRefusesBadStreams(t *testing.T) {
	for _, test := range []struct {
		name  string
		rows  func(o *scripted) []*xrow.Row
		state string
		says  []string
	}{
		{"a key that is taken", func(o *scripted) []*xrow.Row { return []*xrow.Row{o.insert(103, 5)} }, "stopped",
			[]string{"space 'tree'", "LSN 103 of instance 1", "Duplicate key"}},
		{"half of a transaction is bad", func(o *scripted) []*xrow.Row {
			a, b := o.insert(103, 2000), o.insert(104, 5)
			a.Flags, b.TSN = 0, 103
			return []*xrow.Row{a, b}
		}, "stopped", []string{"LSN 104 of instance 1", "Duplicate key"}},
		{"a space that is not there", func(o *scripted) []*xrow.Row {
			return []*xrow.Row{o.row(103, &xrow.DML{Type: xrow.Insert, SpaceID: 999, Tuple: mpTuple(1, "x")})}
		}, "stopped", []string{"space 999", "LSN 103 of instance 1"}},
		{"rows out of order", func(o *scripted) []*xrow.Row {
			a, b := o.insert(104, 2000), o.insert(103, 2001)
			a.Flags, b.TSN, a.TSN = 0, 104, 104
			return []*xrow.Row{a, b}
		}, "stopped", []string{"104", "103"}},
		{"a transaction without its first row", func(o *scripted) []*xrow.Row {
			a := o.insert(104, 2000)
			a.TSN = 103
			return []*xrow.Row{a}
		}, "disconnected", []string{"Transaction id must be equal to LSN"}},
		{"an unknown row", func(*scripted) []*xrow.Row {
			return []*xrow.Row{{Type: 99, ReplicaID: 1, LSN: 103, TSN: 103, Flags: xrow.FlagCommit}}
		}, "stopped", []string{"99"}},
		{"an unknown author", func(o *scripted) []*xrow.Row {
			a := o.insert(103, 2000)
			a.ReplicaID = 77
			return []*xrow.Row{a}
		}, "stopped", []string{"77"}},
		{"a term out of range", func(o *scripted) []*xrow.Row {
			s := xrow.Synchro{ReplicaID: 1, Term: 1<<64 - 1}
			return []*xrow.Row{{Type: xrow.Promote, ReplicaID: 1, LSN: 103, TSN: 103, Flags: xrow.FlagCommit, Body: s.AppendBody(nil)}}
		}, "disconnected", []string{"term 18446744073709551615 is out of range"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newScripted(t)
			o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
				if req.VClock[1] == 100 {
					o.send(c, o.registration(req.InstanceUUID))
					o.ack(c, 101)
				}
				o.send(c, test.rows(o)...)
				keep(c)
			})
			n := o.replica()
			n.start()
			var message string
			n.set.until("the stream is refused", func() bool {
				var state string
				state, message = n.upstream()
				return state == test.state && message != ""
			})
			for _, says := range test.says {
				if !strings.Contains(message, says) {
					t.Errorf("%q does not tell %q", message, says)
				}
			}
			if !strings.Contains(n.log.String(), o.addr) {
				t.Error("the log does not name the peer")
			}
			if i := n.readyInfo(); i.Synced != (vclock.VClock{1: 101}) || n.tuples(512) != 50 || i.Term > 2 {
				t.Errorf("it holds %s in term %d, %d rows", i.Synced, i.Term, n.tuples(512))
			}
		})
	}
}

// A peer that does not let us in is asked again, or left for good, by the
// Tarantool's table; the log says who and why.
func TestRefusedByTarantool(t *testing.T) {
	for _, test := range []struct {
		request xrow.Type
		err     *xrow.Error
		state   string
	}{
		{xrow.Auth, xrow.Errorf(xrow.ErrCredsMismatch), "loading"},
		{xrow.Subscribe, xrow.Errorf(xrow.ErrAccessDenied, "Read", "universe", "", "replicator"), "loading"},
		{xrow.Subscribe, xrow.Errorf(xrow.ErrTooEarlySubscribe, "x"), "loading"},
		{xrow.Subscribe, xrow.Errorf(xrow.ErrReplicasetUUIDMismatch, "a", "b"), "stopped"},
		{xrow.Subscribe, xrow.Errorf(xrow.ErrSplitBrain, "x"), "stopped"},
	} {
		t.Run(fmt.Sprint(test.request, test.err.Code), func(t *testing.T) {
			o := newScripted(t)
			o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
				o.send(c, o.registration(req.InstanceUUID))
				o.ack(c, 101)
				o.mu.Lock()
				o.refuse = map[xrow.Type]*xrow.Error{test.request: test.err}
				o.mu.Unlock()
			})
			n := o.replica()
			n.start()
			n.set.until("it is told", func() bool {
				state, message := n.upstream()
				return state == test.state && strings.Contains(message, test.err.Message)
			})
			n.set.until("the log tells it", func() bool {
				for _, line := range strings.Split(n.log.String(), "\n") {
					if strings.Contains(line, "upstream failed") && strings.Contains(line, test.err.Message) && strings.Contains(line, o.addr) {
						return true
					}
				}
				return false
			})
			if i := n.readyInfo(); i.Synced[1] != 101 {
				t.Errorf("it holds %s", i.Synced)
			}
		})
	}
}

// A JOIN that is refused is tried again where that may help.
func TestJoinRefusedByTarantool(t *testing.T) {
	o := newScripted(t)
	denied := xrow.Errorf(xrow.ErrAccessDenied, "Write", "space", "_cluster", "replicator")
	o.refuse = map[xrow.Type]*xrow.Error{xrow.Join: denied}
	o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
		o.send(c, o.registration(req.InstanceUUID))
		keep(c)
	})
	n := o.replica()
	n.start()
	n.set.until("it is told", func() bool {
		return strings.Contains(n.log.String(), denied.Message) && strings.Contains(n.log.String(), o.addr) && o.count("JOIN") > 1
	})
	o.mu.Lock()
	o.refuse = nil
	o.mu.Unlock()
	n.set.until("it is a member", func() bool { i, ok := n.info(); return ok && i.ID == 2 })
}

// A stream that stops within a row or a transaction is asked for again from
// what is whole.
func TestStreamCutOff(t *testing.T) {
	o := newScripted(t)
	var tries atomic.Int32
	o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
		if req.VClock[1] == 100 {
			o.send(c, o.registration(req.InstanceUUID))
			o.ack(c, 101)
		} else if req.VClock[1] != 101 {
			t.Errorf("asked from %s", req.VClock)
		}
		a, b := o.insert(102, 1000), o.insert(103, 1001)
		a.Flags, b.TSN = 0, 102
		whole := b.Append(a.Append(nil))
		switch tries.Add(1) {
		case 1:
			_, _ = c.Write(whole[:len(whole)-3]) // within a row
		case 2:
			o.send(c, a)
		default:
			_, _ = c.Write(whole)
			keep(c)
		}
	})
	n := o.replica()
	n.start()
	n.set.until("all came", func() bool { i, ok := n.info(); return ok && i.Synced[1] == 103 })
	if n.tuples(512) != 52 {
		t.Errorf("%d rows", n.tuples(512))
	}
}

// A JOIN that breaks off leaves nothing; one whose registration is not told is
// completed by REGISTER, without the state being sent anew.
func TestJoinBreaksOff(t *testing.T) {
	o := newScripted(t)
	var joins atomic.Int32 // each connection has a goroutine
	o.join = func(c *iproto.Link, joiner string) bool {
		switch joins.Add(1) {
		case 1: // in front of the end of the snapshot
			_ = c.Close()
			return true
		case 2: // between registration and its word
			stop := vclock.VClock{1: 101}
			o.send(c, okRow(&stop))
			_ = c.Close()
			return true
		}
		t.Error("the state was asked for again")
		return false
	}
	o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
		o.send(c, o.registration(req.InstanceUUID))
		keep(c)
	})
	n := o.replica()
	n.start()
	n.set.until("it is a member", func() bool { i, ok := n.info(); return ok && i.ID == 2 })
	if o.count("REGISTER") != 1 || n.tuples(512) != 50 {
		t.Errorf("%d REGISTERs, %d rows", o.count("REGISTER"), n.tuples(512))
	}
}

// An anonymous replica follows without an ID, and becomes a member when its
// configuration says so.
func TestAnonymous(t *testing.T) {
	o := newScripted(t)
	o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
		if !req.Anon || req.IDFilter != 1 || req.VClock[1] != 100 {
			t.Errorf("subscribed with %+v", req)
		}
		o.send(c, o.insert(101, 1000))
		keep(c)
	})
	n := o.replica(config.Flag{Path: "replication.anon", Value: "true"})
	n.start()
	n.set.until("it follows", func() bool { i, ok := n.info(); return ok && i.Synced[1] == 101 })
	if i, _ := n.info(); i.ID != 0 || !i.RO || o.count("JOIN") != 0 || o.count("FETCH_SNAPSHOT") != 1 {
		t.Errorf("it is %d, read-only %v; asked %v", i.ID, i.RO, o.asked)
	}
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	o.at[1] = 101
	o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
		if req.Anon || req.VClock[1] < 101 {
			t.Errorf("subscribed with %+v", req)
		}
		o.send(c, o.registration(req.InstanceUUID))
		keep(c)
	})
	n.flags = n.flags[:len(n.flags)-1]
	n.start()
	n.set.until("it is a member", func() bool { i, ok := n.info(); return ok && i.ID == 2 })
	if o.count("REGISTER") != 1 {
		t.Errorf("asked %v", o.asked)
	}
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	n.flags = append(n.flags, config.Flag{Path: "replication.anon", Value: "true"})
	n.start()
	if err := n.ended(); err == nil || !strings.Contains(err.Error(), "cannot become anonymous") {
		t.Errorf("a member as an anonymous replica: %v", err)
	}
}

// The same where all are ours: the state keeps its terms, and REGISTER its
// incarnation.
func TestAnonymousOfOurs(t *testing.T) {
	s := newSet(t, 2, "")
	lead, n := s.nodes[0], s.nodes[1]
	file, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(string(file), "i2: {", "i2: {replication: {anon: true, election_mode: 'off'}, ", 1))
	lead.start()
	s.makeSpace()
	s.fill(0, 100)
	n.start()
	level := func() bool {
		a, ok := lead.info()
		b, ok2 := n.info()
		return ok && ok2 && a.Synced.Global() == b.Synced.Global() && a.QueueTerm == b.QueueTerm
	}
	s.until("it holds all", level)
	s.fill(100, 200)
	s.until("it follows", func() bool { return level() && n.rows() == 200 }) // rows show with the CONFIRM behind them
	if i, _ := n.info(); i.ID != 0 || len(i.Members) != 1 {
		t.Errorf("it is %d of %v", i.ID, i.Members)
	}
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	write(string(file))
	n.start()
	s.until("it is a member", func() bool { i, ok := n.info(); return ok && i.ID == 2 && len(i.Members) == 2 })
	for _, m := range mustInfo(t, n).Members {
		if m.Incarnation == 0 {
			t.Errorf("member %+v is not of our kind", m)
		}
	}
	s.fill(200, 300)
	s.level()
}

func mustInfo(t *testing.T, n *node1) instance.Info {
	t.Helper()
	i, ok := n.info()
	if !ok {
		t.Fatalf("%s does not serve", n.name)
	}
	return i
}

// A master that has dropped the rows that follow gives its state anew; the
// identity stays.
func TestJoinsTarantoolAnew(t *testing.T) {
	o := newScripted(t)
	o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
		o.send(c, o.registration(req.InstanceUUID))
		o.ack(c, 101)
		e := xrow.Errorf(xrow.ErrXlogGap, "Missing .xlog file between LSN 101 {1: 101} and 500 {1: 500}")
		o.mu.Lock()
		o.at = vclock.VClock{1: 500}
		o.register = false
		o.rows = append(o.rows, xrow.DML{Type: xrow.Insert, SpaceID: 513, Tuple: mpTuple(8, "later")})
		for i := range o.rows { // its snapshot has our row by now
			if o.rows[i].SpaceID == xrow.SpaceCluster {
				o.rows = append(o.rows[:i+1:i+1], append([]xrow.DML{{Type: xrow.Insert, SpaceID: xrow.SpaceCluster,
					Tuple: msgp.AppendString([]byte{0x92, 2}, req.InstanceUUID)}}, o.rows[i+1:]...)...)
				break
			}
		}
		o.stream = func(c *iproto.Link, req *xrow.SubscribeRequest) {
			if req.VClock[1] == 101 {
				o.send(c, errorRow(e, 0))
				return
			}
			keep(c)
		}
		o.mu.Unlock()
		o.send(c, errorRow(e, 0))
	})
	n := o.replica()
	n.start()
	n.set.until("it has the new state", func() bool { i, ok := n.info(); return ok && i.Synced[1] == 500 })
	if i, _ := n.info(); i.ID != 2 || n.tuples(513) != 2 || o.count("JOIN") != 2 {
		t.Errorf("it is %d, with %d rows; asked %v", i.ID, n.tuples(513), o.asked)
	}
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	n.start()
	n.set.until("it starts with that", func() bool { i, ok := n.info(); return ok && i.Synced[1] == 500 && i.ID == 2 })
}

// Spaces that we cannot have end the JOIN with their name, and leave no store
// that looks complete.
func TestJoinOfForeignSpaces(t *testing.T) {
	o := newScripted(t)
	for i := range o.rows {
		if r := &o.rows[i]; r.SpaceID == 288 && string(r.Tuple) == string(mpIndex(514, "hash", "string")) {
			r.Tuple = mpIndex(514, "tree", "no such type")
		}
	}
	n := o.replica()
	n.start()
	err := n.ended()
	if err == nil || !strings.Contains(err.Error(), "no such type") || !strings.Contains(err.Error(), o.addr) {
		t.Errorf("ended with %v", err)
	}
	if _, serr := os.Stat(n.load().WAL.Dir); errors.Is(serr, os.ErrNotExist) {
		t.Error("there is no directory")
	}
	o.count("JOIN")
	n.start()
	if err := n.ended(); err == nil || o.count("JOIN") != 2 {
		t.Errorf("the next start: %v, %d JOINs", err, o.count("JOIN"))
	}
}

// appendID appends a number as Tarantool encodes IDs.
func appendID(b []byte, id int) []byte { return msgp.AppendUint64(b, uint64(id)) }

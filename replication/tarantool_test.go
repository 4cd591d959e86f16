package replication

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// subscribeAs subscribes as an instance of Tarantool's kind does, with changes.
func subscribeAs(t testing.TB, addr string, change func(*xrow.SubscribeRequest)) *peer {
	t.Helper()
	c := dial(t, addr)
	req := xrow.SubscribeRequest{ReplicasetUUID: testSet, InstanceUUID: testUUID(2), ServerVersion: version(3, 8, 0)}
	if change != nil {
		change(&req)
	}
	if err := c.WriteRow(&xrow.Row{Type: xrow.Subscribe, Body: req.AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	p := &peer{Client: c, t: t}
	row := p.expectType(xrow.OK)
	if row.ReplicaID != 1 {
		t.Errorf("the answer comes from instance %d", row.ReplicaID)
	}
	return p
}

// The counts of heartbeats begin with 1 for a Tarantool, and its acks are
// turned back into those of the core.
func TestTarantoolHeartbeats(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	h.Handle(&instance.Effects{BeatSync: 7})
	p := subscribeAs(t, h.addr, nil)
	p.expectType(xrow.RaftState)
	for i, core := range []uint64{7, 7, 9} {
		h.Handle(&instance.Effects{Beat: true, BeatSync: core})
		row := p.expectType(xrow.OK)
		sync, err := xrow.DecodeHeartbeat(row.Body)
		if want := []uint64{1, 1, 3}[i]; err != nil || sync != want || row.ReplicaID != 1 || row.Timestamp == 0 {
			t.Errorf("heartbeat %d: %+v, VCLOCK_SYNC %d, %v", i, row, sync, err)
		}
	}
	for _, c := range []struct{ told, want uint64 }{{0, 0}, {1, 7}, {3, 9}} {
		body := (&xrow.Ack{VClock: vclock.VClock{1: 1}, Sync: c.told}).AppendBody(nil)
		if err := p.WriteRow(&xrow.Row{Type: xrow.OK, Body: body}); err != nil {
			t.Fatal(err)
		}
		ev := wait(t, h.node, func(*instance.Ack) bool { return true })
		if ev.Sync != c.want || ev.Term != 0 || ev.From != 2 {
			t.Errorf("an ack of %d became %+v", c.told, ev)
		}
	}
}

// RAFT goes to each release in the form that it takes.
func TestTarantoolRaft(t *testing.T) {
	for _, c := range []struct {
		version uint32
		anon    bool
		want    string // golden; empty: none
	}{
		{version(3, 8, 0), false, "81001e8200020201"},
		{version(3, 2, 2), false, "81001e8200020201"},
		{version(3, 2, 1), false, "82001e07018200020201"},
		{version(3, 0, 0), false, "82001e07018200020201"},
		{version(2, 11, 6), false, "81001e8200020201"},
		{version(2, 11, 5), false, "82001e07018200020201"},
		{version(2, 10, 5), false, "82001e07018200020201"},
		{version(2, 6, 0), false, "82001e07018200020201"},
		{version(2, 5, 0), false, ""},
		{0, false, ""},
		{version(3, 8, 0), true, ""},
	} {
		t.Run(versionText(c.version), func(t *testing.T) {
			h := newTestHub(t, 1, nil)
			h.show(2)
			h.write(h.gm.promote(1, 5), true) // waits for term 5 to be shown
			p := subscribeAs(t, h.addr, func(s *xrow.SubscribeRequest) {
				s.ServerVersion = c.version
				if c.anon {
					s.Anon, s.InstanceUUID = true, testUUID(9)
				}
			})
			if c.want == "" {
				p.expect(1, 1, 1)
				return
			}
			payload, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			same(t, "RAFT", payload, c.want)
			h.show(5)
			p.expectType(xrow.RaftState)
			p.expect(1, 1, 1)
		})
	}
}

// Anonymous replicas get the rows; the core does not hear of them.
func TestAnonymousSubscribe(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	h.write(h.gm.rows(1, 3), true)
	anon := func(id uint32, lsn uint64) func(*xrow.SubscribeRequest) {
		return func(s *xrow.SubscribeRequest) {
			s.Anon, s.InstanceUUID, s.IDFilter, s.VClock = true, testUUID(id), 1<<0, vclock.VClock{1: lsn}
		}
	}
	if _, ok := h.Readers(); ok {
		t.Error("there are readers")
	}
	one, two := subscribeAs(t, h.addr, anon(8, 0)), subscribeAs(t, h.addr, anon(9, 2))
	one.expect(1, 1, 3)
	two.expect(1, 3, 3)
	if v, ok := h.Readers(); !ok || v != (vclock.VClock{}) {
		t.Errorf("readers at %v, %v", v, ok)
	}
	one.ack(vclock.VClock{1: 3})
	two.ack(vclock.VClock{1: 3})
	for v := (vclock.VClock{}); v[1] != 3; v, _ = h.Readers() {
		h.write(h.gm.rows(1, 1), true)
		lsn := h.gm.at[1]
		one.expect(1, lsn, lsn)
		two.expect(1, lsn, lsn)
	}
	one.Close()
	two.Close()
	h.waitLog("relay ended")
	h.waitLog("relay ended")
	if n := len(h.node.events); n != 0 {
		t.Errorf("the core got %d events, the first one %#v", n, <-h.node.events)
	}
}

// An ack that says nothing, or goes back, ends the relay.
func TestTarantoolBadAcks(t *testing.T) {
	for _, c := range []struct{ name, want string }{{"no body", "without a body"}, {"back", "goes back"}} {
		t.Run(c.name, func(t *testing.T) {
			h := newTestHub(t, 1, nil)
			h.show(2)
			p := subscribeAs(t, h.addr, func(s *xrow.SubscribeRequest) { s.VClock = vclock.VClock{1: 5} })
			p.expectType(xrow.RaftState)
			if c.name == "back" {
				p.ack(vclock.VClock{1: 4})
			} else if err := p.WriteRow(&xrow.Row{Type: xrow.OK, Timestamp: 1}); err != nil {
				t.Fatal(err)
			}
			h.waitLog(c.want)
			if row, err := p.ReadRow(); err == nil {
				t.Errorf("then %v", row.Type)
			}
		})
	}
}

// A Tarantool may be silent for four timeouts, and gets its rows at once.
func TestTarantoolPatience(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.feed.lazy, h.feed.raft.term = 3, 2
	h.feed.sees[2] = sight{term: 2, leader: 3}
	ours, theirs := &relay{hub: h.Hub, subscriber: subscriber{peer: 2, kind: xrow.Tarragon}}, &relay{hub: h.Hub, subscriber: subscriber{peer: 2, kind: xrow.Tarantool}}
	if ours.patience() != time.Minute || theirs.patience() != 4*time.Minute {
		t.Errorf("patience %v, %v", ours.patience(), theirs.patience())
	}
	h.SetTimes(time.Second, 0)
	if ours.patience() != time.Second || theirs.patience() != 4*time.Second {
		t.Errorf("patience %v, %v", ours.patience(), theirs.patience())
	}
	if !h.holdsBack(ours) || h.holdsBack(theirs) {
		t.Errorf("held back: ours %v, theirs %v", h.holdsBack(ours), h.holdsBack(theirs))
	}
}

// A transaction that ends with a local row keeps its end, and its TSN is the
// LSN of what is left.
func TestRelayLocalRows(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	var g xrow.Group
	for i, origin := range []uint32{0, 1, 0} {
		r := testRow(origin, uint64(i/2)+1, 1, i == 2, 0, 8)
		if origin == 0 {
			r.GroupID = xrow.GroupLocal
		}
		g.Add(&r, 512, i == 0, 0)
	}
	h.gm.at = g.After
	h.write(&g, true)
	p := subscribeAs(t, h.addr, nil)
	p.expectType(xrow.RaftState)
	row := p.next()
	if row.ReplicaID != 1 || row.LSN != 1 || row.TSN != 1 || row.Flags&xrow.FlagCommit == 0 {
		t.Errorf("row %+v", row)
	}
	h.write(h.gm.rows(1, 1), true)
	p.expect(1, 2, 2)
}

// answerState lets the core answer the next JoinRequest.
func answerState(t testing.TB, h *testHub, s instance.Snapshot) instance.JoinRequest {
	t.Helper()
	ev := wait(t, h.node, func(instance.JoinRequest) bool { return true })
	s.Tag = ev.Tag
	if !h.Snapshot(s) {
		t.Error("the answer belongs to nobody")
	}
	return ev
}

// JOIN and FETCH_SNAPSHOT are answered as Tarantool does, but for component
// 0 of its first vclock.
func TestGoldenTarantoolJoin(t *testing.T) {
	const (
		join26  = "ce0000002b8100418124d92431343861633462622d343664302d346538612d613866612d663734373535646231316464"
		join38  = "ce0000003382004101058224d92461616161616161612d303030302d343030302d383030302d30303030303030303030306106ce00030800" // SYNC 5
		ok26    = "ce00000008810000812681010e"
		ok38    = "ce0000000a82000001058126810106"
		meta    = "ce000000058200470105" + "ce0000000882001e0105810001" + "ce0000000e82001f0105840200030053012680" + "ce000000058200480105"
		oldMeta = "ce000000058200470105" + "ce0000000a83001e01050701810001" + "ce0000000e82001f0105840200030053012680" + "ce000000058200480105"
	)
	fetch := func(v uint32) string {
		req := xrow.JoinRequest{ServerVersion: v, InstanceUUID: testUUID(9)}
		row := xrow.Row{Type: xrow.FetchSnap, Sync: 5, Body: req.AppendBody(nil)}
		return string(row.Append(nil))
	}
	golden := func(s string) string { return string(frame(t, s)) }
	for _, c := range []struct {
		name, request string
		lsn           uint64
		kind          instance.JoinKind
		want          string
	}{
		{"2.6", golden(join26), 14, instance.JoinMember, ok26 + ok26 + ok26},
		{"3.8", golden(join38), 6, instance.JoinMember, ok38 + meta + ok38 + ok38},
		{"3.8, anonymous", fetch(version(3, 8, 0)), 6, instance.JoinAnon, ok38 + meta + ok38},
		{"2.10, anonymous", fetch(version(2, 10, 0)), 6, instance.JoinAnon, ok38 + oldMeta + ok38},
		{"2.6, anonymous", fetch(0), 6, instance.JoinAnon, ok38 + ok38},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newTestHub(t, 1, nil)
			conn := dial(t, h.addr)
			if _, err := conn.Write([]byte(c.request)); err != nil {
				t.Fatal(err)
			}
			ev := answerState(t, h, instance.Snapshot{ID: 4, State: instance.State{VClock: vclock.VClock{1: c.lsn}, Term: 1}})
			if ev.Kind != c.kind || ev.Incarnation != 0 || ev.UUID == "" && c.kind == instance.JoinMember {
				t.Errorf("the core was asked %+v", ev)
			}
			var got bytes.Buffer
			for got.Len() < len(c.want)/2 {
				payload, err := conn.ReadFrame()
				if err != nil {
					t.Fatalf("%v after %x", err, got.Bytes())
				}
				got.Write([]byte{0xce, 0, 0, 0, byte(len(payload))})
				got.Write(payload)
			}
			same(t, "answer", got.Bytes(), c.want)
			if err := conn.WriteRow(&xrow.Row{Type: xrow.Ping, Sync: 1}); err != nil { // it goes on
				t.Fatal(err)
			}
			if row, err := conn.ReadRow(); err != nil || row.Type != xrow.OK || row.Sync != 1 {
				t.Errorf("the ping: %+v, %v", row, err)
			}
			at, ok := h.Readers()
			if ok != (c.kind == instance.JoinAnon) || ok && at[1] != c.lsn {
				t.Errorf("then readers at %s, %v", at, ok)
			}
			h.node.advance(5 * time.Minute)
			if _, ok := h.Readers(); ok {
				t.Error("one that does not subscribe counts for ever")
			}
		})
	}
}

// REGISTER brings the rows up to the registration, and an OK.
func TestRegister(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	for range 3 {
		h.write(h.gm.rows(1, 2), true)
	}
	p := &peer{Client: dial(t, h.addr), t: t} // the same for all: the next request waits for the end of the last
	ask := func(name string, lsn uint64) {
		t.Helper()
		req := xrow.RegisterRequest{InstanceUUID: testUUID(9), InstanceName: name, VClock: vclock.VClock{1: lsn}, Incarnation: 77}
		if err := p.WriteRow(&xrow.Row{Type: xrow.Register, Sync: 3, Body: req.AppendBody(nil)}); err != nil {
			t.Fatal(err)
		}
	}
	ask("nine", 1)
	ev := answerState(t, h, instance.Snapshot{ID: 4, State: instance.State{VClock: vclock.VClock{1: 4}}})
	if ev.Kind != instance.JoinID || ev.UUID != testUUID(9) || ev.Name != "nine" || ev.Incarnation != 77 {
		t.Errorf("the core was asked %+v", ev)
	}
	p.expect(1, 2, 4)
	end := p.expectType(xrow.OK)
	if v, _, err := xrow.DecodeVClockBody(end.Body); err != nil || v[1] != 4 || end.Sync != 3 {
		t.Errorf("end %+v, %v", v, err)
	}

	ask("", 4)
	answerState(t, h, instance.Snapshot{Err: xrow.Errorf(xrow.ErrReadonly)})
	row := p.next()
	if e := row.AsError(); e == nil || e.Code != xrow.ErrReadonly {
		t.Errorf("got %v", e)
	}

	h.log.cut(3)
	ask("", 1)
	row = p.next() // nobody is registered who could not go on
	if e := row.AsError(); e == nil || e.Class() != "XlogGapError" {
		t.Errorf("got %v", e)
	}

	anon := subscribeAs(t, h.addr, func(s *xrow.SubscribeRequest) {
		s.Anon, s.InstanceUUID, s.VClock = true, testUUID(9), vclock.VClock{1: 6}
	})
	h.write(h.gm.rows(1, 1), true)
	anon.expect(1, 7, 7)
	ask("", 6) // a reader keeps nobody away, whatever UUID it says
	answerState(t, h, instance.Snapshot{Err: xrow.Errorf(xrow.ErrReplicaMax, 3)})
	row = p.next()
	if e := row.AsError(); e == nil || e.Code != xrow.ErrReplicaMax {
		t.Errorf("got %v", e)
	}
}

// A transfer shows how far it is.
func TestJoinProgress(t *testing.T) {
	h := newTestHub(t, 1, nil)
	full := fullBox(t, 1000)
	conn := &peer{Client: dial(t, h.addr), t: t}
	req := xrow.JoinRequest{InstanceUUID: testUUID(2)}
	if err := conn.WriteRow(&xrow.Row{Type: xrow.Join, Body: req.AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	ev := wait(t, h.node, func(instance.JoinRequest) bool { return true })
	if s := h.Status(); len(s) != 0 {
		t.Errorf("before it begins: %+v", s)
	}
	reads, release := make(chan struct{}), make(chan struct{})
	h.node.onRead = func() {
		select {
		case reads <- struct{}{}:
			<-release
		case <-release:
		}
	}
	h.Snapshot(instance.Snapshot{Tag: ev.Tag, ID: 2, View: full.OpenView()})
	for range 2 { // how many rows there are, and the first slice
		<-reads
		release <- struct{}{}
	}
	<-reads
	s := h.Status()
	if len(s) != 1 || s[0].UUID != testUUID(2) || s[0].Downstream.Status != "sync" || s[0].Downstream.Message != "sent 1000 of about 1393 rows of the state" {
		t.Errorf("status %+v", s)
	}
	close(release)
	conn.expectType(xrow.OK)
	for range 1393 {
		conn.expectType(xrow.Insert)
	}
	conn.expectType(xrow.OK)
	conn.expectType(xrow.OK)
	wait(t, h.node, func(instance.CloseView) bool { return true })
}

// A Tarantool never gets a PROMOTE of ours that took effect nowhere.
func TestTarantoolVoidPromote(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(9)
	g := h.gm.rows(1, 1)                          // 1:1
	promote := func(origin uint32, term uint64) { // behind what is there
		p := h.gm.promote(origin, term)
		row, err := p.Row(0)
		if err != nil {
			t.Fatal(err)
		}
		g.Add(&row, 0, true, term)
	}
	promote(1, 3) // 1:2
	promote(2, 4) // 2:1
	promote(2, 5) // 2:2
	promote(1, 6) // 1:3
	h.Handle(&instance.Effects{VoidPromotes: []uint64{2}})
	h.write(g, true)
	h.node.info.Synced = h.gm.at
	want := map[bool]string{true: "REPLACE NOP PROMOTE PROMOTE PROMOTE", false: "REPLACE PROMOTE PROMOTE PROMOTE PROMOTE"}
	for tarantool, want := range want {
		p := subscribeAs(t, h.addr, func(s *xrow.SubscribeRequest) {
			if !tarantool {
				s.Kind, s.InstanceUUID = xrow.Tarragon, testUUID(3)
			}
			s.IDFilter = 1 << 31
		})
		p.expectType(xrow.RaftState)
		var got []string
		for range 5 {
			row := p.next()
			got = append(got, row.Type.String())
			if row.Type == xrow.Nop && (row.ReplicaID != 1 || row.LSN != 2 || row.TSN != 2 || row.Flags != xrow.FlagCommit || row.Body != nil) {
				t.Errorf("in its place: %+v", row)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("tarantool %v: got %v, want %s", tarantool, got, want)
		}
	}
	if row, err := g.Row(1); err != nil || row.Type != xrow.Promote {
		t.Errorf("the group was changed: %v, %v", row.Type, err)
	}
}

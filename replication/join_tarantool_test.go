package replication

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// answering is a peer of Tarantool's kind that reads one request and answers
// with raw bytes. The request comes out of the channel.
func answering(t *testing.T, version, uuid string, answer []byte) (addr string, asked chan []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked = make(chan []byte, 8)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			var salt [32]byte
			_, _ = nc.Write(iproto.AppendGreeting(nil, version, uuid, &salt))
			c := iproto.NewLink(nc, xrow.MaxFrame)
			for {
				row, err := c.ReadRow()
				if err != nil {
					break
				}
				if row.Type == xrow.ID {
					_ = c.WriteRow(&xrow.Row{Type: xrow.OK, Sync: row.Sync, Body: []byte{0x82, 0x54, 0x0a, 0x55, 0x90}})
					continue
				}
				asked <- row.Append(nil)[xrow.FrameHead:]
				_, _ = nc.Write(answer)
				break
			}
			nc.Close()
		}
	}()
	return l.Addr().String(), asked
}

// frames makes an answer of golden bytes, without their lengths.
func frames(t *testing.T, rows ...string) (b []byte) {
	t.Helper()
	for _, text := range rows {
		payload, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		at := len(b)
		b = append(append(b, 0xce, 0, 0, 0, 0), payload...)
		xrow.EndFrame(b, at)
	}
	return b
}

const (
	joinOK26   = "82 00 00 01 02 81 26 81 01 0d"
	joinOK38   = "82 00 00 01 02 81 26 82 00 05 01 25" // component 0 is the master's own
	joinMeta   = "82 00 47 01 02"
	metaRaft   = "82 00 1e 01 02 83 00 02 01 01 04 01"
	metaOwner  = "83 00 1f 01 02 02 01 84 02 01 03 21 53 02 26 81 01 21"
	metaNobody = "82 00 1f 01 02 84 02 00 03 00 53 03 26 81 01 21"
	joinSnap   = "82 00 48 01 02"
	snapSchema = "82 00 02 01 02 82 10 ce 00000110 21 94 a7 76657273696f6e 03 08 00"
	endOK26    = "82 00 00 01 02 81 26 81 01 0e"
	endOK38    = "82 00 00 01 02 81 26 81 01 26"
)

// cluster is a row of _cluster with our UUID, of the snapshot or of the log.
func cluster(uuid string, lsn byte) string {
	tuple := hex.EncodeToString(msgp.AppendString([]byte{0x92, 0x02}, uuid))
	if lsn == 0 {
		return "82 00 02 01 02 82 10 ce 00000140 21 " + tuple
	}
	return "85 00 02 01 02 02 01 03 " + hex.EncodeToString([]byte{lsn}) + " 04 cb 41d0000000000000 82 10 cd 0140 21 " + tuple
}

// inherit is the row that gives a joiner the ID of a member with its name.
func inherit(uuid string, lsn byte) string {
	ops := hex.EncodeToString(msgp.AppendString([]byte{0x91, 0x93, 0xa1, '=', 0x01}, uuid))
	return "85 00 04 01 02 02 01 03 " + hex.EncodeToString([]byte{lsn}) + " 04 cb 41d0000000000000 83 10 cd 0140 20 91 02 21 " + ops
}

// The state is taken as of the view, whatever the release tells besides.
func TestJoinTarantool(t *testing.T) {
	own := testUUID(2)
	owner := terms.Span{Term: 2, Owner: 1, Writer: 1, Rules: terms.Tarantool, First: 33, Last: 37}
	nobody := terms.Span{Term: 3, Rules: terms.Tarantool}
	nobody.First, nobody.Last = 0, 0
	for _, test := range []struct {
		name       string
		version    string
		id         Identity
		rows       []string
		request    string
		want       instance.State
		registered bool
	}{
		{"2.6: no terms", "2.6.0", Identity{}, []string{joinOK26, snapSchema, endOK26, cluster(own, 14), endOK26}, "81 00 41 82 24",
			instance.State{VClock: vclock.VClock{1: 13}, Term: 1}, false},
		{"2.6: terms that we have shown stay", "2.6.0", Identity{Term: 7}, []string{joinOK26, snapSchema, endOK26, cluster(own, 14), endOK26}, "81 00 41 82 24",
			instance.State{VClock: vclock.VClock{1: 13}, Term: 7}, false},
		{"3.8", "3.8.0", Identity{}, []string{joinOK38, joinMeta, metaRaft, metaOwner, joinSnap, snapSchema, endOK38, cluster(own, 38), endOK38}, "81 00 41 82 24",
			instance.State{VClock: vclock.VClock{1: 37}, Term: 2, Vote: 1, History: []terms.Span{owner}, Confirmed: 33, ConfirmedOf: vclock.VClock{1: 33}}, false},
		{"3.8: a member comes again", "3.8.0", Identity{}, []string{joinOK38, joinMeta, metaRaft, metaOwner, joinSnap, snapSchema, cluster(own, 0), endOK38, endOK38}, "81 00 41 82 24",
			instance.State{VClock: vclock.VClock{1: 37}, Term: 2, Vote: 1, History: []terms.Span{owner}, Confirmed: 33, ConfirmedOf: vclock.VClock{1: 33}}, true},
		{"3.8: the ID of a namesake", "3.8.0", Identity{}, []string{joinOK38, joinMeta, metaRaft, metaOwner, joinSnap, snapSchema, endOK38, inherit(own, 38), endOK38}, "81 00 41 82 24",
			instance.State{VClock: vclock.VClock{1: 37}, Term: 2, Vote: 1, History: []terms.Span{owner}, Confirmed: 33, ConfirmedOf: vclock.VClock{1: 33}}, false},
		{"2.11: RAFT is left out", "2.11.0", Identity{}, []string{joinOK38, joinMeta, metaOwner, joinSnap, snapSchema, endOK38, cluster(own, 38), endOK38}, "81 00 41 82 24",
			instance.State{VClock: vclock.VClock{1: 37}, Term: 2, History: []terms.Span{owner}, Confirmed: 33, ConfirmedOf: vclock.VClock{1: 33}}, false},
		{"3.8 behind a DEMOTE", "3.8.0", Identity{}, []string{joinOK38, joinMeta, metaRaft, metaNobody, joinSnap, snapSchema, endOK38, cluster(own, 38), endOK38}, "81 00 41 82 24",
			instance.State{VClock: vclock.VClock{1: 37}, Term: 3, Vote: 1, History: []terms.Span{nobody}, ConfirmedOf: vclock.VClock{1: 33}}, false},
		{"anonymous", "3.8.0", Identity{Anon: true}, []string{joinOK38, joinMeta, metaRaft, metaOwner, joinSnap, snapSchema, endOK38}, "81 00 45 82 24",
			instance.State{VClock: vclock.VClock{1: 37}, Term: 2, Vote: 1, History: []terms.Span{owner}, Confirmed: 33, ConfirmedOf: vclock.VClock{1: 33}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr, asked := answering(t, test.version, testUUID(1), frames(t, test.rows...))
			id := test.id
			id.UUID, id.Version = own, 3<<16|8<<8
			var sink memSink
			var told Progress
			if err := Join(context.Background(), Peer{Addr: addr}, id, time.Minute, &sink, &told); err != nil {
				t.Fatal(err)
			}
			request := strings.ReplaceAll(test.request, " ", "")
			if got := hex.EncodeToString(<-asked); !strings.HasPrefix(got, request) {
				t.Errorf("asked %s, want %s...", got, request)
			}
			if got := *sink.state; !sameState(&got, &test.want) || sink.registered != test.registered {
				t.Errorf("state %+v, registered %v", got, sink.registered)
			}
			if rows, _ := told.Read(); rows != uint64(sink.inserted) {
				t.Errorf("%d rows told of %d", rows, sink.inserted)
			}
		})
	}
}

func sameState(a, b *instance.State) bool {
	if len(a.History) != len(b.History) || len(a.History) == 1 && a.History[0] != b.History[0] {
		return false
	}
	return a.VClock == b.VClock && a.Term == b.Term && a.Vote == b.Vote && a.Confirmed == b.Confirmed && a.ConfirmedOf == b.ConfirmedOf
}

// A part of a state is never taken for all of it, and every error that a peer
// may give names its kind.
func TestJoinTarantoolFails(t *testing.T) {
	own := testUUID(2)
	refused := frames(t, joinOK38, joinMeta, metaRaft, metaOwner, joinSnap, snapSchema)
	e := xrow.Errorf(xrow.ErrReplicaMax, 31)
	refused = (&xrow.Row{Type: xrow.ErrorFlag | xrow.Type(e.Code), Body: xrow.AppendErrorBody(nil, e)}).Append(refused)
	huge := "83 00 1f 01 02 02 01 83 02 01 03 21 53 cf ffffffffffffffff"
	for _, test := range []struct {
		name     string
		answer   []byte
		want     error
		finished bool
	}{
		{"cut off within a row", frames(t, joinOK38, joinMeta, metaRaft, metaOwner, joinSnap, snapSchema)[:90], io.ErrUnexpectedEOF, false},
		{"cut off behind a row", frames(t, joinOK38, joinMeta, metaRaft, metaOwner, joinSnap, snapSchema), io.EOF, false},
		{"not registered", refused, xrow.ErrReplicaMax, false},
		{"a row of no snapshot", frames(t, joinOK26, "82 00 40 01 02"), xrow.ErrUnknownRequestType, false},
		{"a row of no META", frames(t, joinOK38, joinMeta, snapSchema), xrow.ErrUnknownRequestType, false},
		{"RAFT twice", frames(t, joinOK38, joinMeta, metaRaft, metaRaft), xrow.ErrProtocol, false},
		{"a term of 2^64-1", frames(t, joinOK38, joinMeta, huge, joinSnap), xrow.ErrProtocol, false},
		{"an election term of 2^64-1", frames(t, joinOK38, joinMeta, "82 00 1e 01 02 81 00 cf ffffffffffffffff", joinSnap), xrow.ErrProtocol, false},
		{"the end before the view", frames(t, joinOK38, snapSchema, endOK26), xrow.ErrProtocol, false},
		{"the final stage is cut off", frames(t, joinOK26, snapSchema, endOK26), ErrFinalStage, true},
		{"the final stage has an unknown row", frames(t, joinOK26, snapSchema, endOK26, snapSchema), ErrFinalStage, true},
		{"never registered", frames(t, joinOK26, snapSchema, endOK26, cluster(testUUID(3), 14), endOK26), ErrFinalStage, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr, _ := answering(t, "3.8.0", testUUID(1), test.answer)
			var sink memSink
			err := Join(context.Background(), Peer{Addr: addr}, Identity{UUID: own, Version: 1}, time.Minute, &sink, nil)
			if !errors.Is(err, test.want) || (sink.state != nil) != test.finished {
				t.Errorf("%v; finished %v", err, sink.state != nil)
			}
		})
	}
}

// Whom we cannot be talking to.
func TestOpenRefuses(t *testing.T) {
	for uuid, want := range map[string]xrow.Code{testUUID(2): xrow.ErrConnectionToSelf, xrow.NilUUID: xrow.ErrNilUUID} {
		addr, _ := answering(t, "3.8.0", uuid, nil)
		if err := Join(context.Background(), Peer{Addr: addr}, Identity{UUID: testUUID(2)}, time.Minute, &memSink{}, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v", uuid, err)
		}
	}
}

func TestRegisterAsks(t *testing.T) {
	own := testUUID(2)
	e := xrow.Errorf(xrow.ErrReplicaNotAnon)
	already := (&xrow.Row{Type: xrow.ErrorFlag | xrow.Type(e.Code), Body: xrow.AppendErrorBody(nil, e)}).Append(nil)
	for name, test := range map[string]struct {
		answer []byte
		want   error
	}{
		"registered":     {frames(t, cluster(own, 14), endOK26), nil},
		"is a member":    {already, nil},
		"another is":     {frames(t, cluster(testUUID(3), 14), endOK26), xrow.ErrUnknownReplica},
		"it is cut off":  {frames(t, cluster(own, 14)), io.EOF},
		"rows of no log": {frames(t, snapSchema, endOK26), xrow.ErrUnknownRequestType},
	} {
		addr, asked := answering(t, "3.8.0", testUUID(1), test.answer)
		v := vclock.VClock{0: 5, 1: 13}
		err := Register(context.Background(), Peer{Addr: addr}, Identity{UUID: own, Name: "two"}, &v, time.Minute)
		if !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := "8100468324d924" + hex.EncodeToString([]byte(own)) + "5da374776f268101" + "0d"
		if got := hex.EncodeToString(<-asked); got != want {
			t.Errorf("%s: asked %s, want %s", name, got, want)
		}
	}
}

// Terms that would end all elections never reach the core.
func TestStreamTerms(t *testing.T) {
	promote := xrow.Synchro{ReplicaID: 2, Term: 1 << 63}
	stamped := testRow(2, 1, 1, true, 1<<63, 8)
	for name, row := range map[string]*xrow.Row{
		"RAFT":    raftRow(xrow.Raft{Term: 1<<64 - 1, State: 1}),
		"PROMOTE": {Type: xrow.Promote, ReplicaID: 2, LSN: 1, TSN: 1, Flags: xrow.FlagCommit, Body: promote.AppendBody(nil)},
		"a stamp": &stamped,
	} {
		h, s := follower(t)
		c := s.accept(2, vclock.VClock{})
		c.send(row)
		for lost := false; !lost; {
			switch ev := (<-h.node.events).(type) {
			case instance.Rows, instance.RaftMsg:
				t.Errorf("%s: the core got %T", name, ev)
			case instance.Upstream:
				lost = ev.State == instance.UpstreamLost
			}
		}
		h.waitLog("is out of range")
	}
}

// A peer of Tarantool's kind has a longer time, and gets its acks whoever leads.
func TestTarantoolPeer(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	h := newTestHub(t, 1, func(c *Config) { c.Peers = []Peer{{Addr: s.addr}} })
	times := h.times.Load()
	if times.silence(xrow.Tarantool) != 4*times.silence(xrow.Tarragon) {
		t.Errorf("%+v", times)
	}
	c := s.accept(2, vclock.VClock{})
	wait(t, h.node, func(ev instance.Upstream) bool {
		return ev.State == instance.UpstreamFollow && ev.Kind == xrow.Tarantool
	})
	h.Handle(&instance.Effects{Lazy: 3, Ack: &instance.AckState{VClock: vclock.VClock{2: 1}, Term: 1, Timestamp: 5}})
	c.readAck()
	h.Handle(&instance.Effects{Lazy: 3, Ack: &instance.AckState{VClock: vclock.VClock{2: 2}, Term: 1, Timestamp: 6}})
	if a, row := c.readAck(); a.VClock[2] != 2 || row.Timestamp != 6 {
		t.Errorf("ack %+v at %v", a, row.Timestamp)
	}
}

func TestReleases(t *testing.T) {
	for text, want := range map[string]uint32{"2.6.0": version(2, 6, 0), "3.8.0-entrypoint-1": version(3, 8, 0), "2.11.5": version(2, 11, 5), "what": 0, "3.8": 0} {
		if got := greetingVersion(text); got != want {
			t.Errorf("%s: %s", text, versionText(got))
		}
	}
	for text, want := range map[string]bool{"2.6.0": false, "2.7.3": true, "2.8.1": false, "2.8.2": true, "3.8.0": true, "what": true} {
		if err := checkRelease(text, true); (err == nil) != want {
			t.Errorf("%s with elections: %v", text, err)
		}
		if err := checkRelease(text, false); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A master that knows no elections is no place to join where there are some.
func TestJoinOldWithElections(t *testing.T) {
	addr, asked := answering(t, "2.6.0", testUUID(1), nil)
	err := Join(context.Background(), Peer{Addr: addr}, Identity{UUID: testUUID(2), Raft: true}, time.Minute, &memSink{}, nil)
	if !errors.Is(err, xrow.ErrUnsupported) || !strings.Contains(err.Error(), "2.6.0") || len(asked) > 0 {
		t.Errorf("got %v", err)
	}
}

// A gap is told behind the answer to SUBSCRIBE, by old releases with its class
// alone. Each attempt fails in the same way, and is told once.
func TestGapOfOldRelease(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	told := make(chan error, 8)
	h := newTestHub(t, 1, func(c *Config) {
		c.Peers = []Peer{{Addr: s.addr}}
		c.MustJoin = func(err error) { told <- err }
	})
	gap := &xrow.Error{Code: xrow.ErrUnknown, Type: "XlogGapError", Message: "Missing .xlog file between LSN 1 and 2"}
	for range 3 {
		c := s.accept(2, vclock.VClock{1: 9})
		c.send(raftRow(xrow.Raft{Term: 1, State: 1}))
		c.end(gap)
	}
	if err := <-told; !errors.Is(err, xrow.ErrUnknown) {
		t.Errorf("told %v", err)
	}
	s.pending()
	failed := 0
	for len(h.lines) > 0 {
		line := <-h.lines
		if strings.Contains(line, "upstream started") {
			t.Error("a stream without rows was told as one that runs")
		}
		if strings.Contains(line, "upstream failed") && strings.Contains(line, `"warn"`) {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("the gap was told %d times", failed)
	}
}

// A master that has dropped its whole log and written nothing since has no file
// that could show the gap: it sends heartbeats and no rows. Its ballot tells.
func TestGapWithoutALog(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	s.ballot = xrow.Ballot{IsBooted: true, VClock: vclock.VClock{1: 9}, GCVClock: vclock.VClock{1: 9}}
	told := make(chan error, 8)
	newTestHub(t, 1, func(c *Config) {
		c.Peers = []Peer{{Addr: s.addr}}
		c.MustJoin = func(err error) { told <- err }
	})
	for range 2 {
		c := s.accept(2, vclock.VClock{1: 9})
		c.send(raftRow(xrow.Raft{Term: 1, State: 1}))
		c.send(beatRow(2, 1))
	}
	select {
	case err := <-told:
		if !errors.Is(err, ErrGap) || !strings.Contains(err.Error(), "{1: 9}") {
			t.Errorf("told %v", err)
		}
	case <-time.After(patience):
		t.Error("the gap was not seen")
	}
}

package replication

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Frames between two instances of Tarantool 3.8.
const (
	goldenJoin        = "ce000000318100418224d92433383366656462352d383835322d343034632d393532302d30613464646334386136653006ce00030800"
	goldenJoinMeta    = "ce00000003810047"
	goldenJoinRaft    = "ce0000000a81001e83000201010401"
	goldenJoinPromote = "ce0000001082001f02018402010321530226810121"
	goldenSnapshot    = "ce00000003810048"
	goldenInsert      = "ce000000428100028210ce000001102192af7265706c6963617365745f75756964d92439613566646132312d326165342d343761632d616631322d363036633730316263363866"
	goldenJoinEnd     = "ce000000088100008126810126"
	goldenSubscribe   = "ce000000618100428625d92439613566646132312d326165342d343761632d616631322d36303663373031626336386624d92433383366656462352d383835322d343034632d393532302d3061346464633438613665302681012606ce0003080050c2519102"
	goldenSubscribeOK = "ce0000003182000002018225d92439613566646132312d326165342d343761632d616631322d36303663373031626336386626810126"
	goldenRaft        = "ce0000000c81001e840002010102030401"
	goldenHeartbeat   = "ce00000012830000020104cb41dac0810f293978815a01"
	goldenBeatNoTime  = "ce000000088200000201815a03"
	goldenAck         = "ce0000000a81000082268101265302"
	goldenAckSync     = "ce0000000c810000832681012653025a01"
	goldenAckTime     = "ce0000001682000004cb41dac0810f568805832681012a53025a02"

	goldenSet    = "9a5fda21-2ae4-47ac-af12-606c701bc68f"
	goldenJoiner = "383fedb5-8852-404c-9520-0a4ddc48a6e0"
)

func frame(t testing.TB, golden string) []byte {
	t.Helper()
	b, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func same(t *testing.T, what string, got []byte, golden string) {
	t.Helper()
	if hex.EncodeToString(got) != golden {
		t.Errorf("%s\n got %x\nwant %s", what, got, golden)
	}
}

func decode(t *testing.T, golden string) xrow.Row {
	t.Helper()
	row, err := xrow.Decode(frame(t, golden)[xrow.FrameHead:])
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// The stream of a JOIN is Tarantool's but for the body of JOIN_META.
func TestGoldenJoinStream(t *testing.T) {
	s := instance.State{VClock: vclock.VClock{1: 38}, Term: 2, Vote: 1, Confirmed: 33, ConfirmedOf: vclock.VClock{1: 33},
		History: []terms.Span{{Term: 2, Owner: 1, First: 30, Last: 33, Rules: terms.Strong}}}
	j := joinStream{version: version(3, 8, 0)}
	j.meta(&s)
	same(t, "META", j.buf, goldenJoinMeta+goldenJoinRaft+goldenJoinPromote+goldenSnapshot)
	j = joinStream{version: version(3, 8, 0), ours: true}
	j.meta(&s)
	meta := j.buf[:4+1+int(j.buf[4])]
	if row, err := xrow.Decode(meta[xrow.FrameHead:]); err != nil || row.Type != xrow.JoinMeta || row.Body == nil {
		t.Errorf("%v, %v", row.Type, err)
	}
	same(t, "META for ours", j.buf[len(meta):], goldenJoinRaft+goldenJoinPromote+goldenSnapshot)
	d, err := xrow.DecodeDML(xrow.Insert, decode(t, goldenInsert).Body)
	if err != nil {
		t.Fatal(err)
	}
	j.buf = nil
	j.insert(d.SpaceID, d.Tuple)
	same(t, "row", j.buf, goldenInsert)
	j.buf = nil
	j.ok(&s.VClock)
	same(t, "end", j.buf, goldenJoinEnd)
}

// The answer to Tarantool's SUBSCRIBE, made ours by one key more.
func TestGoldenSubscribe(t *testing.T) {
	request := decode(t, goldenSubscribe)
	req, err := xrow.DecodeSubscribe(request.Body)
	if err != nil {
		t.Fatal(err)
	}
	req.Kind = xrow.Tarragon
	withRules := strings.Replace(goldenSubscribeOK, "8225d924", "8325d924", 1) + "7101"
	for _, c := range []struct {
		row  xrow.Row
		want string
	}{
		{request, goldenSubscribeOK},
		{xrow.Row{Type: xrow.Subscribe, Body: req.AppendBody(nil)}, withRules},
	} {
		h := newTestHub(t, 1, nil)
		h.node.info.ReplicasetUUID = goldenSet
		h.node.info.Synced = vclock.VClock{1: 38}
		h.node.info.Members[1].UUID = goldenJoiner
		for i := range 38 {
			h.log.append(h.gm.rows(1, min(i+1, 1)))
		}
		h.Handle(&instance.Effects{Relay: 38, Raft: &xrow.Raft{Term: 2, Vote: 1, State: 3, LeaderID: 1}})
		conn := dial(t, h.addr)
		if err := conn.WriteRow(&c.row); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{c.want, goldenRaft} {
			payload, err := conn.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			same(t, "answer", payload, want[2*xrow.FrameHead:])
		}
	}
}

func TestGoldenHeartbeat(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.node.now.Wall = decode(t, goldenHeartbeat).Timestamp
	r := relay{hub: h.Hub, self: 1}
	same(t, "heartbeat", r.heartbeat(0, true), goldenHeartbeat)
	same(t, "heartbeat within a backlog", r.heartbeat(2, false), goldenBeatNoTime)
	r = relay{hub: h.Hub, self: 1, subscriber: subscriber{kind: xrow.Tarragon}}
	same(t, "heartbeat to ours", r.heartbeat(1, true), goldenHeartbeat)
}

func TestGoldenAck(t *testing.T) {
	h := newTestHub(t, 2, nil)
	a := newApplier(h.Hub, Peer{})
	a.peer = 1
	say := func(lsn uint64, stamp float64) {
		h.Handle(&instance.Effects{Ack: &instance.AckState{VClock: vclock.VClock{1: lsn}, Term: 2, Timestamp: stamp}})
	}
	var w ackWriter
	if got := w.next(a); got != nil {
		t.Errorf("before the core has spoken: %x", got)
	}
	say(38, 0)
	same(t, "first", w.next(a), goldenAck)
	a.beat, a.sync = true, 1
	say(38, 0)
	same(t, "of a heartbeat", w.next(a), goldenAckSync)
	a.sync = 2
	say(42, decode(t, goldenAckTime).Timestamp)
	same(t, "of rows", w.next(a), goldenAckTime)
	say(42, decode(t, goldenAckTime).Timestamp)
	if got := w.next(a); got != nil {
		t.Errorf("twice the same: %x", got)
	}
}

// Our JOIN is Tarantool's and the incarnation.
func TestGoldenJoinRequest(t *testing.T) {
	req, err := xrow.DecodeJoin(decode(t, goldenJoin).Body)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "JOIN", (&xrow.Row{Type: xrow.Join, Body: req.AppendBody(nil)}).Append(nil), goldenJoin)
}

// The checks of JOIN and SUBSCRIBE, in Tarantool's order (src/box/box.cc).
func TestServeRefuses(t *testing.T) {
	deny := xrow.Errorf(xrow.ErrAccessDenied, "Read", "universe", "", "guest")
	join := func(uuid string) func() xrow.Row {
		return func() xrow.Row {
			req := xrow.JoinRequest{InstanceUUID: uuid, ServerVersion: 1}
			return xrow.Row{Type: xrow.Join, Body: req.AppendBody(nil)}
		}
	}
	sub := func(change func(*xrow.SubscribeRequest)) func() xrow.Row {
		return func() xrow.Row {
			req := xrow.SubscribeRequest{ReplicasetUUID: testSet, InstanceUUID: testUUID(2), Kind: xrow.Tarragon}
			change(&req)
			return xrow.Row{Type: xrow.Subscribe, Body: req.AppendBody(nil)}
		}
	}
	none := func(*xrow.SubscribeRequest) {}
	denied := func(iproto.User, bool) *xrow.Error { return deny }
	ro := func(_ *Config, i *Info) { i.Readonly = xrow.Errorf(xrow.ErrReadonly) }
	anon := func(c *Config, i *Info) { c.Anon, i.ID = true, 0 }
	life := func(incarnation uint64) func(*Config, *Info) {
		return func(_ *Config, i *Info) {
			for k := range i.Members {
				i.Members[k].Incarnation = incarnation
			}
		}
	}
	register := func(uuid, name string) func() xrow.Row {
		return func() xrow.Row {
			req := xrow.RegisterRequest{InstanceUUID: uuid, InstanceName: name}
			return xrow.Row{Type: xrow.Register, Body: req.AppendBody(nil)}
		}
	}
	fetch := func(file bool) func() xrow.Row {
		return func() xrow.Row {
			req := xrow.JoinRequest{ServerVersion: 1, Checkpoint: file}
			return xrow.Row{Type: xrow.FetchSnap, Body: req.AppendBody(nil)}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*Config, *Info)
		row    func() xrow.Row
		want   xrow.Code
	}{
		{"JOIN before boot", func(_ *Config, i *Info) { i.ReplicasetUUID = "" }, join(""), xrow.ErrLoading},
		{"JOIN without a UUID", nil, join(""), xrow.ErrNilUUID},
		{"JOIN of ourselves", nil, join(testUUID(1)), xrow.ErrConnectionToSelf},
		{"JOIN without rights", func(c *Config, _ *Info) { c.Rights = func(_ iproto.User, write bool) *xrow.Error { return deny } },
			join(testUUID(9)), xrow.ErrAccessDenied},
		{"JOIN without a log", func(c *Config, _ *Info) { c.CanLog = false }, join(testUUID(9)), xrow.ErrUnsupported},
		{"SUBSCRIBE before boot", func(_ *Config, i *Info) { i.ReplicasetUUID = "" }, sub(none), xrow.ErrLoading},
		{"SUBSCRIBE without a UUID", nil, sub(func(s *xrow.SubscribeRequest) { s.InstanceUUID = "" }), xrow.ErrNilUUID},
		{"SUBSCRIBE to ourselves", nil, sub(func(s *xrow.SubscribeRequest) { s.InstanceUUID = testUUID(1) }), xrow.ErrConnectionToSelf},
		{"SUBSCRIBE of a stranger to the wrong set", nil, sub(func(s *xrow.SubscribeRequest) {
			s.ReplicasetUUID, s.InstanceUUID = goldenSet, testUUID(9)
		}), xrow.ErrReplicasetUUIDMismatch},
		{"SUBSCRIBE of a stranger", nil, sub(func(s *xrow.SubscribeRequest) { s.InstanceUUID = testUUID(9) }), xrow.ErrTooEarlySubscribe},
		{"SUBSCRIBE of another life", life(7), sub(func(s *xrow.SubscribeRequest) { s.Incarnation = 8 }), xrow.ErrInstanceUUIDMismatch},
		{"SUBSCRIBE of one of ours that says no life", life(7), sub(none), xrow.ErrInstanceUUIDMismatch},
		{"SUBSCRIBE of a life whose row is undecided", func(_ *Config, i *Info) {
			life(7)(nil, i)
			i.Undecided = []Member{{ID: 9, UUID: testUUID(2), Incarnation: 8}}
		}, sub(func(s *xrow.SubscribeRequest) { s.Incarnation = 8 }), xrow.ErrTooEarlySubscribe},
		{"SUBSCRIBE of a member as a reader", nil, sub(func(s *xrow.SubscribeRequest) { s.Anon = true }), xrow.ErrProtocol},
		{"SUBSCRIBE of a reader without a UUID", nil, sub(func(s *xrow.SubscribeRequest) { s.Anon, s.InstanceUUID = true, "" }), xrow.ErrNilUUID},
		{"SUBSCRIBE without rights", func(c *Config, _ *Info) { c.Rights = func(iproto.User, bool) *xrow.Error { return deny } },
			sub(none), xrow.ErrAccessDenied},
		{"SUBSCRIBE without a log", func(c *Config, _ *Info) { c.CanLog = false }, sub(none), xrow.ErrUnsupported},
		{"SUBSCRIBE to an anonymous replica", anon, sub(none), xrow.ErrUnsupported},
		{"SUBSCRIBE of an old release with elections", func(_ *Config, i *Info) { i.Raft = true },
			sub(func(s *xrow.SubscribeRequest) { s.Kind, s.ServerVersion = xrow.Tarantool, version(2, 6, 0) }), xrow.ErrUnsupported},
		{"SUBSCRIBE below the feature level", func(_ *Config, i *Info) { i.Feature = 3 },
			sub(func(s *xrow.SubscribeRequest) { s.Feature = 2 }), xrow.ErrUnsupported},
		{"SUBSCRIBE of the first version above its level", func(_ *Config, i *Info) { i.Feature = 2 }, sub(none), xrow.ErrUnsupported},
		{"JOIN at an anonymous replica", anon, join(testUUID(9)), xrow.ErrUnsupported},
		{"JOIN at a read-only instance", ro, join(testUUID(9)), xrow.ErrReadonly},
		{"JOIN of an old release with elections", func(_ *Config, i *Info) { i.Raft = true }, join(testUUID(2)), xrow.ErrUnsupported},
		{"REGISTER before boot", func(_ *Config, i *Info) { i.ReplicasetUUID = "" }, register(testUUID(9), ""), xrow.ErrLoading},
		{"REGISTER without a UUID", nil, register("", ""), xrow.ErrNilUUID},
		{"REGISTER of ourselves", nil, register(testUUID(1), ""), xrow.ErrConnectionToSelf},
		{"REGISTER of a member, read-only", ro, register(testUUID(2), ""), xrow.ErrReplicaNotAnon},
		{"REGISTER of a member at an anonymous replica", anon, register(testUUID(2), "two"), xrow.ErrUnsupported},
		{"REGISTER of a name, read-only", ro, register(testUUID(2), "two"), xrow.ErrReadonly},
		{"REGISTER read-only without rights", func(c *Config, i *Info) { ro(c, i); c.Rights = denied }, register(testUUID(9), ""), xrow.ErrReadonly},
		{"REGISTER without rights", func(c *Config, _ *Info) { c.Rights = denied }, register(testUUID(9), ""), xrow.ErrAccessDenied},
		{"FETCH_SNAPSHOT before boot", func(_ *Config, i *Info) { i.ReplicasetUUID = "" }, fetch(false), xrow.ErrLoading},
		{"FETCH_SNAPSHOT without rights", func(c *Config, _ *Info) { c.Rights = denied }, fetch(false), xrow.ErrAccessDenied},
		{"FETCH_SNAPSHOT of a file", nil, fetch(true), xrow.ErrMissingSnapshot},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newTestHub(t, 1, func(c *Config) {
				if test.change != nil {
					test.change(c, &Info{})
				}
			})
			if test.change != nil {
				test.change(&Config{}, &h.node.info)
			}
			c := dial(t, h.addr)
			row := test.row()
			_ = c.SetDeadline(time.Now().Add(patience))
			if err := c.WriteRow(&row); err != nil {
				t.Fatal(err)
			}
			answer, err := c.ReadRow()
			if err != nil {
				t.Fatal(err)
			}
			if e := answer.AsError(); e == nil || e.Code != test.want {
				t.Errorf("got %v, want %v", e, test.want)
			}
			h.waitLog("refused")
		})
	}
}

// One relay serves a UUID.
func TestServeDuplicate(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	subscribe(t, h.addr, 2, vclock.VClock{})
	c := dial(t, h.addr)
	req := xrow.SubscribeRequest{ReplicasetUUID: testSet, InstanceUUID: testUUID(2), Kind: xrow.Tarragon}
	if err := c.WriteRow(&xrow.Row{Type: xrow.Subscribe, Body: req.AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	row, err := c.ReadRow()
	if err != nil {
		t.Fatal(err)
	}
	if e := row.AsError(); e == nil || e.Code != xrow.ErrCfg || !strings.Contains(e.Message, "duplicate connection with the same replica UUID") {
		t.Errorf("got %v", e)
	}
}

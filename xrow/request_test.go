package xrow

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
)

// unhex reads hex digits with free spaces.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func clock(t testing.TB, s string) vclock.VClock {
	t.Helper()
	v, err := vclock.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const (
	uuidA = "383fedb5-8852-404c-9520-0a4ddc48a6e0"
	uuidB = "cda4cf25-599a-4581-bdbc-c0172ca09917"
)

// body is what all bodies can do.
type body interface{ AppendBody([]byte) []byte }

func hexOf(s string) string {
	return hex.EncodeToString([]byte(s))
}

// TestBodiesHaveTarantoolsLayout has bytes of recorded conversations; our own
// keys follow Tarantool's.
func TestBodiesHaveTarantoolsLayout(t *testing.T) {
	confirmed := clock(t, "{1: 20}")
	for _, c := range []struct {
		name string
		body body
		hex  string
	}{
		{"join", &JoinRequest{InstanceUUID: uuidA, ServerVersion: 0x030800}, "82 24 d924" + hexOf(uuidA) + "06 ce00030800"},
		{"join of 2.6", &JoinRequest{InstanceUUID: uuidA}, "81 24 d924" + hexOf(uuidA)},
		{"join again", &JoinRequest{InstanceUUID: uuidA, InstanceName: "n1", ServerVersion: 1, Incarnation: 1},
			"84 24 d924" + hexOf(uuidA) + "5d a26e31 06 01 73 01"},
		{"register", &RegisterRequest{InstanceUUID: uuidA, VClock: clock(t, "{0: 3, 1: 6}")},
			"82 24 d924" + hexOf(uuidA) + "26 81 01 06"},
		{"subscribe", &SubscribeRequest{ReplicasetUUID: uuidB, InstanceUUID: uuidA, VClock: clock(t, "{1: 2}"),
			ServerVersion: 0x030800, IDFilter: 1 << 2, Kind: Tarantool},
			"86 25 d924" + hexOf(uuidB) + "24 d924" + hexOf(uuidA) + "26 81 01 02 06 ce00030800 50 c2 51 91 02"},
		{"subscribe of ours", &SubscribeRequest{ReplicasetUUID: uuidB, ReplicasetName: "r", InstanceUUID: uuidA,
			InstanceName: "n1", Anon: true, IDFilter: 0x80000001, Kind: Tarragon},
			"89 25 d924" + hexOf(uuidB) + "5c a172 24 d924" + hexOf(uuidA) + "5d a26e31 26 80 06 00 50 c3 51 92 00 1f 71 01"},
		{"join of a group", &JoinRequest{InstanceUUID: uuidA, Incarnation: 1, Group: "top"}, "83 24 d924" + hexOf(uuidA) + "73 01 7b a3746f70"},
		{"register of a group", &RegisterRequest{InstanceUUID: uuidA, VClock: clock(t, "{1: 6}"), Group: "top"},
			"83 24 d924" + hexOf(uuidA) + "26 81 01 06 7b a3746f70"},
		{"subscribe of a group", &SubscribeRequest{ReplicasetUUID: uuidB, InstanceUUID: uuidA, Group: "top", Kind: Tarantool},
			"87 25 d924" + hexOf(uuidB) + "24 d924" + hexOf(uuidA) + "26 80 06 00 50 c2 51 90 7b a3746f70"},
		{"subscribe OK of a group", &SubscribeOK{ReplicasetUUID: uuidB, Group: "top", Kind: Tarantool}, "83 25 d924" + hexOf(uuidB) + "26 80 7b a3746f70"},
		{"subscribe with procedures", &SubscribeRequest{ReplicasetUUID: uuidB, InstanceUUID: uuidA, Kind: Tarantool, Procedures: []Procedure{{"f", 1}, {"g", 300}}},
			"87 25 d924" + hexOf(uuidB) + "24 d924" + hexOf(uuidA) + "26 80 06 00 50 c2 51 90 cc80 82 a166 01 a167 cd012c"},
		{"subscribe OK with procedures", &SubscribeOK{ReplicasetUUID: uuidB, Kind: Tarantool, Procedures: []Procedure{{"f", 0}}},
			"83 25 d924" + hexOf(uuidB) + "26 80 cc80 81 a166 00"},
		{"ballot of a group", &Ballot{BootstrapLeader: uuidB, Group: "top", Kind: Tarantool},
			"82 29 89 01 c2 04 c2 05 c2 06 c2 02 80 03 80 07 c2 08 d924" + hexOf(uuidB) + "09 90 7b a3746f70"},
		{"subscribe OK", &SubscribeOK{ReplicasetUUID: uuidB, VClock: clock(t, "{1: 6}"), Kind: Tarantool},
			"82 25 d924" + hexOf(uuidB) + "26 81 01 06"},
		{"ballot", &Ballot{IsBooted: true, VClock: clock(t, "{1: 1}"), BootstrapLeader: uuidB, Registered: []string{uuidB}, Kind: Tarantool},
			"81 29 89 01 c2 04 c2 05 c2 06 c3 02 81 01 01 03 80 07 c2 08 d924" + hexOf(uuidB) + "09 91 d924" + hexOf(uuidB)},
		{"ballot with a name, nobody chosen", &Ballot{IsRO: true, InstanceName: "n1", Kind: Tarragon},
			"81 29 8b 01 c2 04 c3 05 c2 06 c2 02 80 03 80 07 c2 08 d924" + hexOf(NilUUID) + "0a a26e31 09 90 71 01"},
		{"ballot of a set that is being founded", &Ballot{IsBooted: true, BootstrapLeader: uuidB, Kind: Tarragon, Replicaset: uuidA, Founding: 2},
			"81 29 8b 01 c2 04 c2 05 c2 06 c3 02 80 03 80 07 c2 08 d924" + hexOf(uuidB) + "09 90 71 01 77 92 d924" + hexOf(uuidA) + "02"},
		{"ack", &Ack{VClock: clock(t, "{1: 6}"), Term: 1}, "82 26 81 01 06 53 01"},
		{"ack of a heartbeat", &Ack{VClock: clock(t, "{0: 9, 1: 6}"), Term: 1, Sync: 2}, "83 26 81 01 06 53 01 5a 02"},
		{"ack of an anonymous replica", &Ack{VClock: clock(t, "{1: 6}"), Term: 1, Memory: MemoryUse{Taken: 5, Limit: 300}}, "83 26 81 01 06 53 01 cc88 92 05 cd012c"},
		{"CONFIRM", &Synchro{ReplicaID: 1, LSN: 16}, "82 02 01 03 10"},
		{"PROMOTE", &Synchro{Term: 3}, "83 02 00 03 00 53 03"},
		{"PROMOTE of META", &Synchro{ReplicaID: 1, LSN: 20, Term: 2, VClock: &confirmed}, "84 02 01 03 14 53 02 26 81 01 14"},
		{"PROMOTE of ours", &Synchro{ReplicaID: 1, LSN: 20, Term: 3, PrevTerm: 2, Rules: 1}, "85 02 01 03 14 53 03 70 02 71 01"},
		{"follower", &Raft{Term: 5, Vote: 2, State: 1, LeaderID: 2, IsLeaderSeen: true}, "85 00 05 01 02 02 01 04 02 05 c3"},
		{"candidate", &Raft{Term: 2, Vote: 1, State: 2, VClock: &confirmed}, "84 00 02 01 01 02 02 03 81 01 14"},
		{"persisted term", &Raft{Term: 1}, "81 00 01"},
		{"META of ours", &JoinMetaBody{History: []terms.Span{{Term: 2, Owner: 1, First: 4, Last: 300, Writer: 1, Rules: terms.Strong}}, Term: 2, LSN: 300},
			"82 72 91 94 02 01 04 cd012c 74 92 02 cd012c"},
		{"base copy", &JoinRequest{InstanceUUID: uuidA, InstanceName: "n1", Copy: &Copy{Spaces: []uint32{512, 600}, VClock: clock(t, "{1: 6}"), Term: 3}},
			"83 24 d924" + hexOf(uuidA) + "5d a26e31 cc82 93 92 cd0200 cd0258 81 01 06 03"},
		{"base copy by a command", &JoinRequest{InstanceUUID: uuidA, Copy: &Copy{Spaces: []uint32{512}, VClock: clock(t, "{1: 6}")}, File: true},
			"83 24 d924" + hexOf(uuidA) + "cc82 93 91 cd0200 81 01 06 00 cc87 90"},
		{"META with a file", &JoinMetaBody{File: &File{Path: "/a", Size: 300, Digest: [32]byte{1}}},
			"83 72 90 74 92 00 00 cc87 93 a22f61 cd012c c420 01" + strings.Repeat("00", 31)},
		{"META with a count", &JoinMetaBody{Tuples: 300}, "83 72 90 74 92 00 00 75 cd012c"},
		{"META with how a term began", &JoinMetaBody{History: []terms.Span{{Term: 2, Owner: 1, First: 4, Last: 300, Writer: 1, Rules: terms.Strong},
			{Term: 3, Owner: 2, First: 1, Last: 1, Writer: 2, Rules: terms.Strong, Began: terms.Began{Kind: terms.Switchover, By: "a", Reason: "b", At: 300, Gap: 5, Loose: true, Took: 6}}}},
			"83 72 92 94 02 01 04 cd012c 94 03 02 01 01 74 92 00 00 7d 91 99 03 02 03 cd012c 05 01 06 a161 a162"},
		{"META with a DEMOTE of Tarantool's", &JoinMetaBody{History: []terms.Span{{Term: 3, First: 4, Last: 4, Writer: 2, Rules: terms.Tarantool}}, Term: 3},
			"82 72 91 96 03 00 04 04 02 01 74 92 03 00"},
	} {
		if got := hex.EncodeToString(c.body.AppendBody(nil)); got != strings.ReplaceAll(c.hex, " ", "") {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, strings.ReplaceAll(c.hex, " ", ""))
		}
		if got := decodeAs(t, c.body, unhex(t, c.hex)); !reflect.DeepEqual(got, withoutLocal(c.body)) {
			t.Errorf("%s: decoded as %+v, want %+v", c.name, got, c.body)
		}
	}
}

// decodeAs decodes b with the decoder of like's type.
func decodeAs(t testing.TB, like body, b []byte) body {
	t.Helper()
	got, ok := tryDecode(like, b)
	if !ok {
		t.Errorf("%T was refused", like)
	}
	return got
}

func tryDecode(like body, b []byte) (body, bool) {
	switch like.(type) {
	case *JoinRequest:
		r, err := DecodeJoin(b)
		return &r, err == nil
	case *RegisterRequest:
		r, err := DecodeRegister(b)
		return &r, err == nil
	case *SubscribeRequest:
		r, err := DecodeSubscribe(b)
		return &r, err == nil
	case *SubscribeOK:
		r, err := DecodeSubscribeOK(b)
		return &r, err == nil
	case *Ballot:
		r, err := DecodeBallot(b)
		return &r, err == nil
	case *Ack:
		var r Ack
		err := r.Decode(b)
		return &r, err == nil
	case *Synchro:
		r, err := DecodeSynchro(b)
		return &r, err == nil
	case *Raft:
		r, err := DecodeRaft(b)
		return &r, err == nil
	case *JoinMetaBody:
		r, ours, err := DecodeJoinMeta(b)
		return &r, ours && err == nil
	}
	panic(fmt.Sprintf("no decoder for %T", like))
}

// withoutLocal is b as it is after a decode: component 0 stays at home.
func withoutLocal(b body) body {
	switch b := b.(type) {
	case *RegisterRequest:
		c := *b
		c.VClock[0] = 0
		return &c
	case *Ack:
		c := *b
		c.VClock[0] = 0
		return &c
	}
	return b
}

func TestMistypedValuesAreNamed(t *testing.T) {
	join := func(b []byte) error { _, err := DecodeJoin(b); return err }
	subscribe := func(b []byte) error { _, err := DecodeSubscribe(b); return err }
	heartbeat := func(b []byte) error { _, err := DecodeHeartbeat(b); return err }
	ack := func(b []byte) error { return new(Ack).Decode(b) }
	synchro := func(b []byte) error { _, err := DecodeSynchro(b); return err }
	raft := func(b []byte) error { _, err := DecodeRaft(b); return err }
	ballot := func(b []byte) error { _, err := DecodeBallot(b); return err }
	meta := func(b []byte) error { _, _, err := DecodeJoinMeta(b); return err }
	group := func(b []byte) error { _, err := DecodeGroup(b); return err }
	clockBody := func(b []byte) error { _, _, err := DecodeVClockBody(b); return err }
	for _, c := range []struct {
		decode func([]byte) error
		hex    string
		want   string // empty: taken
	}{
		{join, "", "request body"},
		{join, "90", "request body"},
		{join, "81 24 01", "instance UUID"},
		{join, "81 24 a3616263", "instance UUID"},
		{join, "81 24 d924" + hexOf(strings.Replace(uuidA, "-", "0", 1)), "instance UUID"},
		{join, "81 24 d924" + hexOf(strings.Replace(uuidA, "3", "g", 1)), "instance UUID"},
		{join, "81 5d a0", "invalid INSTANCE_NAME"},
		{join, "81 5d a141", "invalid INSTANCE_NAME"},
		{join, "81 06 c0", "invalid VERSION"},
		{join, "81 73 c0", "invalid INCARNATION"},
		{join, "83 26 c0 50 01 a1 78 c0", ""}, // not its keys; a key that is a string
		{subscribe, "81 25 c0", "replicaset UUID"},
		{subscribe, "81 5c c0", "invalid REPLICASET_NAME"},
		{subscribe, "81 26 c0", "invalid VCLOCK"},
		{subscribe, "81 cc80 90", "invalid PROCEDURES"},
		{subscribe, "81 cc80 81 01 01", "invalid PROCEDURES"},
		{subscribe, "81 cc80 81 a0 01", "invalid PROCEDURES"},
		{subscribe, "81 cc80 81 a166 ff", "invalid PROCEDURES"},
		{subscribe, "81 cc80 81 a166 cf0000000100000000", "invalid PROCEDURES"},
		{subscribe, "81 26 81 20 01", "invalid VCLOCK"},
		{subscribe, "81 26 82 01 02 01 02", "invalid VCLOCK"},
		{subscribe, "81 26 81 01 ff", "invalid VCLOCK"},
		{subscribe, "81 26 81 01 cf8000000000000000", "invalid VCLOCK"},
		{subscribe, "81 26 83 00 05 01 00 02 03", ""},
		{subscribe, "81 50 01", "invalid REPLICA_ANON flag"},
		{subscribe, "81 51 c0", "invalid ID_FILTER"},
		{subscribe, "81 51 91 20", "invalid ID_FILTER"},
		{subscribe, "81 71 c0", "invalid RULES"},
		{join, "81 7b 01", "invalid GROUP"},
		{subscribe, "81 7b a0", "invalid GROUP"},
		{group, "81 7b a3546f70", "invalid GROUP"},
		{group, "82 24 c0 7b a3746f70", ""},
		{group, "", ""},
		{clockBody, "82 26 80 7b c0", "invalid GROUP"},
		{ballot, "82 29 80 7b 01", "packet body"},
		{heartbeat, "81 5a c0", "invalid vclock sync"},
		{heartbeat, "01", "request body"},
		{ack, "", "request body"},
		{ack, "81 26 80", ""},
		{ack, "81 26 90", "invalid vclock"},
		{ack, "81 53 ff", "invalid term"},
		{ack, "81 5a a0", "invalid vclock sync"},
		{synchro, "81 02 a0", "request body"},
		{synchro, "81 10 a0", "request body"}, // a known key that it does not use
		{synchro, "81 03 cf8000000000000000", "request body"},
		{synchro, "", "request body"},
		{raft, "", "malformed raft request"},
		{raft, "81 00 c0", "raft body"},
		{raft, "81 05 01", "raft body"},
		{raft, "81 10 c0", ""},
		{ballot, "", "packet body"},
		{ballot, "81 29 81 01 01", "packet body"},
		{ballot, "81 29 c0", "packet body"},
		{ballot, "81 29 81 09 dc0020" + strings.Repeat("d924"+hexOf(uuidA), 32), "packet body"},
		{meta, "81 72 91 94 02 01 05 04", "invalid HISTORY"},
		{meta, "81 72 92 94 02 01 01 04 94 02 01 05 06", "invalid HISTORY"},
		{meta, "81 72 91 93 02 01 05", "invalid HISTORY"},
		{meta, "81 74 91 05", "invalid COMMITTED"},
		{meta, "", ""},
	} {
		b := unhex(t, c.hex)
		if len(b) == 0 {
			b = nil
		}
		err := c.decode(b)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.hex, err)
		case c.want != "" && (!errors.Is(err, ErrInvalidMsgpack) || err.Error() != "Invalid MsgPack - "+c.want):
			t.Errorf("%s: %v, want %s", c.hex, err, c.want)
		}
	}
}

func TestBallotEventKeepsWhatItDoesNotTell(t *testing.T) {
	b := Ballot{IsBooted: true, CanLead: true, BootstrapLeader: uuidA}
	empty, err := b.Update(unhex(t, "81 29 80"))
	if err != nil || !empty || !b.CanLead || b.BootstrapLeader != uuidA {
		t.Fatalf("an empty ballot: %+v, empty %v, %v", b, empty, err)
	}
	empty, err = b.Update(unhex(t, "82 a161 c0 29 82 07 c2 26 c0"))
	if err != nil || empty || b.CanLead || !b.IsBooted || b.BootstrapLeader != uuidA {
		t.Fatalf("CAN_LEAD alone: %+v, empty %v, %v", b, empty, err)
	}
	b, err = DecodeBallot(unhex(t, "81 29 84 01 c2 04 c2 02 81 01 01 03 80"))
	if err != nil || !b.IsBooted || b.VClock != clock(t, "{1: 1}") {
		t.Fatalf("ballot of 2.6: %+v, %v", b, err)
	}
}

func TestNilUUIDIsNone(t *testing.T) {
	j, err := DecodeJoin(unhex(t, "81 24 d924"+hexOf(NilUUID)))
	if err != nil || j.InstanceUUID != "" {
		t.Fatalf("%+v, %v", j, err)
	}
	j, err = DecodeJoin(unhex(t, "81 24 d924"+hexOf(strings.ToUpper(uuidA))))
	if err != nil || j.InstanceUUID != uuidA {
		t.Fatalf("%+v, %v", j, err)
	}
}

// Whoever knows no memory passes over it, as it does over what comes later; what has its key and is no memory is refused.
func TestAckOfANewerVersion(t *testing.T) {
	var a Ack
	if err := a.Decode(unhex(t, "84 26 81 01 06 cc88 93 05 07 a178 cc89 92 01 02 5a 02")); err != nil || a.Sync != 2 || a.VClock[1] != 6 || a.Memory != (MemoryUse{5, 7}) {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{"82 26 81 01 06 cc88 91 05", "82 26 81 01 06 cc88 92 05 a178", "82 26 81 01 06 cc88 92 ff 05", "82 26 81 01 06 cc88 05"} {
		if err := a.Decode(unhex(t, bad)); err == nil {
			t.Errorf("%s is taken: %+v", bad, a)
		}
	}
}

func TestAckAndHeartbeatDoNotAllocate(t *testing.T) {
	ack := Ack{VClock: clock(t, "{1: 1000000, 2: 5, 3: 70000}"), Term: 7, Sync: 300, Memory: MemoryUse{1 << 30, 1 << 40}}
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() {
		row := Row{Timestamp: 1.5, Body: ack.AppendBody(buf[:0])}
		frame := row.Append(buf[256:256])
		got, err := Decode(frame[FrameHead:])
		var back Ack
		if err != nil || back.Decode(got.Body) != nil || back != ack {
			t.Fatalf("%+v became %+v: %v", ack, back, err)
		}
		if sync, err := DecodeHeartbeat(AppendHeartbeatBody(buf[:0], 300)); err != nil || sync != 300 {
			t.Fatalf("heartbeat 300 became %d: %v", sync, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The body of a VOTE and the OK rows name the group, and are as they were without one.
func TestGroupInBodies(t *testing.T) {
	v := clock(t, "{1: 6}")
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{AppendGroup(nil, ""), ""},
		{AppendGroup(nil, "top"), "817ba3746f70"},
		{AppendVClockBody(nil, &v), "8126810106"},
		{AppendGroupVClockBody(nil, &v, ""), "8126810106"},
		{AppendGroupVClockBody(nil, &v, "top"), "82268101067ba3746f70"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if got, group, err := DecodeVClockBody(AppendGroupVClockBody(nil, &v, "top")); got != v || group != "top" || err != nil {
		t.Errorf("%v, %q, %v", got, group, err)
	}
	if group, err := DecodeGroup(AppendGroup(nil, "top")); group != "top" || err != nil {
		t.Errorf("%q, %v", group, err)
	}
}

package replication

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// replicaHub knows filter hr, in versions 2 and 1, and three replicas: 7 has it, 8 has all,
// 9 was dropped.
func replicaHub(t *testing.T, change func(*Config)) *testHub {
	t.Helper()
	h := newTestHub(t, 1, change)
	h.node.setFilter(&instance.Filter{Share: xrow.Share{Filter: "hr", Version: 2, New: true}, Former: []xrow.Share{{Filter: "hr", Version: 1}}})
	h.Handle(&instance.Effects{Replicas: replicasNow(false)})
	return h
}

func replicasNow(sevenIsDropped bool) []instance.Replica {
	return []instance.Replica{{UUID: testUUID(7), Name: "seven", Filter: "hr", Dropped: sevenIsDropped}, {UUID: testUUID(8), Name: "eight"}, {UUID: testUUID(9), Name: "nine", Filter: "hr", Dropped: true}}
}

func hr(version uint64) *xrow.Share {
	return &xrow.Share{Filter: "hr", Version: version, New: version == 2}
}

func anonymousStream(id uint32, share *xrow.Share) *xrow.SubscribeRequest {
	return &xrow.SubscribeRequest{ReplicasetUUID: testSet, InstanceUUID: testUUID(id), ServerVersion: 3<<16 | 8<<8, Kind: xrow.Tarragon, Anon: true, Feature: instance.FeatureLevel, Share: share}
}

// refusal is the error that a request gets, or the first rows of what it is given.
func (h *testHub) refusal(t *testing.T, kind xrow.Type, body []byte) *xrow.Error {
	t.Helper()
	c := dial(t, h.addr)
	if err := c.WriteRow(&xrow.Row{Type: kind, Body: body}); err != nil {
		t.Fatal(err)
	}
	p := &peer{Client: c, t: t}
	row := p.next()
	return row.AsError()
}

// A stream is given to whom it is registered for, and for what: everybody else gets an error
// that says what is the matter.
func TestReplicaStreamsAreChecked(t *testing.T) {
	for _, c := range []struct {
		name string
		req  *xrow.SubscribeRequest
		code xrow.Code
		want string
	}{
		{"as it is registered", anonymousStream(7, hr(2)), 0, ""},
		{"a version before", anonymousStream(7, hr(1)), 0, ""},
		{"a version to come", anonymousStream(7, &xrow.Share{Filter: "hr", Version: 3}), xrow.ErrLoading, "Version 3 of filter 'hr' is not known here yet"},
		{"a version that never was", anonymousStream(7, &xrow.Share{Filter: "hr", Version: 2, Spaces: []uint32{512}}), xrow.ErrXlogGap, "is not known any more"},
		{"another filter", anonymousStream(7, &xrow.Share{Filter: "sales", Version: 1}), xrow.ErrCfg, "Replica 'seven' (" + testUUID(7) + ") is registered with filter 'hr' and asks with filter 'sales'"},
		{"all", anonymousStream(7, nil), xrow.ErrCfg, "asks with no filter: give its configuration tarragon.filter: hr"},
		{"a Tarantool", func() *xrow.SubscribeRequest {
			s := anonymousStream(7, nil)
			s.Kind, s.Feature = xrow.Tarantool, 0
			return s
		}(), xrow.ErrUnsupported, "A real Tarantool cannot be filtered ('seven')"},
		{"a Tarantool with a share", func() *xrow.SubscribeRequest {
			s := anonymousStream(6, hr(2))
			s.Kind, s.Feature = xrow.Tarantool, 0
			return s
		}(), xrow.ErrUnsupported, "A real Tarantool cannot be filtered"},
		{"one without a filter", anonymousStream(8, nil), 0, ""},
		{"one without a filter asks for one", anonymousStream(8, hr(2)), xrow.ErrCfg, "is registered with no filter and asks with filter 'hr'"},
		{"dropped", anonymousStream(9, hr(2)), xrow.ErrCfg, "Replica 'nine' (" + testUUID(9) + ") was dropped"},
		{"dropped, all", anonymousStream(9, nil), xrow.ErrCfg, "was dropped"},
		{"whom nobody knows, all", anonymousStream(6, nil), 0, ""},
		{"a member with a filter", func() *xrow.SubscribeRequest { s := anonymousStream(2, hr(2)); s.Anon = false; return s }(), xrow.ErrUnsupported, "members with a filter"},
	} {
		e := replicaHub(t, nil).refusal(t, xrow.Subscribe, c.req.AppendBody(nil))
		if (e == nil) != (c.code == 0) || e != nil && (e.Code != c.code || !strings.Contains(e.Message, c.want)) {
			t.Errorf("%s: %v, want %v %s", c.name, e, c.code, c.want)
		}
	}
}

// One with a filter that nobody knows is registered by the core, with the right for that
// alone. Who does not lead lets it come again.
func TestReplicaRegistersWithItsStream(t *testing.T) {
	reads := func(user iproto.User, member bool) *xrow.Error {
		if member {
			return xrow.Errorf(xrow.ErrAccessDenied, "Write", "space", "_cluster", "guest")
		}
		return nil
	}
	h := replicaHub(t, func(c *Config) { c.Rights = reads })
	if e := h.refusal(t, xrow.Subscribe, anonymousStream(6, hr(2)).AppendBody(nil)); e == nil || e.Code != xrow.ErrAccessDenied || !strings.Contains(e.Message, "tarragon.replica.create") {
		t.Errorf("a user that may only read: %v", e)
	}
	if e := h.refusal(t, xrow.Subscribe, anonymousStream(7, hr(2)).AppendBody(nil)); e != nil {
		t.Errorf("one that is registered, by such a user: %v", e)
	}
	fetch := xrow.JoinRequest{InstanceUUID: testUUID(6), Feature: instance.FeatureLevel, Incarnation: 1, Share: hr(0)}
	if e := h.refusal(t, xrow.FetchSnap, fetch.AppendBody(nil)); e == nil || e.Code != xrow.ErrAccessDenied {
		t.Errorf("its state: %v", e)
	}
	h = replicaHub(t, nil)
	for _, answer := range []*xrow.Error{nil, xrow.Errorf(xrow.ErrReadonly), xrow.Errorf(xrow.ErrIllegalParams, "Filter 'hr' does not exist")} {
		done := make(chan *xrow.Error)
		req := anonymousStream(6, hr(2))
		req.InstanceName = "six"
		go func() { done <- h.refusal(t, xrow.Subscribe, req.AppendBody(nil)) }()
		ev := wait(t, h.node, func(j instance.JoinRequest) bool { return true })
		if ev.Kind != instance.JoinReplica || ev.UUID != testUUID(6) || ev.Name != "six" || ev.Filter != "hr" {
			t.Errorf("%+v", ev)
		}
		h.Snapshot(instance.Snapshot{Tag: ev.Tag, Err: answer})
		e := <-done
		want := xrow.Code(0)
		if answer != nil {
			want = answer.Code
		}
		if want == xrow.ErrReadonly {
			want = xrow.ErrLoading
		}
		if (e == nil) != (want == 0) || e != nil && e.Code != want {
			t.Errorf("%v is told as %v", answer, e)
		}
	}
}

// The stream of a replica that is dropped ends with an error that says so.
func TestDroppedReplicaLosesItsStream(t *testing.T) {
	h := replicaHub(t, nil)
	c := dial(t, h.addr)
	if err := c.WriteRow(&xrow.Row{Type: xrow.Subscribe, Body: anonymousStream(7, hr(2)).AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	p := &peer{Client: c, t: t}
	p.expectType(xrow.OK)
	h.Handle(&instance.Effects{Replicas: replicasNow(false)})
	h.Handle(&instance.Effects{Replicas: replicasNow(true)})
	for {
		row := p.next()
		if e := row.AsError(); e != nil {
			if e.Code != xrow.ErrCfg || !strings.Contains(e.Message, "Replica 'seven' ("+testUUID(7)+") was dropped") {
				t.Error(e)
			}
			return
		}
	}
}

// A base copy is for whom it is registered, and of what its filter gives.
func TestCopiesAreChecked(t *testing.T) {
	h := replicaHub(t, nil)
	for _, c := range []struct {
		name   string
		id     uint32
		share  *xrow.Share
		spaces []uint32
		code   xrow.Code
		want   string
	}{
		{"without a share", 7, nil, []uint32{512}, xrow.ErrProtocol, "without a uuid and a filter"},
		{"without a uuid", 0, hr(2), []uint32{512}, xrow.ErrProtocol, "without a uuid and a filter"},
		{"whom nobody knows", 6, hr(2), []uint32{512}, xrow.ErrLoading, "is not registered"},
		{"dropped", 9, hr(2), []uint32{512}, xrow.ErrCfg, "was dropped"},
		{"another filter", 7, &xrow.Share{Filter: "sales", New: true}, []uint32{512}, xrow.ErrCfg, "asks with filter 'sales'"},
		{"a version to come", 7, &xrow.Share{Filter: "hr", Version: 3, New: true}, []uint32{512}, xrow.ErrLoading, "not known here yet"},
		{"a share that never was", 7, &xrow.Share{Filter: "hr", Version: 1, New: true}, []uint32{512}, xrow.ErrXlogGap, "is not known any more"},
		{"a space that is left out", 7, hr(1), []uint32{512}, xrow.ErrProtocol, "base copy of space 512"},
	} {
		req := xrow.JoinRequest{Feature: instance.FeatureLevel, Incarnation: 1, Share: c.share, Copy: &xrow.Copy{Spaces: c.spaces, VClock: vclock.VClock{}}}
		if c.id != 0 {
			req.InstanceUUID = testUUID(c.id)
		}
		if e := h.refusal(t, xrow.FetchSnap, req.AppendBody(nil)); e == nil || e.Code != c.code || !strings.Contains(e.Message, c.want) {
			t.Errorf("%s: %v, want %v %s", c.name, e, c.code, c.want)
		}
	}
}

package replay

import (
	"testing"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// refusesWrites sends our node the writes of one recorded connection and
// compares the errors field by field: 3.8 was in the same state.
func (n *node) refusesWrites(conn string) {
	n.t.Helper()
	k := readTalk(n.t, "readonly-3.8")
	c := n.connect()
	var asked *xrow.Row
	checked := 0
	for i := range k.lines {
		l := &k.lines[i]
		if l.Conn != conn || l.Kind != capture.Frame {
			continue
		}
		r := row(n.t, l)
		if l.From == capture.Client {
			asked = &r
			continue
		}
		want := r.AsError()
		if want == nil || !asked.Type.IsDML() || asked.StreamID != 0 {
			continue
		}
		checked++
		if err := c.WriteRow(asked); err != nil {
			n.t.Fatal(err)
		}
		answer, err := c.ReadRow()
		if err != nil {
			n.t.Fatal(err)
		}
		got := answer.AsError()
		if got == nil || got.Code != want.Code || got.Class() != want.Class() || got.Message != want.Message || answer.Sync != asked.Sync {
			n.t.Errorf("%s:\n got %s\nwant %s", say(l), text(&answer), text(&r))
			continue
		}
		g, w := fields(n.t, xrow.RenderBody(xrow.OK, got.Fields)), fields(n.t, xrow.RenderBody(xrow.OK, want.Fields))
		for _, bad := range compare("READONLY", g, w) {
			n.t.Errorf("%s: %s", say(l), bad)
		}
	}
	if checked == 0 {
		n.t.Errorf("nothing was checked on connection %s", conn)
	}
}

// TestReadOnly: why a node refuses writes that follows nobody.
func TestReadOnly(t *testing.T) {
	const two = "22222222-0000-4000-8000-000000000002"
	model := readTalk(t, "anon-3.8")
	tuples := superGuest(withMember(filterModel(t, model), 2, two))
	for i := range tuples {
		if tuples[i].space == xrow.SpaceCluster && number(tuples[i].data, 0) == 1 { // the UUID in the recording
			tuples[i].data = clusterTuple(1, "0ab0c777-8c90-4d95-ab03-085be7abef57")
		}
	}
	for _, test := range []struct {
		conn, yaml string
		at         xlog.State
	}{
		{"orphan", "", promoted(t, model)},
		{"config-unclaimed", "database: {mode: ro}\n", xlog.State{VClock: vclock.VClock{1: 9}, Term: 1}},
	} {
		t.Run(test.conn, func(t *testing.T) {
			n := newNode(t, "replication: {timeout: 30}\n"+test.yaml)
			(&state{uuid: two, tuples: tuples, at: test.at}).put(n)
			n.start()
			n.ready()
			n.refusesWrites(test.conn)
		})
	}
}

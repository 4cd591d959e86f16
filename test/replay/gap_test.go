package replay

import (
	"testing"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

const (
	gapSet     = "21c25b9e-3596-4899-814b-ea3c49cc145a"
	gapReplica = "96fbd235-a15e-4bd9-8765-248f3e87862c"
)

// TestServesGap: rows that a recorded replica needs are gone: it is told so in
// the class that it waits for, behind OK and RAFT.
func TestServesGap(t *testing.T) {
	v := newVisit(t, "gap-3.8", "replication: {timeout: 30}\n")
	v.onlyStreams()
	uuid := uuidOf(v.talk.greeting())
	model := readTalk(t, "anon-3.8")
	st := &state{uuid: uuid, at: xlog.State{VClock: vclock.VClock{1: 10}, Term: 1},
		tuples: superGuest(withMember(freshOf(model.snapshot(t, "1"), uuid, gapSet), 2, gapReplica))}
	st.put(v.n)
	v.only = map[string]bool{"3": true, "5": true, "7": true}
	v.n.start()
	v.n.ready()
	v.play()
}

// TestReplicaBehindGap: our node is told of a gap by a recorded master. The
// recorded replica tried again until somebody restarted it; ours tries once more, and
// joins anew by itself, under its UUID.
func TestReplicaBehindGap(t *testing.T) {
	s := newScript(t, "gap-3.8", `replication: {timeout: 30, reconnect_timeout: 0.01, peers: ['MASTER']}
database: {mode: ro, instance_uuid: `+gapReplica+`}
`)
	model := readTalk(t, "anon-3.8")
	all := model.snapshot(t, "1")
	s.model = freshOf(all, uuidOf(s.talk.greeting()), gapSet)
	for _, t := range all { // its space 512 is like that of the model
		if (t.space == xrow.SpaceSpace || t.space == xrow.SpaceIndex) && number(t.data, 0) == 512 {
			s.model = append(s.model, t)
		}
	}
	s.hooks["replica disconnects"] = func() { _ = s.live.link.Close() }
	s.hooks["the replica is restarted"] = func() { s.model = withMember(s.model, 2, gapReplica) }
	s.skip = map[string]bool{"6": true, "7": true, "8": true}
	s.n.start()
	s.play()
	s.n.waitLog("upstream failed", "Missing .xlog file between LSN 8")
	s.n.waitLog("joining the replica set anew")
}

// superGuest lets guests do everything.
func superGuest(all []tuple) []tuple {
	for i, t := range all {
		if t.space == xrow.SpacePriv && number(t.data, 1) == 0 && number(t.data, 3) == 2 {
			all[i].data = []byte{0x95, 1, 0, 0xa4, 'r', 'o', 'l', 'e', roleSuper, 4}
		}
	}
	return all
}

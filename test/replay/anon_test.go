package replay

import (
	"testing"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// TestAnonymousOf38 follows a recorded master of 3.8 without being a member,
// and becomes one.
func TestAnonymousOf38(t *testing.T) {
	s := newScript(t, "anon-3.8", `replication: {timeout: 30, reconnect_timeout: 0.01, peers: ['MASTER']}
database: {mode: ro}
`)
	const self = "database: {instance_uuid: 08d7cf8d-28ec-4c59-913b-6098bd3b13db}, "
	s.n.own, s.n.others = self+"replication: {anon: true}, ", ", m: {iproto: {listen: [{uri: '127.0.0.1:1'}]}}"
	s.hooks["replication_anon=false"] = func() {
		s.n.halt()
		s.n.own = self
		s.n.start()
	}
	s.n.start()
	s.play()
}

// TestAnonymousOf26 is the same with 2.6.
func TestAnonymousOf26(t *testing.T) {
	s := newScript(t, "anon-2.6", `replication: {timeout: 30, reconnect_timeout: 0.01, peers: ['MASTER']}
database: {mode: ro}
`)
	const self = "database: {instance_uuid: fba8edae-767f-438f-906a-4b04a3c1ca4c}, "
	s.model = readTalk(t, "join-2.6").snapshot(t, "1")
	s.n.own, s.n.others = self+"replication: {anon: true}, ", ", m: {iproto: {listen: [{uri: '127.0.0.1:1'}]}}"
	s.hooks["2.6.0: replication_anon=false"] = func() {
		s.n.halt()
		s.n.own = self
		s.n.start()
	}
	s.n.start()
	s.play()
}

// TestServesAnonymous38: FETCH_SNAPSHOT of a recorded 3.8.
func TestServesAnonymous38(t *testing.T) {
	v := newVisit(t, "anon-3.8", "replication: {timeout: 30}\n")
	st := &state{uuid: uuidOf(v.talk.greeting()), tuples: v.talk.snapshot(t, "1"), at: promoted(t, v.talk)}
	st.put(v.n)
	v.mend = func(l *capture.Line, r *xrow.Row) *xrow.Row {
		if r.Type == xrow.Event {
			return nil // an earlier state, and before the queue had an owner
		}
		return r
	}
	v.stop = "master: async {2}"
	v.n.start()
	v.n.ready()
	v.play()
}

// TestServesAnonymousLog38: what the anonymous replica was sent.
func TestServesAnonymousLog38(t *testing.T) {
	v := newVisit(t, "anon-3.8", "replication: {timeout: 30}\n")
	v.onlyStreams()
	st := &state{uuid: uuidOf(v.talk.greeting()), tuples: v.talk.snapshot(t, "1"), at: promoted(t, v.talk)}
	for _, r := range v.talk.logRows(t) {
		if r.LSN < 16 { // that one registers it
			st.log = append(st.log, r)
		}
	}
	st.put(v.n)
	v.stop = "replication_anon=false"
	v.n.start()
	v.n.ready()
	v.play()
}

// TestServesAnonymous26: FETCH_SNAPSHOT, SUBSCRIBE and REGISTER of a recorded
// 2.6, while our node writes what the recorded master wrote.
func TestServesAnonymous26(t *testing.T) {
	v := newVisit(t, "anon-2.6", "replication: {timeout: 30}\n")
	before := readTalk(t, "join-2.6")
	st := &state{uuid: uuidOf(v.talk.greeting()), tuples: before.snapshot(t, "1"), at: xlog.State{VClock: vclock.VClock{1: 13}, Term: 1},
		log: before.logRows(t)}
	st.put(v.n)
	v.n.start()
	v.n.ready()
	v.author = v.n.connect()
	v.silent = map[string]bool{"4": true} // the master was stopped
	v.play()
}

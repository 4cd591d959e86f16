package replay

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// masterOf is the state of a fresh master of 3.8 in one of the recordings.
func masterOf(t *testing.T, k *talk, set string, at vclock.VClock, log []loggedRow) *state {
	t.Helper()
	uuid := uuidOf(k.greeting())
	model := readTalk(t, "anon-3.8")
	return &state{uuid: uuid, tuples: freshOf(model.snapshot(t, "1"), uuid, set), at: xlog.State{VClock: at, Term: 1}, log: log}
}

// TestWrongCluster: a replica of another replica set is told so.
func TestWrongCluster(t *testing.T) {
	v := newVisit(t, "wrong-cluster-3.8", "replication: {timeout: 30}\n")
	st := masterOf(t, v.talk, "6f8dfe1c-f02b-40cf-aeaa-a2aeba82a5ee", vclock.VClock{1: 1}, nil)
	superGuest(st.tuples)
	st.put(v.n)
	v.n.start()
	v.n.ready()
	v.play()
}

// TestRefusals: all that a fake peer tried with 3.8, and three peers that call
// themselves older.
func TestRefusals(t *testing.T) {
	v := newVisit(t, "fake-peer-3.8", "replication: {timeout: 30}\n")
	var log []loggedRow
	for _, r := range v.talk.logRows(t) {
		if r.LSN < 6 { // that one registers the peer
			log = append(log, r)
		}
	}
	st := masterOf(t, v.talk, "83296a10-9daa-41c1-aed7-a1f7963a0757", vclock.VClock{}, log)
	st.put(v.n)
	v.mend = func(l *capture.Line, r *xrow.Row) *xrow.Row {
		if l.Conn == "J" && r.Type == xrow.Ping {
			return nil // taken for an ack without a vclock: ours ends the stream, Tarantool falls silent
		}
		if strings.HasPrefix(l.Conn, "V") && r.LSN >= 2 && r.LSN <= 4 {
			r.TSN = 2 // SUBSCRIBE from within a transaction: for ours its first row begins it
		}
		return r
	}
	v.silent = map[string]bool{"J": true, "S": true}
	v.before["25"] = func() {
		v.n.halt()
		v.n.yaml += "database: {mode: ro}\n"
		v.n.start()
		v.n.ready()
	}
	v.n.start()
	v.n.ready()
	v.play()
}

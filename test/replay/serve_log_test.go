package replay

import (
	"testing"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// TestServesLog26: what the recorded master wrote is in our log, all kinds of
// rows, and goes out as it did there.
func TestServesLog26(t *testing.T) {
	v := newVisit(t, "join-2.6", "replication: {timeout: 30}\n")
	v.onlyStreams()
	st := &state{uuid: uuidOf(v.talk.greeting()), tuples: v.talk.snapshot(t, "1"), at: xlog.State{VClock: vclock.VClock{1: 13}, Term: 1},
		log: v.talk.logRows(t)}
	st.put(v.n)
	v.n.start()
	v.n.ready()
	v.play()
}

// onlyStreams leaves JOINs out: the log has been there from the start, so what
// our node holds is more than the recorded master held at that point.
func (v *visit) onlyStreams() {
	v.ahead = true
	streams, login := map[string]bool{}, map[string]bool{}
	v.mend = func(l *capture.Line, r *xrow.Row) *xrow.Row {
		switch r.Type {
		case xrow.ID, xrow.Vote, xrow.Watch, xrow.Event:
			return nil
		case xrow.Subscribe:
			streams[l.Conn] = true
		}
		if answer := login[l.Conn]; streams[l.Conn] || answer || r.Type == xrow.Auth {
			login[l.Conn] = !answer && r.Type == xrow.Auth
			return r
		}
		return nil
	}
}

// TestServesLog38: the same with 3.8: multi-row transactions, synchronous rows
// with their flags, CONFIRM, ROLLBACK, NOP, schema changes, all types of values.
func TestServesLog38(t *testing.T) {
	v := newVisit(t, "replica-join-3.8", "replication: {timeout: 30}\n")
	v.onlyStreams()
	log := v.talk.logRows(t)
	for i, r := range log {
		if r.Type == xrow.Demote { // what comes with it and behind it is of another term
			log = log[:i]
			break
		}
	}
	st := &state{uuid: uuidOf(v.talk.greeting()), tuples: v.talk.snapshot(t, "3"), at: promoted(t, v.talk), log: log}
	st.put(v.n)
	v.password = "secret"
	v.stop = "error case"
	v.n.start()
	v.n.ready()
	v.play()
}

// promoted is the state that the META of the first JOIN or FETCH_SNAPSHOT in a
// recording tells.
func promoted(t *testing.T, k *talk) (st xlog.State) {
	t.Helper()
	for i := range k.lines {
		l := &k.lines[i]
		if l.Kind != capture.Frame || l.From != capture.Server {
			continue
		}
		switch r := row(t, l); {
		case r.Type == xrow.OK && len(r.Body) > 1 && r.Body[1] == byte(xrow.KeyVClock):
			v, _, err := xrow.DecodeVClockBody(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			st.VClock = v.Global()
		case r.Type == xrow.RaftState && r.LSN == 0:
			raft, err := xrow.DecodeRaft(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			st.Term, st.Vote = raft.Term, raft.Vote
		case r.Type == xrow.Promote && r.LSN == 0:
			p, err := xrow.DecodeSynchro(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			st.Confirmed = p.LSN
			if p.ReplicaID != 0 {
				st.ConfirmedOf[p.ReplicaID] = p.LSN
				st.History = []terms.Span{{Term: p.Term, Owner: p.ReplicaID, First: p.LSN, Last: p.LSN, Writer: p.ReplicaID, Rules: terms.Tarantool}}
			}
			return st
		}
	}
	t.Fatalf("%s: no META", k.name)
	return st
}

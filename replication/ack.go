package replication

import (
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// acking is what appliers go by: what the core says of its disk, and whether rows have
// to wait for that. It is a value under the hub's lock.
type acking struct {
	self   uint32            // own replica ID; 0: not known yet
	said   instance.AckState // what acks say
	count  uint64            // how often it was said
	mute   bool              // no ack may leave
	parked bool              // rows wait: the core says so
	room   chan struct{}     // closed when they may go on
}

// take takes what the core says. rows: there are rows of others that were not there
// before; term: the term is another one.
func (a *acking) take(ack *instance.AckState) (rows, term bool) {
	rows, term = grew(&a.said.VClock, &ack.VClock, a.self), ack.Term != a.said.Term
	stamp := a.said.Timestamp
	a.said = *ack
	if ack.Timestamp == 0 {
		a.said.Timestamp = stamp // it may not have been sent yet
	}
	a.count++
	return rows, term
}

// park makes rows wait, or lets them go on.
func (a *acking) park(wait bool) {
	switch {
	case wait && !a.parked:
		a.room = make(chan struct{})
	case !wait && a.parked:
		close(a.room)
	}
	a.parked = wait
}

// ackWriter makes the acks of one connection. What is new is told at once to
// everybody whose stream may depend on it: to all while no leader is heard, and
// to the leader while one is. The other followers hear it with the answer to
// their next heartbeat, which is soon enough for retention and hold-back.
type ackWriter struct {
	floor vclock.VClock // of our SUBSCRIBE: an older word of the core's would go back
	seen  uint64        // how often the core had spoken when we looked last
	said  instance.AckState
	stamp float64 // the newest TIMESTAMP that was sent
	buf   []byte
}

// next is the frame to send now; nil: none. It is valid until the next call.
func (w *ackWriter) next(a *applier) []byte {
	h := a.hub
	h.mu.Lock()
	st, count, beat, sync, self, ours := h.acking.said, h.acking.count, a.beat, a.sync, h.acking.self, a.kind == xrow.Tarragon
	urgent := h.urgent(a)
	if h.acking.mute || !st.VClock.Covers(&w.floor) {
		h.mu.Unlock()
		return nil
	}
	answer := beat && count != w.seen // the core has spoken since the heartbeat came
	if answer {
		a.beat = false
	}
	h.mu.Unlock()
	w.seen = count
	if count == 0 || !answer && st.Term == w.said.Term && !(urgent && grew(&w.said.VClock, &st.VClock, self)) {
		return nil
	}
	w.said = st
	ack := xrow.Ack{VClock: st.VClock, Term: st.Term, Sync: sync}
	if answer && ours && h.cfg.Memory != nil {
		ack.Memory = h.cfg.Memory() // not under the lock: the core is asked
	}
	row := xrow.Row{Type: xrow.OK, Body: ack.AppendBody(w.buf[:0])}
	w.buf = row.Body
	if st.Timestamp != w.stamp {
		w.stamp, row.Timestamp = st.Timestamp, st.Timestamp
	}
	start := len(w.buf)
	w.buf = row.Append(w.buf)
	return w.buf[start:]
}

// grew tells whether rows of others came to v: local writes alone trigger no
// ack.
func grew(old, v *vclock.VClock, self uint32) bool {
	for i := range v {
		if v[i] > old[i] && uint32(i) != self {
			return true
		}
	}
	return false
}

package replay

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// TestServesJoin26: a recorded 2.6 joins and follows our node, which writes what
// the recorded master wrote.
func TestServesJoin26(t *testing.T) {
	v := newVisit(t, "join-2.6", "replication: {timeout: 30}\n")
	st := &state{uuid: uuidOf(v.talk.greeting()), tuples: v.talk.snapshot(t, "1"), at: xlog.State{VClock: vclock.VClock{1: 13}, Term: 1}}
	st.put(v.n)
	v.stop = "async transaction" // clients of ours cannot write one yet
	v.n.start()
	v.n.ready()
	v.author = v.n.connect()
	v.play()
}

// write makes the row of this line, as a client of our node.
func (v *visit) write(l *capture.Line) {
	v.t.Helper()
	r := row(v.t, l)
	if r.Flags&xrow.FlagCommit == 0 {
		v.t.Fatalf("%s: a transaction of several rows", v.where())
	}
	if _, err := v.author.Do(r.Type, r.Body); err != nil {
		v.t.Fatalf("%s: %v", v.where(), err)
	}
	v.written = r.LSN
}

// checkRelays: no stream of ours ended for another reason than that its reader
// left.
func (v *visit) checkRelays() {
	v.t.Helper()
	text, _ := v.n.log.text()
	for line := range strings.Lines(text) {
		if strings.Contains(line, `"message":"relay ended"`) && !containsAny(line, "EOF", "reset", "closed", "broken pipe", "beyond the log") {
			v.t.Error(line)
		}
	}
}

func containsAny(line string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(line, w) {
			return true
		}
	}
	return false
}

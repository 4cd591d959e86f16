package replay

import (
	"fmt"
	"strings"
	"testing"

	"tarragon/internal/capture"
	"tarragon/vclock"
	"tarragon/xrow"
)

// script plays the server's side of a recording to our node, the replica. It
// sends a frame when our node has said what the recorded replica had said
// before it; acks in between may be fewer, since several may be merged.
type script struct {
	t    *testing.T
	talk *talk
	m    *master
	n    *node
	at   int // index of the line that is played

	// hooks are called in front of the remark that begins with the key. stop ends
	// the script there.
	hooks map[string]func()
	stop  string

	asked    map[string]bool // connections on which a request of replication was made
	live     *session        // the connection of the stream
	conn     string          // its name in the recording
	acks     []*xrow.Row     // recorded acks that we wait for
	stamps   map[float64]bool
	sent     vclock.VClock // rows that were sent on the stream
	missing  [][]byte      // rows between our vclock and the recorded one in SUBSCRIBE
	answered bool          // the master has answered the last request
	old      bool          // the recorded replica is 2.6
	ackKind  string
}

func newScript(t *testing.T, name string, yaml string) *script {
	k := readTalk(t, name)
	s := &script{t: t, talk: k, m: newMaster(t, k), hooks: map[string]func(){}, asked: map[string]bool{},
		stamps: map[float64]bool{}, ackKind: "ack"}
	if s.old = strings.HasSuffix(name, "-2.6"); s.old {
		s.ackKind = "ack of 2.6"
	}
	s.n = newNode(t, strings.ReplaceAll(yaml, "MASTER", s.m.addr()))
	return s
}

func (s *script) where() string {
	l := &s.talk.lines[s.at]
	return fmt.Sprintf("%s.jsonl:%d (%s)", s.talk.name, s.at+1, l.Note)
}

// all are the fields of header and body.
func (s *script) all(m *capture.Message) map[string]any {
	out := fields(s.t, m.Body)
	if out == nil {
		out = map[string]any{}
	}
	if m.Header != nil {
		for _, f := range *m.Header {
			out["header."+f.Name] = string(f.JSON)
		}
	}
	return out
}

// play goes over the recording up to its end or the remark that stops it.
func (s *script) play() {
	s.t.Helper()
	for ; s.at < len(s.talk.lines); s.at++ {
		l := &s.talk.lines[s.at]
		switch {
		case l.Kind == capture.Note:
			if s.note(l.Note) {
				s.awaitAcks()
				return
			}
		case l.Kind == capture.Frame && l.From == capture.Client:
			s.client(l)
		case l.Kind == capture.Frame:
			s.server(l)
		case l.Kind == capture.EOF && l.From == capture.Client && l.Conn == s.conn:
			s.awaitAcks()
			s.conn = ""
		}
	}
	s.awaitAcks()
}

func (s *script) note(text string) (stop bool) {
	if s.stop != "" && strings.HasPrefix(text, s.stop) {
		return true
	}
	for begin, hook := range s.hooks {
		if strings.HasPrefix(text, begin) {
			s.awaitAcks()
			hook()
		}
	}
	return false
}

// client is something that the recorded replica said.
func (s *script) client(l *capture.Line) {
	s.t.Helper()
	r := row(s.t, l)
	switch r.Type {
	case xrow.ID, xrow.Vote, xrow.Watch, xrow.Auth:
		return
	case xrow.OK:
		if l.Conn == s.conn {
			s.acks = append(s.acks, &r)
		}
		return
	}
	s.awaitAcks()
	s.asked[l.Conn] = true
	var got xrow.Row
	s.live, got = s.m.request() // on a connection of its own, where the original used one twice
	s.conn, s.answered = l.Conn, false
	kind := r.Type.String()
	if s.old {
		kind += " of 2.6"
	}
	if r.Type == xrow.Subscribe {
		s.subscribed(&got, &r)
	}
	s.compareRows(kind, &got, &r)
}

// subscribed takes down where our node stands: it may be at the vclock of the
// snapshot, where the recorded one had taken the final stage of its JOIN too.
// The rows between come first then, and got is compared as if they had been
// taken.
func (s *script) subscribed(got, want *xrow.Row) {
	s.t.Helper()
	ours, err := xrow.DecodeSubscribe(got.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	theirs, err := xrow.DecodeSubscribe(want.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sent = theirs.VClock
	s.missing = nil
	if ours.VClock == theirs.VClock {
		return
	}
	if !theirs.VClock.Covers(&ours.VClock) {
		s.t.Fatalf("%s: SUBSCRIBE from %s, the recorded one from %s", s.where(), ours.VClock, theirs.VClock)
	}
	for _, r := range s.talk.logRows(s.t) {
		if r.LSN > ours.VClock[r.ReplicaID] && r.LSN <= theirs.VClock[r.ReplicaID] {
			s.missing = append(s.missing, r.frame)
			ours.VClock.Follow(r.ReplicaID, r.LSN)
		}
	}
	if ours.VClock != theirs.VClock {
		s.t.Fatalf("%s: SUBSCRIBE with rows missing that were not recorded", s.where())
	}
	if ours.IDFilter == 0 { // the row that tells our ID is among the missing ones
		ours.IDFilter = theirs.IDFilter
	}
	got.Body = ours.AppendBody(nil)
}

// server is something that the recorded master said.
func (s *script) server(l *capture.Line) {
	s.t.Helper()
	r := row(s.t, l)
	if !s.asked[l.Conn] {
		s.noteBallot(&r)
		return
	}
	if l.Conn != s.conn {
		return
	}
	s.awaitAcks()
	if s.answered && r.Type != xrow.RaftState {
		for _, frame := range s.missing {
			s.write(frame)
		}
		s.missing = nil
	}
	s.answered = true
	if r.LSN != 0 {
		s.sent.Follow(r.ReplicaID, r.LSN)
	}
	s.write(l.Data)
}

func (s *script) write(frame []byte) {
	if _, err := s.live.link.Write(frame); err != nil {
		s.t.Fatalf("%s: %v", s.where(), err)
	}
}

// noteBallot keeps what the master's ballot is at this point.
func (s *script) noteBallot(r *xrow.Row) {
	switch {
	case r.Type == xrow.Event:
		if _, value, ok := strings.Cut(string(r.Body), "internal.ballot\x58"); ok {
			s.m.setBallot([]byte(value))
		}
	case r.Type == xrow.OK && len(r.Body) > 1 && r.Body[1] == byte(xrow.KeyBallot):
		s.m.setBallot(r.Body)
	}
}

// awaitAcks waits until our node has acked what the recorded one had.
func (s *script) awaitAcks() {
	s.t.Helper()
	if len(s.acks) == 0 {
		return
	}
	last := s.acks[len(s.acks)-1]
	var want, got xrow.Ack
	if err := want.Decode(last.Body); err != nil {
		s.t.Fatal(err)
	}
	before := vclock.VClock{}
	for {
		r := s.live.next()
		if err := got.Decode(r.Body); err != nil || r.Type != xrow.OK {
			s.t.Fatalf("%s: %v instead of an ack, %v", s.where(), r.Type, err)
		}
		if r.Timestamp != 0 {
			s.stamps[r.Timestamp] = true
		}
		if !got.VClock.Covers(&before) || !want.VClock.Covers(&got.VClock) {
			s.t.Fatalf("%s: ack of %s behind one of %s, where the recorded one acked %s", s.where(), got.VClock, before, want.VClock)
		}
		before = got.VClock
		if got.VClock == want.VClock && got.Sync >= want.Sync && got.Term >= want.Term {
			s.compareRows(s.ackKind, &r, last)
			break
		}
	}
	for _, a := range s.acks {
		if a.Timestamp != 0 && a == last && !s.stamps[a.Timestamp] {
			s.t.Errorf("%s: no ack had the TIMESTAMP %f", s.where(), a.Timestamp)
		}
	}
	s.acks = s.acks[:0]
}

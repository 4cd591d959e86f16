package replay

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
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
	hooks  map[string]func()
	before map[int]func() // in front of a line, by its number
	stop   string
	// refuses are the lines at which the recorded replica, and ours, ends the
	// connection because of what it was sent.
	refuses map[int]bool

	skip  map[string]bool // connections that are left out
	model []tuple         // rows of a snapshot where the recording is cut
	fill  []tuple         // the model, once a cut was met in a snapshot
	kept  []xrow.Row      // rows of that snapshot in the recording

	asked    map[string]bool      // connections on which a request of replication was made
	live     *session             // the connection of the stream
	conn     string               // its name in the recording
	acks     []*xrow.Row          // recorded acks that we wait for
	owed     bool                 // something was sent that our node acks
	stamp    float64              // the newest TIMESTAMP of an ack
	term     uint64               // the newest one that was sent
	known    func(*xrow.Row) bool // our node has the row from another one already
	sent     vclock.VClock        // rows that were sent on the stream
	missing  [][]byte             // rows between our vclock and the recorded one in SUBSCRIBE
	answered bool                 // the master has answered the last request
	old      bool                 // the recorded replica is 2.6
	ackKind  string
}

func newScript(t *testing.T, name string, yaml string) *script {
	return newScriptOf(t, readTalk(t, name), yaml)
}

func newScriptOf(t *testing.T, k *talk, yaml string) *script {
	s := &script{t: t, talk: k, m: newMaster(t, k), hooks: map[string]func(){}, before: map[int]func(){}, refuses: map[int]bool{}, asked: map[string]bool{},
		ackKind: "ack", known: func(*xrow.Row) bool { return false }}
	if s.old = strings.HasSuffix(k.name, "-2.6"); s.old {
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
	for _, name := range []string{"event_data", "ballot"} { // their fields count one by one
		if inner, ok := out[name].(map[string]any); ok {
			delete(out, name)
			maps.Copy(out, inner)
		}
	}
	if v, ok := out["vclock"].(map[string]any); ok && v["0"] != nil {
		out["vclock.0"] = v["0"]
		delete(v, "0")
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
		if hook := s.before[s.at+1]; hook != nil {
			hook()
		}
		switch {
		case l.Kind == capture.Note:
			if s.note(l.Note) {
				s.awaitAcks()
				return
			}
		case s.skip[l.Conn]:
		case l.Kind == capture.Cut && s.model != nil:
			s.fill = s.model
		case l.Kind == capture.Frame && l.From == capture.Client:
			s.client(l)
		case l.Kind == capture.Frame:
			s.server(l)
		case l.Kind == capture.EOF && l.From == capture.Client && l.Conn == s.conn:
			s.awaitAcks()
			s.conn = ""
			if s.refuses[s.at+1] {
				s.live.ended()
			}
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
	s.live, got = s.m.request() // on a connection of its own, where Tarantool used one twice
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
		if r.ReplicaID < vclock.Max && r.LSN > ours.VClock[r.ReplicaID] && r.LSN <= theirs.VClock[r.ReplicaID] {
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
	if s.fill != nil || s.kept != nil {
		if s.snapshot(&r) {
			return
		}
	} else if s.model != nil && isSnapshot(&r) {
		s.kept = append(s.kept, r)
		return
	}
	if s.answered && r.Type != xrow.RaftState {
		s.sendMissing()
	}
	s.answered = true
	s.owed = s.owed || r.LSN != 0 && !s.known(&r) || isHeartbeat(&r)
	if r.LSN != 0 {
		advance(&s.sent, &r)
	}
	if r.Type == xrow.RaftState {
		msg, err := xrow.DecodeRaft(r.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		s.term = msg.Term
	}
	if r.Type == xrow.Promote || r.Type == xrow.Demote {
		if msg, err := xrow.DecodeSynchro(r.Body); err == nil { // ours takes a term from it too
			s.term = max(s.term, msg.Term)
		}
	}
	s.write(l.Data)
}

func (s *script) sendMissing() {
	for _, frame := range s.missing {
		s.write(frame)
		s.owed = true
	}
	s.missing = nil
}

// openDoor adds a row to the first snapshot that lets guests do everything, so
// that the test can look into our node.
func (s *script) openDoor() {
	for i := range s.talk.lines {
		l := &s.talk.lines[i]
		if l.Kind != capture.Frame || l.From != capture.Server {
			continue
		}
		r := row(s.t, l)
		if !isSnapshot(&r) {
			continue
		}
		if d, err := xrow.DecodeDML(r.Type, r.Body); err == nil && d.SpaceID == xrow.SpacePriv && number(d.Tuple, 1) == 0 {
			s.before[i+2] = func() {
				r.Body = append(bytes.Clone(r.Body[:len(r.Body)-2]), roleSuper, 4) // behind the row [1, 0, "role", 2, 4]
				s.write(r.Append(nil))
			}
			return
		}
	}
	s.t.Fatal("no snapshot")
}

func isSnapshot(r *xrow.Row) bool { return r.Type == xrow.Insert && r.LSN == 0 }

// snapshot gathers the rows of a snapshot of which the recording has one per
// space only; the model has the others. It sends them before what follows.
func (s *script) snapshot(r *xrow.Row) (gathered bool) {
	s.t.Helper()
	if isSnapshot(r) {
		s.kept = append(s.kept, *r)
		return true
	}
	var all []tuple
	known := map[string]bool{}
	for i := range s.kept {
		d, err := xrow.DecodeDML(xrow.Insert, s.kept[i].Body)
		if err != nil {
			s.t.Fatal(err)
		}
		known[string(d.Tuple)] = true
		all = append(all, tuple{d.SpaceID, d.Tuple})
	}
	for _, t := range s.fill {
		if !known[string(t.data)] {
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b tuple) int { return cmp.Compare(a.space, b.space) })
	for _, t := range all {
		body := binary.BigEndian.AppendUint32([]byte{0x82, byte(xrow.KeySpaceID), 0xce}, t.space)
		insert := xrow.Row{Type: xrow.Insert, Body: append(append(body, byte(xrow.KeyTuple)), t.data...)}
		s.write(insert.Append(nil))
	}
	s.fill, s.kept = nil, nil
	return false
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
	s.sendMissing()
	if !s.owed { // behind a RAFT row alone: ours comes with the answer to the next heartbeat
		s.acks = s.acks[:0]
		return
	}
	s.owed = false
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
		s.stamp = max(s.stamp, r.Timestamp)
		if !got.VClock.Covers(&before) || !s.sent.Covers(&got.VClock) {
			s.t.Fatalf("%s: ack of %s behind one of %s, when rows up to %s were sent", s.where(), got.VClock, before, s.sent)
		}
		before = got.VClock
		if got.VClock.Covers(&want.VClock) && got.Sync >= want.Sync && got.Term >= want.Term {
			got.VClock = want.VClock // ours may be done with more of what was sent
			if got.Term <= s.term {
				got.Term = want.Term // and Tarantool writes a term some time after it took it
			}
			r.Body = got.AppendBody(nil)
			s.compareRows(s.ackKind, &r, last)
			break
		}
	}
	if last.Timestamp > s.stamp {
		s.t.Errorf("%s: no ack had a TIMESTAMP of %f or later, the newest is %f", s.where(), last.Timestamp, s.stamp)
	}
	s.acks = s.acks[:0]
}

// advance takes a row into a vclock; several peers may send it.
func advance(v *vclock.VClock, r *xrow.Row) {
	if r.ReplicaID < vclock.Max {
		v[r.ReplicaID] = max(v[r.ReplicaID], r.LSN)
	}
}

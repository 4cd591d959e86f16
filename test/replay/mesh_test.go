package replay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// mesh puts our node into the place of one member of a recorded replica set of
// three. A recorded connection "A>B.n" is of A's applier: where A is our node, a
// script answers it; where B is, a guest comes to our node.
type mesh struct {
	t      *testing.T
	talk   *talk
	self   string
	n      *node
	peers  map[string]*script // by the name of the member
	visit  *visit
	guests map[string]bool        // recorded connections to our node that are played
	raft   map[string][]*xrow.Row // RAFT rows that our node is to show, by connection
	// mend, if set, changes a RAFT row that our node is to show.
	mend func(r *xrow.Row) *xrow.Row
	sent vclock.VClock // rows that our node was sent by anybody
}

// newMesh takes recordings that continue each other.
func newMesh(t *testing.T, names []string, self, yaml string, others ...string) *mesh {
	all := &talk{name: strings.Join(names, "+")}
	for _, name := range names {
		all.lines = append(all.lines, readTalk(t, name).lines...)
	}
	m := &mesh{t: t, talk: all, self: self, peers: map[string]*script{}, guests: map[string]bool{},
		raft: map[string][]*xrow.Row{}}
	for _, other := range others {
		s := &script{t: t, talk: m.talk, asked: map[string]bool{}, ackKind: "ack"}
		s.m = newMasterAs(t, m.talk, m.greetingOf(other))
		s.known = func(r *xrow.Row) bool { return r.LSN <= m.sent[r.ReplicaID] }
		m.peers[other] = s
		yaml = strings.ReplaceAll(yaml, "MASTER"+other, s.m.addr())
	}
	m.n = newNode(t, yaml)
	m.visit = &visit{script: script{t: t, talk: m.talk, n: m.n}, conns: map[string]*guest{}, snap: map[string][]string{}, elections: true}
	for _, s := range m.peers {
		s.n = m.n
	}
	for i := range m.talk.lines {
		l := &m.talk.lines[i]
		if l.Kind == capture.Frame && l.From == capture.Client && strings.Contains(l.Conn, ">"+self+".") {
			if r := row(t, l); r.Type == xrow.Subscribe {
				m.guests[l.Conn] = true
			}
		}
	}
	return m
}

// greetingOf is the greeting of a member. Member n has a UUID of digits n.
func (m *mesh) greetingOf(member string) []byte {
	for _, l := range m.talk.lines {
		if l.Kind == capture.Greeting && strings.HasPrefix(uuidOf(l.Data), member) {
			return l.Data
		}
	}
	m.t.Fatalf("no greeting of %s", member)
	return nil
}

// play goes over the lines from..to, counted from 1.
func (m *mesh) play(from, to int) {
	m.t.Helper()
	for i := from - 1; i < to; i++ {
		l := &m.talk.lines[i]
		m.visit.at = i
		for _, s := range m.peers {
			s.at = i
		}
		dialer, rest, ok := strings.Cut(l.Conn, ">")
		if !ok {
			continue
		}
		accepter, _, _ := strings.Cut(rest, ".")
		switch {
		case dialer == m.self:
			m.out(m.peers[accepter], l)
		case accepter == m.self && m.guests[l.Conn]:
			m.in(l)
		}
	}
	m.flush()
	for _, s := range m.peers {
		s.awaitAcks()
	}
}

// out plays a line of a connection that our node opened.
func (m *mesh) out(s *script, l *capture.Line) {
	m.t.Helper()
	switch {
	case l.Kind == capture.Greeting:
		s.m.setDown(false)
	case l.Kind == capture.EOF && l.Conn == s.conn && l.From == capture.Server:
		s.awaitAcks()
		s.m.setDown(true)
		_ = s.live.link.Close()
		s.conn = ""
	case l.Kind != capture.Frame:
	case l.From == capture.Client:
		s.client(l)
	default:
		r := row(m.t, l)
		if r.LSN != 0 || r.Type == xrow.RaftState {
			m.flush()
		}
		for _, other := range m.peers {
			if r.LSN != 0 && other != s && other.live != nil {
				advance(&other.sent, &r)
			}
		}
		s.server(l)
		if r.LSN != 0 && l.Conn == s.conn {
			advance(&m.sent, &r)
		}
	}
}

// in plays a line of a connection to our node.
func (m *mesh) in(l *capture.Line) {
	m.t.Helper()
	v := m.visit
	g := v.conns[l.Conn]
	if g == nil && (l.Kind == capture.Greeting || l.From == capture.Client && l.Kind == capture.Frame) {
		v.connect(&capture.Line{Conn: l.Conn, Kind: capture.Greeting, Data: m.greetingOf(m.self)})
		g = v.conns[l.Conn]
	}
	switch {
	case g == nil || l.Kind == capture.Greeting:
	case l.Kind == capture.EOF && l.From == capture.Client:
		m.flush()
		g.leave()
	case l.Kind != capture.Frame:
	case l.From == capture.Client:
		m.guestSays(g, l)
	default:
		r := row(m.t, l)
		if r.Type != xrow.RaftState {
			if !g.covers(&r) {
				g.hear(l)
			}
			return
		}
		want := &r
		if m.mend != nil {
			want = m.mend(want)
		}
		m.raft[l.Conn] = append(m.raft[l.Conn], want)
	}
}

func (m *mesh) guestSays(g *guest, l *capture.Line) {
	m.t.Helper()
	r := row(m.t, l)
	if r.Type == xrow.Subscribe {
		for _, s := range m.peers {
			s.awaitAcks() // the answer tells what our node holds
		}
	}
	var ack xrow.Ack
	if g.stream && r.Type == xrow.OK && ack.Decode(r.Body) == nil {
		g.acked = ack.VClock
	}
	g.say(l)
}

// flush waits until our node has shown what the recorded one had shown last on
// each connection. Of several states in a row it may leave some out, as the
// Tarantool may: only the newest message is kept for a peer.
func (m *mesh) flush() {
	m.t.Helper()
	for conn, want := range m.raft {
		delete(m.raft, conn)
		if g := m.visit.conns[conn]; g != nil {
			m.awaitRaft(g, want[len(want)-1])
		}
	}
}

func (m *mesh) awaitRaft(g *guest, want *xrow.Row) {
	m.t.Helper()
	limit := time.After(patience)
	for {
		for i := range g.shown {
			if sameRaft(&g.shown[i], want) {
				g.shown = g.shown[i:]
				return
			}
		}
		select {
		case r, ok := <-g.rows:
			switch {
			case !ok:
				m.t.Fatalf("%s: our node ended connection %s", m.visit.where(), g.name)
			case r.Type == xrow.RaftState:
				g.shown = append(g.shown, r)
			case isHeartbeat(&r):
				g.checkHeartbeat(&r)
			default:
				g.early = append(g.early, r)
			}
		case <-limit:
			var seen []string
			for i := range g.shown {
				seen = append(seen, text(&g.shown[i]))
			}
			m.t.Fatalf("%s: our node does not show on connection %s\n%s\nbut %s", m.visit.where(), g.name, text(want), strings.Join(seen, "\n"))
		}
	}
}

// sameRaft compares field by field.
func sameRaft(got, want *xrow.Row) bool {
	g, w := message(got), message(want)
	return string(g.Body) == string(w.Body) && got.GroupID == want.GroupID && got.LSN == 0
}

// TestElection: our node is a voter in a recorded replica set of 3.8. A leader
// dies, a candidate gets our vote, promotes itself and writes, and the old leader
// returns with rows that nobody else has. Then the new one dies with a row that
// its followers have but that it could not confirm; the next one confirms it.
// A leader resigns, another takes over by promote().
func TestElection(t *testing.T) {
	m := newMesh(t, []string{"election-3.8", "election2-3.8"}, "2",
		"replication: {failover: election, timeout: 30, reconnect_timeout: 0.01, peers: ['MASTER1', 'MASTER3']}\n", "1", "3")
	m.n.own = "replication: {election_mode: voter}, database: {instance_uuid: 22222222-0000-4000-8000-000000000002}, "
	m.n.others = ", m: {iproto: {listen: [{uri: '127.0.0.1:1'}]}}"
	const set, one, two = "ea51a224-3d80-46f5-8d1d-2a284839544c", "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
	st := &state{uuid: two, tuples: superGuest(withMember(freshOf(readTalk(t, "anon-3.8").snapshot(t, "1"), one, set), 2, two)),
		at: xlog.State{VClock: vclock.VClock{1: 3}, Term: 2, Vote: 1,
			History: []terms.Span{{Term: 2, Owner: 1, Writer: 1, Rules: terms.Tarantool}}}}
	st.put(m.n)
	m.sent = st.at.VClock
	// After the resignation the recorded node was a candidate too, against 3 and
	// in vain. Ours is none, and votes for 3.
	m.mend = func(r *xrow.Row) *xrow.Row {
		msg, err := xrow.DecodeRaft(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if msg.Vote != 2 {
			return r
		}
		msg.Vote, msg.State, msg.VClock = 3, 1, nil
		return &xrow.Row{Type: r.Type, Sync: r.Sync, GroupID: r.GroupID, Body: msg.AppendBody(nil)}
	}
	m.n.start()
	const joined, end = 105, "end"
	last := len(m.talk.lines)
	for i, l := range m.talk.lines {
		if l.Kind == capture.Note && l.Note == end {
			last = i
		}
	}
	tail := slices.IndexFunc(m.talk.lines, func(l capture.Line) bool { return strings.HasPrefix(l.Note, "recorder holds everything") })
	m.play(joined, tail)
	m.n.refusesWrites("follower")
	m.play(tail+1, last)
	for space, want := range map[uint32]string{
		512: `[[1, "s" [2, "s" [3, "s" [4, "s" [5, "s" [6, "s" [7, "s" [200, "tail"]]`,
		513: `[[1, "a" [2, "a" [3, "a" [4, "a" [5, "a" [200, "behind"]]`, // the last one commits with the synchronous row before it
	} {
		if got := fmt.Sprint(m.n.rows(space)); got != want {
			t.Errorf("space %d: got %s, want %s", space, got, want)
		}
	}
}

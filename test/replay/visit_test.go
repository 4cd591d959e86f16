package replay

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// visit plays the client's side of a recording to our node, the master. Frames
// of the master are waited for and compared before the next frame is sent.
// Heartbeats come when they come: their form is checked, not their number.
type visit struct {
	script
	conns map[string]*guest
	// before is called in front of a connection of this name.
	before map[string]func()
	// silent are connections that the recorded master gave up because nothing was
	// said on them. That takes its time and is tested elsewhere: they are ended here.
	silent map[string]bool
	only   map[string]bool // connections that are played; nil: all
	// mend, if set, changes a recorded frame before it is compared or sent; nil:
	// it is left out.
	mend      func(l *capture.Line, r *xrow.Row) *xrow.Row
	password  string              // of the users that log in
	elections bool                // RAFT rows are the mesh's business
	ahead     bool                // our node holds more than the recorded master did
	author    *iproto.Client      // writes the recorded rows while they are replayed; nil: they are in the log
	written   uint64              // LSN of the last of them
	snap      map[string][]string // recorded rows of the snapshot that is being sent, by connection
}

// guest is a connection to our node.
type guest struct {
	v      *visit
	name   string
	link   *iproto.Link
	salt   [20]byte
	addr   string // our end
	rows   chan xrow.Row
	err    chan error    // how it ended, behind the last row
	asked  xrow.Type     // the last request
	stream bool          // SUBSCRIBE was asked for
	event  bool          // an EVENT was compared
	raft   []byte        // the last RAFT row
	shown  []xrow.Row    // RAFT rows in elections
	acked  vclock.VClock // by the guest, in elections: such rows need not be sent any more, and ours are not
	early  []xrow.Row    // rows that came while a RAFT row was waited for
}

func newVisit(t *testing.T, name, yaml string) *visit {
	v := &visit{script: script{t: t, talk: readTalk(t, name), ackKind: "ack"}, conns: map[string]*guest{}, before: map[string]func(){},
		snap: map[string][]string{}}
	v.hooks = map[string]func(){}
	v.old = strings.HasSuffix(name, "-2.6")
	v.n = newNode(t, yaml)
	return v
}

// connect opens the connection of a recorded greeting and compares that.
func (v *visit) connect(l *capture.Line) {
	v.t.Helper()
	v.n.waitLog("listening", v.n.addr)
	nc, err := net.Dial("tcp", v.n.addr)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { nc.Close() })
	var hello [iproto.GreetingSize]byte
	if _, err := io.ReadFull(nc, hello[:]); err != nil {
		v.t.Fatal(err)
	}
	got, err := iproto.ParseGreeting(hello[:])
	if err != nil {
		v.t.Fatal(err)
	}
	if want := uuidOf(l.Data); got.UUID != want || got.Version != "3.8.0" {
		v.t.Errorf("%s: greeting of %s, version %s, want %s", v.where(), got.UUID, got.Version, want)
	}
	g := &guest{v: v, name: l.Conn, link: iproto.NewLink(nc, 1<<24), salt: got.Salt, addr: nc.LocalAddr().String(),
		rows: make(chan xrow.Row, 1<<14), err: make(chan error, 1)}
	v.conns[l.Conn] = g
	go func() {
		defer close(g.rows)
		for {
			r, err := g.link.ReadRow()
			if err != nil {
				g.err <- err
				return
			}
			r.Body = bytes.Clone(r.Body)
			g.rows <- r
		}
	}()
}

// play goes over the recording up to its end or the remark that stops it.
func (v *visit) play() {
	v.t.Helper()
	for ; v.at < len(v.talk.lines); v.at++ {
		l := &v.talk.lines[v.at]
		if l.Kind == capture.Note {
			if v.note(l.Note) {
				v.checkRelays()
				return
			}
			continue
		}
		g := v.conns[l.Conn]
		if g == nil && l.Kind != capture.Greeting || v.only != nil && !v.only[l.Conn] {
			continue
		}
		switch {
		case l.Kind == capture.Greeting:
			if hook := v.before[l.Conn]; hook != nil {
				hook()
			}
			v.connect(l)
		case l.Kind == capture.EOF && l.From == capture.Client:
			g.leave()
		case l.Kind == capture.EOF && v.silent[l.Conn]:
			g.leave()
		case l.Kind == capture.EOF:
			g.ended()
			delete(v.conns, l.Conn)
		case l.Kind != capture.Frame:
		case l.From == capture.Client:
			g.say(l)
		default:
			g.hear(l)
		}
	}
	v.checkRelays()
}

// say sends what the recorded client said.
func (g *guest) say(l *capture.Line) {
	g.v.t.Helper()
	r := row(g.v.t, l)
	frame := l.Data
	if g.v.mend != nil {
		m := g.v.mend(l, &r)
		if m == nil {
			return
		}
		if m != &r {
			frame = m.Append(nil)
		}
	}
	if r.Type != xrow.OK {
		g.asked = r.Type
	}
	if r.Type == xrow.Subscribe {
		g.stream = true
		delete(g.v.snap, g.name)
	}
	if r.Type == xrow.Auth { // the salt is another one
		frame = g.scramble(&r)
	}
	if _, err := g.link.Write(frame); err != nil && r.Type != xrow.OK { // an ack may come late
		g.v.t.Fatalf("%s: %v", g.v.where(), err)
	}
}

// next is the next frame of our node but for heartbeats and repeated RAFT rows.
func (g *guest) next() (r xrow.Row, err error) {
	g.v.t.Helper()
	for len(g.early) > 0 {
		r, g.early = g.early[0], g.early[1:]
		if !g.covers(&r) {
			return r, nil
		}
	}
	limit := time.After(patience)
	for {
		var ok bool
		select {
		case r, ok = <-g.rows:
			if !ok {
				err := <-g.err
				g.err <- err
				return r, err
			}
		case <-limit:
			g.v.t.Fatalf("%s: our node says nothing on connection %s", g.v.where(), g.name)
		}
		if g.stream && isHeartbeat(&r) {
			g.checkHeartbeat(&r)
			continue
		}
		if g.covers(&r) {
			continue
		}
		if r.Type == xrow.RaftState && g.v.elections && g.stream {
			g.shown = append(g.shown, r)
			continue
		}
		if r.Type == xrow.RaftState && bytes.Equal(r.Body, g.raft) {
			continue
		}
		if r.Type == xrow.RaftState && g.v.old { // which the recorded master did not know, and its replica takes for a heartbeat
			if r.GroupID != xrow.GroupLocal {
				g.v.t.Errorf("%s: RAFT row for 2.6: %s", g.v.where(), text(&r))
			}
			continue
		}
		return r, nil
	}
}

// covers tells that the guest has the row from another one.
func (g *guest) covers(r *xrow.Row) bool { return r.LSN != 0 && r.LSN <= g.acked[r.ReplicaID] }

func isHeartbeat(r *xrow.Row) bool {
	return r.Type == xrow.OK && r.LSN == 0 && (r.Body == nil || len(r.Body) > 1 && r.Body[1] == byte(xrow.KeyVClockSync))
}

func (g *guest) checkHeartbeat(r *xrow.Row) {
	if sync, err := xrow.DecodeHeartbeat(r.Body); err != nil || sync == 0 || r.ReplicaID == 0 || len(r.Body) < 3 {
		g.v.t.Errorf("%s: heartbeat %+v", g.v.where(), r)
	}
}

// scramble is the login of a recorded AUTH with the salt of our greeting.
func (g *guest) scramble(r *xrow.Row) []byte {
	at := len(r.Body) - 20
	if at < 0 || r.Body[at-1] != 0xb4 {
		g.v.t.Fatalf("%s: an unusual AUTH", g.v.where())
	}
	s := iproto.Scramble(g.v.password, &g.salt)
	r.Body = append(bytes.Clone(r.Body[:at]), s[:]...)
	return r.Append(nil)
}

// leave ends a connection, and waits until our node knows.
func (g *guest) leave() {
	_ = g.link.Close()
	delete(g.v.conns, g.name)
	if g.stream {
		g.v.n.waitLog("relay ended", g.addr)
	}
}

// hear compares what our node says with what the recorded master said.
func (g *guest) hear(l *capture.Line) {
	g.v.t.Helper()
	v := g.v
	want := row(v.t, l)
	if v.mend != nil {
		m := v.mend(l, &want)
		if m == nil {
			return
		}
		want = *m
	}
	switch {
	case g.stream && isHeartbeat(&want):
		return
	case want.Type == xrow.RaftState && bytes.Equal(want.Body, g.raft):
		return
	case want.Type == xrow.Event && g.event:
		return
	case want.Type == xrow.Insert && want.LSN == 0:
		v.snap[g.name] = append(v.snap[g.name], string(want.Body))
		return
	}
	if recorded, ok := v.snap[g.name]; ok && !g.stream {
		g.snapshot(recorded, &want)
		return
	}
	if v.author != nil && want.LSN > v.written && g.stream {
		v.write(l)
	}
	got, err := g.next()
	if err != nil {
		v.t.Fatalf("%s: our node ended the connection: %v", v.where(), err)
	}
	if v.ahead && g.asked == xrow.Subscribe && want.LSN == 0 {
		v.behind(&got, &want)
	}
	g.compare(&got, &want)
}

// behind takes out of an answer what our node holds beyond the recorded one.
func (v *visit) behind(got, want *xrow.Row) {
	v.t.Helper()
	ours, err := xrow.DecodeSubscribeOK(got.Body)
	theirs, werr := xrow.DecodeSubscribeOK(want.Body)
	if err != nil || werr != nil || got.Type != xrow.OK || want.Type != xrow.OK {
		return
	}
	if !ours.VClock.Covers(&theirs.VClock) {
		v.t.Errorf("%s: our vclock is %s, the recorded one %s", v.where(), ours.VClock, theirs.VClock)
	}
	ours.VClock = theirs.VClock
	got.Body = ours.AppendBody(nil)
}

// compare checks one message.
func (g *guest) compare(got, want *xrow.Row) {
	g.v.t.Helper()
	switch {
	case want.Type&xrow.ErrorFlag != 0:
		g.v.compareErrors(got, want)
		return
	case want.Type == xrow.RaftState:
		g.raft = want.Body
		if got.Type == xrow.RaftState {
			g.raft = got.Body
		}
	case want.Type == xrow.Event:
		g.event = true
	case want.LSN != 0 && got.LSN == want.LSN && got.Timestamp != want.Timestamp:
		// A row that our node wrote itself: all but its time must be the same.
		g.v.compareRows("row", got, want)
		return
	case want.LSN != 0:
		a, b := *got, *want
		b.Sync = 0 // rows go out as they are in the log; no applier gives its SUBSCRIBE a SYNC
		if !bytes.Equal(a.Append(nil), b.Append(nil)) {
			g.v.t.Errorf("%s: row\n got %s\nwant %s", g.v.where(), text(got), text(want))
		}
		return
	}
	kind := want.Type.String()
	switch {
	case want.Type == xrow.Event:
		kind = "ballot"
	case want.Type == xrow.RaftState && !g.stream:
		kind = "META RAFT"
	case want.Type == xrow.OK && len(want.Body) > 1:
		kind = map[xrow.Key]string{xrow.KeyBallot: "ballot", xrow.KeyVClock: g.asked.String() + " OK", xrow.KeyReplicasetUUID: "SUBSCRIBE OK",
			xrow.KeyVersion: "ID"}[xrow.Key(want.Body[1])]
	}
	if g.v.old {
		kind += " of 2.6"
	}
	g.v.compareRows(kind, got, want)
}

func text(r *xrow.Row) string {
	m := message(r)
	return strings.TrimSpace(m.String())
}

// compareErrors compares what appliers act on: code, class and text.
func (v *visit) compareErrors(got, want *xrow.Row) {
	v.t.Helper()
	g, w := got.AsError(), want.AsError()
	if g == nil || g.Code != w.Code || g.Class() != w.Class() || !sameText(g.Message, w.Message) || got.Sync != want.Sync {
		v.t.Errorf("%s: error\n got %s\nwant %s", v.where(), text(got), text(want))
	}
}

// sameText compares texts of errors. That of a gap is about files of the
// Tarantool's log; in ours is where the replica stands, too.
func sameText(got, want string) bool {
	const gap = "Missing .xlog file between LSN"
	return got == want || strings.HasPrefix(want, gap) && strings.Contains(got, "{1: 5}") && strings.Contains(got, "the log")
}

// snapshot reads the rows of a snapshot and what follows it.
func (g *guest) snapshot(recorded []string, end *xrow.Row) {
	v := g.v
	v.t.Helper()
	if end.LSN != 0 { // the final stage: ours is empty
		return
	}
	ours := map[string]bool{}
	for {
		got, err := g.next()
		if err != nil {
			v.t.Fatalf("%s: the connection ended within the snapshot: %v", v.where(), err)
		}
		if got.Type == xrow.Insert && got.LSN == 0 {
			ours[string(got.Body)] = true
			continue
		}
		g.compare(&got, end)
		break
	}
	missing := 0
	for _, body := range recorded {
		if !ours[body] {
			if missing++; missing < 5 {
				v.t.Errorf("%s: the snapshot lacks %s", v.where(), xrow.RenderBody(xrow.Insert, []byte(body)))
			}
		}
	}
	if cutOut := v.wasCut(g.name); !cutOut && len(ours) != len(recorded)+v.extra(ours, recorded) {
		v.t.Errorf("%s: %d rows in the snapshot, %d recorded", v.where(), len(ours), len(recorded))
	}
	v.snap[g.name] = nil
}

// extra is 1 where the joiner's own registration is in our snapshot already.
func (v *visit) extra(ours map[string]bool, recorded []string) int {
	known := map[string]bool{}
	for _, body := range recorded {
		known[body] = true
	}
	n := 0
	for body := range ours {
		if d, err := xrow.DecodeDML(xrow.Insert, []byte(body)); err == nil && !known[body] && d.SpaceID == xrow.SpaceCluster {
			n++
		}
	}
	return min(n, 1)
}

func (v *visit) wasCut(conn string) bool {
	for _, l := range v.talk.lines {
		if l.Kind == capture.Cut && l.Conn == conn {
			return true
		}
	}
	return false
}

// ended waits until our node has ended the connection.
func (g *guest) ended() {
	g.v.t.Helper()
	r, err := g.next()
	if err == nil {
		g.v.t.Errorf("%s: our node says %s, and the recorded one ended the connection", g.v.where(), text(&r))
		return
	}
	if err != io.EOF && !strings.Contains(err.Error(), "reset") {
		g.v.t.Errorf("%s: the connection ended with %v", g.v.where(), err)
	}
	_ = g.link.Close()
}

// ready waits until the node serves data.
func (n *node) ready() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		c := n.connect()
		_, err := c.Do(xrow.Select, []byte{0x83, 0x10, 0xcd, 1, 0x18, 0x12, 1, 0x20, 0x90})
		if err == nil || !strings.Contains(err.Error(), "bootstrap") && !strings.Contains(err.Error(), "oading") {
			return
		}
		_ = c.Close()
	}
	n.t.Fatal(fmt.Errorf("the node is not ready: %w", ctx.Err()))
}

package attack

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/router"
	"tarragon.dev/tarragon/server"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// startRouted runs a lone node, and a router before it.
func startRouted(t *testing.T) *node {
	t.Helper()
	behind := runOurs(t, "")
	awaitBoss(t, behind)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := iproto.Dial(ctx, behind)
	if err != nil {
		t.Fatal(err)
	}
	uuid := c.Greeting.UUID
	_ = c.Close()
	cfg := router.Config{
		Version: server.GreetingVersion, UUID: uuid, RW: []string{"127.0.0.1:0"}, RO: []string{"127.0.0.1:0"}, HoldTime: patience / 2, Log: zerolog.Nop(),
		Instances: []router.Instance{{Name: "i", Addr: behind, Login: bossName, Password: password}},
	}
	r, err := router.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return &node{t: t, addr: r.Addrs(router.RW)[0], behind: behind}
}

// otherwise is what the router itself answers: streams of replication, and what would make a session somebody else's
// that clients share, are refused by it, whoever asks.
func otherwise(verb, object string) (of *xrow.Error) {
	switch verb {
	case "JOIN", "SUBSCRIBE", "REGISTER", "FETCH_SNAPSHOT":
		return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", "replication through a router")
	case "CALL":
		if name, _, _ := strings.Cut(object, " "); slices.Contains([]string{"box.session.su", "tarragon.act_as", "tarragon.forward"}, name) {
			return xrow.Errorf(xrow.ErrUnsupported, "Tarragon's router", name+": log in as that user")
		}
	}
	return nil
}

// Each error of testdata/errors.txt is the same through a router, to its text and its fields.
func TestAttackErrorsThroughRouter(t *testing.T) {
	all := slices.DeleteFunc(readMistakes(t), func(e *mistake) bool {
		return e.code == xrow.ErrReadonly // requests wait for an instance that takes writes: router, TestHeld
	})
	ours := newScript(startOurs(t)).play(all)
	n := startRouted(t)
	through := newScript(n)
	through.direct = newScript(&node{t: t, addr: n.behind})
	routed := through.play(all)
	asked := 0
	for _, e := range all {
		for _, st := range e.steps {
			if st.verb != "try" {
				continue
			}
			asked++
			want := ours[st]
			if e := otherwise(st.typ.String(), st.called); e != nil {
				want = outcome{code: e.Code, class: e.Class(), text: e.Message, fields: `{"name":"UNSUPPORTED"}`}
			}
			if routed[st] != want {
				t.Errorf("%s: %s\n got %+v\nwant %+v", e.head(), st.source, routed[st], want)
			}
		}
	}
	if asked < 250 {
		t.Errorf("%d requests", asked)
	}
}

// Every kind of user gets through a router what the table has.
func TestAttackTableThroughRouter(t *testing.T) {
	all, table := attempts(), readTable(t)
	routed := startRouted(t).ask(all)
	for _, a := range all {
		for i, k := range kinds {
			want := table[a.key()].ours[i]
			if e := otherwise(a.verb, a.object); e != nil {
				want = failed(e.Code)
			}
			if got := routed[a.key()][i]; got != want {
				t.Errorf("%s by %s: %s, not %s", a.key(), k.name, got, want)
			}
		}
	}
}

// The same in transactions, and with positions that nobody has given out.
func TestAttackStreamsThroughRouter(t *testing.T)   { attackStreams(t, startRouted(t)) }
func TestAttackPositionsThroughRouter(t *testing.T) { attackPositions(t, startRouted(t)) }

// recorded are the bytes of recorded clients, by connection: those that are refused, and one frame of each shape.
func recorded(t *testing.T) (conns [][][]byte) {
	t.Helper()
	const dir = "../../iproto/testdata/"
	text, err := os.ReadFile(dir + "malformed.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var l struct{ Conn, From, Kind, Hex string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.From != "client" || l.Hex == "" {
			continue
		}
		at, known := places[l.Conn]
		if !known {
			at = len(conns)
			places[l.Conn] = at
			conns = append(conns, nil)
		}
		conns[at] = append(conns[at], unhex(t, l.Hex))
	}
	text, err = os.ReadFile(dir + "client-frames.hex")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		conns = append(conns, [][]byte{unhex(t, strings.TrimSpace(line))})
	}
	return conns
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pieces are a frame whose body is cut, at each of its bytes, in a frame of the right length.
func pieces(frame []byte) (out [][]byte) {
	if len(frame) < 6 || frame[0] != 0xce {
		return nil
	}
	for n := len(frame) - 1; n > xrow.FrameHead; n-- {
		f := slices.Clone(frame[:n])
		xrow.EndFrame(f, 0)
		out = append(out, f)
	}
	return out
}

// Whatever bytes come, a router answers them as the node behind it would, and goes on with the connection, or ends
// it, as the node does.
func TestAttackBytesThroughRouter(t *testing.T) {
	direct, routed := startOurs(t), startRouted(t)
	awaitBoss(t, direct.addr)
	ping := (&xrow.Row{Type: xrow.Ping, Sync: pingSync}).Append(nil)
	asked := 0
	for _, user := range []string{guest, bossName} {
		for _, conn := range recorded(t) {
			for _, frames := range append([][][]byte{conn}, cuts(conn)...) {
				a, b := direct.dial(user), routed.dial(user)
				for _, f := range frames {
					if ownWord(f) {
						continue
					}
					asked++
					least := 0
					if isAnswered(f) { // a PING does not wait for that
						least = 1
					}
					f = append(slices.Clone(f), ping...)
					want := a.answers(f, least)
					got := b.answers(f, len(want)-1)
					if !slices.Equal(got, want) {
						t.Errorf("%s: %x\n got %q\nwant %q", user, f, got, want)
					}
				}
				_, _ = a.Close(), b.Close() // whoever has ended it
			}
		}
	}
	if asked < 1000 {
		t.Errorf("%d frames", asked)
	}
}

// cuts are the connections that send one of the pieces of a frame each.
func cuts(conn [][]byte) (out [][][]byte) {
	if len(conn) == 1 {
		for _, f := range pieces(conn[0]) {
			out = append(out, [][]byte{f})
		}
	}
	return out
}

const pingSync = 1 << 50

// isAnswered tells whether a frame has an answer in any case: what watches has none, if it is right.
func isAnswered(frame []byte) bool {
	var row xrow.Row
	if len(frame) <= xrow.FrameHead {
		return false
	}
	_, err := row.DecodeHeader(frame[xrow.FrameHead:])
	return err != nil || row.Type != xrow.Watch && row.Type != xrow.Unwatch
}

// ownWord tells whether the router answers for itself: see otherwise. Logins are held back by either, so
// they are not compared here.
func ownWord(frame []byte) bool {
	if len(frame) <= xrow.FrameHead {
		return false
	}
	var row xrow.Row
	if _, err := row.DecodeHeader(frame[xrow.FrameHead:]); err != nil {
		return false
	}
	q := iproto.Carried{Body: row.Body}
	return row.Type == xrow.Auth || row.Type == xrow.Prepare || otherwise(row.Type.String(), string(q.FunctionOf())) != nil
}

// answers sends bytes with a PING behind them, and reads all answers up to that of the PING, and as many as are
// expected before it: a router answers it by itself. The last word is what became of the connection.
func (c *client) answers(b []byte, n int) (out []string) {
	c.t.Helper()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.Write(b); err != nil {
		return []string{"closed"}
	}
	for ponged := false; !ponged || len(out) < n; {
		row, err := c.ReadRow()
		switch e := row.AsError(); {
		case err != nil:
			slices.Sort(out)
			return append(out, "closed")
		case row.Type == xrow.Event:
		case row.Sync == pingSync && e == nil:
			ponged = true
		case e != nil:
			out = append(out, fmt.Sprintf("%d: %d %s %s", row.Sync, e.Code, e.Message, readFields(c.t, e.Fields)))
		default:
			out = append(out, fmt.Sprintf("%d: ok", row.Sync))
		}
	}
	slices.Sort(out)
	return append(out, "goes on")
}

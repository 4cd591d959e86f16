package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
	"github.com/tinylib/msgp/msgp"
)

// numbering is a connection whose requests may have numbers.
type numbering struct {
	*iproto.Client
	t    *testing.T
	sync uint64
}

// numbers connects to an instance, as a client that asks for sessions.
func (n *node1) numbers(user, password string) *numbering {
	t := n.set.t.(*testing.T)
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := &numbering{t: t}
	n.set.until("a login at "+n.name, func() (ok bool) {
		var err error
		if c.Client, err = iproto.Dial(ctx, n.addr); err != nil {
			return false
		}
		if err = c.Hello(0); err == nil {
			err = c.Login(user, password)
		}
		if err != nil {
			c.Close()
		}
		return err == nil
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// send sends a request, in a stream if that is not 0.
func (c *numbering) send(t xrow.Type, stream uint64, n *xrow.Number, body []byte) {
	c.t.Helper()
	c.sync++
	head := msgp.AppendUint64([]byte{0x82, byte(xrow.KeyType), byte(t), byte(xrow.KeySync)}, c.sync)
	if stream != 0 {
		head = msgp.AppendUint64(append(head, byte(xrow.KeyStreamID)), stream)
		head[0]++
	}
	if n != nil {
		var pairs int
		head, pairs = n.AppendPairs(head)
		head[0] += byte(pairs)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0xce}, uint32(len(head)+len(body)))
	if _, err := c.Write(append(append(frame, head...), body...)); err != nil {
		c.t.Fatal(err)
	}
}

// answer is the next one: DATA as text, or the error.
func (c *numbering) answer() (string, error) {
	c.t.Helper()
	row, err := c.ReadRow()
	if err != nil {
		c.t.Fatal(err)
	}
	if e := row.AsError(); e != nil {
		return "", e
	}
	var out strings.Builder
	if _, err := msgp.UnmarshalAsJSON(&out, row.Body); err != nil {
		c.t.Fatal(err)
	}
	return out.String(), nil
}

func (c *numbering) do(t xrow.Type, n *xrow.Number, body []byte) (string, error) {
	c.t.Helper()
	c.send(t, 0, n, body)
	return c.answer()
}

// open opens a session.
func (c *numbering) open(slots uint64) (id string) {
	c.t.Helper()
	data, err := c.Call("tarragon.session.open", msgp.AppendUint64([]byte{0x91}, slots))
	if err != nil {
		c.t.Fatal(err)
	}
	_, data, err = msgp.ReadArrayHeaderBytes(data)
	if err == nil {
		id, _, err = msgp.ReadStringBytes(data)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

// insertBody is that of an INSERT, or a REPLACE, into t.
func insertBody(key int, text string) []byte {
	b := msgp.AppendString([]byte{0x82, byte(xrow.KeySpaceName)}, "t")
	return msgp.AppendString(msgp.AppendInt(append(b, byte(xrow.KeyTuple), 0x92), key), text)
}

// A write whose answer was lost with its leader is repeated at the next one: it was done
// once, and the answer is that of the first copy.
func TestSessionOverFailover(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	first := s.leader()
	c := first.numbers("admin1", "a")
	if c.Features.Has(iproto.FeatureSessions) {
		t.Error("sessions are announced, and the level is 1")
	}
	n := xrow.Number{Session: "x", Slot: 1, No: 1}
	if _, err := c.do(xrow.Insert, &n, insertBody(1, "a")); err == nil || !strings.Contains(err.Error(), "needs feature level 3, the replica set has 1") {
		t.Errorf("a number at level 1: %v", err)
	}
	conn := first.dial()
	if _, err := conn.Do(tarantool.NewCallRequest("tarragon.feature_raise").Args([]any{})).Get(); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if c = first.numbers("admin1", "a"); !c.Features.Has(iproto.FeatureSessions) {
		t.Error("sessions are not announced")
	}
	n.Session = c.open(4)
	want, err := c.do(xrow.Insert, &n, insertBody(1, "a"))
	if err != nil {
		t.Fatal(err)
	}
	s.level()
	if err := first.halt(); err != nil {
		t.Fatal(err)
	}
	c = s.leader().numbers("admin1", "a")
	n.Repeat = true
	for range 3 {
		if got, err := c.do(xrow.Insert, &n, insertBody(1, "a")); err != nil || got != want {
			t.Fatalf("repeated: %s, %v, and it was %s", got, err, want)
		}
	}
	if got, err := c.do(xrow.Insert, &n, insertBody(1, "b")); !errors.Is(err, xrow.ErrNumber) || !strings.Contains(err.Error(), "Request 1 of slot 1 is refused: another request had this number") {
		t.Errorf("another request under the number: %s, %v", got, err)
	}
	n.No, n.Repeat = 2, false
	if got, err := c.do(xrow.Insert, &n, insertBody(1, "a")); !errors.Is(err, xrow.ErrTupleFound) {
		t.Errorf("another number: %s, %v", got, err)
	}
}

// callBody is that of a CALL.
func callBody(name string, args []byte) []byte {
	b := msgp.AppendString([]byte{0x82, byte(xrow.KeyFunctionName)}, name)
	return append(append(b, byte(xrow.KeyTuple)), args...)
}

// What a client may try with numbers is answered as the page says, and changes nothing that
// it should not.
func TestSessionAttacks(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	s.nodes[0].call("tarragon.feature_raise")
	s.nodes[0].call("box.schema.user.create", "eve", map[string]any{"password": "e"})
	s.nodes[0].call("box.schema.user.grant", "eve", "read,write", "space", "t")
	c, eve := s.nodes[0].numbers("admin1", "a"), s.nodes[0].numbers("eve", "e")
	id, other := c.open(2), eve.open(1)
	n := func(session string, slot, no uint64, repeat bool) *xrow.Number {
		return &xrow.Number{Session: session, Slot: slot, No: no, Repeat: repeat}
	}
	one := []byte{0x91}
	for i, a := range []struct {
		name string
		by   *numbering
		t    xrow.Type
		n    *xrow.Number
		body []byte
		want xrow.Code // 0: it is done
		text string
	}{
		{"a number", c, xrow.Insert, n(id, 1, 5, false), insertBody(1, "a"), 0, ""},
		{"a lower one", c, xrow.Insert, n(id, 1, 4, true), insertBody(2, "a"), xrow.ErrNumber, "the slot is at 5"},
		{"a used one", c, xrow.Insert, n(id, 1, 5, false), insertBody(2, "a"), xrow.ErrNumber, "another request had this number"},
		{"numbers that are left out", c, xrow.Insert, n(id, 1, 1<<60, false), insertBody(3, "a"), 0, ""},
		{"a slot too many", c, xrow.Insert, n(id, 3, 1, false), insertBody(4, "a"), xrow.ErrNumber, "the session has 2 slots"},
		{"no slot", c, xrow.Insert, n(id, 0, 1, false), insertBody(4, "a"), xrow.ErrIllegalParams, "no zeroes"},
		{"another's session", eve, xrow.Insert, n(id, 2, 1, false), insertBody(4, "a"), xrow.ErrNoSession, "is not there"},
		{"another's, as a repeat", eve, xrow.Insert, n(id, 1, 5, true), insertBody(1, "a"), xrow.ErrSyncTimeout, "the outcome is unknown"},
		{"an unknown one", c, xrow.Insert, n(id+"0", 1, 1, false), insertBody(4, "a"), xrow.ErrNoSession, "is not there"},
		{"a nameless one", c, xrow.Insert, n("nothing", 1, 1, true), insertBody(4, "a"), xrow.ErrSyncTimeout, "the outcome is unknown"},
		{"SELECT", c, xrow.Select, n(id, 2, 1, false), insertBody(4, "a"), xrow.ErrNoNumber, "takes no number"},
		{"EVAL", c, xrow.Eval, n(id, 2, 1, false), callBody("x", []byte{0x90}), xrow.ErrNoNumber, "takes no number"},
		{"COMMIT without a stream", c, xrow.Commit, n(id, 2, 1, false), nil, xrow.ErrUnableToProcessOutOfStream, ""},
		{"a call of the instance", c, xrow.Call, n(id, 2, 1, false), callBody("box.ctl.promote", []byte{0x90}), xrow.ErrNoNumber, "takes no number"},
		{"a session by a number", c, xrow.Call, n(id, 2, 1, false), callBody("tarragon.session.open", []byte{0x91, 1}), xrow.ErrNoNumber, "takes no number"},
		{"a method", c, xrow.Call, n(id, 2, 1, false), callBody("box.space.t:insert", append([]byte{0x91}, 0x92, 9, 0xa1, 'm')), 0, ""},
		{"again", c, xrow.Call, n(id, 2, 1, true), callBody("box.space.t:insert", append([]byte{0x91}, 0x92, 9, 0xa1, 'm')), 0, ""},
		{"a repeat that fails", c, xrow.Insert, n(id, 2, 2, true), insertBody(1, "b"), xrow.ErrTupleFound, ""},
		{"its first copy", c, xrow.Insert, n(id, 2, 2, false), insertBody(1, "b"), xrow.ErrTupleFound, ""},
		{"a space that is not there", c, xrow.Call, n(id, 2, 3, true), callBody("box.space.none:insert", append([]byte{0x91}, 0x91, 9)), xrow.ErrNoSuchProc, ""},
		{"a large answer", c, xrow.Insert, n(id, 2, 4, false), insertBody(10, strings.Repeat("x", 5000)), 0, ""},
		{"a large one again", c, xrow.Insert, n(id, 2, 4, true), insertBody(10, strings.Repeat("x", 5000)), xrow.ErrAnswerGone, "was executed"},
		{"no slots", c, xrow.Call, nil, callBody("tarragon.session.open", []byte{0x91, 0}), xrow.ErrIllegalParams, "1 to 1024 slots"},
		{"too many slots", c, xrow.Call, nil, callBody("tarragon.session.open", []byte{0x91, 0xcd, 4, 1}), xrow.ErrIllegalParams, "1 to 1024 slots"},
		{"the end of another's", eve, xrow.Call, nil, callBody("tarragon.session.close", msgp.AppendString(one, id)), xrow.ErrNoSession, ""},
		{"one's own in use", eve, xrow.Insert, n(other, 1, 1, false), insertBody(20, "e"), 0, ""},
	} {
		got, err := a.by.do(a.t, a.n, a.body)
		if code := numberCode(err); code != a.want || err != nil && !strings.Contains(err.Error(), a.text) {
			t.Errorf("%d: %s: %s, %v; want %d %s", i, a.name, got, err, a.want, a.text)
		}
	}
	s.nodes[0].call("box.schema.user.drop", "eve")
	s.nodes[0].call("box.schema.user.create", "eve", map[string]any{"password": "e"})
	s.nodes[0].call("box.schema.user.grant", "eve", "read,write", "space", "t")
	eve = s.nodes[0].numbers("eve", "e")
	if got, err := eve.do(xrow.Insert, n(other, 1, 2, false), insertBody(21, "e")); numberCode(err) != xrow.ErrNoSession {
		t.Errorf("the session of one who was dropped: %s, %v", got, err)
	}
	refused := 0
	for range 32 { // 1024 of 32,768 slots each
		c.send(xrow.Call, 0, nil, callBody("tarragon.session.open", []byte{0x91, 0xcd, 4, 0}))
		if _, err := c.answer(); err != nil {
			refused++
			if numberCode(err) != xrow.ErrUnsupported || !strings.Contains(err.Error(), "No more sessions: user has 15362 slots") {
				t.Errorf("a flood: %v", err)
			}
		}
	}
	if refused != 17 {
		t.Errorf("a flood: %d of 32 sessions were refused", refused)
	}
	eve.open(1024)
}

// What changes spaces that are not replicated takes no number; a transaction that its COMMIT
// was refused for is open still, and may be committed without one.
func TestSessionRefusesLocalSpaces(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	s.nodes[0].call("tarragon.feature_raise")
	s.nodes[0].call("box.schema.space.create", "own", map[string]any{"is_local": true})
	s.nodes[0].call("box.space.own:create_index", "pk")
	c := s.nodes[0].numbers("admin1", "a")
	n := xrow.Number{Session: c.open(1), Slot: 1, No: 1}
	own := func(key int) []byte {
		return bytes.Replace(insertBody(key, "a"), []byte("\xa1t"), []byte("\xa3own"), 1)
	}
	if got, err := c.do(xrow.Insert, &n, own(1)); numberCode(err) != xrow.ErrNoNumber {
		t.Errorf("an INSERT: %s, %v", got, err)
	}
	in := func(t xrow.Type, n *xrow.Number, body []byte) xrow.Code {
		c.send(t, 7, n, body)
		_, err := c.answer()
		return numberCode(err)
	}
	got := []xrow.Code{in(xrow.Begin, nil, nil), in(xrow.Insert, nil, own(2)), in(xrow.Insert, nil, insertBody(2, "a")),
		in(xrow.Commit, &n, nil), in(xrow.Commit, nil, nil)}
	if want := []xrow.Code{0, 0, 0, xrow.ErrNoNumber, 0}; !slices.Equal(got, want) {
		t.Errorf("a transaction of both kinds: %v, want %v", got, want)
	}
	for _, body := range [][]byte{own(2), insertBody(2, "a")} {
		if got, err := c.do(xrow.Insert, nil, body); numberCode(err) != xrow.ErrTupleFound {
			t.Errorf("it was committed, and is not there: %s, %v", got, err)
		}
	}
}

// numberCode is the code of an answer; 0: it is none of an error.
func numberCode(err error) xrow.Code {
	var e *xrow.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// What sessions remember is in checkpoints: a restart reads nothing else of it.
func TestSessionInCheckpoint(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	s.nodes[0].call("tarragon.feature_raise")
	c := s.nodes[0].numbers("admin1", "a")
	n := xrow.Number{Session: c.open(1), Slot: 1, No: 1}
	want, err := c.do(xrow.Insert, &n, insertBody(1, "a"))
	if err != nil {
		t.Fatal(err)
	}
	s.nodes[0].call("box.snapshot")
	if err := s.nodes[0].halt(); err != nil {
		t.Fatal(err)
	}
	s.nodes[0].start()
	c = s.leader().numbers("admin1", "a")
	n.Repeat = true
	if got, err := c.do(xrow.Insert, &n, insertBody(1, "a")); err != nil || got != want {
		t.Errorf("%s, %v, and it was %s", got, err, want)
	}
}

// What there is of sessions is told, and one that nobody uses for the time of the option ends.
func TestSessionInfo(t *testing.T) {
	told := func(n *node1) string {
		s := n.own()["sessions"].(map[any]any)
		return fmt.Sprint(s["open"], s["slots"], s["repeats"], s["idle"])
	}
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	s.nodes[0].call("tarragon.feature_raise")
	c := s.nodes[0].numbers("admin1", "a")
	n := xrow.Number{Session: c.open(3), Slot: 1, No: 1}
	c.open(4)
	for range 3 {
		if _, err := c.do(xrow.Insert, &n, insertBody(1, "a")); err != nil {
			t.Fatal(err)
		}
		n.Repeat = true
	}
	if got := told(s.nodes[0]); got != "2 7 2 0" {
		t.Errorf("open, slots, repeats, idle: %s", got)
	}
	s = newSet(t, 1, "tarragon: {session_idle_timeout: 0.2}\n")
	s.startAll()
	s.makeSpace()
	s.nodes[0].call("tarragon.feature_raise")
	s.nodes[0].numbers("admin1", "a").open(3)
	s.until("it has ended", func() bool { return told(s.nodes[0]) == "0 0 0 1" })
}

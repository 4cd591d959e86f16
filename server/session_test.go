package server

import (
	"context"
	"encoding/binary"
	"errors"
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

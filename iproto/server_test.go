package iproto

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Writes of one buffer are one batch; answers come back in any order.
func TestPipelineOutOfOrder(t *testing.T) {
	f := newFixture(t, nil)
	f.node.hold = true
	p := f.connect()
	var b []byte
	for i := uint64(1); i <= 5; i++ {
		b = (&xrow.Row{Type: xrow.Insert, Sync: i, Body: insertBody(i)}).Append(b)
	}
	b = (&xrow.Row{Type: xrow.Ping, Sync: 6}).Append(b)
	p.send(b)
	p.wantOK(6) // overtakes the writes
	<-f.node.arrived
	f.node.mu.Lock()
	if len(f.node.held) != 1 || len(f.node.held[0].Writes) != 5 {
		t.Fatalf("%d batches, want one of 5 writes", len(f.node.held))
	}
	f.node.answerLocked(f.node.held[0], true)
	f.node.mu.Unlock()
	for i := uint64(5); i >= 1; i-- {
		body := p.wantOK(i)
		want := append([]byte{0x81, 0x30, 0xdd, 0, 0, 0, 1, 0x91}, byte(i))
		if !bytes.Equal(body, want) {
			t.Fatalf("answer %d: %x, want %x", i, body, want)
		}
	}
}

// At MaxInFlight the connection is not read: nothing more reaches the node.
func TestInFlightLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.MaxInFlight = 3 })
		f.node.hold = true
		p := f.pipe()
		var b []byte
		for i := uint64(1); i <= 8; i++ {
			b = (&xrow.Row{Type: xrow.Insert, Sync: i, Body: insertBody(i)}).Append(b)
		}
		go p.send(b)
		for _, want := range []int{3, 6, 8} {
			synctest.Wait()
			f.node.mu.Lock()
			if got := len(f.node.writes); got != want {
				t.Fatalf("%d writes reached the node, want %d", got, want)
			}
			held := f.node.held[len(f.node.held)-1]
			n := uint64(len(held.Writes))
			first := held.Writes[0].Sync
			f.node.answerLocked(held, false)
			f.node.mu.Unlock()
			for i := range n {
				p.wantOK(first + i)
			}
		}
	})
}

// pipe is connect without buffers in between: whoever writes waits until the
// other one reads. For bubbles of synctest.
func (f *fixture) pipe() *peer {
	f.Helper()
	client, server := net.Pipe()
	go f.srv.Serve(server)
	return f.greet(client)
}

func TestSlowClientIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.node.tuples = [][]byte{append([]byte{0x91, 0xc6, 0, 9, 0, 0}, make([]byte, 9<<16)...)}
		counted := &countingNode{fakeNode: f.node}
		f.srv.backend = counted
		p := f.pipe()
		var b []byte
		for i := uint64(1); i <= 100; i++ {
			b = (&xrow.Row{Type: xrow.Select, Sync: i, Body: selectBody(i)}).Append(b)
		}
		go p.send(b)
		synctest.Wait()
		if counted.selects > 3 {
			t.Fatalf("%d results of %d bytes made for a client that reads none", counted.selects, 9<<16)
		}
		for i := uint64(1); i <= 100; i++ {
			p.wantOK(i)
		}
	})
}

type countingNode struct {
	*fakeNode
	selects int
}

func (n *countingNode) Select(q *Select, to Sink) (uint32, []byte, error) {
	n.mu.Lock()
	n.selects++
	n.mu.Unlock()
	return n.fakeNode.Select(q, to)
}

// The same when the answers come from elsewhere.
func TestSlowCallerIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		calls := 0
		f.node.onCall = func(c *Conn, q *Call) {
			calls++
			c.Reply(q.Sync, append([]byte{0x91, 0xc6, 0, 9, 0, 0}, make([]byte, 9<<16)...), nil)
			c.Flush()
		}
		p := f.pipe()
		go func() {
			for i := uint64(1); i <= 100; i++ {
				p.request(xrow.Call, i, []byte{0x81, 0x22, 0xa1, 'f'})
			}
		}()
		synctest.Wait()
		if calls > 5 {
			t.Fatalf("%d calls of a client that reads no answer", calls)
		}
		for i := uint64(1); i <= 100; i++ {
			p.wantOK(i)
		}
	})
}

// A client whose bytes make no sense hears so behind the answers that are
// still on their way.
func TestRefusalWaitsForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		p := f.pipe()
		p.request(xrow.Call, 1, []byte{0x81, 0x22, 0xa1, 'f'})
		synctest.Wait() // the writer waits for us to read
		p.send([]byte{0xa0})
		synctest.Wait()
		p.wantOK(1)
		p.wantError(0, xrow.ErrInvalidMsgpack, "Invalid MsgPack - packet length")
	})
}

// What a batch points into stays as it is until its release, whatever the
// client sends meanwhile and whoever else needs buffers.
func TestBatchKeepsItsBytes(t *testing.T) {
	f := newFixture(t, nil)
	f.node.hold = true
	p := f.connect()
	const rounds, perRound = 15, 4 // fewer than may be in flight
	sync := uint64(0)
	for range rounds {
		var b []byte
		for range perRound {
			sync++
			b = (&xrow.Row{Type: xrow.Insert, Sync: sync, Body: insertBody(sync)}).Append(b)
		}
		p.send(b)
		p.ping(1 << 32)
		f.connect().ping(1 << 32)
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	seen := uint64(0)
	for _, b := range f.node.held {
		for _, w := range b.Writes {
			seen++
			if want := insertBody(w.Sync)[6:]; w.Sync != seen || !bytes.Equal(w.DML.Tuple, want) {
				t.Fatalf("write %d: tuple %x, want %x", w.Sync, w.DML.Tuple, want)
			}
		}
	}
	if seen != rounds*perRound {
		t.Fatalf("%d writes", seen)
	}
}

func TestSlowClientIsClosed(t *testing.T) {
	t.Run("there is no room for others", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, func(c *Config) { c.AnswerMemory = 4 << 20 })
			var c *Conn
			f.node.onCall = func(of *Conn, _ *Call) { c = of }
			p := f.pipe()
			start := time.Now()
			const calls = 6
			for i := range uint64(calls) {
				p.request(xrow.Call, i, []byte{0x81, 0x22, 0xa1, 'f'})
			}
			synctest.Wait()
			for i := range uint64(calls) {
				c.Reply(i, largeArray(1<<20), nil)
			}
			c.Flush()
			if cause := <-f.closed; cause != ErrSlowClient {
				t.Fatalf("closed by %v", cause)
			}
			if time.Since(start) != 0 {
				t.Fatal("not closed before the clock of the bubble moved on")
			}
			synctest.Wait() // who wrote gives back what it had
			if used := f.srv.budget.used.Load(); used != 0 {
				t.Errorf("%d bytes are accounted for behind the end", used)
			}
		})
	})
	t.Run("no progress", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, func(c *Config) { c.SlowTimeout = 20 * time.Second })
			p := f.pipe()
			start := time.Now()
			p.request(xrow.Ping, 1, nil)
			if cause := <-f.closed; cause != ErrSlowClient {
				t.Fatalf("closed by %v", cause)
			}
			if d := time.Since(start); d > 20*time.Second || d < 15*time.Second { // of the bubble's clock
				t.Fatalf("closed after %v", d)
			}
		})
	})
}

// An announced frame costs no memory before its bytes arrive.
func TestAnnouncedFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		p := f.pipe()
		f.login(p, "test", "test")
		p.send([]byte{0xce, 0x03, 0xff, 0xff, 0xff, 0x82, 0x00, 0x02})
		synctest.Wait()
		c := f.srv.conns.all()[0]
		if got := len(c.buf.data); got > 2*smallestBuf {
			t.Fatalf("%d bytes of buffer for 8 bytes of a frame", got)
		}
	})
}

func TestFrameLimits(t *testing.T) {
	f := newFixture(t, nil)
	big := append([]byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x91, 0xc6, 0, 2, 0, 0}, make([]byte, 2<<16)...)
	frame := (&xrow.Row{Type: xrow.Insert, Sync: 2, Body: big}).Append(nil)
	before := f.connect()
	before.send(frame) // all of it is read: a reset would overtake the answer
	before.wantError(0, xrow.ErrInvalidMsgpack, "Invalid MsgPack - too big packet size in the header: 131089")
	if _, err := before.link.ReadFrame(); err != io.EOF {
		t.Fatalf("the connection has ended with %v", err)
	}
	before.nc.Close()
	if cause := <-f.closed; !errors.Is(cause, ErrFrame) || !strings.Contains(cause.Error(), "the limit is 65536") {
		t.Fatalf("closed by %v", cause)
	}
	f.node.guestWrites.Store(true)
	guest := f.connect()
	guest.send(frame)
	if body := guest.wantOK(2); !bytes.HasSuffix(body, big[6:]) {
		t.Fatalf("%d bytes came back", len(body))
	}
	f.node.guestWrites.Store(false)
	after := f.connect()
	f.login(after, "test", "test")
	after.send(frame)
	if body := after.wantOK(2); !bytes.HasSuffix(body, big[6:]) {
		t.Fatalf("%d bytes came back", len(body))
	}
	after.send([]byte{0xce, 0x04, 0x00, 0x00, 0x01, 0x82})
	after.wantError(0, xrow.ErrInvalidMsgpack, "Invalid MsgPack - too big packet size in the header: 67108865")
}

// login logs a raw connection in.
func (f *fixture) login(p *peer, user, password string) {
	f.Helper()
	c := Client{Link: p.link, Greeting: p.greeting, sync: 1 << 32}
	if err := c.Login(user, password); err != nil {
		f.Fatal(err)
	}
}

func TestNodeErrors(t *testing.T) {
	f := newFixture(t, nil)
	p := f.connect()
	p.request(xrow.Select, 1, []byte{0x83, 0x10, 0xcd, 3, 0x84, 0x12, 1, 0x20, 0x90})
	p.wantError(1, xrow.ErrNoSuchSpace, "Space '900' does not exist")
	byName := append([]byte{0x84, 0x5e}, msgp.AppendString(nil, "nosuch")...)
	byName = append(append(byName, 0x10, 0xcd, 2, 0), 0x12, 1, 0x20, 0x90)
	p.request(xrow.Select, 2, byName)
	p.wantError(2, xrow.ErrNoSuchSpace, "Space 'nosuch' does not exist")
	byIndex := append([]byte{0x84, 0x10, 0xcd, 2, 0, 0x5f}, msgp.AppendString(nil, "x")...)
	p.request(xrow.Select, 3, append(byIndex, 0x12, 1, 0x20, 0x90))
	p.wantError(3, xrow.ErrNoSuchIndexName, "No index 'x' is defined in space 'test'")
	f.node.notYet.Store(xrow.Errorf(xrow.ErrLoading))
	for i, r := range []xrow.Row{
		{Type: xrow.Select, Body: selectBody(1)},
		{Type: xrow.Insert, Body: insertBody(1)},
		{Type: xrow.Call, Body: []byte{0x81, 0x22, 0xa1, 'f'}},
		{Type: xrow.Auth, Body: []byte{0x82, 0x23, 0xa5, 'g', 'u', 'e', 's', 't', 0x21, 0x90}},
	} {
		sync := uint64(10 + i)
		p.request(r.Type, sync, r.Body)
		p.wantError(sync, xrow.ErrLoading, "Instance bootstrap hasn't finished yet")
	}
	p.ping(20)
	f.node.notYet.Store(nil)
	c := Client{Link: p.link, Greeting: p.greeting}
	if err := c.Login("out", "out"); !errors.Is(err, xrow.ErrAccessDenied) {
		t.Fatalf("login without the right to a session: %v", err)
	}
}

// What needs streams is refused: half of a transaction must never be executed.
func TestStreams(t *testing.T) {
	f := newFixture(t, nil)
	p := f.connect()
	for i, c := range []struct {
		t      xrow.Type
		stream uint64
		code   xrow.Code
		text   string
	}{
		{xrow.Begin, 0, xrow.ErrUnableToProcessOutOfStream, "Unable to process BEGIN request out of stream"},
		{xrow.Commit, 0, xrow.ErrUnableToProcessOutOfStream, "Unable to process COMMIT request out of stream"},
		{xrow.RollbackTxn, 0, xrow.ErrUnableToProcessOutOfStream, "Unable to process ROLLBACK request out of stream"},
		{xrow.Begin, 1, xrow.ErrUnsupported, "Tarragon does not support interactive transactions"},
		{xrow.Insert, 1, xrow.ErrUnableToProcessInStream, "Unable to process INSERT request in stream"},
		{xrow.ID, 1, xrow.ErrUnableToProcessInStream, "Unable to process ID request in stream"},
		{xrow.Watch, 1, xrow.ErrUnableToProcessInStream, "Unable to process WATCH request in stream"},
		{xrow.Auth, 1, xrow.ErrUnableToProcessInStream, "Unable to process AUTH request in stream"},
		{xrow.Execute, 0, xrow.ErrUnsupported, "Tarragon does not support SQL"},
		{xrow.InsertArrow, 0, xrow.ErrMissingRequestField, "Missing mandatory field 'SPACE_ID' in request"},
		{19, 0, xrow.ErrUnknownRequestType, "Unknown request type 19"},
	} {
		r := xrow.Row{Type: c.t, Sync: uint64(i), StreamID: c.stream, Body: []byte{0x80}}
		p.send(r.Append(nil))
		p.wantError(uint64(i), c.code, c.text)
	}
	for i, c := range []struct {
		body string
		code xrow.Code
		text string
	}{
		{"\x82\x10\xcd\x02\x00\x36\xc7\x03\x08abc", xrow.ErrUnsupported, "CE version does not support arrow format"},
		{"\x81\x36\xc7\x03\x08abc", xrow.ErrUnsupported, "CE version does not support arrow format"},
		{"\x82\x10\xcd\x02\x00\x36\xc7\x03\x63abc", xrow.ErrInvalidMsgpack, "Invalid MsgPack - packet body"},
		{"\x82\x10\xcd\x02\x00\x36\x01", xrow.ErrInvalidMsgpack, "Invalid MsgPack - packet body"},
		{"\x81\x10\xcd\x02\x00", xrow.ErrMissingRequestField, "Missing mandatory field 'ARROW' in request"},
	} {
		p.send((&xrow.Row{Type: xrow.InsertArrow, Sync: uint64(50 + i), Body: []byte(c.body)}).Append(nil))
		p.wantError(uint64(50+i), c.code, c.text)
	}
	p.send((&xrow.Row{Type: xrow.Ping, Sync: 99, StreamID: 1}).Append(nil))
	p.wantOK(99)
	if len(f.node.writes) != 0 {
		t.Fatal("a write in a stream reached the node")
	}
}

func TestLinearSelect(t *testing.T) {
	f := newFixture(t, nil)
	f.node.tuples = [][]byte{{0x91, 7}}
	p := f.connect()
	body := append(selectBody(7), byte(xrow.KeyTxnIsolation), isolationLinearizable)
	body[0]++
	p.request(xrow.Select, 5, body)
	<-f.node.arrived
	p.request(xrow.Select, 6, body)
	<-f.node.arrived
	p.ping(7)
	f.node.conns[0].Reply(6, nil, xrow.Errorf(xrow.ErrTimeout))
	f.node.conns[0].Flush()
	if row := p.read(); !errors.Is(row.AsError(), xrow.ErrTimeout) {
		t.Fatalf("got %v", row)
	}
	f.node.conns[0].FinishSelect(f.node.linear[0])
	if got, want := p.wantOK(5), []byte{0x81, 0x30, 0xdd, 0, 0, 0, 1, 0x91, 7}; !bytes.Equal(got, want) {
		t.Fatalf("got %x, want %x", got, want)
	}
	body[len(body)-1] = 9
	p.request(xrow.Select, 8, body)
	p.wantError(8, xrow.ErrIllegalParams, "unknown isolation level")
}

func TestPagination(t *testing.T) {
	f := newFixture(t, nil)
	f.node.tuples = [][]byte{{0x91, 7}}
	p := f.connect()
	body := append(selectBody(7), byte(xrow.KeyFetchPosition), 0xc3, byte(xrow.KeyAfterPosition), 0xa0)
	body[0] += 2
	p.request(xrow.Select, 1, body)
	want := []byte{0x82, 0x30, 0xdd, 0, 0, 0, 1, 0x91, 7, 0x35, 0xa3, 'k', 'Q', 'I'}
	if got := p.wantOK(1); !bytes.Equal(got, want) {
		t.Fatalf("got %x, want %x", got, want)
	}
	if f.node.last.AfterPosition == nil {
		t.Fatal("an empty AFTER_POSITION was lost")
	}
}

// A scan may take long: the writes in front of it do not wait for it. A lookup
// does not break a batch up.
func TestWritesDoNotWaitForScans(t *testing.T) {
	f := newFixture(t, nil)
	p := f.connect()
	scan := []byte{0x83, 0x10, 0xcd, 2, 0, 0x12, 1, 0x20, 0x90}
	for i, c := range []struct {
		body   []byte
		before int
	}{{scan, 1}, {selectBody(1), 1}} {
		b := (&xrow.Row{Type: xrow.Insert, Sync: 1, Body: insertBody(1)}).Append(nil)
		p.send((&xrow.Row{Type: xrow.Select, Sync: 2, Body: c.body}).Append(b))
		p.read()
		p.read()
		if f.node.before != c.before {
			t.Errorf("case %d: %d writes had reached the node, want %d", i, f.node.before, c.before)
		}
	}
}

// A tuple that reaches the node can be read back as a row: otherwise one client
// could stop all replicas.
func TestDepthIsThatOfRows(t *testing.T) {
	accepted, refused := 0, 0
	for depth := mp.MaxDepth - 4; depth <= mp.MaxDepth+2; depth++ {
		tuple := append(bytes.Repeat([]byte{0x91}, depth), 1)
		frame := (&xrow.Row{Type: xrow.Insert, Body: append([]byte{0x82, 0x10, 1, 0x21}, tuple...)}).Append(nil)
		var q body
		e := q.decode(frame[xrow.FrameHead+3:])
		d := xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: tuple}
		row := xrow.Row{Type: xrow.Insert, ReplicaID: 1, LSN: 1, TSN: 1, Body: d.AppendBody(nil)}
		_, err := xrow.Decode(row.Append(nil)[xrow.FrameHead:])
		if e == nil && err != nil {
			t.Errorf("depth %d: taken from a client, but the row: %v", depth, err)
		}
		if e == nil {
			accepted++
		} else {
			refused++
		}
	}
	if accepted == 0 || refused == 0 {
		t.Errorf("%d accepted, %d refused: the limit was not met", accepted, refused)
	}
}

// The words of a write that reach the node: only what its type has.
func TestWriteBodies(t *testing.T) {
	f := newFixture(t, nil)
	p := f.connect()
	body := []byte{0x88, 0x10, 0xcf, 0, 0, 0, 1, 0, 0, 2, 0, 0x11, 3, 0x15, 1, 0x20, 0x91, 1, 0x21, 0x91, 2, 0x28, 0x91, 3}
	body = append(append(body, 0x5f), msgp.AppendString(nil, "name")...)
	body = append(body, 0x7f, 0xc0)
	for i, t := range []xrow.Type{xrow.Insert, xrow.Replace, xrow.Update, xrow.Delete, xrow.Upsert} {
		p.request(t, uint64(i), body)
		p.read()
	}
	key, tuple, ops := []byte{0x91, 1}, []byte{0x91, 2}, []byte{0x91, 3}
	for i, want := range []xrow.DML{
		{Type: xrow.Insert, SpaceID: 512, Tuple: tuple},
		{Type: xrow.Replace, SpaceID: 512, Tuple: tuple},
		{Type: xrow.Update, SpaceID: 512, IndexID: 1, IndexBase: 1, Key: key, Tuple: tuple},
		{Type: xrow.Delete, SpaceID: 512, IndexID: 1, Key: key},
		{Type: xrow.Upsert, SpaceID: 512, IndexBase: 1, Tuple: tuple, Ops: ops},
	} {
		got := f.node.writes[i].DML
		if got.Type != want.Type || got.SpaceID != want.SpaceID || got.IndexID != want.IndexID ||
			got.IndexBase != want.IndexBase || !bytes.Equal(got.Key, want.Key) ||
			!bytes.Equal(got.Tuple, want.Tuple) || !bytes.Equal(got.Ops, want.Ops) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// A write keeps the user it was sent by, also when a login follows in the same
// buffer.
func TestUserOfWrite(t *testing.T) {
	f := newFixture(t, nil)
	p := f.connect()
	scramble := Scramble("poor", &p.greeting.Salt)
	auth := append([]byte{0x82, 0x23, 0xa4}, "poor"...)
	auth = append(append(auth, 0x21, 0x92, 0xa9), MethodChapSHA1...)
	auth = append(append(auth, 0xc4, 20), scramble[:]...)
	b := (&xrow.Row{Type: xrow.Insert, Sync: 1, Body: insertBody(1)}).Append(nil)
	b = (&xrow.Row{Type: xrow.Auth, Sync: 2, Body: auth}).Append(b)
	b = (&xrow.Row{Type: xrow.Insert, Sync: 3, Body: insertBody(3)}).Append(b)
	b = (&xrow.Row{Type: xrow.Select, Sync: 4, Body: selectBody(3)}).Append(b)
	p.send(b)
	for range 4 {
		if row := p.read(); row.Type != xrow.OK {
			t.Fatalf("%d: %v", row.Sync, row.AsError())
		}
	}
	if a, b := f.node.writes[0].User, f.node.writes[1].User; a != 0 || b != 33 {
		t.Fatalf("users %d, %d; want 0, 33", a, b)
	}
	if f.node.last.User != 33 {
		t.Fatalf("the select ran as user %d", f.node.last.User)
	}
}

func TestTakeover(t *testing.T) {
	f := newFixture(t, nil)
	join := xrow.Row{Type: xrow.Join, Sync: 4, Body: []byte{0x80}}
	refuse := true
	f.node.replicate = func(l *Link, user User, row *xrow.Row) error {
		if refuse {
			return xrow.Errorf(xrow.ErrLoading)
		}
		if row.Type != xrow.Join && row.Type != xrow.Subscribe || row.Sync != 4 {
			t.Errorf("got %v", row)
		}
		ack, err := l.ReadRow()
		if err != nil || ack.Type != xrow.OK {
			t.Errorf("got %v, %v", ack, err)
		}
		return l.WriteRow(&xrow.Row{Type: xrow.OK, Sync: 5})
	}
	p := f.connect()
	p.send(join.Append(nil))
	p.wantError(4, xrow.ErrLoading, "Instance bootstrap hasn't finished yet")
	refuse = false
	// JOIN gives the connection back, with what came behind its own frames.
	b := join.Append(nil)
	b = (&xrow.Row{Type: xrow.OK}).Append(b)
	b = (&xrow.Row{Type: xrow.Ping, Sync: 6}).Append(b)
	p.send(b)
	p.wantOK(5)
	p.wantOK(6)
	// Not with a write in flight.
	f.node.hold = true
	p.request(xrow.Insert, 7, insertBody(1))
	p.send(join.Append(nil))
	p.wantError(4, xrow.ErrProtocol, "Can't process join/subscribe while there are pending requests")
	f.node.mu.Lock()
	f.node.answerLocked(f.node.held[0], false)
	f.node.mu.Unlock()
	p.wantOK(7)
	// SUBSCRIBE does not give it back.
	sub := xrow.Row{Type: xrow.Subscribe, Sync: 4, Body: []byte{0x80}}
	p.send((&xrow.Row{Type: xrow.OK}).Append(sub.Append(nil)))
	p.wantOK(5)
	if _, err := p.link.ReadFrame(); err != io.EOF {
		t.Fatalf("got %v, want EOF", err)
	}
	if cause := <-f.closed; cause != ErrTakenOver {
		t.Fatalf("closed by %v", cause)
	}
}

// Events of a connection that became a stream would tear its frames.
func TestTakeoverDropsWatchers(t *testing.T) {
	f := newFixture(t, nil)
	f.node.replicate = func(l *Link, user User, row *xrow.Row) error {
		return l.WriteRow(&xrow.Row{Type: xrow.OK, Sync: 5})
	}
	p := f.connect()
	watch := []byte{0x81, byte(xrow.KeyEventKey), 0xa1, 'k'}
	p.request(xrow.Watch, 1, watch)
	p.read()
	p.request(xrow.Watch, 1, watch)
	p.request(xrow.Join, 2, []byte{0x80})
	p.wantOK(5)
	f.hub.Set("k", []byte{1})
	p.ping(6)
}

// Nor may they come in between while it is one.
func TestTakeoverIsSilent(t *testing.T) {
	f := newFixture(t, nil)
	var c *Conn
	f.node.onCall = func(conn *Conn, q *Call) {
		c = conn
		c.Reply(q.Sync, emptyArray, nil)
		c.Flush()
	}
	f.node.replicate = func(l *Link, user User, row *xrow.Row) error {
		c.push(1, "k", nil)
		c.Flush()
		return l.WriteRow(&xrow.Row{Type: xrow.OK, Sync: 5})
	}
	p := f.connect()
	p.request(xrow.Call, 1, []byte{0x81, 0x22, 0xa1, 'f'})
	p.wantOK(1)
	p.request(xrow.Join, 2, []byte{0x80})
	p.wantOK(5)
	p.ping(6)
}

func TestShutdown(t *testing.T) {
	f := newFixture(t, nil)
	sock := filepath.Join(t.TempDir(), "s")
	if err := f.srv.Listen("127.0.0.1:0", sock); err != nil {
		t.Fatal(err)
	}
	addrs := f.srv.Addrs()
	nc, err := net.Dial("tcp", addrs[0].String())
	if err != nil {
		t.Fatal(err)
	}
	watching := f.greet(nc)
	if nc, err = net.Dial("unix", sock); err != nil {
		t.Fatal(err)
	}
	other := f.greet(nc)
	body := append([]byte{0x81, byte(xrow.KeyEventKey)}, msgp.AppendString(nil, EventShutdown)...)
	watching.request(xrow.Watch, 1, body)
	if row := watching.read(); row.Type != xrow.Event {
		t.Fatalf("got %v", row)
	}
	watching.request(xrow.Watch, 2, body)
	watching.ping(3)
	done := make(chan struct{})
	go func() {
		f.srv.Shutdown(context.Background())
		close(done)
	}()
	row := watching.read()
	if key, value, err := DecodeEvent(row.Body); err != nil || key != EventShutdown || !bytes.Equal(value, []byte{0xc3}) {
		t.Fatalf("got %q %x %v", key, value, err)
	}
	if _, err := net.Dial("tcp", addrs[0].String()); err == nil {
		t.Fatal("a connection was taken during the shutdown")
	}
	other.ping(4) // everybody is served meanwhile
	watching.ping(5)
	watching.nc.Close()
	<-done
	if _, err := other.link.ReadFrame(); err == nil {
		t.Fatal("the other connection is open")
	}
	if n := f.srv.Connections(); n != 0 {
		t.Fatalf("%d connections left", n)
	}
}

func TestShutdownEndsByItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		p := f.pipe()
		p.request(xrow.Watch, 1, append([]byte{0x81, byte(xrow.KeyEventKey)}, msgp.AppendString(nil, EventShutdown)...))
		p.read()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		f.srv.Shutdown(ctx)
		if d := time.Since(start); d != 3*time.Second { // of the bubble's clock
			t.Fatalf("ended after %v", d)
		}
	})
}

func TestListen(t *testing.T) {
	f := newFixture(t, nil)
	if err := f.srv.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	used := f.srv.Addrs()[0].String()
	sock := filepath.Join(t.TempDir(), "s")
	if err := f.srv.Listen("unix/:"+sock, used); err == nil || !strings.Contains(err.Error(), used) {
		t.Fatalf("a used port: %v", err)
	}
	if _, err := os.Stat(sock); err == nil {
		t.Fatal("the socket of a failed Listen is left")
	}
	// A socket file that a killed process left is taken over, a served one is not.
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: sock, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.srv.Listen(sock); err == nil {
		t.Fatal("took a socket that is served")
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	if err := f.srv.Listen(sock); err != nil {
		t.Fatal(err)
	}
}

func TestConfigMistakesAreReportedTogether(t *testing.T) {
	_, err := NewServer(Config{Version: "tip"}, nil)
	for _, want := range []string{"version", "UUID", "hub"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not name the %s", err, want)
		}
	}
}

func TestConnTable(t *testing.T) {
	var table connTable
	if table.find(1<<slotBits) != nil {
		t.Fatal("found in an empty table")
	}
	conns := make([]*Conn, 200)
	seen := map[uint64]bool{}
	defer func() {
		last := new(Conn)
		table.add(last)
		delete(seen, last.id)
		for id := range seen {
			if table.find(id) != nil {
				t.Fatalf("id %d found in the slot of %d", id, last.id)
			}
		}
	}()
	for round := range 3 {
		for i := range conns {
			conns[i] = new(Conn)
			if !table.add(conns[i]) || seen[conns[i].id] {
				t.Fatalf("round %d: id %d again", round, conns[i].id)
			}
			seen[conns[i].id] = true
		}
		for _, c := range conns {
			if table.find(c.id) != c {
				t.Fatalf("id %d not found", c.id)
			}
			table.remove(c)
			if table.find(c.id) != nil {
				t.Fatalf("id %d found after its end", c.id)
			}
		}
	}
}

// Settings are the session's: an UPDATE of one is no write of the node's, and a SELECT
// that outlives its request keeps those that there were.
func TestSessionSettings(t *testing.T) {
	f := newFixture(t, nil)
	p := f.connect()
	body := []byte{0x83, 0x10, 0xcd, 0x01, 0x7c, 0x20, 0x91, 0xa1, 'x', 0x21, 0x91, 0x93, 0xa1, '=', 0x01, 0xc3}
	p.request(xrow.Update, 1, body)
	p.wantOK(1)
	p.request(xrow.Select, 2, []byte{0x83, 0x10, 0xcd, 0x02, 0x00, 0x12, 0x01, 0x20, 0x90})
	p.wantOK(2)
	was := bytes.Clone(body[10:])
	body[14] = 2
	p.request(xrow.Update, 3, body)
	p.wantOK(3)
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	if len(f.node.writes) != 0 || f.node.before != 0 {
		t.Error("the update went to the node")
	}
	if got := f.node.last.Settings["x"]; !bytes.Equal(got, was) {
		t.Errorf("a SELECT has the setting %x, want %x", got, was)
	}
}

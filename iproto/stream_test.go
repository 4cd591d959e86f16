package iproto

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tarragon.dev/tarragon/xrow"
)

func withStreams(c *Config) { c.Streams = true }

// streamFrame is a request of a stream.
func streamFrame(t xrow.Type, stream, sync uint64, body []byte) []byte {
	return (&xrow.Row{Type: t, Sync: sync, StreamID: stream, Body: body}).Append(nil)
}

// streams are the streams of what the node has got so far.
func (n *fakeNode) streams() (out []uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, q := range n.streamed {
		out = append(out, q.Stream)
	}
	return out
}

// Requests of a stream are carried out one after the other, also where one fails or
// is nothing that the node hears of; others go beside them.
func TestStreamOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, withStreams)
		f.node.hold = true
		p := f.pipe()
		var b []byte
		for i, q := range []struct {
			t      xrow.Type
			stream uint64
			body   []byte
		}{
			{xrow.Begin, 1, nil}, {xrow.Insert, 1, insertBody(1)}, {xrow.Insert, 1, []byte{0x80}}, {xrow.Ping, 1, nil}, {xrow.Call, 1, []byte{0x81, 0x22, 0xa1, 'f'}},
			{xrow.Commit, 1, nil},
			{xrow.Insert, 2, insertBody(7)}, {xrow.Ping, 0, nil}, {xrow.Ping, 3, nil},
		} {
			b = append(b, streamFrame(q.t, q.stream, uint64(i), q.body)...)
		}
		go p.send(b)
		if got := []uint64{p.read().Sync, p.read().Sync}; !slices.Contains(got, 7) || !slices.Contains(got, 8) {
			t.Fatalf("answered at first: %d", got)
		}
		step := func(want []uint64, answer int, syncs ...uint64) {
			t.Helper()
			synctest.Wait()
			if got := f.node.streams(); !slices.Equal(got, want) {
				t.Fatalf("the node has got requests of %d, want %d", got, want)
			}
			f.node.answerStream(answer)
			for _, sync := range syncs {
				if got := p.read(); got.Sync != sync {
					t.Fatalf("answered: %d, want %d", got.Sync, sync)
				}
			}
		}
		step([]uint64{1, 2}, 0, 0)
		step([]uint64{1, 2, 1}, 2, 1, 2, 3, 4)
		if calls := f.node.calls; len(calls) != 1 || calls[0].Stream != 1 {
			t.Fatalf("calls %+v", calls)
		}
		step([]uint64{1, 2, 1, 1}, 1, 6)
		step([]uint64{1, 2, 1, 1}, 3, 5)
		synctest.Wait()
		if c := f.srv.conns.all()[0]; len(c.streams.at) != 0 || c.streams.bytes != 0 || c.streams.queued != 0 || c.inflight != 0 {
			t.Errorf("left: %+v, %d in flight", &c.streams, c.inflight)
		}
		if st := f.srv.Stats(); st.Streams.Total != 3 || st.Queued.Total != 5 || len(st.UnderWay) != 0 || st.QueuedNow != 0 {
			t.Errorf("counted: %+v", st)
		}
	})
}

// What a request of a stream is answered, and what the node is given.
func TestStreamRequests(t *testing.T) {
	f := newFixture(t, withStreams)
	f.node.tuples = [][]byte{{0x91, 7}}
	p := f.connect()
	named := []byte{0x83, byte(xrow.KeySpaceName), 0xa4, 't', 'e', 's', 't', byte(xrow.KeyLimit), 1, byte(xrow.KeyKey), 0x90}
	setting := []byte{0x83, byte(xrow.KeySpaceID), 0xcd, 380 >> 8, 380 & 0xff, byte(xrow.KeyKey), 0x91, 0xa1, 'x', byte(xrow.KeyTuple), 0x90}
	for i, c := range []struct {
		t    xrow.Type
		body []byte
		code xrow.Code
		want string // the text of the error, or the body
	}{
		{xrow.Begin, nil, 0, "\x80"},
		{xrow.Begin, []byte{0x80}, 0, "\x80"},
		{xrow.Insert, insertBody(5), 0, "\x81\x30\xdd\x00\x00\x00\x01\x91\x05"},
		{xrow.Select, selectBody(5), 0, "\x81\x30\xdd\x00\x00\x00\x01\x91\x07"},
		{xrow.Select, named, 0, "\x81\x30\xdd\x00\x00\x00\x01\x91\x07"},
		{xrow.Select, []byte{0x83, 0x10, 0xcd, 3, 0x84, 0x12, 1, 0x20, 0x90}, xrow.ErrNoSuchSpace, "Space '900' does not exist"},
		{xrow.Select, append([]byte{0x84}, append(selectBody(5)[1:], byte(xrow.KeyTxnIsolation), 9)...), xrow.ErrIllegalParams, "unknown isolation level"},
		{xrow.Update, setting, 0, "\x81\x30\xdd\x00\x00\x00\x01\x91\x01"},
		{xrow.Call, []byte{0x82, 0x22, 0xa1, 'f', 0x21, 0x91, 3}, 0, "\x81\x30\xdd\x00\x00\x00\x01\x03"},
		{xrow.Eval, []byte{0x81, 0x27, 0xa1, 'f'}, 0, "\x81\x30\xdd\x00\x00\x00\x00"},
		{xrow.Call, []byte{0x80}, xrow.ErrMissingRequestField, "Missing mandatory field 'FUNCTION_NAME' in request"},
		{xrow.Insert, []byte{0x80}, xrow.ErrMissingRequestField, "Missing mandatory field 'SPACE_ID' in request"},
		{xrow.Insert, []byte{0x81, 0xc1}, xrow.ErrInvalidMsgpack, "Invalid MsgPack - packet body"},
		{xrow.Ping, []byte{0x90}, 0, "\x80"},
		{xrow.Commit, []byte{0x80}, 0, "\x80"},
		{xrow.RollbackTxn, []byte{0x81, byte(xrow.KeyIsSync), 7}, 0, "\x80"},
		{xrow.Nop, nil, xrow.ErrUnknownRequestType, "Unknown request type 12"},
		{18, nil, xrow.ErrUnknownRequestType, "Unknown request type 18"},
		{xrow.Execute, []byte{0x80}, xrow.ErrUnsupported, "Tarragon does not support SQL"},
		{xrow.Prepare, []byte{0x80}, xrow.ErrUnsupported, "Tarragon does not support SQL"},
		{xrow.InsertArrow, []byte{0x80}, xrow.ErrMissingRequestField, "Missing mandatory field 'SPACE_ID' in request"},
		{xrow.Auth, []byte{0x80}, xrow.ErrUnableToProcessInStream, "Unable to process AUTH request in stream"},
		{xrow.ID, []byte{0x80}, xrow.ErrUnableToProcessInStream, "Unable to process ID request in stream"},
		{xrow.Watch, []byte{0x80}, xrow.ErrUnableToProcessInStream, "Unable to process WATCH request in stream"},
		{xrow.Vote, []byte{0x80}, xrow.ErrUnableToProcessInStream, "Unable to process VOTE request in stream"},
		{xrow.Join, []byte{0x80}, xrow.ErrUnableToProcessInStream, "Unable to process JOIN request in stream"},
	} {
		sync := uint64(i)
		p.send(streamFrame(c.t, 1<<40, sync, c.body))
		if c.code != 0 {
			p.wantError(sync, c.code, c.want)
		} else if got := p.wantOK(sync); string(got) != c.want {
			t.Errorf("%d: %v: got %x, want %x", i, c.t, got, c.want)
		}
	}
	for i, c := range []xrow.Type{xrow.Begin, xrow.Commit, xrow.RollbackTxn} {
		p.request(c, uint64(i), []byte{0x80})
		p.wantError(uint64(i), xrow.ErrUnableToProcessOutOfStream, "Unable to process "+c.String()+" request out of stream")
	}
	if got := f.node.streamed[3].Select; got.Conn != f.srv.conns.all()[0].id || got.Stream != 1<<40 || got.Space != 512 {
		t.Errorf("SELECT: %+v", got)
	}
	f.node.notYet.Store(xrow.Errorf(xrow.ErrLoading))
	for i, r := range []xrow.Row{
		{Type: xrow.Begin}, {Type: xrow.Commit}, {Type: xrow.RollbackTxn}, {Type: xrow.Insert, Body: insertBody(1)},
		{Type: xrow.Select, Body: selectBody(1)}, {Type: xrow.Eval, Body: []byte{0x81, 0x27, 0xa1, 'f'}},
	} {
		p.send(streamFrame(r.Type, 5, uint64(i), r.Body))
		p.wantError(uint64(i), xrow.ErrLoading, "Instance bootstrap hasn't finished yet")
	}
	stale := xrow.Row{Type: xrow.Commit, Sync: 9, StreamID: 1, SchemaVersion: 5}
	p.send(stale.Append(nil))
	p.wantError(9, xrow.ErrWrongSchemaVersion, "Wrong schema version, current: 5, in request: 111")
}

// What BEGIN and COMMIT may say.
func TestTxnOptions(t *testing.T) {
	const badBody = "Invalid MsgPack - request body"
	for _, c := range []struct {
		body     string
		want     TxnOptions
		fault, e string
	}{
		{body: "", want: TxnOptions{}},
		{body: "\x80", want: TxnOptions{}},
		{body: "\x83\x56\xcb\x3f\xd0\x00\x00\x00\x00\x00\x00\x59\x01\x61\xc3", want: TxnOptions{Timeout: 250 * time.Millisecond, Isolation: 1, IsSync: true}},
		{body: "\x81\x59\x04", want: TxnOptions{Isolation: 4}},
		{body: "\x81\x59\xcf\x00\x00\x00\x01\x00\x00\x00\x02", want: TxnOptions{Isolation: 2}},
		{body: "\x81\x59\x05", fault: "unknown isolation level"},
		{body: "\x81\x56\xcb\x00\x00\x00\x00\x00\x00\x00\x00", want: TxnOptions{}},
		{body: "\x81\x56\xcb\xbf\xf0\x00\x00\x00\x00\x00\x00", fault: "timeout must be a number greater than 0"},
		{body: "\x81\x56\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", fault: "timeout must be a number greater than 0"}, // not a number
		{body: "\x82\x59\x05\x56\xcb\xbf\xf0\x00\x00\x00\x00\x00\x00", fault: "timeout must be a number greater than 0"},
		{body: "\x81\x56\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", want: TxnOptions{Timeout: 1<<63 - 1}}, // without end
		{body: "\x81\x56\xcb\x00\x00\x00\x00\x00\x00\x00\x01", want: TxnOptions{Timeout: 1}},         // hardly more than none
		{body: "\x81\x56\x05", e: badBody},
		{body: "\x81\x56\xca\x3f\x00\x00\x00", e: badBody},
		{body: "\x81\x59\xff", e: badBody},
		{body: "\x81\x61\x01", e: badBody},
		{body: "\x81\x10\xa1x", e: badBody}, // another key of the protocol
		{body: "\x81\xa1x\x01", e: badBody},
		{body: "\x90", e: badBody},
		{body: "\x81\x61\xc2", e: "is_sync can only be true"},
		{body: "\x82\x61\xc2\x56\x05", e: "is_sync can only be true"},
		{body: "\x82\x56\x05\x61\xc2", e: badBody},
		{body: "\x81\xcc\xff\xa1x"}, // unknown keys are passed over
	} {
		var q body
		var got TxnOptions
		if e := q.decode([]byte(c.body)); e != nil {
			t.Fatal(e)
		}
		fault, e := got.decode(&q)
		text := func(e *xrow.Error) string {
			if e == nil {
				return ""
			}
			return e.Message
		}
		if text(fault) != c.fault || text(e) != c.e || c.fault+c.e == "" && got != c.want {
			t.Errorf("%x: %+v, %q, %q", c.body, got, text(fault), text(e))
		}
	}
}

// A client may have any number of streams; what waits is bounded, and nothing is kept for
// a stream without a request.
func TestManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.Streams, c.MaxInFlight = true, 100 })
		p := f.pipe()
		const many = 10_000
		var b []byte
		for i := uint64(1); i <= many; i++ {
			b = append(b, streamFrame(xrow.Begin, i, i, nil)...)
		}
		go p.send(b)
		seen := map[uint64]bool{}
		for range many {
			seen[p.read().Sync] = true
		}
		if len(seen) != many {
			t.Fatalf("%d answers", len(seen))
		}
		synctest.Wait()
		c := f.srv.conns.all()[0]
		if len(c.streams.at) != 0 {
			t.Errorf("%d streams are kept", len(c.streams.at))
		}
		f.node.hold, f.node.streamed = true, nil
		go func() { _, _ = p.nc.Write(b) }() // the end of the test cuts it off
		synctest.Wait()
		if n := len(f.node.streamed); n == 0 || n > 100 || len(c.streams.at) != n || f.srv.Stats().InProgress != uint64(n) {
			t.Errorf("%d requests are with the node, %d streams, %+v", n, len(c.streams.at), f.srv.Stats().InProgress)
		}
	})
}

// Requests that wait behind others are bounded by their bytes, too; one alone may have as
// many as it likes. All of them are carried out in the end, as they were sent.
func TestStreamBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, withStreams)
		f.node.hold = true
		p := f.pipe()
		f.login(p, "test", "test")
		const size, n = 1 << 20, 20
		body := func(i int) []byte {
			b := []byte{0x82, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyTuple), 0x91, 0xc6, 0, size >> 16, 0, 0}
			return append(b, bytes.Repeat([]byte{byte(i)}, size)...)
		}
		go func() {
			p.send(streamFrame(xrow.Begin, 1, 0, nil))
			for i := range n {
				p.send(streamFrame(xrow.Insert, 1, uint64(1+i), body(1+i)))
			}
		}()
		synctest.Wait()
		c := f.srv.conns.all()[0]
		if got := c.streams.bytes; got > streamBytes || got < streamBytes/2 || c.streams.queued != got/size {
			t.Errorf("%d bytes wait, %d requests", got, c.streams.queued)
		}
		for i := range 1 + n {
			synctest.Wait()
			if got := len(f.node.streamed); got != i+1 {
				t.Fatalf("%d requests are with the node, want %d", got, i+1)
			}
			f.node.answerStream(i)
			p.wantOK(uint64(i))
			f.node.mu.Lock()
			q := f.node.streamed[i].DML
			f.node.mu.Unlock()
			if i > 0 && !bytes.Equal(q.Tuple, body(i)[6:]) {
				t.Fatalf("request %d is %x ...", i, q.Tuple[:16])
			}
		}
		large := append([]byte{0x82, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyTuple), 0x91, 0xc6, 0x01, 0x80, 0, 0}, make([]byte, 0x180<<16)...)
		go p.send(streamFrame(xrow.Insert, 1, 99, large))
		synctest.Wait()
		f.node.answerStream(n + 1)
		p.wantOK(99)
	})
}

// Reads and calls that take long hold up neither other streams nor what is in none; there
// are some at a time, and others wait.
func TestStreamReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, withStreams)
		n := &slowNode{fakeNode: f.node, goOn: make(chan struct{})}
		f.srv.backend = n
		f.node.tuples = [][]byte{{0x91, 7}}
		p := f.pipe()
		f.node.onCall = func(c *Conn, q *Call) {
			<-n.goOn
			c.ReplyCall(q, nil, nil)
		}
		const reads = slowAtOnce + 3
		p.send(streamFrame(xrow.Call, 10, 0, []byte{0x81, 0x22, 0xa1, 'f'}))
		for i := uint64(1); i < reads; i++ {
			p.send(streamFrame(xrow.Select, 10+i, i, selectBody(1)))
		}
		p.send(streamFrame(xrow.Insert, 10, 100, insertBody(1)))
		p.send(streamFrame(xrow.Insert, 1, 101, insertBody(1)))
		p.wantOK(101)
		p.ping(102)
		synctest.Wait()
		if n.running != slowAtOnce-1 || len(f.node.calls) != 1 {
			t.Errorf("%d reads and %d calls at one time", n.running, len(f.node.calls))
		}
		close(n.goOn)
		seen := map[uint64]bool{}
		for range reads + 1 {
			seen[p.read().Sync] = true
		}
		if len(seen) != reads+1 {
			t.Errorf("answered: %v", seen)
		}
	})
}

// slowNode has reads that wait.
type slowNode struct {
	*fakeNode
	goOn    chan struct{}
	running int
}

func (n *slowNode) Select(q *Select, to Sink) (uint32, []byte, error) {
	n.mu.Lock()
	n.running++
	n.mu.Unlock()
	<-n.goOn
	return n.fakeNode.Select(q, to)
}

// The answers to reads in streams wait for a client that does not read, and come whole.
func TestStreamAnswersOfAllSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, size := range []int{100, smallAnswer + 1, 20 << 20} {
			f := newFixture(t, withStreams)
			var want []byte
			f.node.tuples, want = tuplesOf(size, chunkSize)
			counted := &countingNode{fakeNode: f.node}
			f.srv.backend = counted
			p := f.pipe()
			body := append([]byte{0x83, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyLimit), 0xce, 0x7f, 0, 0, 0, byte(xrow.KeyKey)}, 0x90)
			var b []byte
			for i := range uint64(6) {
				b = append(b, streamFrame(xrow.Select, 1+i%2, i, body)...)
			}
			go p.send(b)
			synctest.Wait()
			if size > outputSoft && counted.selects > 8 { // twice for each: none is small
				t.Errorf("%d reads of %d bytes for a client that reads none", counted.selects, size)
			}
			for range 6 {
				if got := p.read().Body; !bytes.HasSuffix(got, want) {
					t.Fatalf("%d bytes, want %d", len(got), len(want))
				}
			}
			synctest.Wait()
			if used := f.srv.budget.used.Load(); used != 0 {
				t.Errorf("%d bytes are accounted for behind the end", used)
			}
		}
	})
}

// What a client has sent is carried out though it has gone, and behind the last request
// the node hears that it has.
func TestStreamsOfWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, withStreams)
		f.node.hold = true
		p := f.pipe()
		id := f.srv.conns.all()[0].id
		var b []byte
		for i := range uint64(3) {
			b = append(b, streamFrame(xrow.Insert, 1, i, insertBody(i))...)
			b = append(b, streamFrame(xrow.Select, 2, i, selectBody(i))...)
		}
		p.send(b)
		synctest.Wait()
		p.nc.Close()
		for i := range 6 {
			synctest.Wait()
			if got := f.node.streams(); len(got) < i+1 || len(got) > i+2 || len(f.node.ended) > 0 {
				t.Fatalf("the node has got requests of %d, and ends %d", got, f.node.ended)
			}
			f.node.answerStream(i)
		}
		f.wantCause(io.EOF)
		if !slices.Equal(f.node.ended, []uint64{id}) {
			t.Errorf("ends of connections %d, want %d", f.node.ended, id)
		}
		quiet := f.pipe()
		quiet.ping(1)
		quiet.nc.Close()
		f.wantCause(io.EOF)
		if len(f.node.ended) > 1 {
			t.Error("the node heard of streams of a client that had none")
		}
	})
}

// When the server ends nobody waits for the node, what waits behind a request does not
// begin, and the node hears of the end.
func TestStreamsWhenTheServerEnds(t *testing.T) {
	for name, end := range map[string]func(*Server){"cut": func(s *Server) { s.Cut(time.Minute) }, "close": (*Server).Close} {
		for _, gone := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, withStreams)
				f.node.hold = true
				p := f.pipe()
				p.send(append(streamFrame(xrow.Insert, 1, 1, insertBody(1)), streamFrame(xrow.Insert, 1, 2, insertBody(2))...))
				synctest.Wait()
				if gone {
					p.nc.Close()
					synctest.Wait()
				}
				end(f.srv)
				if n := f.srv.Connections(); n != 0 || len(f.node.ended) != 1 {
					t.Errorf("%s, the client has gone: %v: %d connections, ends %d", name, gone, n, f.node.ended)
				}
				f.node.streamed[0].conn.ReplyStream(1, nil, nil)
				synctest.Wait()
				if got := f.node.streams(); len(got) != 1 {
					t.Errorf("%s, the client has gone: %v: the node has got requests of %d", name, gone, got)
				}
			})
		}
	}
}

// A connection with requests under way in streams does not become one of replication.
func TestTakeoverWaitsForStreams(t *testing.T) {
	f := newFixture(t, withStreams)
	f.node.hold = true
	p := f.connect()
	p.send(append(streamFrame(xrow.Begin, 1, 1, nil), streamFrame(xrow.Subscribe, 0, 2, []byte{0x80})...))
	p.wantError(2, xrow.ErrProtocol, "Can't process join/subscribe while there are pending requests")
}

// A COMMIT that is behind a write without a stream in one buffer changes nothing about
// the limit of requests that wait.
func TestStreamsCountInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.Streams, c.MaxInFlight = true, 3 })
		f.node.hold = true
		p := f.pipe()
		var b []byte
		for i := range uint64(4) {
			b = append(b, streamFrame(xrow.Insert, 0, i, insertBody(i))...)
			b = append(b, streamFrame(xrow.Insert, 1+i, 10+i, insertBody(i))...)
		}
		go func() { _, _ = p.nc.Write(b) }() // the end of the test cuts it off
		synctest.Wait()
		f.node.mu.Lock()
		defer f.node.mu.Unlock()
		if n := len(f.node.writes) + len(f.node.streamed); n != 3 {
			t.Errorf("%d requests are with the node", n)
		}
	})
}

// What waits in a stream stays as it is, whatever the client sends meanwhile.
func TestStreamKeepsItsBytes(t *testing.T) {
	f := newFixture(t, withStreams)
	f.node.hold = true
	p := f.connect()
	const n = 20
	for i := range uint64(n) {
		p.send(streamFrame(xrow.Insert, 1, i, insertBody(100+i)))
		p.ping(1 << 32)
	}
	for i := range n {
		for len(f.node.streams()) <= i {
			<-f.node.arrived
		}
		f.node.answerStream(i)
		if got, want := p.wantOK(uint64(i)), []byte{0x81, 0x30, 0xdd, 0, 0, 0, 1, 0x91, byte(100 + i)}; !bytes.Equal(got, want) {
			t.Fatalf("got %x, want %x", got, want)
		}
	}
}

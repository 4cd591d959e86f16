package iproto

import (
	"bytes"
	"io"
	"testing"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// benchNode answers at once, and allocates nothing.
type benchNode struct {
	answers *Answers
	tuple   []byte
}

func (*benchNode) UpdateSetting(User, *xrow.DML, map[string][]byte) ([]byte, error) {
	return nil, nil
}

func (n *benchNode) Ready() *xrow.Error                             { return nil }
func (n *benchNode) SchemaVersion() uint64                          { return 1 }
func (n *benchNode) User([]byte) (User, []byte, bool)               { return 0, nil, false }
func (n *benchNode) MayWrite(User) bool                             { return false }
func (n *benchNode) TakesNumbers() bool                             { return false }
func (n *benchNode) Stays(User, User, bool) error                   { return nil }
func (n *benchNode) CanLogin(User) error                            { return nil }
func (n *benchNode) ResolveSpace([]byte) (uint32, error)            { return 512, nil }
func (n *benchNode) ResolveIndex(uint32, []byte) (uint32, error)    { return 0, nil }
func (n *benchNode) Linear(*Conn, *Select)                          {}
func (n *benchNode) Call(*Conn, *Call)                              {}
func (n *benchNode) StreamsGone(uint64)                             {}
func (n *benchNode) AppendBallot(d, _ []byte) ([]byte, *xrow.Error) { return d, nil }
func (n *benchNode) VClock() (v vclock.VClock)                      { return v }
func (n *benchNode) Replicate(*Link, User, *xrow.Row) error         { return nil }
func (n *benchNode) Lookups(all []Lookup, room []byte) {
	for i := range all {
		at := copy(room, n.tuple[1:])
		all[i].Done, all[i].N, all[i].Tuples, room = true, 1, room[:at], room[at:]
	}
}
func (n *benchNode) Select(q *Select, to Sink) (uint32, []byte, error) {
	return 1, nil, to.Take(n.tuple[1:])
}

func (n *benchNode) Submit(b *Batch) {
	for i := range b.Writes {
		n.answers.Reply(b.Conn, b.Writes[i].Sync, n.tuple, nil)
	}
	n.answers.Flush()
	b.Release()
}

func (n *benchNode) Stream(c *Conn, requests []StreamRequest) {
	for i := range requests {
		if q := &requests[i]; q.Select != nil {
			c.FinishStream(q.Select)
		} else {
			n.answers.ReplyStream(c.ID(), q.Stream, n.tuple, nil)
		}
	}
	n.answers.Flush()
}

// pipelined is a client that has always more of the same frames to send.
type pipelined struct {
	frames []byte // whole frames
	at     int
	left   int // bytes to send; then the connection ends
}

func (p *pipelined) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.frames[p.at:])
	n = min(n, p.left)
	p.at, p.left = (p.at+n)%len(p.frames), p.left-n
	return n, nil
}

// discardConn takes everything that is written.
type discardConn struct {
	scriptedConn
}

func (c *discardConn) Write(b []byte) (int, error) { return len(b), nil }

// servePipelined serves n requests that arrive in full read buffers.
func servePipelined(t testing.TB, frame []byte, n int) {
	node := &benchNode{tuple: append([]byte{0x91, 0x92, 1, 0xd9, 64}, make([]byte, 64)...)}
	srv, err := NewServer(Config{Version: "3.8.0", InstanceUUID: testUUID, Hub: NewHub()}, node)
	if err != nil {
		t.Fatal(err)
	}
	node.answers = srv.Answers()
	in := &pipelined{frames: bytes.Repeat(frame, 512), left: n * len(frame)}
	srv.Serve(&discardConn{scriptedConn{in: in}})
}

func benchmarkRequests(b *testing.B, frame []byte) {
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	servePipelined(b, frame, b.N)
}

func selectFrame() []byte {
	body := []byte{0x86, 0x10, 0xcd, 2, 0, 0x11, 0, 0x12, 1, 0x13, 0, 0x14, 0, 0x20, 0x91, 0xce, 0, 1, 2, 3}
	return (&xrow.Row{Type: xrow.Select, Sync: 1 << 20, Body: body}).Append(nil)
}

func replaceFrame() []byte {
	body := append([]byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x92, 0xce, 0, 1, 2, 3, 0xd9, 64}, make([]byte, 64)...)
	return (&xrow.Row{Type: xrow.Replace, Sync: 1 << 20, Body: body}).Append(nil)
}

func BenchmarkPing(b *testing.B)    { benchmarkRequests(b, []byte{0xce, 0, 0, 0, 5, 0x82, 0, 0x40, 1, 1}) }
func BenchmarkSelect(b *testing.B)  { benchmarkRequests(b, selectFrame()) }
func BenchmarkReplace(b *testing.B) { benchmarkRequests(b, replaceFrame()) }

// TestRequestsDoNotAllocate: ten thousand requests cost no more than a
// connection itself does.
func TestRequestsDoNotAllocate(t *testing.T) {
	for name, frame := range map[string][]byte{"select": selectFrame(), "replace": replaceFrame()} {
		few := testing.AllocsPerRun(5, func() { servePipelined(t, frame, 1000) })
		many := testing.AllocsPerRun(5, func() { servePipelined(t, frame, 11000) })
		if many > few+1000 { // one in ten requests; what is left is pools that the collector emptied
			t.Errorf("%s: %v allocations for 1000 requests, %v for 11000", name, few, many)
		}
	}
}

// benchmarkLoopback measures whole round trips through sockets.
func benchmarkLoopback(b *testing.B, frame []byte, inFlight int) {
	node := &benchNode{tuple: append([]byte{0x91, 0x92, 1, 0xd9, 64}, make([]byte, 64)...)}
	srv, err := NewServer(Config{Version: "3.8.0", InstanceUUID: testUUID, Hub: NewHub()}, node)
	if err != nil {
		b.Fatal(err)
	}
	node.answers = srv.Answers()
	client, server := loopback(b)
	go srv.Serve(server)
	defer srv.Close()
	c, err := newClient(b.Context(), client)
	if err != nil {
		b.Fatal(err)
	}
	var frames []byte
	for range inFlight {
		frames = append(frames, frame...)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		n := min(left, inFlight)
		if _, err := c.Write(frames[:n*len(frame)]); err != nil {
			b.Fatal(err)
		}
		for range n {
			if _, err := c.ReadFrame(); err != nil {
				b.Fatal(err)
			}
		}
		left -= n
	}
}

func BenchmarkLoopbackReplace1(b *testing.B)   { benchmarkLoopback(b, replaceFrame(), 1) }
func BenchmarkLoopbackReplace512(b *testing.B) { benchmarkLoopback(b, replaceFrame(), 512) }
func BenchmarkLoopbackSelect512(b *testing.B)  { benchmarkLoopback(b, selectFrame(), 512) }

// BenchmarkDecode is a header and a body, the short way and the long one.
func BenchmarkDecode(b *testing.B) {
	for name, frame := range map[string][]byte{"select": selectFrame(), "replace": replaceFrame()} {
		frame = frame[xrow.FrameHead:]
		var h header
		var q body
		b.Run(name+"/plain", func(b *testing.B) {
			for b.Loop() {
				n, _ := h.decode(frame)
				_ = q.decode(frame[n:])
			}
		})
		b.Run(name+"/any", func(b *testing.B) {
			for b.Loop() {
				n, _ := h.decodeAny(frame)
				_ = q.decodeAny(frame[n:])
			}
		})
	}
}

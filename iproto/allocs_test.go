package iproto

import (
	"fmt"
	"net"
	"runtime"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/valyala/bytebufferpool"
)

// wantNone: what is there from the time before is enough.
func wantNone(t *testing.T, run func()) {
	t.Helper()
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Decoding a request, whichever way, allocates nothing.
func TestDecodeAllocatesNothing(t *testing.T) {
	var h header
	var q body
	some := 0
	frames := append(clientFrames(t), selectFrame(), replaceFrame())
	for _, frame := range frames {
		head, size, err := frameHead(frame, xrow.MaxFrame)
		if err != nil || head == 0 || head+size > len(frame) {
			continue
		}
		frame = frame[head : head+size]
		n, ok := h.decode(frame)
		if !ok || h.typ == xrow.OK || h.typ > xrow.Delete && h.typ != xrow.Upsert || q.decode(frame[n:]) != nil {
			continue // errors may, and calls with error objects
		}
		some++
		t.Run(fmt.Sprintf("%x", frame), func(t *testing.T) {
			wantNone(t, func() {
				n, _ := h.decode(frame)
				_ = q.decode(frame[n:])
			})
		})
	}
	if some < 10 {
		t.Errorf("%d requests", some)
	}
}

// discarded is a connection whose answers nobody reads.
func discarded(t *testing.T) (*fixture, *Conn) {
	f := newFixture(t, nil)
	return f, newConn(f.srv, &discardConn{})
}

// Encoding an answer into a buffer that has room allocates nothing: to a write, which
// the Loop gives, to a lookup, to a SELECT, and to one without a body.
func TestAnswerAllocatesNothing(t *testing.T) {
	f, c := discarded(t)
	f.srv.backend = &benchNode{tuple: append([]byte{0x91, 0x92, 1, 0xd9, 64}, make([]byte, 64)...)}
	c.open()
	c.pending = bytebufferpool.Get()
	data := append([]byte{0x91, 0xa3}, "abc"...)
	found := Lookup{Sync: 7, Done: true, N: 1, Tuples: data[1:]}
	q := Select{Sync: 7, Space: 512, Limit: 1}
	for name, run := range map[string]func(){
		"write":  func() { c.reply(7, 1, data, nil); c.pending.B = c.pending.B[:0] },
		"empty":  func() { c.out.B = AppendEmpty(c.out.B[:0], 7, 1) },
		"lookup": func() { c.out.B = found.append(c.out.B[:0], 1) },
		"select": func() { c.out.B, _ = c.gather.small(c.out.B[:0], &q) },
	} {
		t.Run(name, func(t *testing.T) { wantNone(t, run) })
	}
}

// A read buffer of lookups is cut, decoded, asked and answered without an allocation.
func TestLookupsAllocateNothing(t *testing.T) {
	f, c := discarded(t)
	f.srv.backend = &benchNode{tuple: append([]byte{0x91, 0x92, 1, 0xd9, 64}, make([]byte, 64)...)}
	c.buf = newReadBuf(largestBuf)
	for range 1000 {
		c.w += copy(c.buf.data[c.w:], selectFrame())
	}
	run := func() {
		c.r = 0
		if err := c.consume(); err != nil || c.r != c.w {
			t.Fatal(err)
		}
		c.answerLookups()
		if c.lookups != nil || len(c.out.B) < 1000*100 {
			t.Fatalf("%d bytes of answers", len(c.out.B))
		}
		c.out.B = c.out.B[:0]
	}
	run()
	if n := testing.AllocsPerRun(20, run); n > 100 { // what pools have lost to the collector
		t.Errorf("%v allocations for 1000", n)
	}
}

// A Step's answers to many clients find their connections, are encoded and written
// without an allocation for each: only the senders begin anew for each Step.
func TestAnswersToManyAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under it pools lose what they have, now and then")
	}
	f := newFixture(t, nil)
	f.srv.backend = &benchNode{}
	const clients = 64
	var ids []uint64
	var ends []net.Conn
	for range clients {
		end, nc := loopback(t)
		c := newConn(f.srv, nc)
		if !f.srv.conns.add(c) {
			t.Fatal("no room for a connection")
		}
		ids, ends = append(ids, c.id), append(ends, end)
	}
	in := make([]byte, 256)
	data := append([]byte{0x91, 0xa3}, "abc"...)
	a := f.srv.Answers()
	run := func() {
		for _, id := range ids {
			a.Reply(id, 7, data, nil)
		}
		a.Flush()
		for _, end := range ends {
			if _, err := end.Read(in); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 100 { // pools and queues have grown
		run()
	}
	if n := testing.AllocsPerRun(100, run); n >= clients/2 {
		t.Errorf("%v allocations for %d answers", n, clients)
	}
}

// A connection that has logged in, asked for something and is idle takes 20 kB at most, the
// stack of its goroutine and the client's end in this process included.
func TestIdleConnectionIsSmall(t *testing.T) {
	if raceDetector {
		t.Skip("it takes memory of its own for each object")
	}
	f := newFixture(t, func(cfg *Config) { cfg.Streams, cfg.Trace = true, Trace{} })
	inUse := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc + m.StackInuse)
	}
	ask := func(p *peer) {
		p.request(xrow.Select, 1, selectBody(5))
		p.wantOK(1)
		p.send(streamFrame(xrow.Begin, 7, 2, nil))
		p.wantOK(2)
	}
	ask(f.connect()) // what there is once
	const clients, most = 400, 20_000
	before := inUse()
	for range clients {
		ask(f.connect())
	}
	if each := (inUse() - before) / clients; each < 4<<10 || each > most {
		t.Errorf("an idle connection takes %d bytes", each)
	}
}

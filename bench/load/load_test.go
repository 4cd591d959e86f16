package load

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// What is sent must be what the codec of the server reads.
func TestTemplates(t *testing.T) {
	for _, c := range []struct {
		op     Op
		typ    xrow.Type
		fields int
		body   string
	}{
		{Replace, xrow.Replace, 0, "8210ce00000200" + "2192cf0000000000000007a3616263"},
		{Insert, xrow.Insert, 0, "8210ce00000200" + "2192cf0000000000000007a3616263"},
		{Replace, xrow.Replace, 2, "8210ce00000200" + "2194cf0000000000000007a3616263" + "cf0000000000000020" + "cf0000000000000021"},
		{Select, xrow.Select, 0, "8610ce00000200" + "1100" + "1400" + "1300" + "1201" + "2091cf0000000000000007"},
		{Mixed, xrow.Select, 0, "8610ce00000200" + "1100" + "1400" + "1300" + "1201" + "2091cf0000000000000007"},
		{Range, xrow.Select, 0, "8610ce00000200" + "1100" + "1405" + "1300" + "1264" + "2091cf0000000000000007"},
		{Secondary, xrow.Select, 0, "8610ce00000200" + "1101" + "1400" + "1300" + "1201" + "2091cf0000000000000007"},
	} {
		tm := newRead(c.op, 512)
		if c.typ != xrow.Select {
			tm = newWrite(c.typ, 512, []byte("abc"), c.fields)
		}
		frame := tm.append([]byte("before"), 9, 7, 0x20)[len("before"):]
		row, err := xrow.Decode(frame[xrow.FrameHead:])
		if err != nil {
			t.Fatalf("op %d: %v", c.op, err)
		}
		if row.Type != c.typ || row.Sync != 9 || hex.EncodeToString(row.Body) != c.body {
			t.Errorf("op %d: type %v, sync %d, body %x", c.op, row.Type, row.Sync, row.Body)
		}
		if extra := len(frame) - len("abc") - c.fields*fieldSize; extra > frameOverhead {
			t.Errorf("op %d: %d bytes beyond the value", c.op, extra)
		}
	}
}

// reply encodes an answer with one tuple.
func reply(sync uint64, body string) []byte {
	b := xrow.AppendReplyHead(nil, 0, sync, 1)
	b = append(b, body...)
	xrow.EndFrame(b, 0)
	return b
}

func TestCut(t *testing.T) {
	one := reply(3, "\x81\x30\xdd\x00\x00\x00\x01\x90")
	stream := append(bytes.Clone(one), reply(4, "\x81\x30\x90")...)
	for n := range one {
		if _, size, err := cut(stream[:n]); size != 0 || err != nil {
			t.Fatalf("%d bytes: %d, %v", n, size, err)
		}
	}
	a, n, err := cut(stream)
	if err != nil || n != len(one) || a.sync != 3 || a.code != 0 || a.tuples() != 1 {
		t.Errorf("first: %+v, %d, %v", a, n, err)
	}
	a, _, err = cut(stream[n:])
	if err != nil || a.sync != 4 || a.tuples() != 0 {
		t.Errorf("second: %+v, %v", a, err)
	}
	if _, _, err := cut([]byte("HTTP/1.1 400")); !errors.Is(err, errAnswer) {
		t.Errorf("foreign bytes: %v", err)
	}
	// Another layout: SYNC first, no version of the schema.
	a, _, err = cut([]byte("\xce\x00\x00\x00\x06\x82\x01\x05\x00\x00\x80"))
	if err != nil || a.sync != 5 || a.code != 0 {
		t.Errorf("short layout: %+v, %v", a, err)
	}
}

func TestErrorAnswer(t *testing.T) {
	a, _, err := cut(xrow.AppendErrorReply(nil, xrow.Errorf(xrow.ErrReadonly), 8, 1))
	if err != nil || a.sync != 8 || a.code != uint32(xrow.ErrReadonly) || !strings.Contains(a.message(), "read-only") {
		t.Errorf("%+v, %q, %v", a, a.message(), err)
	}
}

func TestChooser(t *testing.T) {
	for conn := range 3 { // inserts of all connections together use each key once
		c := newChooser(&Workload{Op: Insert, Keys: 10}, conn, 3)
		for i := range 5 {
			if key, read := c.draw(); read || key != uint64(conn+1+3*i) {
				t.Errorf("connection %d, insert %d: %d, %v", conn, i, key, read)
			}
		}
	}
	for _, w := range []struct {
		op   Op
		want int // reads of 1000, at least and within 100
	}{{Replace, 0}, {Select, 1000}, {Mixed, 300}, {Range, 1000}, {Secondary, 1000}} {
		c := newChooser(&Workload{Op: w.op, Keys: 10, Reads: 30}, 0, 1)
		reads := 0
		for range 1000 {
			key, read := c.draw()
			if key < 1 || key > 10 {
				t.Fatalf("op %d: key %d", w.op, key)
			}
			if read {
				reads++
			}
		}
		if reads < w.want-100 || reads > w.want+100 || w.want == 0 && reads > 0 {
			t.Errorf("op %d: %d reads of 1000", w.op, reads)
		}
	}
}

func TestHist(t *testing.T) {
	a, b := NewHist(), NewHist()
	if a.At(99) != 0 || a.Max() != 0 {
		t.Errorf("empty: %v, %v", a.At(99), a.Max())
	}
	for i := range 100 {
		a.Add(time.Duration(i+1) * time.Millisecond)
	}
	b.Add(time.Hour)
	b.Add(-time.Second)
	a.Merge(b)
	if a.Count() != 102 {
		t.Errorf("count %d", a.Count())
	}
	within := func(got, want time.Duration) bool { return got > want-want/100 && got < want+want/100 }
	if got := a.At(50); !within(got, 50*time.Millisecond) {
		t.Errorf("p50 %v", got)
	}
	if got := a.Max(); !within(got, time.Minute) {
		t.Errorf("max %v", got)
	}
}

func TestSum(t *testing.T) {
	hists := newHists(2)
	a, b := newTally(hists[0]), newTally(hists[1])
	a.lat.Add(time.Millisecond)
	b.lat.Add(time.Millisecond)
	a.ok, b.ok = 3, 4
	a.unanswered, b.empty = 1, 2
	a.fail(7, func() string { return "read-only" })
	b.fail(7, func() string { return "read-only" })
	b.fail(0, func() string { return "broken pipe" })
	r := sum([]*tally{a, b}, hists)
	r.Window = 2 * time.Second
	if r.Lat.Count() != 2 || r.OK != 7 || r.Throughput() != 3.5 || r.Failed() != 3 {
		t.Errorf("%+v", r)
	}
	want := "2 times error 7, read-only; 1 connections failed: broken pipe; 1 requests unanswered; 2 selects found nothing"
	if got := r.Faults(); got != want {
		t.Errorf("%q", got)
	}
}

// A rate that the server does not keep up with is told: the table alone would
// show the latency of those that were answered.
func TestLate(t *testing.T) {
	for ok, want := range map[int64]bool{2000: false, 1995: false, 1500: true} {
		r := &Result{Rate: 1000, Window: 2 * time.Second, InFlight: 10, OK: ok}
		if got := strings.Contains(r.Faults(), "not answered in time"); got != want {
			t.Errorf("%d answers: %q", ok, r.Faults())
		}
	}
}

func TestPlan(t *testing.T) {
	w := Workload{Keys: 1, ValueSize: 1 << 10}
	for want, p := range map[string]Plan{
		"at least one on each": {Conns: 4, InFlight: 2},
		"negative":             {Duration: -1},
		"use 3 connections":    {InFlight: 512},
	} {
		if _, err := p.withDefaults(w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for _, p := range []Plan{{}, {InFlight: 512, Conns: 3}, {InFlight: 512, Driver: Connector}} {
		if _, err := p.withDefaults(w); err != nil {
			t.Error(err)
		}
	}
	total := 0
	for i := range 5 {
		total += share(512, 5, i)
	}
	if total != 512 {
		t.Errorf("shares make %d", total)
	}
}

// server answers on each connection some requests well and the next one with an
// error; then it hangs up.
func server(t *testing.T, good int) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go serve(nc, good)
		}
	}()
	return l.Addr().String()
}

func serve(nc net.Conn, good int) {
	defer nc.Close()
	var salt [32]byte
	nc.Write(iproto.AppendGreeting(nil, "3.8.0", "00000000-0000-0000-0000-000000000000", &salt))
	link := iproto.NewLink(nc, 1<<20)
	for n := 0; n <= good; n++ {
		row, err := link.ReadRow()
		if err != nil {
			return
		}
		out := reply(row.Sync, "\x81\x30\xdd\x00\x00\x00\x01\x90")
		if n == good {
			out = xrow.AppendErrorReply(nil, xrow.Errorf(xrow.ErrReadonly), row.Sync, 1)
		}
		if _, err := nc.Write(out); err != nil {
			return
		}
	}
}

// A server that breaks in the middle shows in the counts.
func TestRunCountsFaults(t *testing.T) {
	for _, p := range []Plan{
		{Conns: 1, InFlight: 4},
		{Conns: 1, InFlight: 4, Rate: 1e6},
		{Conns: 20, InFlight: 80}, // by one thread
	} {
		p.Addr, p.Duration = server(t, 20), time.Minute
		r, err := Run(context.Background(), Workload{Op: Replace}, p)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(p.Conns)
		if r.OK != 20*n || r.Lat.Count() != 20*n || r.Unanswered < n || r.Failed() != 2*n {
			t.Errorf("%d connections, rate %g: %d ok, %d in the histogram, %s", n, p.Rate, r.OK, r.Lat.Count(), r.Faults())
		}
	}
}

// A rate that no server keeps up with leaves no request without an answer: with the
// window the sending ends, and what is on its way is waited for. A window that was over
// before the machine let anything be answered says nothing, and is made longer.
func TestRunBehindItsRate(t *testing.T) {
	addr := server(t, math.MaxInt)
	window := 5 * time.Millisecond
	for runs := 0; runs < 20; {
		r, err := Run(context.Background(), Workload{Op: Replace}, Plan{Addr: addr, Conns: 1, InFlight: 64, Rate: 1e9, Duration: window})
		if err != nil {
			t.Fatal(err)
		}
		if r.Unanswered != 0 || r.OK == 0 && window > 10*time.Second {
			t.Fatalf("%d ok in %v, %s", r.OK, window, r.Faults())
		}
		if r.OK == 0 {
			window *= 2
			continue
		}
		runs++
	}
}

func TestRunNeedsAServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	if _, err := Run(context.Background(), Workload{}, Plan{Addr: addr}); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

// Random values are others each time, and nothing else of a request changes.
func TestRandomValues(t *testing.T) {
	w := Workload{Op: Replace, Keys: 10, ValueSize: 1 << 10, Fields: 1, Random: true}
	c := newChooser(&w, 0, 1)
	a, b := c.append(nil, 1, 2, false), c.append(nil, 1, 2, false)
	value := func(frame []byte) []byte { return frame[c.write.valueAt : c.write.fieldAt-1] }
	if va, vb := value(a), value(b); len(va) != w.ValueSize || bytes.Equal(va[:8], vb[:8]) || bytes.Equal(va[len(va)-8:], vb[len(vb)-8:]) {
		t.Errorf("%d bytes: %x, %x", len(va), va, vb)
	}
	copy(value(a), Value(w.ValueSize))
	c.random = false
	c.rng = newChooser(&w, 0, 1).rng
	if want := c.append(nil, 1, 2, false); !bytes.Equal(a, want) {
		t.Errorf("got %x, want %x", a, want)
	}
}

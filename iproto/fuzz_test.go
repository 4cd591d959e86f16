package iproto

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// clientFrames are recorded frames of every shape.
func clientFrames(t testing.TB) (frames [][]byte) {
	text, err := os.ReadFile("testdata/client-frames.hex")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range strings.Fields(string(text)) {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, b)
	}
	return frames
}

// FuzzFrame checks that a frame is cut alike however much has arrived, and
// never beyond what is there.
func FuzzFrame(f *testing.F) {
	for _, b := range clientFrames(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		head, size, err := frameHead(b, xrow.MaxFrame)
		if head < 0 || size < 0 || head > len(b) || size > xrow.MaxFrame {
			t.Fatalf("head %d size %d of %d bytes", head, size, len(b))
		}
		for n := range min(len(b), 16) {
			h, s, e := frameHead(b[:n], xrow.MaxFrame)
			if h != 0 && (h != head || s != size) || e != nil && err == nil {
				t.Fatalf("%d bytes: %d %d %v, whole: %d %d %v", n, h, s, e, head, size, err)
			}
		}
	})
}

// FuzzPlain compares what the short way makes of a request with what the long one
// does, in a body that had another request before.
func FuzzPlain(f *testing.F) {
	for _, b := range clientFrames(f) {
		if head, size, err := frameHead(b, xrow.MaxFrame); err == nil && head > 0 && head+size <= len(b) {
			f.Add(b[head : head+size])
		}
	}
	for _, b := range [][]byte{selectFrame(), replaceFrame()} {
		b = b[xrow.FrameHead:]
		f.Add(b)
		f.Add(append(slices.Clone(b), 0x80)) // junk behind it
		f.Add(b[:len(b)-1])
	}
	head := []byte{0x82, 0, 1, 1, 7}
	f.Add([]byte{0x82, 0, 0xcc, 1, 7, 0x80}) // a wide type
	f.Add([]byte{0x82, 0, 1, 1, 0xa0, 0x80})
	f.Add(append(slices.Clone(head), 0x81, byte(xrow.KeyFeatures), 0x91, 1))
	f.Add(append(slices.Clone(head), 0x82, byte(xrow.KeyLimit), 1, byte(xrow.KeyLimit), 0xcf, 1, 0, 0, 0, 0, 0, 0, 2)) // twice, and wide
	full := []byte{0x83, byte(xrow.KeyFetchPosition), 0xc3, byte(xrow.KeyAfterTuple), 0x91, 1, byte(xrow.KeySpaceName), 0xa1, 'x'}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var short, long header
		if n := short.decodePlain(frame); n > 0 {
			if m, ok := long.decodeAny(frame); !ok || m != n || long != short {
				t.Fatalf("header: %d bytes, %+v; the long way %d, %v, %+v", n, short, m, ok, long)
			}
		}
		n, ok := long.decodeAny(frame)
		if !ok {
			return
		}
		for _, before := range [][]byte{full, {0x80}, frame[n:]} {
			var a, b body
			_ = a.decode(before)
			if !a.decodePlain(frame[n:]) {
				continue
			}
			if e := b.decodeAny(frame[n:]); e != nil {
				t.Fatalf("the long way: %v", e)
			}
			b.more = false
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%+v, the long way %+v", a, b)
			}
		}
	})
}

// The requests of connectors and of the benchmark go the short way.
func TestPlainRequests(t *testing.T) {
	plain := 0
	for _, b := range append(clientFrames(t), selectFrame(), replaceFrame()) {
		var h header
		var q body
		head, size, err := frameHead(b, xrow.MaxFrame)
		if err != nil || head == 0 || head+size > len(b) {
			continue
		}
		n := h.decodePlain(b[head : head+size])
		if n > 0 && q.decodePlain(b[head+n:head+size]) {
			plain++
		}
	}
	if plain < 15 {
		t.Errorf("%d requests are plain", plain)
	}
}

// FuzzRequest feeds decoders, and compares what they make of a body with what
// the slow scanner says.
func FuzzRequest(f *testing.F) {
	for _, b := range clientFrames(f) {
		if head, size, err := frameHead(b, xrow.MaxFrame); err == nil && head > 0 && head+size <= len(b) {
			f.Add(b[head : head+size])
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var h header
		n, ok := h.decode(frame)
		scanned, err := xrow.ScanStrict(frame)
		if ok && (err != nil || scanned != n) {
			t.Fatalf("header of %d bytes, scan says %d, %v", n, scanned, err)
		}
		if !ok {
			return
		}
		var q body
		e := q.decode(frame[n:])
		rest := frame[n:]
		scanned, err = xrow.ScanStrict(rest)
		wellFormed := len(rest) == 0 || err == nil && scanned == len(rest)
		if (e == nil) != wellFormed {
			t.Fatalf("decode: %v, scan: %d of %d, %v", e, scanned, len(rest), err)
		}
		for _, array := range [][]byte{q.key, q.tuple, q.ops, q.afterTuple, q.features} {
			if array == nil {
				continue
			}
			if n, err := mp.Scan(array); err != nil || n != len(array) || mp.KindOf(array[0]) != mp.Array {
				t.Fatalf("not one array: %x", array)
			}
		}
		if q.tuple != nil {
			_, _ = (&Conn{}).decodeAuth(q.tuple)
		}
		decodeFeatures(q.features)
	})
}

// FuzzConnection throws bytes at a server: it must answer or close, and go on
// with the next connection.
func FuzzConnection(f *testing.F) {
	var all []byte
	for _, b := range clientFrames(f) {
		f.Add(b)
		all = append(all, b...)
	}
	f.Add(all)
	var streams []byte
	for i, t := range []xrow.Type{xrow.Begin, xrow.Insert, xrow.Select, xrow.Call, xrow.Ping, xrow.Commit, xrow.RollbackTxn, xrow.Watch} {
		body := map[xrow.Type][]byte{xrow.Insert: insertBody(1), xrow.Select: selectBody(1), xrow.Call: {0x81, 0x22, 0xa1, 'f'}}[t]
		for stream := range uint64(2) {
			streams = (&xrow.Row{Type: t, Sync: uint64(i), StreamID: 1 + stream, Body: body}).Append(streams)
		}
	}
	f.Add(streams)
	hub := NewHub()
	node := &fakeNode{ballot: []byte{0x80}, arrived: make(chan struct{}, 1), tuples: [][]byte{{0x91, 1}}}
	srv, err := NewServer(Config{Version: "3.8.0", InstanceUUID: testUUID, Hub: hub, Pagination: true, Streams: true}, node)
	if err != nil {
		f.Fatal(err)
	}
	node.answers = srv.Answers()
	f.Fuzz(func(t *testing.T, b []byte) {
		node.writes, node.calls, node.linear, node.conns, node.streamed, node.ended = nil, nil, nil, nil, nil, nil
		nc := &scriptedConn{in: bytes.NewReader(b)}
		srv.Serve(nc)
		out := nc.written()
		if len(out) < GreetingSize {
			t.Fatalf("no greeting in %d bytes", len(out))
		}
		l := &Link{limit: 2 * xrow.MaxFrame, buf: out[GreetingSize:], w: len(out) - GreetingSize}
		for l.r < l.w {
			head, size, err := frameHead(l.buf[l.r:l.w], l.limit)
			if err != nil || head+size > l.w-l.r {
				return // cut off by the end of the connection
			}
			if _, err := xrow.Decode(l.buf[l.r+head : l.r+head+size]); err != nil {
				t.Fatalf("the server sent %x", l.buf[l.r:])
			}
			l.r += head + size
		}
	})
}

// FuzzReply feeds the client's decoders.
func FuzzReply(f *testing.F) {
	for _, name := range []string{"connect", "watch", "malformed"} {
		for _, l := range readCapture(f, name) {
			if l.From == "server" && l.Kind == "frame" {
				f.Add(l.data[xrow.FrameHead:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		row, err := xrow.Decode(b)
		if err != nil {
			return
		}
		if answerError(&row) == nil {
			_, _, _ = DecodeEvent(row.Body)
			_, _ = findKey(row.Body, xrow.KeyBallot)
		}
	})
}

// FuzzGreeting: a greeting that parses is built again from what was read.
func FuzzGreeting(f *testing.F) {
	f.Add(readCapture(f, "connect")[0].data)
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := ParseGreeting(b)
		if err != nil {
			return
		}
		var salt [saltSize]byte
		copy(salt[:], g.Salt[:])
		if again, err := ParseGreeting(AppendGreeting(nil, g.Version, g.UUID, &salt)); err == nil && again != g {
			t.Fatalf("%+v, again %+v", g, again)
		}
	})
}

package iproto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// lookupNode answers lookups of keys below 100 together, and tells the key and how
// many writes have come before. Others it leaves.
type lookupNode struct {
	*fakeNode
	called chan struct{} // not nil: the first lookups wait until others are looked up

	asked   sync.Mutex
	calls   []int // how many came together
	selects int
}

func (n *lookupNode) tell(key []byte) []byte {
	k, _, _ := msgp.ReadUint64Bytes(key[1:])
	return []byte{0x92, 0xcc, byte(k), byte(len(n.writes))}
}

func (n *lookupNode) Lookups(all []Lookup, room []byte) {
	n.asked.Lock()
	n.calls = append(n.calls, len(all))
	n.asked.Unlock()
	switch {
	case n.called == nil:
	case all[0].Sync == 0:
		<-n.called
		time.Sleep(time.Second) // in a bubble: until all others wait
	case all[0].Sync == lookupsMost:
		n.called <- struct{}{}
	}
	for i := range all {
		q := &all[i]
		if k, _, _ := msgp.ReadUint64Bytes(q.Key[1:]); k < 100 {
			at := copy(room, n.tell(q.Key))
			q.Done, q.N, q.Tuples, room = true, 1, room[:at], room[at:]
		}
	}
}

// Select answers with two tuples; beyond 200 they are large, beyond 250 there is an
// error.
func (n *lookupNode) Select(q *Select, to Sink) (uint32, []byte, error) {
	n.selects++
	if q.Iterator != iteratorEQ {
		return 0, nil, nil
	}
	k, _, _ := msgp.ReadUint64Bytes(q.Key[1:])
	if k > 250 {
		return 0, nil, xrow.Errorf(xrow.ErrNoSuchSpace, "x")
	}
	big := append([]byte{0xc6, 0, 0x20, 0, 0}, make([]byte, 0x200000)...)
	if k <= 200 {
		big = nil
	}
	if err := to.Take(n.tell(q.Key)); err != nil {
		return 0, nil, err
	}
	if big == nil {
		return 1, nil, nil
	}
	return 2, nil, to.Take(big)
}

// ask appends a SELECT of a key.
func ask(b []byte, sync, key uint64) []byte {
	body := msgp.AppendUint64([]byte{0x84, 0x10, 0xcd, 2, 0, 0x11, 0, 0x12, 1, 0x20, 0x91}, key)
	return (&xrow.Row{Type: xrow.Select, Sync: sync, Body: body}).Append(b)
}

// Answers to SELECTs of one buffer come in their order, among those to other
// requests, however each of them is made; and none has seen a write that came
// behind it in the buffer.
func TestAnswersInOrder(t *testing.T) {
	f := newFixture(t, nil)
	n := &lookupNode{fakeNode: f.node}
	n.hold = true
	f.srv.backend = n
	p := f.connect()
	keys := []uint64{1, 2, 150, 3, 4, 255, 5, 6, 151, 152, 7}
	var b []byte
	no := uint64(0)
	var want []string
	requests := 2500
	if testing.Short() {
		requests = 700 // one of each kind
	}
	for i := range requests {
		no++
		k := keys[i%len(keys)]
		if i%700 == 300 {
			k = 210
		}
		switch {
		case i%331 == 5:
			b = (&xrow.Row{Type: xrow.Ping, Sync: no}).Append(b)
			want = append(want, fmt.Sprintf("%d OK 80", no))
		case i%331 == 11: // without a key
			b = (&xrow.Row{Type: xrow.Select, Sync: no, Body: []byte{0x82, 0x10, 0xcd, 2, 0, 0x12, 1}}).Append(b)
			want = append(want, fmt.Sprintf("%d error", no))
		case i%331 == 13: // a write without a tuple
			b = (&xrow.Row{Type: xrow.Insert, Sync: no, Body: []byte{0x81, 0x10, 0xcd, 2, 0}}).Append(b)
			want = append(want, fmt.Sprintf("%d error", no))
		case k > 250:
			b = ask(b, no, k)
			want = append(want, fmt.Sprintf("%d error", no))
		default:
			b = ask(b, no, k)
			want = append(want, fmt.Sprintf("%d OK %d", no, k))
		}
	}
	for range 3 { // writes behind them all, which are not answered
		no++
		b = (&xrow.Row{Type: xrow.Insert, Sync: no, Body: insertBody(no)}).Append(b)
	}
	go p.send(b)
	for i, w := range want {
		row := p.read()
		got := fmt.Sprintf("%d error", row.Sync)
		if row.Type == xrow.OK && len(row.Body) == 1 {
			got = fmt.Sprintf("%d OK %x", row.Sync, row.Body)
		} else if row.Type == xrow.OK {
			tuple := row.Body[7:]
			got = fmt.Sprintf("%d OK %d", row.Sync, tuple[2])
			if tuple[3] != 0 {
				t.Fatalf("answer %d has seen %d writes that came behind it", row.Sync, tuple[3])
			}
		}
		if got != w {
			t.Fatalf("answer %d is to %s, want %s", i, got, w)
		}
	}
	if slices.Max(n.calls) != lookupsAtOnce {
		t.Error("no lookups came together")
	}
}

// Lookups of one buffer come together, up to a bound, whatever writes are between
// them; one alone is a Select.
func TestLookupsComeTogether(t *testing.T) {
	for count, want := range map[uint64]string{1: "[]", 2: "[2]", lookupsAtOnce: "[64]", lookupsAtOnce + 1: "[64 1]", 80: "[64 16]"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, nil)
			n := &lookupNode{fakeNode: f.node}
			n.hold = true
			f.srv.backend = n
			p := f.pipe()
			var b []byte
			for i := uint64(1); i <= count; i++ {
				b = ask(b, i, 7)
				if i%10 == 0 {
					b = (&xrow.Row{Type: xrow.Insert, Sync: 1000 + i, Body: insertBody(i)}).Append(b)
				}
			}
			if len(b) > smallestBuf {
				t.Fatalf("%d bytes are no buffer", len(b))
			}
			go p.send(b)
			for i := uint64(1); i <= count; i++ {
				p.wantOK(i)
			}
			if got := fmt.Sprint(n.calls); got != want {
				t.Errorf("%d lookups come as %s, want %s", count, got, want)
			}
		})
	}
}

// Of a buffer that has many of them another goroutine looks the first ones up, while
// the reader goes on; with all of those busy the reader does it.
func TestLookupsOfTwo(t *testing.T) {
	for _, limit := range []int32{1, 0} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, nil)
			f.srv.helpers.limit = limit
			n := &lookupNode{fakeNode: f.node}
			if limit > 0 {
				n.called = make(chan struct{}) // who is alone waits for ever
			}
			f.srv.backend = n
			c := newConn(f.srv, &discardConn{})
			c.buf = newReadBuf(largestBuf)
			for i := range uint64(3 * lookupsMost) {
				c.w += copy(c.buf.data[c.w:], ask(nil, i, i%100))
			}
			if err := c.consume(); err != nil {
				t.Fatal(err)
			}
			c.answerLookups()
			out := c.out.B
			for i := range uint64(3 * lookupsMost) {
				_, size, _ := frameHead(out, xrow.MaxFrame)
				if got := binary.BigEndian.Uint64(out[14:]); got != i {
					t.Fatalf("answer %d is to %d", i, got)
				}
				out = out[xrow.FrameHead+size:]
			}
			if f.srv.helpers.now.Load() != 0 || n.selects > 0 {
				t.Errorf("%d still help, %d lookups were not waited for", f.srv.helpers.now.Load(), n.selects)
			}
		})
	}
}

// No more help than the limit says.
func TestHelpers(t *testing.T) {
	h := helpers{limit: 2}
	got := []bool{h.enter(), h.enter(), h.enter()}
	h.leave()
	if got = append(got, h.enter(), h.enter()); !slices.Equal(got, []bool{true, true, false, true, false}) {
		t.Error(got)
	}
}

// Whatever is in a Lookup that was answered together is what its Select would be.
func TestLookupEncoding(t *testing.T) {
	f := newFixture(t, nil)
	n := &lookupNode{fakeNode: f.node}
	f.srv.backend = n
	p := f.connect()
	p.send(ask(ask(nil, 1, 7), 2, 7))
	a, b := p.read(), p.read()
	p.send(ask(nil, 3, 7))
	alone := p.read()
	if !bytes.Equal(a.Body, b.Body) || !bytes.Equal(a.Body, alone.Body) || a.SchemaVersion != alone.SchemaVersion {
		t.Errorf("together %x, %x, alone %x", a.Body, b.Body, alone.Body)
	}
}

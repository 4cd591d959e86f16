package iproto

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// largeArray is an array of one binary of n bytes.
func largeArray(n int) []byte {
	return append([]byte{0x91, 0xc6, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, n)...)
}

// tuplesOf are random tuples of one binary each, n bytes together with their heads.
func tuplesOf(n, each int) (tuples [][]byte, all []byte) {
	r := rand.NewChaCha8([32]byte{1})
	for len(all) < n {
		size := each
		if rest := n - len(all); rest < each+10 {
			size = rest
		}
		tuple := largeArray(size - 6)
		_, _ = r.Read(tuple[6:])
		tuples, all = append(tuples, tuple), append(all, tuple...)
	}
	return tuples, all
}

func (p *peer) selects(from, to uint64, more ...byte) {
	body := append([]byte{0x83 + byte(len(more)/2), byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyLimit), 0xce, 0x7f, 0, 0, 0, byte(xrow.KeyKey), 0x90}, more...)
	var b []byte
	for sync := from; sync <= to; sync++ {
		b = (&xrow.Row{Type: xrow.Select, Sync: sync, Body: body}).Append(b)
	}
	p.send(b)
}

// Answers of all sizes, across the borders of chunks, come whole and between what
// was asked before and behind them; and all memory comes back.
func TestAnswersOfAllSizes(t *testing.T) {
	for _, size := range []int{100, smallAnswer - 1, smallAnswer, smallAnswer + 1, 2*chunkSize - 50, 8*chunkSize - 19, 8 * chunkSize, 20 << 20} {
		for _, each := range []int{1000, chunkSize, 3 << 20} {
			if testing.Short() && each != chunkSize {
				continue // make unit has them
			}
			f := newFixture(t, nil)
			var want []byte
			f.node.tuples, want = tuplesOf(size, each)
			p := f.connect()
			p.request(xrow.Ping, 1, nil)
			p.selects(2, 4)
			p.selects(5, 5, byte(xrow.KeyFetchPosition), 0xc3)
			p.request(xrow.Ping, 6, nil)
			p.wantOK(1)
			for sync := uint64(2); sync <= 5; sync++ {
				body := p.wantOK(sync)
				position := 0
				if sync == 5 {
					position = 5
				}
				if body[0] != 0x81+byte(position/5) || len(body) != 7+len(want)+position || !bytes.Equal(body[7:7+len(want)], want) {
					t.Fatalf("%d bytes by %d: answer %d is another one, with %d bytes", size, each, sync, len(body))
				}
			}
			p.wantOK(6)
			p.nc.Close()
			f.wantCause(io.EOF)
			f.accountedFor(fmt.Sprintf("%d bytes by %d", size, each))
		}
	}
}

// accountedFor waits until no answer takes memory any more. A client may have read all, and be
// gone, before who wrote it to the socket comes to give the last of it back.
func (f *fixture) accountedFor(what string) {
	f.Helper()
	for end := time.Now().Add(time.Minute); f.srv.budget.used.Load() != 0; runtime.Gosched() {
		if time.Now().After(end) {
			f.Fatalf("%s: %d bytes are accounted for at the end", what, f.srv.budget.used.Load())
		}
	}
}

// One limit, told as an error: it is the same for a default read and a
// linearizable one, and the connection goes on.
func TestAnswerTooLarge(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.AnswerMemory = 8 << 20 })
	f.node.tuples, _ = tuplesOf(4<<20+1000, 1000)
	const text = "Failed to allocate 4195000 bytes in the answer for tuples: an answer may have 4194304, ask for less by LIMIT and go on behind it"
	p := f.connect()
	p.selects(1, 1)
	p.wantError(1, xrow.ErrMemoryIssue, text)
	p.selects(2, 2, byte(xrow.KeyTxnIsolation), isolationLinearizable)
	<-f.node.arrived
	f.node.mu.Lock()
	c, q := f.node.conns[0], f.node.linear[0]
	f.node.mu.Unlock()
	c.FinishSelect(q)
	p.wantError(2, xrow.ErrMemoryIssue, text)
	p.ping(3)
	if used := f.srv.budget.used.Load(); used > smallAnswer {
		t.Errorf("%d bytes are accounted for", used)
	}
}

// However many ask for however much, answers that have not left take no more
// than their room; who asks for little gets it meanwhile, and all get what they asked for
// once the others have read.
func TestAnswersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const memory = 16 << 20
		f := newFixture(t, func(c *Config) { c.AnswerMemory = memory })
		tuples, want := tuplesOf(7<<20, 100_000)
		f.node.tuples = tuples
		var readers []*peer
		for range 6 {
			p := f.pipe()
			p.selects(1, 1)
			readers = append(readers, p)
		}
		synctest.Wait()
		if used := f.srv.budget.used.Load(); used > memory/4*3+chunkSize {
			t.Fatalf("%d bytes of answers, %d may be", used, memory/4*3)
		}
		f.node.mu.Lock()
		f.node.tuples = tuples[:1]
		f.node.mu.Unlock()
		small := f.pipe()
		small.selects(1, 1)
		small.wantOK(1)
		f.node.mu.Lock()
		f.node.tuples = tuples
		f.node.mu.Unlock()
		done := make(chan int)
		for _, p := range readers {
			go func() { done <- len(p.wantOK(1)) }()
		}
		for range readers {
			if n := <-done; n != len(want)+7 {
				t.Errorf("an answer of %d bytes", n)
			}
		}
	})
}

// A large answer that finds no room says so in the end; it holds nothing up that is
// small.
func TestNoRoomForAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.AnswerMemory = 16 << 20; c.SlowTimeout = 20 * time.Second })
		f.node.tuples, _ = tuplesOf(8<<20, 100_000)
		slow := []*peer{f.pipe(), f.pipe()}
		for _, p := range slow {
			p.selects(1, 1)
			synctest.Wait()
		}
		stop := make(chan struct{})
		for _, p := range slow { // they read, but slowly
			go func() {
				b := make([]byte, 20_000)
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Second):
						_, _ = p.nc.Read(b)
					}
				}
			}()
		}
		defer close(stop)
		p := f.pipe()
		p.selects(1, 1)
		row := p.read()
		if e := row.AsError(); e == nil || e.Code != xrow.ErrMemoryIssue {
			t.Fatalf("got %v %+v", row.Type, e)
		}
		p.ping(2)
	})
}

// A client that pipelines writes with large answers, and reads them, is not
// closed for it; before it is known how large they are, few are asked for.
func TestLargeAnswersOfWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.node.hold = true
		p := f.pipe()
		writes := 300
		if testing.Short() {
			writes = 120 // more than may be in memory still
		}
		var b []byte
		for i := uint64(1); i <= uint64(writes); i++ {
			b = (&xrow.Row{Type: xrow.Insert, Sync: i, Body: insertBody(i)}).Append(b)
		}
		go p.send(b)
		go func() {
			data := largeArray(1 << 20)
			for answered := 0; answered < writes; {
				synctest.Wait()
				f.node.mu.Lock()
				held := f.node.held
				f.node.held = nil
				f.node.mu.Unlock()
				for _, b := range held {
					answered += len(b.Writes)
					for _, w := range b.Writes {
						f.node.answers.Reply(b.Conn, w.Sync, data, nil)
					}
					f.node.answers.Flush()
					b.Release()
				}
				if used := f.srv.budget.used.Load(); used > 100<<20 {
					t.Errorf("%d MiB of answers", used>>20)
				}
			}
		}()
		for i := uint64(1); i <= uint64(writes); i++ {
			p.wantOK(i)
		}
	})
}

// A procedure waits for room for all of its answer without the turn: a SELECT, for
// which there is room, goes on. The procedure has both when there is room.
func TestCallWaitsWithoutTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b budget
		b.init(512<<20, time.Minute)
		b.add(140 << 20) // a slow client's
		got := make(chan error, 1)
		go func() { got <- b.takeWith(b.forLarge()-b.maxAnswer(), nil) }()
		synctest.Wait()
		select {
		case b.turn <- struct{}{}:
		default:
			t.Fatal("who waits for room has the turn")
		}
		b.add(-140 << 20)
		synctest.Wait()
		b.give()
		if err := <-got; err != nil || len(b.turn) != 1 {
			t.Errorf("%v, the turn is had %d times", err, len(b.turn))
		}
	})
}

package load

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Run drives the server and returns what it showed. An error means that
// nothing was measured; faults of the server are in the result.
func Run(ctx context.Context, w Workload, p Plan) (*Result, error) {
	w, err := w.withDefaults()
	if err != nil {
		return nil, err
	}
	if p, err = p.withDefaults(w); err != nil {
		return nil, err
	}
	hists := newHists(p.Conns)
	workers, err := connect(ctx, &w, &p, hists)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	win := newWindow(&p)
	var wg sync.WaitGroup
	for _, one := range workers {
		wg.Go(func() { one.run(ctx, win) })
	}
	early, over := context.WithCancel(ctx) // the window ends when all connections have failed
	done := make(chan struct{})
	go func() {
		wg.Wait()
		over()
		close(done)
	}()
	window := win.watch(early, p.Mark)
	<-done
	var all []*tally
	for _, one := range workers {
		all = append(all, one.counts())
	}
	r := sum(all, hists)
	r.Driver, r.Conns, r.InFlight, r.Rate, r.Window = p.Driver, p.Conns, p.InFlight, p.Rate, window
	return r, context.Cause(ctx)
}

// worker is one connection of a driver.
type worker interface {
	// run works until the window is over and everything is answered, given up
	// or ctx done.
	run(ctx context.Context, win *window)
	counts() *tally
	close()
}

func connect(ctx context.Context, w *Workload, p *Plan, hists []*Hist) (all []worker, err error) {
	if p.Driver == Raw && p.Rate == 0 && p.Conns >= pollFrom {
		one, err := newPoller(ctx, w, p, newTally(hists[0]))
		return []worker{one}, err
	}
	for i := range p.Conns {
		var one worker
		t := newTally(hists[i%len(hists)])
		switch p.Driver {
		case Connector:
			one, err = newConnectorConn(ctx, w, p, i, t)
		case Library:
			one, err = newClientConn(ctx, w, p, i, t)
		default:
			one, err = newRawConn(ctx, w, p, i, t)
		}
		if err != nil {
			for _, open := range all {
				open.close()
			}
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// window is the time in which answers count, measured from one base.
type window struct {
	base              time.Time
	open, close, last time.Duration
}

func newWindow(p *Plan) *window {
	end := p.Warmup + p.Duration
	return &window{base: time.Now(), open: p.Warmup, close: end, last: end + p.Drain}
}

func (w *window) now() time.Duration { return time.Since(w.base) }

func (w *window) has(t time.Duration) bool { return t >= w.open && t < w.close }

// watch calls mark at both ends and returns how far they really were apart.
func (w *window) watch(ctx context.Context, mark func(Edge)) time.Duration {
	if !sleepUntil(ctx, w, w.open) {
		return 0
	}
	mark(Open)
	sleepUntil(ctx, w, w.close)
	length := min(w.now(), w.close) - w.open
	mark(Close)
	return length
}

func sleepUntil(ctx context.Context, w *window, at time.Duration) bool {
	t := time.NewTimer(at - w.now())
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// chooser draws the requests of one connection.
type chooser struct {
	rng    *rand.PCG
	keys   uint64
	reads  uint64 // of 100
	insert bool
	next   uint64 // key of the next insert
	stride uint64
	write  template
	read   template
	random bool // each value is another one
}

func newChooser(w *Workload, conn, conns int) *chooser {
	typ, reads := xrow.Replace, uint64(0)
	switch w.Op {
	case Mixed:
		reads = uint64(w.Reads)
	case Insert:
		typ = xrow.Insert
	case Select, Range, Secondary:
		reads = 100
	}
	return &chooser{
		rng: rand.NewPCG(uint64(conn), 0x9e3779b97f4a7c15), keys: w.Keys, reads: reads,
		insert: w.Op == Insert, next: uint64(conn) + 1, stride: uint64(conns),
		write: newWrite(typ, w.Space, Value(w.ValueSize), w.Fields), read: newRead(w.Op, w.Space),
		random: w.Random,
	}
}

// Value is what tuples hold behind their key.
func Value(size int) []byte { return bytes.Repeat([]byte("tarragon"), size/8+1)[:size] }

// draw returns the next request: its key, and whether it is a select.
func (c *chooser) draw() (key uint64, read bool) {
	if c.insert {
		key = c.next
		c.next += c.stride
		return key, false
	}
	key = c.rng.Uint64()%c.keys + 1
	return key, c.reads > 0 && c.rng.Uint64()%100 < c.reads
}

// append adds the request for a key to dst.
func (c *chooser) append(dst []byte, sync uint32, key uint64, read bool) []byte {
	if read {
		return c.read.append(dst, sync, key, 0)
	}
	first := uint64(0)
	if c.write.fields > 0 {
		first = c.rng.Uint64()%c.keys + 1
	}
	dst = c.write.append(dst, sync, key, first)
	if c.random {
		c.write.scramble(dst[len(dst)-len(c.write.frame):], c.rng)
	}
	return dst
}

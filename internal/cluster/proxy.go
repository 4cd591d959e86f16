package cluster

import (
	"context"
	"net"
	"sync"
	"time"
)

// Dir is a direction of bytes through a Proxy.
type Dir uint8

// Directions.
const (
	Forth Dir = iota // from the side that connected
	Back             // to it
)

// Proxy forwards connections to one address and can disturb them as a network
// would. What is cut is held, not lost: after Heal it goes on, as TCP does when
// a partition ends. A connection that is made during a cut of Forth reaches
// nobody before Heal.
type Proxy struct {
	l      net.Listener // nil in tests
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	dial    func() (net.Conn, error)
	cut     [2]bool
	delay   time.Duration
	changed chan struct{} // closed and replaced when cut changes
	open    map[net.Conn]bool
}

// NewProxy listens on an address of its own and forwards to target.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := newProxy(dialTo(target))
	p.l = l
	p.wg.Go(p.accept)
	return p, nil
}

func dialTo(addr string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return net.DialTimeout("tcp", addr, 5*time.Second) }
}

func newProxy(dial func() (net.Conn, error)) *Proxy {
	ctx, cancel := context.WithCancel(context.Background())
	return &Proxy{dial: dial, ctx: ctx, cancel: cancel, changed: make(chan struct{}), open: map[net.Conn]bool{}}
}

// Addr is where it listens.
func (p *Proxy) Addr() string { return p.l.Addr().String() }

// Close ends all connections and waits for them.
func (p *Proxy) Close() {
	p.cancel()
	if p.l != nil {
		p.l.Close()
	}
	p.Reset()
	p.wg.Wait()
}

// Cut holds all bytes of these directions from now on; a write that has begun
// may still arrive.
func (p *Proxy) Cut(dirs ...Dir) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range dirs {
		p.cut[d] = true
	}
}

// Heal lets everything flow again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = [2]bool{}
	close(p.changed)
	p.changed = make(chan struct{})
}

// Delay adds d to the way of bytes that arrive from now on, in both directions.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Move makes connections go to another address from now on, as a name that is
// given to another machine does; those that are open end.
func (p *Proxy) Move(target string) {
	p.mu.Lock()
	p.dial = dialTo(target)
	p.mu.Unlock()
	p.Reset()
}

// Reset closes all connections, as a restarted machine between the two would.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

// serve forwards one connection until either side ends it.
func (p *Proxy) serve(from net.Conn) {
	if !p.keep(from) {
		return
	}
	defer p.drop(from)
	if !p.pass(Forth) {
		return
	}
	p.mu.Lock()
	dial := p.dial
	p.mu.Unlock()
	to, err := dial()
	if err != nil || !p.keep(to) {
		return
	}
	defer p.drop(to)
	var wg sync.WaitGroup
	wg.Go(func() { p.forward(Forth, to, from) })
	wg.Go(func() { p.forward(Back, from, to) })
	wg.Wait()
}

// keep registers a connection for Reset; false: the proxy is closed already.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		c.Close()
		return false
	}
	p.open[c] = true
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	c.Close()
}

// pass waits until a direction is open; false: the proxy was closed.
func (p *Proxy) pass(d Dir) bool {
	for {
		p.mu.Lock()
		cut, changed := p.cut[d], p.changed
		p.mu.Unlock()
		if p.ctx.Err() != nil {
			return false
		}
		if !cut {
			return true
		}
		select {
		case <-changed:
		case <-p.ctx.Done():
		}
	}
}

// chunk is some bytes and when they may leave.
type chunk struct {
	bytes []byte
	due   time.Time
}

// chunks that may be on their way in one direction; beyond it the sender is not
// read, as with a full window.
const chunks = 64

// forward moves bytes until src or dst ends, then closes both: a half-closed
// connection is none for the protocols behind it.
func (p *Proxy) forward(d Dir, dst, src net.Conn) {
	way := make(chan chunk, chunks)
	gone := make(chan struct{}) // dst takes no more
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(gone)
		defer src.Close() // frees the reader below
		for c := range way {
			if !p.wait(c.due) || !p.pass(d) {
				return
			}
			if _, err := dst.Write(c.bytes); err != nil {
				return
			}
		}
	})
	for {
		buf := make([]byte, 16<<10)
		n, err := src.Read(buf)
		if n > 0 {
			p.mu.Lock()
			due := time.Time{}
			if p.delay > 0 {
				due = time.Now().Add(p.delay)
			}
			p.mu.Unlock()
			select {
			case way <- chunk{buf[:n], due}:
			case <-gone:
			}
		}
		if err != nil {
			break
		}
	}
	close(way)
	wg.Wait()
	dst.Close()
}

// wait lets time pass until due; false: the proxy was closed.
func (p *Proxy) wait(due time.Time) bool {
	d := time.Until(due)
	if due.IsZero() || d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

package iproto

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipeRoom is how many bytes lie in one direction of a pipe at most.
const pipeRoom = 256 << 10

// pipeKept is how much memory a direction keeps while nothing lies in it.
const pipeKept = 64 << 10

// pipeNetwork is the network of addresses of pipes.
const pipeNetwork = "process"

// pipeAddr is the address of both ends of a pipe.
type pipeAddr string

func (a pipeAddr) Network() string { return pipeNetwork }
func (a pipeAddr) String() string  { return string(a) }

// pipe is one end of a connection within the process: a net.Conn without a system call. What is written lies
// in memory until the other end reads it, so that a write wakes a reader and waits for nobody, as long as there is
// room.
//
// Unlike a socket's, bytes that were written before a Close are always there for the other end.
type pipe struct {
	in, out *flow
	addr    pipeAddr
}

// newPipe makes both ends; addr is what each says of the other one.
func newPipe(addr string) (a, b *pipe) {
	to, back := newFlow(), newFlow()
	return &pipe{back, to, pipeAddr(addr)}, &pipe{to, back, pipeAddr(addr)}
}

// Read is that of net.Conn.
func (p *pipe) Read(b []byte) (int, error) { return p.in.read(b) }

// Write is that of net.Conn: it waits for room.
func (p *pipe) Write(b []byte) (int, error) { return p.out.write(b) }

// WriteSome writes what there is room for.
func (p *pipe) WriteSome(b []byte) (int, error) { return p.out.writeSome(b) }

// Close is that of net.Conn.
func (p *pipe) Close() error {
	p.in.end(func(f *flow) { f.deaf, f.buf, f.r = true, nil, 0 })
	return p.CloseWrite()
}

// CloseWrite has the other end read an EOF behind what was written.
func (p *pipe) CloseWrite() error {
	p.out.end(func(f *flow) { f.mute = true })
	return nil
}

// LocalAddr is that of net.Conn.
func (p *pipe) LocalAddr() net.Addr { return p.addr }

// RemoteAddr is that of net.Conn.
func (p *pipe) RemoteAddr() net.Addr { return p.addr }

// SetDeadline is that of net.Conn.
func (p *pipe) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

// SetReadDeadline is that of net.Conn.
func (p *pipe) SetReadDeadline(t time.Time) error { return p.in.limit(&p.in.reads, t) }

// SetWriteDeadline is that of net.Conn.
func (p *pipe) SetWriteDeadline(t time.Time) error { return p.out.limit(&p.out.writes, t) }

// flow is one direction of a pipe.
//
// Invariant: at most pipeRoom bytes lie in it.
type flow struct {
	mu     sync.Mutex
	buf    []byte // buf[r:] was written and not read
	r      int
	mute   bool // whoever writes has closed
	deaf   bool // whoever reads has closed
	reads  side
	writes side
}

// side is a reader or a writer of a flow, with its deadline.
type side struct {
	wake  sync.Cond
	timer *time.Timer // nil: no deadline runs
	late  bool        // it has passed
}

func newFlow() *flow {
	f := &flow{}
	f.reads.wake.L, f.writes.wake.L = &f.mu, &f.mu
	return f
}

func (f *flow) read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.deaf:
			return 0, net.ErrClosed
		case f.reads.late:
			return 0, os.ErrDeadlineExceeded
		case len(f.buf) > f.r:
			return f.takeLocked(b), nil
		case f.mute:
			return 0, io.EOF
		}
		f.reads.wake.Wait()
	}
}

func (f *flow) takeLocked(b []byte) int {
	n := copy(b, f.buf[f.r:])
	if f.r += n; f.r == len(f.buf) {
		f.buf, f.r = f.buf[:0], 0
		if cap(f.buf) > pipeKept {
			f.buf = nil
		}
	}
	f.writes.wake.Signal()
	return n
}

func (f *flow) write(b []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		some, err := f.putLocked(b[n:])
		if n += some; err != nil || n == len(b) {
			return n, err
		}
		f.writes.wake.Wait()
	}
}

func (f *flow) writeSome(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.putLocked(b)
}

// putLocked appends what there is room for.
func (f *flow) putLocked(b []byte) (int, error) {
	switch {
	case f.mute:
		return 0, net.ErrClosed
	case f.deaf:
		return 0, syscall.EPIPE
	case f.writes.late:
		return 0, os.ErrDeadlineExceeded
	}
	n := min(len(b), pipeRoom-(len(f.buf)-f.r))
	if f.r > len(f.buf)/2 && len(f.buf)+n > cap(f.buf) {
		f.buf = f.buf[:copy(f.buf, f.buf[f.r:])]
		f.r = 0
	}
	f.buf = append(f.buf, b[:n]...)
	f.reads.wake.Signal()
	return n, nil
}

// end notes that an end is closed, and wakes both.
func (f *flow) end(how func(*flow)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(f)
	f.reads.wake.Broadcast()
	f.writes.wake.Broadcast()
}

// limit sets the deadline of a side; the zero time is none.
func (f *flow) limit(s *side, t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	left := time.Until(t)
	if s.late = !t.IsZero() && left <= 0; s.late {
		s.wake.Broadcast()
	} else if !t.IsZero() {
		var timer *time.Timer
		timer = time.AfterFunc(left, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if s.timer == timer { // else there is another deadline by now
				s.late = true
				s.wake.Broadcast()
			}
		})
		s.timer = timer
	}
	return nil
}

// DialInside is Dial for a program that has the server in its own process: the connection is one like any other,
// but has no socket. peer is what the server says of its other end. It fails once StopListening was called.
func (s *Server) DialInside(ctx context.Context, peer string) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ours, theirs := newPipe(peer)
	s.mu.Lock()
	select {
	case <-s.stop:
		s.mu.Unlock()
		return nil, ErrServerClosed
	default:
	}
	s.wg.Go(func() { s.Serve(theirs) })
	s.mu.Unlock()
	c, err := newClient(ctx, ours)
	if err != nil {
		_ = ours.Close()
		return nil, err
	}
	return c, nil
}

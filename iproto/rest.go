package iproto

import (
	"errors"
	"os"
	"sync"
	"time"
)

// rest is the wait of a reader that has nothing in hand. One that is long goes on without a read buffer: there may be
// thousands of clients that are idle, and the buffer is more than a third of what each of them takes.
//
//  1. the reader notes since when it waits, and reads into its buffer;
//  2. the sweeper finds that a second has passed, and ends that read by its deadline;
//  3. the reader gives its buffer back, and waits for one byte;
//  4. it takes a buffer for that and for what comes behind it.
//
// Invariant: the deadline is set by the sweeper only while a read of 1 is under way, and it is gone before the reader does
// anything else.
type rest struct {
	mu    sync.Mutex
	since int64 // second of the server's clock in which the wait began, plus one; 0: the reader does not wait, or keeps no buffer
	ended bool  // the sweeper has ended the read

	first [1]byte // the reader's own
}

// restAfter is how many seconds a reader waits with its buffer.
const restAfter = 1

// begin notes that the reader waits.
func (r *rest) begin(now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since = now + 1
}

// end is the end of its read; ended: that was the sweeper's doing, and the deadline is there.
func (r *rest) end() (ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended = r.ended
	r.since, r.ended = 0, false
	return ended
}

// restLong ends the read of a connection that has waited for long with its buffer.
func (c *Conn) restLong(now int64) {
	r := &c.idle
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since != 0 && !r.ended && now+1-r.since > restAfter {
		r.ended = c.nc.SetReadDeadline(time.Unix(1, 0)) == nil
	}
}

// read reads from the socket into the buffer.
func (c *Conn) read() (n int, err error) {
	if c.w > c.r {
		return c.nc.Read(c.buf.data[c.w:])
	}
	c.idle.begin(c.srv.second.Load())
	n, err = c.nc.Read(c.buf.data[c.w:])
	if !c.idle.end() {
		return n, err
	}
	_ = c.nc.SetReadDeadline(time.Time{}) // fails only on a closed connection, and then so does the read
	if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	c.buf.release()
	c.buf = nil
	n, err = c.nc.Read(c.idle.first[:])
	c.buf, c.r, c.w = newReadBuf(c.base), 0, 0
	copy(c.buf.data, c.idle.first[:n])
	return n, err
}

package iproto

import (
	"errors"
	"net"
	"sync"
	"time"

	"tarragon/xrow"

	"github.com/valyala/bytebufferpool"
)

// outputSoft is the size of unsent output above which a connection is not read
// any more.
const outputSoft = 1 << 20

// output is the write side of a connection, shared by all who answer.
type output struct {
	mu      sync.Mutex
	changed sync.Cond     // the reader waits here for room, credit or silence
	wake    chan struct{} // capacity 1: something waits for the writer
	done    chan struct{} // closed with the connection

	pending  *bytebufferpool.ByteBuffer // encoded frames that nobody writes yet; nil: none. Who writes it returns it
	writing  bool                       // somebody writes what was pending
	waitsFor func() bool                // what the reader waits for on changed; nil: it does not
	detached bool                       // the connection is a replication stream: nothing may be pushed
	inflight int                        // requests that the node has not answered
	dirty    bool                       // in the list of an Answers
	cause    error                      // why the connection is closed; nil: it is open

	armed time.Time // when the write deadline was set; the writing goroutine's own
}

func (o *output) init() {
	o.changed.L = &o.mu
	o.wake = make(chan struct{}, 1)
	o.done = make(chan struct{})
}

// runWriter is the writer: it sends what others than the reader have left.
func (c *Conn) runWriter() {
	for {
		select {
		case <-c.wake:
			c.drain(false)
		case <-c.done:
			return
		}
	}
}

// open sees to a buffer for the reader's own answers.
func (c *Conn) open() {
	if c.out == nil {
		c.out = bytebufferpool.Get()
	}
}

// emit hands the reader's own answers over and writes them, unless somebody is
// writing: then that one takes them along.
func (c *Conn) emit() {
	if c.out == nil {
		return
	}
	out := c.out
	c.out = nil
	if len(out.B) == 0 { // the answers of others are the writer's
		bytebufferpool.Put(out)
		return
	}
	c.mu.Lock()
	if c.pending == nil {
		c.pending, out = out, nil
	} else {
		c.append(out.B)
	}
	c.mu.Unlock()
	if out != nil {
		bytebufferpool.Put(out)
	}
	c.drain(true)
}

// append adds encoded frames; the caller holds the lock.
func (o *output) append(frames []byte) {
	b := o.room()
	b.B = append(b.B, frames...)
}

// room is the buffer for further frames; the caller holds the lock and appends
// at least one.
func (o *output) room() *bytebufferpool.ByteBuffer {
	if o.pending == nil {
		o.pending = bytebufferpool.Get()
	}
	return o.pending
}

// unsent is how many bytes nobody writes yet; the caller holds the lock.
func (o *output) unsent() int {
	if o.pending == nil {
		return 0
	}
	return len(o.pending.B)
}

// drain writes what is pending. Whoever comes second leaves at once: the first
// one takes what was added meanwhile. The reader writes once and leaves the
// rest to the writer: it has requests to read.
func (c *Conn) drain(reader bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		return
	}
	c.writing = true
	for c.pending != nil && c.cause == nil {
		b := c.pending
		c.pending = nil
		c.mu.Unlock()
		err := c.writeAll(b.B)
		bytebufferpool.Put(b)
		c.mu.Lock()
		if err != nil {
			c.closeLocked(err)
		}
		c.notifyLocked()
		if reader {
			break
		}
	}
	c.writing = false
	if c.pending != nil {
		c.Flush()
	}
	c.notifyLocked()
}

// armWrite bounds the next write. The deadline is set anew only when a quarter
// of it has passed, as doing so for each write costs more than it is worth.
func (c *Conn) armWrite() {
	limit := c.srv.cfg.SlowTimeout
	now := time.Now()
	if now.Sub(c.armed) > limit/4 {
		c.armed = now
		c.nc.SetWriteDeadline(now.Add(limit)) // fails only on a closed connection, and then so does the write
	}
}

// writeChunk is how much of the output must leave within Config.SlowTimeout.
const writeChunk = 256 << 10

// writeAll sends b. Only the goroutine that holds output.writing calls it.
func (c *Conn) writeAll(b []byte) error {
	for len(b) > 0 {
		c.armWrite()
		n, err := c.nc.Write(b[:min(len(b), writeChunk)])
		c.srv.meter.add(countSent, uint64(n))
		b = b[n:]
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				return ErrSlowClient
			}
			return err
		}
	}
	return nil
}

// Flush makes the writer send what Reply has left.
func (c *Conn) Flush() {
	select {
	case c.wake <- struct{}{}:
	default: // the writer is already called
	}
}

// reply appends the answer of a request in flight.
func (c *Conn) reply(sync, schemaVersion uint64, data []byte, err *xrow.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replyLocked(sync, schemaVersion, data, err)
}

func (c *Conn) replyLocked(sync, schemaVersion uint64, data []byte, err *xrow.Error) {
	c.inflight--
	c.notifyLocked()
	if c.cause != nil {
		return
	}
	if err != nil {
		c.srv.meter.add(countErrors, 1)
		b := c.room()
		b.B = xrow.AppendErrorReply(b.B, err, sync, schemaVersion)
	} else {
		b := c.room()
		b.B = AppendData(b.B, sync, schemaVersion, data)
	}
	c.limitLocked()
}

// answer is reply with an encoded frame.
func (c *Conn) answer(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inflight--
	c.notifyLocked()
	if c.cause == nil {
		c.append(frame)
		c.limitLocked()
	}
}

// push appends an EVENT. The caller sees to Flush.
func (c *Conn) push(sync uint64, key string, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil && !c.detached {
		b := c.room()
		b.B = AppendEvent(b.B, sync, key, value)
		c.limitLocked()
	}
}

// limitLocked closes the connection of a client that lets its answers pile up.
func (c *Conn) limitLocked() {
	if c.unsent() > c.srv.cfg.OutputLimit {
		c.closeLocked(ErrSlowClient)
	}
}

// close ends the connection; the first cause stays.
func (c *Conn) close(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(cause)
}

func (c *Conn) closeLocked(cause error) {
	if c.cause != nil {
		return
	}
	c.cause = cause
	c.pending = nil
	close(c.done)
	c.nc.Close() // what is lost with it is known: the answers of a dead connection
	c.notifyLocked()
}

func (c *Conn) closeCause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// notifyLocked wakes the reader if what it waits for has come.
func (c *Conn) notifyLocked() {
	if c.waitsFor != nil && (c.cause != nil || c.waitsFor()) {
		c.changed.Signal()
	}
}

// waitFor blocks the reader until ok, called under the lock, or the end of the
// connection.
func (c *Conn) waitFor(ok func() bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitsFor = ok
	for c.cause == nil && !ok() {
		c.changed.Wait()
	}
	c.waitsFor = nil
	return c.cause
}

// waitRoom waits until the output is small enough to read on.
func (c *Conn) waitRoom() error {
	c.mu.Lock()
	enough, cause := c.unsent() <= outputSoft, c.cause
	c.mu.Unlock()
	if enough || cause != nil {
		return cause
	}
	return c.waitFor(func() bool { return c.unsent() <= outputSoft })
}

// waitCredit waits until the node has answered enough, and returns how many
// requests may be handed to it. It lets a quarter of them come back first:
// otherwise each answer would wake the reader for one request.
func (c *Conn) waitCredit(limit int) (n int, err error) {
	c.mu.Lock()
	n, err = limit-c.inflight, c.cause
	c.mu.Unlock()
	if n > 0 || err != nil {
		return n, err
	}
	err = c.waitFor(func() bool {
		n = limit - c.inflight
		return n > limit/4
	})
	return n, err
}

// waitSilence waits until all that was answered is written and nobody writes.
func (c *Conn) waitSilence() error {
	c.Flush()
	return c.waitFor(func() bool { return !c.writing && c.pending == nil })
}

func (c *Conn) inFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inflight
}

func (c *Conn) addInFlight(n int) {
	c.mu.Lock()
	c.inflight += n
	c.mu.Unlock()
}

package iproto

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/xrow"

	"github.com/valyala/bytebufferpool"
)

// outputSoft is the size of unsent output above which a connection is not read
// any more.
const outputSoft = 1 << 20

// typicalAtFirst is what answers are taken to be like before there are any: so
// that no burst of large ones is asked for.
const typicalAtFirst = 256 << 10

// windowBytes is about how much the answers to requests in flight may come to.
const windowBytes = 16 << 20

// output is the write side of a connection, shared by all who answer.
type output struct {
	mu      sync.Mutex
	changed sync.Cond     // the reader waits here for room, credit or silence
	called  atomic.Bool   // it is in the queue of the senders
	done    chan struct{} // closed with the connection

	// What nobody writes yet: queue, and behind it pending. Who takes a piece out
	// writes and releases it.
	queue    []piece
	queueBuf [2]piece                   // where queue begins: mostly it has one piece for a moment
	queued   int                        // bytes in queue
	pending  *bytebufferpool.ByteBuffer // whole frames; nil: none
	charged  int                        // bytes of pending that the budget knows of
	writing  bool                       // somebody writes what was taken out
	waitsFor func() bool                // what the reader waits for on changed; nil: it does not
	detached bool                       // the connection is a replication stream: nothing may be pushed
	wasCut   bool                       // it ends with its stream: see Server.Cut
	parting  bool                       // it is closed once all that was answered is written
	inflight int                        // requests that the node has not answered, and those in streams
	carrying int                        // bytes of those that a relay has, or is about to get
	typical  int                        // size of its answers, the large ones remembered for long
	dirty    bool                       // in the list of an Answers
	cause    error                      // why the connection is closed; nil: it is open

	finishing sync.Mutex // one linearizable read at a time makes its answer
	roomy     sync.Cond  // it waits here for room

	// The writing goroutine's own.
	armed time.Time // when the write deadline was set
	eager eager
}

func (o *output) init() {
	o.changed.L, o.roomy.L = &o.mu, &o.mu
	o.typical = typicalAtFirst
	o.done = make(chan struct{})
}

// open sees to a buffer for the reader's own answers.
func (c *Conn) open() {
	if c.out == nil {
		c.out = bytebufferpool.Get()
	}
}

// emit answers the reads that wait, hands the reader's own answers over and writes
// them, unless somebody is writing: then that one takes them along.
func (c *Conn) emit() {
	c.answerLookups()
	c.emitOwn()
}

// emitOwn is emit for who answers the reads.
func (c *Conn) emitOwn() {
	if c.out == nil {
		return
	}
	out := c.out
	c.out = nil
	if len(out.B) == 0 { // the answers of others are the senders'
		bytebufferpool.Put(out)
		return
	}
	c.mu.Lock()
	switch {
	case c.cause != nil:
	case c.pending == nil:
		c.pending, out = out, nil
	default:
		c.append(out.B)
	}
	c.chargeLocked()
	c.mu.Unlock()
	if out != nil {
		bytebufferpool.Put(out)
	}
	c.writeOne()
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
		return o.queued
	}
	return o.queued + len(o.pending.B)
}

// chargeLocked tells the budget what was added to pending.
func (c *Conn) chargeLocked() {
	if c.pending != nil && len(c.pending.B) != c.charged {
		c.srv.budget.add(len(c.pending.B) - c.charged)
		c.charged = len(c.pending.B)
	}
}

// enqueue puts the chunks of a frame behind what is there.
func (c *Conn) enqueue(chunks []piece) {
	if c.cause != nil {
		for _, p := range chunks {
			p.release(&c.srv.budget)
		}
		return
	}
	c.sealLocked()
	for _, p := range chunks {
		c.queue = append(c.queue, p)
		c.queued += len(p.buf.B)
	}
}

// sealLocked ends pending: what comes behind it starts a new buffer.
func (c *Conn) sealLocked() {
	if c.pending == nil {
		return
	}
	c.chargeLocked()
	c.queued += len(c.pending.B)
	c.queue = append(c.queue, piece{buf: c.pending})
	c.pending, c.charged = nil, 0
}

// nextLocked takes the oldest piece out.
func (c *Conn) nextLocked() (p piece, ok bool) {
	if len(c.queue) == 0 {
		c.sealLocked()
	}
	if len(c.queue) == 0 {
		return p, false
	}
	p = c.queue[0]
	c.queue[0] = piece{}
	c.queue = c.queue[1:]
	if len(c.queue) == 0 {
		c.queue = c.queueBuf[:0]
	}
	c.queued -= len(p.buf.B)
	return p, true
}

// writeOne is for the reader: it writes the oldest piece, waits for the socket, and
// leaves the rest to the senders, as it has requests to read. Whoever comes second
// leaves at once: the first one takes what was added meanwhile.
func (c *Conn) writeOne() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing || c.cause != nil {
		return
	}
	c.writing = true
	if p, ok := c.nextLocked(); ok {
		c.finishLocked(p, 0)
	}
	c.writtenLocked()
}

// send writes all that is there, and does not wait for the socket: where it is full,
// a goroutine goes on.
func (c *Conn) send() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		return
	}
	c.writing = true
	for c.cause == nil {
		p, ok := c.nextLocked()
		if !ok {
			break
		}
		c.mu.Unlock()
		n, err := c.writeSome(p.buf.B)
		c.mu.Lock()
		if err == nil && n < len(p.buf.B) && c.srv.senders.wait(func() { c.sendOn(p, n) }) {
			return // writing goes on there
		}
		p.release(&c.srv.budget)
		if err != nil {
			c.closeLocked(err)
		}
		c.notifyLocked()
	}
	c.writtenLocked()
}

// sendOn writes the rest of a piece, and what comes behind it.
func (c *Conn) sendOn(p piece, from int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ok := true; ok; p, ok = c.nextLocked() {
		c.finishLocked(p, from)
		from = 0
	}
	c.writtenLocked()
}

// finishLocked writes the rest of a piece; the caller holds output.writing.
func (c *Conn) finishLocked(p piece, from int) {
	c.mu.Unlock()
	err := c.writeAll(p.buf.B[from:])
	p.release(&c.srv.budget)
	c.mu.Lock()
	if err != nil {
		c.closeLocked(err)
	}
	c.notifyLocked()
}

// writtenLocked ends the turn of whoever writes.
func (c *Conn) writtenLocked() {
	c.writing = false
	switch {
	case c.unsent() > 0:
		c.Flush()
	case c.parting:
		c.closeLocked(ErrServerClosed)
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

// writeSome sends what of b the socket takes at once. As writeAll, it is for the
// goroutine that holds output.writing.
func (c *Conn) writeSome(b []byte) (n int, err error) {
	c.armWrite()
	n, err = c.eager.take(b[:min(len(b), writeChunk)])
	c.srv.meter.add(countSent, uint64(n))
	return n, slowClient(err)
}

// writeAll sends b, and waits for the socket.
func (c *Conn) writeAll(b []byte) error {
	for len(b) > 0 {
		c.armWrite()
		n, err := c.nc.Write(b[:min(len(b), writeChunk)])
		c.srv.meter.add(countSent, uint64(n))
		b = b[n:]
		if err != nil {
			return slowClient(err)
		}
	}
	return nil
}

// slowClient names the error of a write whose time is over.
func slowClient(err error) error {
	if err == nil {
		return nil // before ne, which is on the heap
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return ErrSlowClient
	}
	return err
}

// Flush has sent what Reply has left.
func (c *Conn) Flush() {
	if c.called.CompareAndSwap(false, true) {
		c.srv.senders.call(c)
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
		c.refused(err)
		b := c.room()
		b.B = xrow.AppendErrorReply(b.B, err, sync, schemaVersion)
	} else {
		c.dataLocked(sync, schemaVersion, data)
	}
	c.typical = max(len(data), c.typical-c.typical/16)
	c.limitLocked()
}

// dataLocked appends an answer with DATA; a large one goes out in chunks, so that
// its memory comes back as the client reads.
func (c *Conn) dataLocked(sync, schemaVersion uint64, data []byte) {
	if len(data) <= chunkSize {
		b := c.room()
		b.B = AppendData(b.B, sync, schemaVersion, data)
		return
	}
	head, rest := appendDataHead(nil, sync, schemaVersion, data)
	var chunks []piece
	for _, b := range [][]byte{head, rest} {
		for len(b) > 0 {
			if n := len(chunks); n == 0 || chunks[n-1].room() == 0 {
				chunks = append(chunks, newChunk(&c.srv.budget))
			}
			b = chunks[len(chunks)-1].fill(b)
		}
	}
	c.enqueue(chunks)
}

// answer is reply with an encoded frame, or with the chunks of one.
func (c *Conn) answer(frame []byte, chunks []piece) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answerLocked(frame, chunks)
}

func (c *Conn) answerLocked(frame []byte, chunks []piece) {
	c.inflight--
	c.enqueue(chunks)
	if c.cause == nil && len(frame) > 0 {
		c.append(frame)
	}
	c.notifyLocked()
	c.chargeLocked()
}

// waitRoomy waits until the output is small enough for another answer. Others
// than the reader call it.
func (c *Conn) waitRoomy() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.cause == nil && c.unsent() > outputSoft {
		c.roomy.Wait()
	}
	return c.cause
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

// limitLocked closes the connection of a client that lets its answers pile up
// while there is no room for those of others. One that reads, however slowly, is
// not closed for the size of its answers: it is not read while they wait.
func (c *Conn) limitLocked() {
	c.chargeLocked()
	if c.srv.budget.over() && c.unsent() > outputSoft {
		c.closeLocked(ErrSlowClient)
	}
}

// close ends the connection; the first cause stays.
func (c *Conn) close(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(cause)
}

// part closes the connection as soon as what has been answered is written, and behind
// grace in any case.
func (c *Conn) part(grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.writing && c.unsent() == 0 {
		c.closeLocked(ErrServerClosed)
		return
	}
	c.parting = true
	time.AfterFunc(grace, func() { c.close(ErrServerClosed) })
	c.Flush()
}

func (c *Conn) closeLocked(cause error) {
	if cause == ErrServerClosed {
		c.streams.dropLocked()
		c.notifyLocked() // its client may have gone before, and its streams go on
	}
	if c.cause != nil {
		return
	}
	c.cause = cause
	for p, ok := c.nextLocked(); ok; p, ok = c.nextLocked() {
		p.release(&c.srv.budget)
	}
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
	if c.cause != nil || c.unsent() <= outputSoft {
		c.roomy.Broadcast()
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
func (c *Conn) waitCredit() (n int, err error) {
	limit := c.window()
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
	return c.waitFor(func() bool { return !c.writing && c.unsent() == 0 })
}

// window is how many requests may wait for the node: fewer where answers are
// large, since they are made without asking whether there is room.
func (c *Conn) window() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.windowLocked()
}

func (c *Conn) windowLocked() int {
	return min(c.srv.maxInFlight(), max(1, windowBytes/max(c.typical, 1)))
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

package iproto

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/xrow"

	"github.com/valyala/bytebufferpool"
)

// Conn is a connection of a client.
type Conn struct {
	id       uint64
	srv      *Server
	nc       net.Conn
	tls      *secured // nc, where it is one with TLS; nil: it has none
	peer     string
	user     atomic.Uint64 // effective User; written by the reader, and by Su
	loggedIn atomic.Uint64 // the User that logged in; 0: nobody, or guest
	acts     atomic.Bool   // it is a router's, for clients of that user: it stays his

	control bool  // it came by a control socket
	place   place // the gate's
	patience
	idle     rest
	settings settings

	// The reader's own.
	salt     [saltUsed]byte
	features Features // what the client announced last
	maxFrame int
	buf      *readBuf
	r, w     int // buf.data[r:w] was read and not yet cut
	base     int // size of the next buffer, following what the client sends
	quiet    int // reads in a row that would have fitted a smaller one
	request      // the one that is handled
	sel      Select
	gather   gather
	lookups  *lookups                   // that wait for their answers; nil: none does
	given    *lookups                   // the ones before, which another goroutine looks up; nil: none
	batch    *Batch                     // writes of the current buffer; nil: none
	credit   int                        // how many more of them may wait for the node
	pause    time.Duration              // for which the answer to a login is held back
	fresh    bool                       // the buffer has brought requests of streams that nobody has begun
	carrier  Carrier                    // of its requests, where the server has a relay; nil: there was none yet
	carried  []Carried                  // requests of the current buffer, for the carrier
	out      *bytebufferpool.ByteBuffer // answers made by the reader since the last emit, which hands it on; nil: none

	streams streams

	// Guarded by the Hub's lock.
	watchers  map[string]*watcher
	watchCost int

	output
}

// newConn prepares a connection; serve runs it.
func newConn(s *Server, nc net.Conn) *Conn {
	c := &Conn{srv: s, nc: nc, peer: nc.RemoteAddr().String(), base: smallestBuf, maxFrame: MaxFrameBeforeAuth}
	c.active.Store(s.second.Load())
	c.output.init()
	c.eager.init(nc)
	c.gather = gather{srv: s, conn: c}
	return c
}

// ID names the connection in Batch, Answers and calls. Numbers are not reused.
func (c *Conn) ID() uint64 { return c.id }

// Control tells whether it came by a control socket.
func (c *Conn) Control() bool { return c.control }

// RemoteAddr is the address of the client, as text.
func (c *Conn) RemoteAddr() string { return c.peer }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// User is the user that the session runs as.
func (c *Conn) User() User { return User(c.user.Load()) }

// serve is the reader: it returns when the connection is over, with the cause.
func (c *Conn) serve() error {
	if err := c.handshake(); err != nil {
		return err
	}
	var salt [saltSize]byte
	if err := c.srv.salt(salt[:]); err != nil {
		return err
	}
	copy(c.salt[:], salt[:])
	c.open()
	c.out.B = AppendGreeting(c.out.B, c.srv.cfg.Version, c.srv.cfg.InstanceUUID, &salt)
	c.buf = newReadBuf(c.base)
	defer func() { c.buf.release() }()
	c.emit()
	for {
		if err := c.fill(); err != nil {
			return err
		}
		err := c.consume()
		c.submit()
		c.emit()
		if err != nil {
			_ = c.waitSilence() // its error would be why the connection is closed: we have that
			if errors.Is(err, ErrFrame) {
				c.linger()
			}
			return err
		}
	}
}

// consume cuts and handles every whole frame in the buffer.
func (c *Conn) consume() error {
	for {
		head, size, err := frameHead(c.buf.data[c.r:c.w], c.maxFrame)
		if err != nil {
			if errors.Is(err, ErrFrame) && c.trusts() {
				continue
			}
			return c.refuse(err)
		}
		if head == 0 || c.w-c.r < head+size {
			return nil
		}
		frame := c.buf.data[c.r+head : c.r+head+size]
		c.r += head + size
		if err := c.handle(frame); err != nil {
			return err
		}
		if err := c.drain(); err != nil {
			return err
		}
	}
}

// drain lets answers that are many go out before there are more.
func (c *Conn) drain() error {
	if c.out == nil || len(c.out.B) <= outputSoft {
		return nil
	}
	c.emitOwn()
	defer c.open()
	return c.waitRoom()
}

// refuse answers bytes that cannot be cut into frames; the connection is over.
func (c *Conn) refuse(err error) error {
	c.answerLookups()
	var fe *frameError
	if errors.As(err, &fe) {
		c.open()
		c.out.B = xrow.AppendErrorReply(c.out.B, errMsgpack(fe.details), 0, c.srv.logins.SchemaVersion())
		c.bad(err)
	}
	return err
}

// bad reports foreign bytes that were no request.
func (c *Conn) bad(err error) {
	if f := c.srv.cfg.Trace.BadBytes; f != nil {
		f(c, err)
	}
}

// fill waits for bytes from the client, and before that for room in the output.
func (c *Conn) fill() error {
	if err := c.waitRoom(); err != nil {
		return err
	}
	c.makeRoom()
	free := len(c.buf.data) - c.w
	c.waits(c.srv.second.Load(), c.w > c.r)
	n, err := c.read()
	c.w += n
	if n > 0 {
		c.came(c.srv.second.Load())
		c.srv.meter.add(countReceived, uint64(n))
		c.adapt(n, free)
		return nil
	}
	if cause := c.closeCause(); cause != nil {
		return cause
	}
	if err == nil {
		return io.ErrNoProgress
	}
	if err == io.EOF && c.w > c.r {
		return fmt.Errorf("inside a frame: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// makeRoom sees to free bytes behind c.w. A frame that was announced but has
// not arrived makes the buffer at most twice what is there: an announcement
// alone costs no memory.
func (c *Conn) makeRoom() {
	have := c.w - c.r
	_, size, _ := frameHead(c.buf.data[c.r:c.w], c.maxFrame) // a fault was reported by consume
	need := max(c.base, min(size+2*xrow.FrameHead, 2*have), have+minRead)
	whole := len(c.buf.data)
	switch {
	case c.buf.shared():
		if whole-c.w >= minRead && whole-c.r >= need {
			return // behind the bytes that a batch still points into there is room
		}
	case whole >= need && (whole <= largestBuf || have > whole/4):
		copy(c.buf.data, c.buf.data[c.r:c.w])
		c.r, c.w = 0, have
		return
	}
	next := newReadBuf(need)
	copy(next.data, c.buf.data[c.r:c.w])
	c.buf.release()
	c.buf, c.r, c.w = next, 0, have
}

// adapt lets the buffer follow the client: up at once, down after a while.
func (c *Conn) adapt(n, free int) {
	switch {
	case n == free && c.base < largestBase:
		c.base *= 4
		c.quiet = 0
	case c.base > smallestBuf && n < c.base/8:
		if c.quiet++; c.quiet == 64 {
			c.base /= 4
			c.quiet = 0
		}
	default:
		c.quiet = 0
	}
}

// addWrite puts a write into the batch of this buffer.
func (c *Conn) addWrite(d *xrow.DML) error {
	if c.credit == 0 {
		if err := c.takeCredit(); err != nil {
			return err
		}
	}
	if c.batch == nil {
		c.batch = newBatch(c.id, c.buf)
	}
	c.credit--
	c.batch.Writes = append(c.batch.Writes, Write{Sync: c.head.sync, User: c.User(), DML: *d, Number: c.head.number})
	return nil
}

// takeCredit finds out how many more writes may wait for the node. At the limit
// the batch goes out and the reader waits.
func (c *Conn) takeCredit() error {
	c.credit = c.window() - c.inFlight()
	if c.batch != nil {
		c.credit -= len(c.batch.Writes)
	}
	if c.credit > 0 {
		return nil
	}
	c.submit()
	c.emit()
	n, err := c.waitCredit()
	c.credit = n
	return err
}

// submit hands the batch to the node, once the reads that came with it are answered, and
// begins what is in streams.
func (c *Conn) submit() {
	c.answerLookups()
	if c.fresh {
		c.fresh = false
		c.beginStreams()
	}
	if len(c.carried) > 0 {
		c.submitCarried()
	}
	if c.batch == nil {
		return
	}
	b := c.batch
	c.batch, c.credit = nil, 0
	c.addInFlight(len(b.Writes))
	c.srv.backend.Submit(b)
}

// reserve counts one request that the node answers later and that is no write.
func (c *Conn) reserve() error {
	c.submit()
	if c.inFlight() >= c.window() {
		c.emit()
		if _, err := c.waitCredit(); err != nil {
			return err
		}
	}
	c.addInFlight(1)
	return nil
}

// Reply answers a request that was handed to the backend: data is the raw
// array for DATA, nil: an empty body. It may be called from any goroutine, and
// Flush must follow.
func (c *Conn) Reply(sync uint64, data []byte, err *xrow.Error) {
	c.reply(sync, c.srv.logins.SchemaVersion(), data, err)
}

// ReplyCall is Reply to what Backend.Call was given, and has it sent.
func (c *Conn) ReplyCall(q *Call, data []byte, err *xrow.Error) {
	if q.Stream != 0 {
		c.ReplyStream(q.Stream, data, err)
	} else {
		c.Reply(q.Sync, data, err)
	}
	c.Flush()
}

// PushCall sends a raw value that belongs to what Backend.Call was given, before its
// answer. It waits until the client has read enough of what was sent before, and must not
// be called by the reader; an error: the connection has ended.
func (c *Conn) PushCall(q *Call, v []byte) error {
	if err := c.waitRoomy(); err != nil {
		return err
	}
	version := c.srv.logins.SchemaVersion()
	c.mu.Lock()
	if c.cause == nil {
		b := c.room()
		b.B = appendChunk(b.B, q.Sync, version, v)
		c.chargeLocked()
	}
	err := c.cause
	c.mu.Unlock()
	c.Flush()
	return err
}

// LargeAnswer waits for the turn to make an answer that is large, and for room for
// it. done ends the turn, behind the Reply. For who has called Backend.Call with q
// alone, within that.
func (c *Conn) LargeAnswer(q *Call) (done func(), err error) {
	if q.Stream == 0 { // it is the reader, who has answers in hand
		c.emit()
		defer c.open()
	}
	return c.LargeAnswerLater()
}

// LargeAnswerLater is LargeAnswer on a goroutine of the caller's own, behind Backend.Call.
func (c *Conn) LargeAnswerLater() (done func(), err error) {
	b := &c.srv.budget
	if err := b.takeWith(b.forLarge()-b.maxAnswer(), c.done); err != nil {
		return nil, err
	}
	return b.give, nil
}

// FinishSelect runs a read that Backend.Linear was given, on this goroutine,
// and answers it. Those of one connection go one after the other, each when the
// client has read enough of what was answered before.
func (c *Conn) FinishSelect(q *Select) {
	c.finishing.Lock()
	defer c.finishing.Unlock()
	c.answer(c.makeAnswer(q))
	c.Flush()
}

// makeAnswer runs a read for others than the reader, when the client has read enough:
// the answer is a frame or the chunks of one; nothing: there is nobody to answer.
func (c *Conn) makeAnswer(q *Select) (frame []byte, chunks []piece) {
	if c.waitRoomy() != nil {
		return nil, nil
	}
	g := gather{srv: c.srv, conn: c}
	if err := c.srv.budget.wait(c.srv.budget.limit, c.done); err != nil {
		return g.fail(nil, q.Sync, err), nil
	}
	frame, ok := g.small(nil, q)
	if !ok {
		chunks, frame = g.inChunks(q)
	}
	return frame, chunks
}

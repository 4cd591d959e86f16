package iproto

import (
	"sync"

	"tarragon.dev/tarragon/xrow"
)

// streamBytes is how many bytes of requests the streams of a connection may hold: the
// connection is not read on beyond it. One request may be larger.
const streamBytes = 16 << 20

// streams are those of a connection that have requests under way. The requests of
// one are carried out one after the other, in the order in which they came; those
// of different ones, and those that are in none, side by side. A stream is there
// only while it has a request: what a transaction keeps meanwhile is the backend's.
//
// All is guarded by the lock of the output.
//
// # Invariants
//
//  1. A request begins when the answer to the one before it is in the output.
//  2. What is here counts as in flight, from when it was read. So there are never
//     more of them than may wait for the node.
//  3. A request's bytes are its own until it is answered: nothing of it is in the read
//     buffer any more, and behind the answer nobody looks at it.
//  4. While one is here the connection stays in the server's table, until the
//     server itself ends it.
type streams struct {
	at        map[uint64]*waiting // the first request of each stream: it is under way, or ready to be; nil: there was never one
	queued    int                 // requests behind one that has begun
	bytes     int                 // of all requests
	ready     []*waiting          // first ones that have not begun
	turn      []*waiting          // room for the next ready
	beginning bool                // somebody begins those
	slow      slow
	dropped   bool // the server ends: nothing begins any more, and what has begun is not waited for
}

// waiting is a request of a stream.
type waiting struct {
	head     header
	body     []byte   // all behind the header; not looked at yet
	features Features // of the client, when it sent this
	sel      Select   // what it asks for, if it is a SELECT, once it has begun
	next     *waiting // of its stream
	last     *waiting // of its stream, where this is the first one
}

// waitingPool has requests of streams that are answered, for the next ones.
var waitingPool = sync.Pool{New: func() any { return new(waiting) }}

// keptBody is the largest body whose memory is kept for others.
const keptBody = 4 << 10

func newWaiting(head header, body []byte, features Features) *waiting {
	w := waitingPool.Get().(*waiting)
	w.head, w.body, w.features = head, append(w.body[:0], body...), features
	return w
}

// free is the end of a request. Nobody looks at it any more.
func (w *waiting) free() {
	body := w.body[:0]
	if cap(body) > keptBody {
		body = nil
	}
	*w = waiting{body: body}
	waitingPool.Put(w)
}

// handleStream takes a request of a stream out of the read buffer, once one more of that size
// may be held.
func (c *Conn) handleStream(body []byte) error {
	if c.batch != nil { // counts as in flight only then
		c.submit()
	}
	w := newWaiting(c.head, body, c.features)
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit := c.windowLocked(); c.inflight >= limit || !c.streams.fits(len(body)) {
		c.mu.Unlock()
		err := c.waitStreams(limit, len(body))
		c.mu.Lock()
		if err != nil {
			return err
		}
	}
	if c.streams.dropped {
		return c.cause
	}
	c.inflight++
	if c.streams.put(w) {
		c.srv.meter.add(countStreams, 1)
	} else {
		c.srv.meter.add(countQueued, 1)
	}
	c.fresh = true
	return nil
}

// waitStreams waits, with nothing in hand, until a quarter of what may be in flight is free,
// and room for a request.
func (c *Conn) waitStreams(limit, size int) error {
	c.submit()
	c.emit()
	return c.waitFor(func() bool { return limit-c.inflight > limit/4 && c.streams.fits(size) })
}

func (s *streams) fits(size int) bool { return s.bytes == 0 || s.bytes+size <= streamBytes }

// put adds a request to its stream; fresh: it is the only one.
func (s *streams) put(w *waiting) (fresh bool) {
	s.bytes += len(w.body)
	if first := s.at[w.head.stream]; first != nil {
		first.last.next, first.last = w, w
		s.queued++
		return false
	}
	if s.at == nil {
		s.at = make(map[uint64]*waiting)
	}
	s.begins(w, w)
	return true
}

// begins makes a request the first one of its stream.
func (s *streams) begins(w, last *waiting) {
	w.last = last
	s.at[w.head.stream] = w
	s.ready = append(s.ready, w)
}

// beginStreams begins what is ready, for the reader.
func (c *Conn) beginStreams() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.streams.beginning {
		c.streams.beginning = true
		c.beginLocked()
	}
}

// beginMore is beginStreams on a goroutine of its own: whoever has answered a request
// must not be held up by the next one.
func (c *Conn) beginMore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beginLocked()
}

// keptTurn is how many requests that begin together a connection keeps room for.
const keptTurn = 256

// beginLocked begins what is ready, and what becomes so meanwhile; the caller has set
// streams.beginning.
func (c *Conn) beginLocked() {
	s := &c.streams
	for len(s.ready) > 0 {
		turn := s.ready
		s.ready, s.turn = s.turn, nil
		c.mu.Unlock()
		c.beginAll(turn)
		clear(turn)
		c.mu.Lock()
		if cap(turn) <= keptTurn {
			s.turn = turn[:0]
		}
	}
	s.beginning = false
	c.notifyLocked()
}

// answeredLocked ends the first request of a stream, whose answer is in the output.
func (c *Conn) answeredLocked(first *waiting) {
	s := &c.streams
	if s.dropped {
		return
	}
	s.bytes -= len(first.body)
	next, last := first.next, first.last
	if next == nil {
		delete(s.at, first.head.stream)
		first.free()
		c.notifyLocked()
		return
	}
	first.free()
	s.queued--
	s.begins(next, last)
	if !s.beginning {
		s.beginning = true
		c.srv.wg.Go(c.beginMore) // endStreams waits for it
	}
}

// replyStreamLocked answers the request of a stream that is under way.
func (c *Conn) replyStreamLocked(stream, schemaVersion uint64, data []byte, err *xrow.Error) {
	first := c.streams.at[stream]
	c.replyLocked(first.head.sync, schemaVersion, data, err)
	c.answeredLocked(first)
}

// ReplyStream answers the request of a stream that is under way: data is the raw
// array for DATA, nil: an empty body. It may be called from any goroutine, and
// Flush must follow.
func (c *Conn) ReplyStream(stream uint64, data []byte, err *xrow.Error) {
	version := c.srv.logins.SchemaVersion()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replyStreamLocked(stream, version, data, err)
}

// dropLocked forgets what has not begun: the server ends the connection, and does not
// wait for the node.
func (s *streams) dropLocked() {
	s.dropped = true
	s.ready, s.turn, s.slow.waiting = nil, nil, nil
}

// endStreams is the end of the streams of a connection that is closed: what was read
// is carried out, though nobody is told, and then the backend hears of it. It is
// called for every connection, behind the last request.
func (c *Conn) endStreams() {
	s := &c.streams
	over := func() bool {
		return !s.beginning && s.slow.running == 0 && (s.dropped || len(s.at) == 0)
	}
	c.mu.Lock()
	c.waitsFor = over
	for !over() {
		c.changed.Wait()
	}
	c.waitsFor = nil
	used := s.at != nil
	c.mu.Unlock()
	if used {
		c.srv.backend.StreamsGone(c.id)
	}
}

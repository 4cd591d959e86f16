package iproto

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"tarragon.dev/tarragon/xrow"
)

// Lookup is a SELECT of the tuples that equal a key, with nothing else asked for:
// one of several that [Backend.Lookups] answers together.
type Lookup struct {
	Sync         uint64
	User         User
	Space, Index uint32
	Limit        uint32
	Key          []byte // raw array; it points into the read buffer

	// Filled in: Done tells that N tuples, back to back in Tuples, are the answer.
	Done   bool
	N      uint32
	Tuples []byte
}

const (
	// lookupsMost is how many lookups wait at most before they are answered.
	lookupsMost = 128
	// lookupsAtOnce is how many of them are looked up together: some tens of
	// microseconds, so that nobody waits long for the node's latch.
	lookupsAtOnce = 64
	// lookupRoom is how many bytes of tuples these may have; an answer for which there
	// is no room is made by itself.
	lookupRoom = 64 << 10
)

// lookups are those of one connection that wait for their answers.
//
// Invariant: while there are some nothing that came behind them is answered,
// handed to the node or written, but for further ones.
type lookups struct {
	n     int
	all   [lookupsMost]Lookup
	rooms [lookupsMost / lookupsAtOnce][lookupRoom]byte
	began int            // where the first one ends in the read buffer
	given sync.WaitGroup // somebody else looks them up
}

var lookupsPool = sync.Pool{New: func() any { return new(lookups) }}

// isLookup tells whether a SELECT that passed prepare asks for what equals a key and for
// nothing else.
func (q *body) isLookup() bool {
	return q.iterator == iteratorEQ && q.key[0] != 0x90 && q.offset == 0 && q.isolation == 0 &&
		!q.fetchPosition && q.afterPos == nil && q.afterTuple == nil
}

// addLookup lets the request wait for others of its kind.
func (c *Conn) addLookup() {
	if c.lookups == nil {
		c.lookups = lookupsPool.Get().(*lookups)
		c.lookups.began = c.r
	}
	l, q := c.lookups, &c.body
	l.all[l.n] = Lookup{Sync: c.head.sync, User: c.User(), Space: q.space, Index: q.index, Limit: q.limit, Key: q.key}
	l.n++
	if l.n == lookupsMost && !c.giveLookups() {
		c.answerLookups()
	}
}

// giveLookups has those that wait looked up by another goroutine, so that there are two
// processors for a buffer that has as much to come; false: it has not, or they are busy.
func (c *Conn) giveLookups() bool {
	l := c.lookups
	if c.given != nil || c.w-c.r < c.r-l.began || !c.srv.helpers.enter() {
		return false
	}
	c.given, c.lookups = l, nil
	l.given.Add(1)
	c.srv.wg.Go(func() {
		defer l.given.Done()
		defer c.srv.helpers.leave()
		l.lookUp(c.srv.backend)
	})
	return true
}

// answerLookups answers all that wait. If the connection ends meanwhile the reader
// sees that when it reads on.
func (c *Conn) answerLookups() {
	first, l := c.given, c.lookups
	if first == nil && l == nil {
		return
	}
	c.given, c.lookups = nil, nil
	c.open()
	err := c.waitBudget()
	if l != nil && l.n > 1 && err == nil {
		l.lookUp(c.srv.backend)
	}
	if first != nil {
		first.given.Wait()
		c.answerAll(first, err)
	}
	if l != nil {
		c.answerAll(l, err)
	}
}

// lookUp asks the node for all.
func (l *lookups) lookUp(b Backend) {
	for i, from := 0, 0; from < l.n; i, from = i+1, from+lookupsAtOnce {
		b.Lookups(l.all[from:min(from+lookupsAtOnce, l.n)], l.rooms[i][:])
	}
}

// answerAll appends the answers in order, or the error that there was for all.
func (c *Conn) answerAll(l *lookups, failed error) {
	version := c.srv.logins.SchemaVersion()
	var err error
	for i := 0; i < l.n && err == nil; i++ {
		q := &l.all[i]
		switch {
		case failed != nil:
			c.out.B = c.gather.fail(c.out.B, q.Sync, failed)
		case q.Done:
			c.out.B = q.append(c.out.B, version)
		default:
			c.sel = q.alone(c.settings.all())
			err = c.answerSelect(&c.sel)
		}
	}
	clear(l.all[:l.n])
	l.n = 0
	lookupsPool.Put(l)
}

// helpers bounds how many goroutines look up beside the readers of connections: one
// for each two processors, so that they are not in front of the Loop.
type helpers struct {
	limit int32
	now   atomic.Int32
}

func (h *helpers) enter() bool {
	if h.now.Add(1) <= h.limit {
		return true
	}
	h.leave()
	return false
}

func (h *helpers) leave() { h.now.Add(-1) }

// append encodes the answer.
func (q *Lookup) append(dst []byte, schemaVersion uint64) []byte {
	at := len(dst)
	dst = appendDataKey(xrow.AppendReplyHead(dst, xrow.OK, q.Sync, schemaVersion), q.N)
	binary.BigEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-xrow.FrameHead+len(q.Tuples)))
	return append(dst, q.Tuples...)
}

// alone is the lookup as a request of its own.
func (q *Lookup) alone(settings map[string][]byte) Select {
	return Select{Sync: q.Sync, User: q.User, Space: q.Space, Index: q.Index, Limit: q.Limit, Key: q.Key, Settings: settings}
}

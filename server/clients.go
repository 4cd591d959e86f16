package server

import (
	"errors"
	"sync"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// internal marks connection numbers in replies that are not of a client's
// connection but of a call of ours.
const internal = 1 << 63

// errUnanswered is the cause of the answer to a question that the core took, and did not
// answer before its run ended.
var errUnanswered = errors.New("the run of the node has ended before it answered")

// calls are questions of ours to the replica set's core whose answer comes as a Reply.
type calls struct {
	mu   sync.Mutex
	next uint64
	open map[uint64]func(instance.Reply)
	run  uint64 // how many runs of the core have ended
}

// present names the run of the core that is asked now.
func (c *calls) present() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run
}

// addIn is add for a question to the core of a run; false: that has ended.
func (c *calls) addIn(run uint64, f func(instance.Reply)) (conn uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if run != c.run {
		return 0, false
	}
	return c.addLocked(f), true
}

// add notes what to do with the answer, and names the question. f runs on the
// Loop's goroutine: it must not block.
func (c *calls) add(f func(instance.Reply)) (conn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addLocked(f)
}

func (c *calls) addLocked(f func(instance.Reply)) (conn uint64) {
	if c.open == nil {
		c.open = make(map[uint64]func(instance.Reply))
	}
	c.next++
	c.open[c.next|internal] = f
	return c.next | internal
}

func (c *calls) answer(r instance.Reply) {
	c.mu.Lock()
	f := c.open[r.Conn]
	delete(c.open, r.Conn)
	c.mu.Unlock()
	if f != nil {
		f(r)
	}
}

// drop forgets a question whose answer nobody waits for; false: it is answered, or is being
// answered.
func (c *calls) drop(conn uint64) (waited bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, waited = c.open[conn]
	delete(c.open, conn)
	return waited
}

// end answers what nobody will answer any more: the Loop that was asked has ended.
func (c *calls) end() {
	c.mu.Lock()
	open := c.open
	c.open = nil
	c.run++
	c.mu.Unlock()
	for conn, f := range open { // each is somebody else's
		f(instance.Reply{Conn: conn, Err: unanswered()})
	}
}

func unanswered() *xrow.Error {
	e := xrow.Errorf(xrow.ErrShutdown)
	e.Err = errUnanswered
	return e
}

// clients carries answers of the core to connections.
type clients struct {
	answers *iproto.Answers // of the Loop's goroutine
	calls   *calls
}

// Reply is called on the Loop's goroutine.
func (c *clients) Reply(replies []instance.Reply) {
	for i := range replies {
		r := &replies[i]
		switch {
		case r.Conn&internal != 0:
			c.calls.answer(*r)
		case r.Long != nil:
			c.answers.FinishStream(r.Long.(*iproto.Select))
		case r.Conn&inStream != 0:
			c.answers.ReplyStream(r.Conn&^inStream, r.Sync, r.Data, r.Err)
		default:
			c.answers.Reply(r.Conn, r.Sync, r.Data, r.Err)
		}
	}
	c.answers.Flush()
}

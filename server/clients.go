package server

import (
	"sync"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
)

// internal marks connection numbers in replies that are not of a client's
// connection but of a call of ours.
const internal = 1 << 63

// calls are questions of ours to the core whose answer comes as a Reply.
type calls struct {
	mu   sync.Mutex
	next uint64
	open map[uint64]func(instance.Reply)
}

// add notes what to do with the answer, and names the question. f runs on the
// Loop's goroutine: it must not block.
func (c *calls) add(f func(instance.Reply)) (conn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
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

// clients carries answers of the core to connections.
type clients struct {
	answers *iproto.Answers // of the Loop's goroutine
	calls   *calls
}

// Reply is called on the Loop's goroutine.
func (c *clients) Reply(replies []instance.Reply) {
	for i := range replies {
		r := &replies[i]
		if r.Conn&internal != 0 {
			c.calls.answer(*r)
			continue
		}
		c.answers.Reply(r.Conn, r.Sync, r.Data, r.Err)
	}
	c.answers.Flush()
}

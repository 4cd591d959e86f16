package load

import (
	"context"
	"fmt"
	"net"
	"time"
)

// readBuf is what one read takes at most. A connection with few requests in
// flight has less: there may be ten thousand of them.
const readBuf = 256 << 10

// slot is a request in flight. Its index is the request's SYNC.
type slot struct {
	since time.Duration // handed to the socket, or due
	read  bool          // a select
	busy  bool

	stage int    // of a unit that takes several requests
	key   uint64 // that it is about
}

// rawConn is a connection that writes prepared bytes. One goroutine does all:
// it reads what has arrived, and writes one new request for each answer.
type rawConn struct {
	*tally
	nc      net.Conn
	choose  *chooser
	steps   *steps // nil: a request is a unit
	load    *Workload
	slots   []slot
	waiting int // busy slots
	rate    float64
	in      []byte
	r, w    int // in[r:w] was read and not yet cut
	out     []byte
}

func newRawConn(ctx context.Context, w *Workload, p *Plan, i int, t *tally) (worker, error) {
	nc, err := dial(ctx, p)
	if err != nil {
		return nil, err
	}
	slots := share(p.InFlight, p.Conns, i)
	return &rawConn{
		tally: t, nc: nc, choose: newChooser(w, i, p.Conns), steps: newSteps(w, slots), load: w, slots: make([]slot, slots), rate: p.Rate / float64(p.Conns),
		in: make([]byte, min(slots*w.bytes(), readBuf)),
	}, nil
}

func (c *rawConn) counts() *tally { return c.tally }
func (c *rawConn) close()         { c.nc.Close() }

func (c *rawConn) run(ctx context.Context, win *window) {
	defer c.close()
	stop := context.AfterFunc(ctx, func() { c.nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := c.nc.SetDeadline(win.base.Add(win.last))
	switch {
	case err != nil:
	case c.rate > 0:
		err = c.paced(ctx, win)
	default:
		err = c.closed(win)
	}
	if err != nil && ctx.Err() == nil {
		c.fail(0, err.Error)
	}
	c.unanswered = int64(c.waiting)
}

// closed keeps all slots busy until the window is over, then waits for what is
// still in flight.
func (c *rawConn) closed(win *window) error {
	now := win.now()
	for i := range c.slots {
		c.request(uint32(i), now)
	}
	if err := c.flush(); err != nil {
		return err
	}
	for c.waiting > 0 {
		now, err := c.receive(win)
		if err != nil {
			return err
		}
		err = c.answers(func(i uint32) {
			if now < win.close {
				c.request(i, now)
			}
		}, win, now)
		if err != nil {
			return err
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// request appends one request to the output.
func (c *rawConn) request(i uint32, since time.Duration) {
	key, read := c.choose.draw()
	c.slots[i] = slot{since: since, read: read, busy: true}
	c.waiting++
	if c.steps == nil {
		c.out = c.choose.append(c.out, i, key, read)
	} else {
		c.out = c.steps.append(c.out, c.load, i, &c.slots[i], key)
	}
}

func (c *rawConn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err
}

// receive waits for bytes and tells when they came.
func (c *rawConn) receive(win *window) (time.Duration, error) {
	n, err := c.nc.Read(c.room())
	c.w += n
	if n > 0 {
		err = nil
	}
	return win.now(), err
}

// room is where the next bytes go, behind what was not cut yet.
func (c *rawConn) room() []byte {
	have := c.w - c.r
	copy(c.in, c.in[c.r:c.w])
	c.r, c.w = 0, have
	if c.w == len(c.in) { // one answer is larger than the buffer
		c.in = append(c.in, make([]byte, len(c.in))...)
	}
	return c.in[c.w:]
}

// answers cuts what was received, counts it, and hands each free slot to next.
func (c *rawConn) answers(next func(i uint32), win *window, now time.Duration) error {
	counts := win.has(now)
	for {
		a, n, err := cut(c.in[c.r:c.w])
		if err != nil || n == 0 {
			return err
		}
		if a.sync >= uint64(len(c.slots)) || !c.slots[a.sync].busy {
			return fmt.Errorf("%w: to a request %d that was not asked", errAnswer, a.sync)
		}
		s := &c.slots[a.sync]
		if c.steps != nil && c.steps.goesOn(uint32(a.sync), s, &a) {
			key, _ := c.choose.draw()
			c.out = c.steps.append(c.out, c.load, uint32(a.sync), s, key)
			c.r += n
			continue
		}
		s.busy = false
		c.waiting--
		if counts {
			c.count(s, &a, now)
		}
		c.r += n
		next(uint32(a.sync))
	}
}

func (c *rawConn) count(s *slot, a *answer, now time.Duration) {
	if a.code != 0 {
		c.fail(a.code, a.message)
		return
	}
	c.ok++
	if s.read && a.tuples() == 0 {
		c.empty++
	}
	c.lat.Add(now - s.since)
}

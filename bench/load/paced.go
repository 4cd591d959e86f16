package load

import (
	"context"
	"sync"
	"time"
)

// paced sends requests when they are due, whatever the server does, and counts
// latency from that moment. A request that finds no free slot is sent as soon
// as there is one, late by its own latency. Reader and sender share the slots
// under mu.
func (c *rawConn) paced(ctx context.Context, win *window) error {
	var mu sync.Mutex
	free := make(chan uint32, len(c.slots))
	for i := range c.slots {
		free <- uint32(i)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sent := make(chan error, 1)
	go func() {
		err := c.send(ctx, win, &mu, free)
		if err == nil && sleepUntil(ctx, win, win.close) { // nothing more comes: the reader leaves when all is answered
			mu.Lock()
			if c.waiting == 0 {
				c.nc.SetReadDeadline(time.Unix(1, 0))
			}
			mu.Unlock()
		}
		sent <- err
	}()
	for {
		now, err := c.receive(win)
		mu.Lock()
		if err == nil {
			err = c.answers(func(i uint32) { free <- i }, win, now)
		}
		waiting := c.waiting
		mu.Unlock()
		done := waiting == 0 && now >= win.close
		if done || err != nil {
			cancel()
			if sendErr := <-sent; sendErr != nil || done {
				return sendErr
			}
			return err
		}
	}
}

// send writes what is due, many requests in one call when it is behind. Behind the
// window it sends nothing: what was due by then and had no slot is late.
func (c *rawConn) send(ctx context.Context, win *window, mu *sync.Mutex, free chan uint32) error {
	step := time.Duration(float64(time.Second) / c.rate)
	for due := time.Duration(0); due < win.close; {
		if due > win.now() && !sleepUntil(ctx, win, due) {
			return nil
		}
		var i uint32
		select {
		case i = <-free:
		case <-ctx.Done():
			return nil
		}
		if win.now() >= win.close {
			return nil
		}
		mu.Lock()
		c.request(i, due)
		due += step
		for more := true; more && due < win.close && due <= win.now(); {
			select {
			case i = <-free:
				c.request(i, due)
				due += step
			default:
				more = false
			}
		}
		mu.Unlock()
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

package load

import (
	"context"
	"time"
)

// Client asks a server that does not speak IPROTO, one request at a time.
type Client interface {
	// Put writes one row. It returns when the server says that it is committed.
	Put(ctx context.Context, key uint64, value []byte) error
	// Get reads one row by its key.
	Get(ctx context.Context, key uint64) (found bool, err error)
	Close() error
}

// clientConn drives a Client.
type clientConn struct {
	*tally
	client Client
	choose *chooser
	value  []byte
}

func newClientConn(ctx context.Context, w *Workload, p *Plan, i int, t *tally) (worker, error) {
	client, err := p.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &clientConn{tally: t, client: client, choose: newChooser(w, i, p.Conns), value: Value(w.ValueSize)}, nil
}

func (c *clientConn) counts() *tally { return c.tally }
func (c *clientConn) close()         { _ = c.client.Close() }

func (c *clientConn) run(ctx context.Context, win *window) {
	defer c.close()
	ctx, cancel := context.WithDeadline(ctx, win.base.Add(win.last))
	defer cancel()
	for since := win.now(); since < win.close && ctx.Err() == nil; since = win.now() {
		if !c.one(ctx, win, since) {
			return
		}
	}
}

// one does one request; false: the connection is of no more use.
func (c *clientConn) one(ctx context.Context, win *window, since time.Duration) bool {
	var err error
	found := true
	key, read := c.choose.draw()
	if read {
		found, err = c.client.Get(ctx, key)
	} else {
		err = c.client.Put(ctx, key, c.value)
	}
	now := win.now()
	switch {
	case err != nil && ctx.Err() != nil:
		c.unanswered++
	case err != nil:
		c.fail(0, err.Error)
		return false
	case win.has(now):
		c.ok++
		if !found {
			c.empty++
		}
		c.lat.Add(now - since)
	}
	return true
}

package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
	"github.com/vmihailenco/msgpack/v5"
)

// connectorConn drives a go-tarantool connection with a goroutine for each
// request in flight.
type connectorConn struct {
	conn  *tarantool.Connection
	space uint32
	value string
	slots int
	rate  float64
	// ticket numbers the requests of a paced run: the n-th is due at n/rate.
	ticket atomic.Int64

	mu sync.Mutex // over what follows
	*tally
	choose *chooser
}

func newConnectorConn(ctx context.Context, w *Workload, p *Plan, i int, t *tally) (worker, error) {
	conn, err := Admin(ctx, p.Addr, p.User, p.Password)
	if err != nil {
		return nil, err
	}
	c := &connectorConn{
		conn: conn, space: w.Space, slots: share(p.InFlight, p.Conns, i), rate: p.Rate / float64(p.Conns),
		tally: t, choose: newChooser(w, i, p.Conns), value: string(Value(w.ValueSize)),
	}
	return c, nil
}

// Admin connects with go-tarantool, without its schema.
func Admin(ctx context.Context, addr, user, password string) (*tarantool.Connection, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return tarantool.Connect(ctx, tarantool.NetDialer{Address: addr, User: user, Password: password},
		tarantool.Opts{SkipSchema: true, Timeout: time.Minute})
}

func (c *connectorConn) counts() *tally { return c.tally }
func (c *connectorConn) close()         { c.conn.Close() }

func (c *connectorConn) run(ctx context.Context, win *window) {
	defer c.close()
	ctx, cancel := context.WithDeadline(ctx, win.base.Add(win.last))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	var wg sync.WaitGroup
	for range c.slots {
		wg.Go(func() {
			for ctx.Err() == nil && c.conn.ConnectedNow() && c.one(ctx, win) {
			}
		})
	}
	wg.Wait()
}

// one does one request; false: the window is over.
func (c *connectorConn) one(ctx context.Context, win *window) bool {
	since := win.now()
	if c.rate > 0 {
		since = time.Duration(float64(c.ticket.Add(1)-1) / c.rate * float64(time.Second))
		if since < win.close && since > win.now() && !sleepUntil(ctx, win, since) {
			return false
		}
	}
	if since >= win.close {
		return false
	}
	c.mu.Lock()
	key, read := c.choose.draw()
	c.mu.Unlock()
	data, err := c.conn.Do(c.build(key, read)).Get()
	now := win.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil && ctx.Err() != nil:
		c.unanswered++
	case !win.has(now):
	case err != nil:
		c.fail(code(err), err.Error)
	default:
		c.ok++
		if read && len(data) == 0 {
			c.empty++
		}
		c.lat.Add(now - since)
	}
	return true
}

func (c *connectorConn) build(key uint64, read bool) tarantool.Request {
	switch {
	case read:
		return tarantool.NewSelectRequest(c.space).Index(uint32(0)).Limit(1).Iterator(tarantool.IterEq).Key(keyOnly(key))
	case c.choose.insert:
		return tarantool.NewInsertRequest(c.space).Tuple(&tuple{key, c.value})
	}
	return tarantool.NewReplaceRequest(c.space).Tuple(&tuple{key, c.value})
}

// code is the server's error code, 0: the error is the connection's.
func code(err error) uint32 {
	var e tarantool.Error
	if errors.As(err, &e) && e.Code != iproto.ER_UNKNOWN {
		return uint32(e.Code)
	}
	return 0
}

// tuple and keyOnly encode themselves, so that no reflection is measured, and in
// the widths of the raw driver, so that both send the same bytes.
type tuple struct {
	key   uint64
	value string
}

// EncodeMsgpack writes the tuple as an array.
func (t *tuple) EncodeMsgpack(e *msgpack.Encoder) error {
	return errors.Join(e.EncodeArrayLen(2), e.EncodeUint64(t.key), e.EncodeString(t.value))
}

type keyOnly uint64

// EncodeMsgpack writes the key as an array of one part.
func (k keyOnly) EncodeMsgpack(e *msgpack.Encoder) error {
	return errors.Join(e.EncodeArrayLen(1), e.EncodeUint64(uint64(k)))
}

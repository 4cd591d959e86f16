package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"tarragon.dev/tarragon/internal/numbers"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// Option is an option of Connect.
type Option func(*config)

type config struct {
	dialer    func(addr string) tarantool.Dialer
	holdLimit time.Duration
	timeout   time.Duration
	noNumbers bool
}

// Login is the user and the password of all connections; without it they are guest's.
func Login(user, password string) Option {
	return Dial(func(addr string) tarantool.Dialer {
		return tarantool.NetDialer{Address: addr, User: user, Password: password}
	})
}

// Dial makes connections otherwise, as with TLS; it stands for Login too.
func Dial(to func(addr string) tarantool.Dialer) Option {
	return func(c *config) { c.dialer = to }
}

// HoldLimit is how long a request that nobody executes is held, 10 s by default: longer
// than an election takes.
func HoldLimit(d time.Duration) Option { return func(c *config) { c.holdLimit = d } }

// Timeout is how long an instance may take for a request without a context, and how long
// it may be silent before its connection is given up; 10 s by default, longer than an
// instance waits for a quorum.
func Timeout(d time.Duration) Option { return func(c *config) { c.timeout = d } }

// NoNumbers sends each write once, and without a number of an exactly-once session: the outcome of one that was
// on its way when a leader was lost is unknown, and writes to asynchronous spaces stay asynchronous.
func NoNumbers() Option { return func(c *config) { c.noNumbers = true } }

// Client is a replica set. Its methods may be called by several goroutines.
//
// Goroutines: one for each instance, which keeps its connection (and those of go-tarantool
// behind that), and one for each request until it ends. Close ends them all.
type Client struct {
	conf   config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	bg     sync.WaitGroup // members and requests
	once   sessions

	mu      sync.Mutex
	closed  bool
	members []*member
	turns   [PreferReplica + 1]int // whose turn it was, by mode
	version uint64                 // grows with each change
	changed chan struct{}          // closed and replaced then
}

var _ tarantool.Doer = (*Client)(nil)

// Connect connects to the instances of a replica set by their addresses, host:port. It
// returns when the first of them has said what it is; the others are connected in the background,
// and again when a connection ends. The error, when ctx ends before, says why none was.
func Connect(ctx context.Context, addrs []string, opts ...Option) (*Client, error) {
	if len(addrs) == 0 {
		return nil, errors.New("client: no addresses")
	}
	c := &Client{conf: config{holdLimit: 10 * time.Second, timeout: 10 * time.Second}, changed: make(chan struct{}), once: sessions{began: time.Now(), wakes: make(chan struct{}, 1)}}
	Login("", "")(&c.conf)
	for _, o := range opts {
		o(&c.conf)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, addr := range addrs {
		c.members = append(c.members, &member{addr: addr})
	}
	for _, m := range c.members {
		c.bg.Go(func() { c.keep(m) })
	}
	for {
		_, ok, changed := c.pick(Any)
		if ok {
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			why := c.whys()
			c.Close()
			return nil, fmt.Errorf("client: no instance could be connected: %w", errors.Join(context.Cause(ctx), why))
		}
	}
}

// Close ends all connections and waits for all requests: writes that are under way end with an
// UnknownError, what is held with ErrNotExecuted. Sessions that were opened are ended, for which the leader has
// a second.
func (c *Client) Close() {
	c.change(func() { c.closed = true })
	c.closeSessions()
	c.cancel()
	c.bg.Wait()
}

// Do sends a request to the leader. The future is done with its answer, or with an error.
func (c *Client) Do(req tarantool.Request) *tarantool.Future { return c.do(req, Leader) }

// Via is a Doer whose requests go where mode says, but for those that write.
func (c *Client) Via(mode Mode) tarantool.Doer { return via{c, mode} }

type via struct {
	c    *Client
	mode Mode
}

// Do sends a request to where its mode says.
func (v via) Do(req tarantool.Request) *tarantool.Future { return v.c.do(req, v.mode) }

// Ping asks the leader for a sign of life.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.Do(tarantool.NewPingRequest().Context(ctx)).Get()
	return err
}

// passage is a request from Do to its end. It is the request of the future that the
// caller has.
type passage struct {
	tarantool.Request
	fut  *tarantool.Future
	ctx  context.Context // the request's
	mode Mode
	held holding
	num  numbering
	resp tarantool.Response
}

// Response gives the future the answer that an instance gave.
func (p *passage) Response(tarantool.Header, io.Reader) (tarantool.Response, error) {
	return p.resp, nil
}

func (c *Client) do(req tarantool.Request, mode Mode) *tarantool.Future {
	p := &passage{Request: req, mode: mode, ctx: req.Ctx()}
	p.fut = tarantool.NewFuture(p)
	if p.ctx == nil {
		p.ctx = context.Background()
	}
	if isStatement(req.Type()) {
		p.mode = Leader
	}
	p.num.takes = p.mode == Leader && mayTakeNumber(req.Type())
	if err := refuse(req); err != nil {
		p.fut.SetError(err)
		return p.fut
	}
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.bg.Add(1) // Close waits only once closed is set
	}
	c.mu.Unlock()
	if closed {
		p.fut.SetError(c.givenUp(p, ErrClosed))
		return p.fut
	}
	var first *attempt
	if at, ok, _ := c.pick(p.mode); ok && p.ctx.Err() == nil {
		first = c.send(p, at) // here: most need no more
	}
	go func() {
		defer c.bg.Done()
		c.carry(p, first)
	}()
	return p.fut
}

// refuse says what cannot be sent to whoever leads.
func refuse(req tarantool.Request) error {
	if _, bound := req.(tarantool.ConnectedRequest); bound || req.Async() {
		return fmt.Errorf("%w: it belongs to one connection", ErrNotExecuted)
	}
	switch req.Type() {
	case iproto.IPROTO_BEGIN, iproto.IPROTO_COMMIT, iproto.IPROTO_ROLLBACK, iproto.IPROTO_PREPARE:
		return fmt.Errorf("%w: streams and prepared statements belong to one connection", ErrNotExecuted)
	}
	return nil
}

// carry brings a request to its end. a is the attempt that is under way; nil: none.
//
// Invariant: a second attempt is made only when the one before was certainly not executed, changes nothing, or
// has the same number.
func (c *Client) carry(p *passage, a *attempt) {
	for {
		if a == nil {
			at, err := c.hold(p.ctx, &p.held, p.mode)
			if err == nil && p.num.maybe && !at.numbers {
				if at.numbers, err = c.hello(p.ctx, at.conn); err != nil {
					p.held.note(at, err)
					continue // its connection ends, or the request's time is over
				}
				if !at.numbers {
					err = fmt.Errorf("%s takes no numbers of exactly-once sessions", at.addr)
				}
			}
			if err != nil {
				c.fail(p, c.givenUp(p, err))
				return
			}
			a = c.send(p, at)
		}
		if !c.await(p, a) {
			p.num.maybe, p.num.at = true, a.at.addr
			p.held.note(a.at, errDeposed)
			a = nil
			continue
		}
		v, err := a.judge()
		switch v {
		case again:
			p.held.note(a.at, err)
		case atOnce:
		case noSlot:
			if err := c.awaitSlot(p, a); err != nil {
				c.fail(p, c.givenUp(p, err))
				return
			}
		case unknown:
			if p.ctx.Err() != nil {
				err = fmt.Errorf("%w: %w", context.Cause(p.ctx), err)
			}
			c.fail(p, &UnknownError{a.at.addr, err})
			return
		default:
			c.end(p, a, err)
			return
		}
		a = nil
	}
}

// errDeposed is why an attempt was given up that had no end.
var errDeposed = errors.New("it did not answer, and another instance leads")

// await waits for the end of an attempt; false: its instance does not lead any more, does not answer, and the
// next one can tell what becomes of the number.
func (c *Client) await(p *passage, a *attempt) bool {
	if !a.hasNumber() {
		<-a.fut.WaitChan()
		return true
	}
	var grace <-chan time.Time
	for changed := a.at.changed; ; {
		select {
		case <-a.fut.WaitChan():
			return true
		case <-grace:
			return false
		case <-changed:
		}
		var at place
		var ok bool
		switch at, ok, changed = c.pick(p.mode); {
		case !ok || at.conn == a.at.conn || !at.numbers:
			grace = nil
		case grace == nil:
			grace = time.After(numbers.Grace)
		}
	}
}

// fail ends a request with an error. Its slot is free before anybody hears of that.
func (c *Client) fail(p *passage, err error) {
	c.once.drop(&p.num)
	p.fut.SetError(err)
}

// end gives the caller the answer of an instance, or why there is none.
func (c *Client) end(p *passage, a *attempt, err error) {
	if a.resp == nil {
		c.fail(p, err)
		return
	}
	c.once.drop(&p.num)
	p.resp = a.resp
	_ = p.fut.SetResponse(a.resp.Header(), nil) // Response makes no errors
}

package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// poolKey says of which backends a request may take any: those of an instance, whose sessions
// are of a user.
type poolKey struct {
	inst     *instance
	user     iproto.User
	extended bool     // errors among results are sent as such: the client knows them
	own      *session // whose alone it is; nil: it is shared
}

// backend is a connection to an instance, with the requests of many clients under way.
//
// # Invariants
//
//  1. A request that append took is answered once, or given back once with the end of the
//     backend.
//  2. What is in slots has a SYNC that no answer had before: one that comes twice, or to
//     nothing, ends the backend.
//  3. Nobody waits for the socket with a session's lock, and the reader never does.
type backend struct {
	key  poolKey
	p    *pool
	done atomic.Bool
	// retired: no lane comes to it any more, for one that is connected anew can do more.
	retired atomic.Bool
	uses    int // lanes that are there; the pool's lock

	mu      sync.Mutex
	link    *iproto.Link // nil: it is not connected yet
	numbers bool         // its instance has said on this connection that it takes numbers; of one that is not connected: something has one
	close   context.CancelFunc
	slots   []slot
	free    []uint32
	out     []byte // frames that nobody writes
	spare   []byte
	wrote   uint64 // bytes given to the socket
	giving  uint64 // behind those: what a write that has not returned may have given
	queued  uint64 // bytes ever put into out
	writing bool
	cause   error
	idle    time.Duration // since when nothing is under way
}

// slot is a request under way, by the low half of its SYNC.
type slot struct {
	r   *request
	gen uint32 // the high half
}

func (b *backend) ended() bool { return b.done.Load() }

// append takes a request; false: the backend has ended. flush must follow.
func (b *backend) append(r *request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause != nil {
		return false
	}
	if len(b.free) == 0 {
		b.free = append(b.free, uint32(len(b.slots)))
		b.slots = append(b.slots, slot{})
	}
	at := b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	b.slots[at].r = r
	b.slots[at].gen++
	b.numbers = b.numbers || r.Number != nil
	r.begin = b.queued
	n := len(b.out)
	b.out = iproto.AppendCarried(b.out, &r.Carried, uint64(b.slots[at].gen)<<32|uint64(at))
	b.queued += uint64(len(b.out) - n)
	return true
}

// takesNumbers tells whether its requests may have numbers. While it is not connected the instance's last word on
// another connection counts: connect looks whether it was right.
func (b *backend) takesNumbers() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.link != nil {
		return b.numbers
	}
	return b.key.inst.numbers.Load()
}

// sent tells whether some of a request may have been given to the socket. A write that has not
// returned counts: the instance may have read it, executed it and died by now.
func (b *backend) sent(r *request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.begin < b.wrote+b.giving
}

// flush writes what the socket takes, and leaves the rest to a goroutine.
func (b *backend) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.writing || b.link == nil {
		return
	}
	b.writing = true
	for len(b.out) > 0 && b.cause == nil {
		out := b.takeLocked()
		b.giving = uint64(len(out))
		b.mu.Unlock()
		n, err := b.link.WriteSome(out)
		b.mu.Lock()
		b.wroteLocked(n, err)
		if err == nil && n < len(out) {
			b.p.r.wg.Go(func() { b.flushRest(out, n) })
			return // writing goes on there
		}
		b.spare = out[:0]
	}
	b.writing = false
}

// takeLocked takes out what waits.
func (b *backend) takeLocked() []byte {
	out := b.out
	b.out, b.spare = b.spare, nil
	if cap(b.out) > keptOut {
		b.out = nil
	}
	return out
}

// keptOut is how much of a buffer is kept.
const keptOut = 256 << 10

func (b *backend) wroteLocked(n int, err error) {
	b.wrote, b.giving = b.wrote+uint64(n), 0
	if err != nil {
		_ = b.link.Close() // the reader ends the backend
	}
}

// flushRest waits for a full socket, and writes the rest.
func (b *backend) flushRest(out []byte, from int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		for from < len(out) && b.cause == nil {
			piece := out[from:min(len(out), from+writePiece)]
			b.giving = uint64(len(piece))
			b.mu.Unlock()
			err := b.link.SetWriteDeadline(time.Now().Add(b.p.r.cfg.SlowTimeout))
			var n int
			if err == nil {
				n, err = b.link.Write(piece)
			}
			b.mu.Lock()
			b.wroteLocked(n, err)
			from += n
			if err != nil {
				b.writing = false
				return
			}
		}
		if len(b.out) == 0 || b.cause != nil {
			b.spare = out[:0]
			b.writing = false
			_ = b.link.SetWriteDeadline(time.Time{}) // fails only on a closed connection
			return
		}
		out, from = b.takeLocked(), 0
	}
}

// writePiece is what an instance must take within Config.SlowTimeout.
const writePiece = 256 << 10

// run connects, and reads answers until the connection ends.
func (b *backend) run(ctx context.Context) {
	link, err := b.connect(ctx)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = link.Close() })
		err = b.read(link)
		stop()
		_ = link.Close()
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	b.end(err)
}

// connect logs in as the router, and goes on as the client's user.
func (b *backend) connect(ctx context.Context) (*iproto.Link, error) {
	limit, cancel := context.WithTimeout(ctx, b.p.r.cfg.ConnectTimeout)
	defer cancel()
	c, err := b.key.inst.dial(limit)
	if err != nil {
		return nil, err
	}
	if err := b.become(c); err != nil {
		_ = c.Close()
		return nil, err
	}
	_ = c.SetDeadline(time.Time{}) // fails only on a closed connection
	c.Allow(maxAnswer)
	takes := c.Features.Has(iproto.FeatureSessions)
	b.mu.Lock()
	if b.numbers && !takes {
		b.mu.Unlock()
		b.key.inst.numbers.Store(false)
		_ = c.Close()
		return nil, errNoFeature
	}
	b.link, b.numbers = c.Link, takes
	b.mu.Unlock()
	b.flush()
	return c.Link, nil
}

// errNoFeature is the end of a backend with requests that have numbers, which it was not asked yet.
var errNoFeature = errors.New("the instance takes no numbers of exactly-once sessions")

// maxAnswer is the largest answer that an instance may be configured to make.
const maxAnswer = 2 << 30

// become makes the session what the client's would be.
func (b *backend) become(c *iproto.Client) error {
	features := clientFeatures
	if !b.key.extended {
		features = features.Without(iproto.FeatureErrorExtension)
	}
	if err := c.Hello(features); err != nil {
		return err
	}
	name := b.p.r.users.name(b.key.user)
	if _, err := c.Call(xrow.ActAsCall, stringArray(name)); err != nil {
		var e *xrow.Error
		if errors.As(err, &e) && e.Code == xrow.ErrNoSuchProc { // a Tarantool, or an earlier version
			_, err = c.Call(suCall, stringArray(name))
		}
		if err != nil {
			return &refusal{fmt.Errorf("as user '%s': %w", name, err)}
		}
	}
	if b.key.own != nil {
		for _, body := range b.key.own.settings() {
			if _, err := c.Do(xrow.Update, body); err != nil {
				return err
			}
		}
	}
	return nil
}

// refusal is why a session of a user could not be had.
type refusal struct{ err error }

func (e *refusal) Error() string { return e.err.Error() }
func (e *refusal) Unwrap() error { return e.err }

// read takes answers until the connection ends.
func (b *backend) read(link *iproto.Link) error {
	d := newDelivery(b.p.r)
	defer d.flush() // what came in front of an answer that makes no sense, and the lock of its session
	for {
		frame, err := link.ReadFrame()
		if err != nil {
			return err
		}
		if err := b.answer(frame, d); err != nil {
			return err
		}
		if !link.HasFrame() {
			d.flush()
		}
	}
}

// answer takes one answer to its session.
func (b *backend) answer(frame []byte, d *delivery) error {
	var row xrow.Row
	n, err := row.DecodeHeader(frame)
	if err != nil {
		return err
	}
	if row.Type == xrow.Event {
		return nil
	}
	at, gen := uint32(row.Sync), uint32(row.Sync>>32)
	b.mu.Lock()
	var r *request
	if int(at) < len(b.slots) && b.slots[at].gen == gen {
		r = b.slots[at].r
	}
	if r != nil && row.Type != xrow.Chunk {
		b.slots[at].r = nil
		b.free = append(b.free, at)
	}
	b.mu.Unlock()
	switch {
	case r == nil:
		return fmt.Errorf("%w: an answer to nothing", iproto.ErrProtocol)
	case r.errand != nil:
		if d.letGo(); row.Type != xrow.Chunk {
			row.Body = scanned(frame[n:])
			r.errand.answered(row.AsError(), row.Body, b.p.r.now())
			b.p.r.look()
		}
		return nil
	}
	r.s.answered(b, r, &row, frame[n:], d)
	return nil
}

// end is the end of the backend: what was under way goes back to its sessions. It runs on the
// goroutine that has read answers, so nothing has two ends.
func (b *backend) end(cause error) {
	b.mu.Lock()
	b.cause = cause
	b.done.Store(true)
	slots := b.slots
	b.slots, b.free = nil, nil
	b.mu.Unlock()
	b.close()
	b.p.remove(b, cause)
	var lanes []*lane
	for i := range slots {
		switch r := slots[i].r; {
		case r == nil:
		case r.errand != nil:
			r.errand.lost()
		default:
			lanes = append(lanes, r.l)
		}
	}
	d := newDelivery(b.p.r)
	for _, l := range unique(lanes) {
		l.s.backendEnded(l, b, cause, d)
	}
	d.flush()
}

func unique(lanes []*lane) []*lane {
	seen := map[*lane]bool{}
	out := lanes[:0]
	for _, l := range lanes {
		if !seen[l] {
			seen[l] = true
			out = append(out, l)
		}
	}
	return out
}

// onlyNumbered tells whether something with a number is under way, and nothing that cannot be sent once more.
func (b *backend) onlyNumbered() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	some := false
	for _, s := range b.slots {
		switch {
		case s.r == nil:
		case s.r.Number != nil:
			some = true
		case s.r.errand == nil && s.r.class != classRead:
			return false
		}
	}
	return some
}

// hasOlder tells whether it has a request whose time would be over then.
func (b *backend) hasOlder(until time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.slots, func(s slot) bool { return s.r != nil && s.r.until <= until })
}

// stringArray is the arguments of a call: one string.
func stringArray(s string) []byte { return mp.Tuple(s) }

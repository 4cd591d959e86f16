package router

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// What an instance tells by events. The first is Tarragon's own.
const (
	eventLeader = "tarragon.leader"
	eventNode   = "tarragon.node"
)

// clientFeatures are what a router, in the name of its clients, understands.
var clientFeatures = iproto.Features(0).With(iproto.FeatureStreams).With(iproto.FeatureTransactions).With(iproto.FeatureErrorExtension).
	With(iproto.FeatureWatchers).With(iproto.FeaturePagination).With(iproto.FeatureNames).With(iproto.FeatureWatchOnce)

// instance is an instance as the router sees it: a connection by which it tells of itself.
type instance struct {
	r       *Router
	at      int // its place among the words
	name    string
	conf    Instance
	ours    atomic.Bool
	numbers atomic.Bool // it has said that it takes numbers
	clients atomic.Int64
	sight   sight

	mu      sync.Mutex
	link    *iproto.Client // nil: none
	ports   map[string][]*port
	values  map[string][]byte // the newest, of keys that are watched on this connection
	refused error             // why there is no connection
}

func newInstance(r *Router, at int, conf Instance) *instance {
	return &instance{r: r, at: at, name: conf.Name, conf: conf, ports: map[string][]*port{}}
}

// dial connects and logs in as the router.
func (in *instance) dial(ctx context.Context) (*iproto.Client, error) {
	var c *iproto.Client
	var err error
	if in.conf.Dial != nil {
		c, err = in.conf.Dial(ctx)
	} else {
		c, err = iproto.DialSecure(ctx, in.conf.Addr, in.conf.Secure)
	}
	if err == nil && in.conf.Login != "" {
		if err = c.Login(in.conf.Login, in.conf.Password); err != nil {
			_ = c.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	return c, nil
}

// Pauses between attempts to connect.
const (
	leastPause = 20 * time.Millisecond
	mostPause  = time.Second
)

// keep has a connection to the instance until the router ends.
func (in *instance) keep() {
	pause := leastPause
	for {
		began := time.Now()
		err := in.serve()
		in.mu.Lock()
		in.link, in.values, in.refused = nil, nil, err
		in.mu.Unlock()
		in.sight.forget()
		in.r.mu.Lock()
		in.r.lags.forget(in.at)
		in.r.mu.Unlock()
		in.r.told(in.at, func(w *word) { *w = word{} })
		if in.r.ctx.Err() != nil {
			return
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			in.r.pool.closeOf(in) // it is stopped, or cut off: nothing comes of what it has
		}
		if time.Since(began) > mostPause {
			pause = leastPause
		}
		in.r.cfg.Log.Debug().Str("instance", in.name).Err(err).Msg("no connection to the instance")
		select {
		case <-in.r.ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, mostPause)
	}
}

// serve is one connection, from its beginning to its end.
func (in *instance) serve() error {
	ctx, cancel := context.WithTimeout(in.r.ctx, in.r.cfg.ConnectTimeout)
	defer cancel()
	c, err := in.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Hello(clientFeatures); err != nil {
		return err
	}
	in.numbers.Store(c.Features.Has(iproto.FeatureSessions))
	if err := c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(in.r.ctx, func() { _ = c.Close() })
	defer stop()
	in.r.told(in.at, func(w *word) { w.uuid = c.Greeting.UUID })
	in.mu.Lock()
	in.link, in.values, in.refused = c, map[string][]byte{eventLeader: nil, eventNode: nil, iproto.EventElection: nil}, nil
	for key := range in.ports {
		in.values[key] = nil
	}
	for key := range in.values {
		if err == nil {
			err = c.Watch(key)
		}
	}
	in.mu.Unlock()
	if err != nil {
		return err
	}
	return in.listen(c)
}

// listen takes events and answers to polls until the connection ends, or says nothing for
// too long.
func (in *instance) listen(c *iproto.Client) error {
	heard, asked := time.Now(), time.Time{}
	for {
		if now := time.Now(); now.Sub(asked) >= in.r.cfg.PollInterval {
			if err := in.write(c, &xrow.Row{Type: xrow.Vote, Sync: syncOf(in.r.now(), askVote)}); err != nil {
				return err
			}
			if in.ours.Load() && !in.numbers.Load() { // a replica set may learn that
				if err := in.write(c, iproto.HelloRow(askHello, clientFeatures)); err != nil {
					return err
				}
			}
			asked = now
		}
		if err := c.SetReadDeadline(asked.Add(in.r.cfg.PollInterval)); err != nil {
			return err
		}
		row, err := c.ReadRow()
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Since(heard) < in.r.cfg.SilenceLimit {
			continue
		}
		if err != nil {
			return err
		}
		heard = time.Now()
		switch {
		case row.Type == xrow.Event:
			err = in.event(c, row.Body)
		case row.Sync&askMask == askBegin:
			err = in.begun(c, &row)
		case row.AsError() != nil:
			err = row.AsError()
		case row.Sync&askMask == askVote:
			err = in.ballot(row.Body, askedAt(row.Sync))
		case row.Sync&askMask == askHello:
			if err = c.TakeHello(row.Body); err == nil && c.Features.Has(iproto.FeatureSessions) && in.numbers.CompareAndSwap(false, true) {
				in.r.pool.retire(in)
			}
		}
		if err != nil {
			return err
		}
	}
}

// write is for the goroutine that listens, and for those who follow.
func (in *instance) write(c *iproto.Client, row *xrow.Row) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := c.SetWriteDeadline(time.Now().Add(in.r.cfg.SilenceLimit)); err != nil {
		return err
	}
	return c.WriteRow(row)
}

func watchRow(key string) *xrow.Row {
	return &xrow.Row{Type: xrow.Watch, Body: append([]byte{0x81, byte(xrow.KeyEventKey)}, msgp.AppendString(nil, key)...)}
}

// ballot takes how far the instance is.
func (in *instance) ballot(body []byte, asked time.Duration) error {
	b, err := xrow.DecodeBallot(body)
	if err != nil {
		return err
	}
	r := in.r
	r.mu.Lock()
	moved := r.lags.saw(in.at, b.VClock, r.now())
	if in.at == r.lags.leader {
		r.lags.tells(b.VClock, asked)
	}
	r.mu.Unlock()
	if moved || r.waiting() {
		r.look()
	}
	return nil
}

// event takes a value that the instance tells.
func (in *instance) event(c *iproto.Client, body []byte) error {
	key, value, err := iproto.DecodeEvent(body)
	if err != nil {
		return err
	}
	switch key {
	case eventLeader:
		in.ours.Store(value != nil)
		in.r.told(in.at, func(w *word) { w.ours = value != nil })
	case eventNode:
		var v struct {
			Fence bool `msgpack:"fence"`
		}
		if value != nil && mp.Decode(value, &v) != nil {
			v.Fence = false // at a Tarantool anybody may broadcast that key
		}
		in.r.told(in.at, func(w *word) { w.fenced = v.Fence })
	case iproto.EventElection:
		var v watchedElection
		if value != nil {
			if err := mp.Decode(value, &v); err != nil {
				return err
			}
		}
		in.r.told(in.at, func(w *word) {
			w.heard, w.ro, w.term, w.leader, w.id = true, v.RO, v.Term, v.Leader, 0
			if v.Role == "leader" {
				w.id = v.Leader
			}
		})
	}
	in.mu.Lock()
	in.values[key] = append([]byte(nil), value...)
	if value == nil {
		in.values[key] = none
	}
	tell := append([]*port(nil), in.ports[key]...)
	in.mu.Unlock()
	for _, p := range tell {
		p.hub.Set(key, value)
	}
	return in.write(c, watchRow(key))
}

// none is the value of a key that was told to have none.
var none = []byte{}

// watchedElection is the value of box.election.
type watchedElection struct {
	Term   uint64 `msgpack:"term"`
	Role   string `msgpack:"role"`
	RO     bool   `msgpack:"is_ro"`
	Leader uint32 `msgpack:"leader"`
}

// follow has a port told of some keys from now on; nil: of none. It is called under the
// port's lock, and perhaps the hub's.
func (in *instance) follow(p *port, keys []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if keys == nil {
		for key, all := range in.ports {
			in.ports[key] = without(all, p)
		}
		return
	}
	for _, key := range keys {
		in.ports[key] = append(without(in.ports[key], p), p)
		if in.link == nil {
			continue // it is watched when there is a connection
		}
		known, watched := in.values[key]
		if watched && known != nil {
			value := known
			if len(known) == 0 {
				value = nil
			}
			in.r.wg.Go(func() { p.hub.Set(key, value) }) // not under the hub's lock
			continue
		}
		if !watched {
			in.values[key] = nil
			c := in.link
			in.r.wg.Go(func() { _ = in.write(c, watchRow(key)) }) // else the connection ends, and watches anew
		}
	}
}

func without(all []*port, p *port) (out []*port) {
	for _, o := range all {
		if o != p {
			out = append(out, o)
		}
	}
	return out
}

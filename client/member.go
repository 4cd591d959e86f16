package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/internal/numbers"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

const (
	// dialLimit is how long an instance may take for a connection: a process that is
	// stopped, or behind a cut, takes none and refuses none.
	dialLimit = 3 * time.Second
	// Pauses between attempts to connect to an instance.
	leastPause = 20 * time.Millisecond
	mostPause  = time.Second
	// helloPause is how often an instance is asked whether it has sessions by now.
	helloPause = time.Second
)

// What an instance tells by events. The first is Tarragon's own.
const (
	eventLeader   = "tarragon.leader" // {id, ..., term} of who leads in effect; id is nil: nobody
	eventElection = "box.election"    // {term, role, is_ro, leader}
)

// member is an instance, and what it has said on the connection that there is now.
// The client's lock is over all but addr.
type member struct {
	addr  string
	conn  *tarantool.Connection // nil: none
	cause error                 // why there is none

	heard   [2]bool // its eventLeader, its eventElection
	ours    bool    // a Tarragon
	numbers bool    // it has announced sessions on this connection
	seen    uint64  // the newest term in which it has seen a leader
	term    uint64  // its own
	ro      bool
}

// ready tells whether it has said what it is.
func (m *member) ready() bool { return m.conn != nil && m.heard == [2]bool{true, true} }

// keep connects to an instance again and again, until the client is closed.
func (c *Client) keep(m *member) {
	pause := leastPause
	for c.ctx.Err() == nil {
		began := time.Now()
		err := c.serve(m)
		c.change(func() { m.cause = err })
		if time.Since(began) > dialLimit {
			pause = leastPause
		}
		select {
		case <-c.ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, mostPause)
	}
}

// serve is one connection, from its beginning to its end.
func (c *Client) serve(m *member) error {
	ctx, cancel := context.WithTimeout(c.ctx, dialLimit)
	defer cancel()
	events := make(chan tarantool.ConnEvent, 8) // more than there are in the life of one that is not made again
	conn, err := tarantool.Connect(ctx, splicer{c.conf.dialer(m.addr)}, tarantool.Opts{Timeout: c.conf.timeout, SkipSchema: true, Notify: events, Logger: quiet{}})
	if err != nil {
		return err
	}
	c.change(func() { *m = member{addr: m.addr, conn: conn, numbers: announces(conn.ProtocolInfo())} })
	defer c.change(func() { m.conn = nil })
	var watchers []tarantool.Watcher
	defer func() {
		_ = conn.Close() // first: there is nobody to tell that we watch no more
		for _, w := range watchers {
			w.Unregister()
		}
	}()
	for key, take := range map[string]func(m *member, v map[any]any){eventLeader: (*member).takeLeader, eventElection: (*member).takeElection} {
		w, err := conn.NewWatcher(key, func(ev tarantool.WatchEvent) {
			v, _ := ev.Value.(map[any]any)
			c.change(func() {
				if m.conn == conn {
					take(m, v)
				}
			})
		})
		if err != nil {
			return fmt.Errorf("it cannot tell who leads: %w", err)
		}
		watchers = append(watchers, w)
	}
	again := time.NewTicker(helloPause)
	defer again.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return ErrClosed
		case <-again.C:
			c.askAgain(m)
		case ev := <-events:
			if ev.Kind == tarantool.Closed {
				return fmt.Errorf("the connection ended")
			}
		}
	}
}

// askAgain asks an instance that has announced no sessions: the level of its set may have been raised, and it
// may not have known that when it was connected.
func (c *Client) askAgain(m *member) {
	c.mu.Lock()
	conn, asks := m.conn, m.ours && !m.numbers && !c.conf.noNumbers
	c.mu.Unlock()
	if asks {
		_, _ = c.hello(c.ctx, conn) // else it ends, or is asked again
	}
}

// hello asks an instance whether requests may have numbers by now. The error says that it has not answered.
func (c *Client) hello(ctx context.Context, conn *tarantool.Connection) (takes bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.conf.timeout)
	defer cancel()
	data, err := conn.Do(tarantool.NewIdRequest(understood).Context(ctx)).Get()
	if err != nil || len(data) == 0 {
		return false, err
	}
	info, _ := data[0].(tarantool.ProtocolInfo)
	if !announces(info) {
		return false, nil
	}
	c.change(func() {
		for _, m := range c.members {
			m.numbers = m.numbers || m.conn == conn
		}
	})
	return true, nil
}

// understood is what go-tarantool tells of itself when it connects: the last word counts.
var understood = tarantool.ProtocolInfo{Version: 6, Features: []iproto.Feature{
	iproto.IPROTO_FEATURE_STREAMS, iproto.IPROTO_FEATURE_TRANSACTIONS, iproto.IPROTO_FEATURE_ERROR_EXTENSION, iproto.IPROTO_FEATURE_WATCHERS,
	iproto.IPROTO_FEATURE_PAGINATION, iproto.IPROTO_FEATURE_SPACE_AND_INDEX_NAMES, iproto.IPROTO_FEATURE_WATCH_ONCE,
}}

// announces tells whether requests may have numbers where this was announced.
func announces(info tarantool.ProtocolInfo) bool {
	return slices.Contains(info.Features, iproto.Feature(numbers.Feature))
}

// takeLeader takes who leads in its eyes; nil: it knows no such event.
func (m *member) takeLeader(v map[any]any) {
	m.heard[0], m.ours = true, v != nil
	if v["id"] != nil {
		m.seen = max(m.seen, number(v["term"]))
	}
}

// takeElection takes what it is itself.
func (m *member) takeElection(v map[any]any) {
	m.heard[1] = true
	m.term = number(v["term"])
	m.ro = v["is_ro"] != false
	if number(v["leader"]) != 0 {
		m.seen = max(m.seen, m.term)
	}
}

// number reads an integer as the decoder gives it; 0 for anything else.
func number(v any) uint64 {
	switch n := v.(type) {
	case int8:
		return uint64(max(n, 0))
	case int16:
		return uint64(max(n, 0))
	case int32:
		return uint64(max(n, 0))
	case int64:
		return uint64(max(n, 0))
	case uint8:
		return uint64(n)
	case uint16:
		return uint64(n)
	case uint32:
		return uint64(n)
	case uint64:
		return n
	}
	return 0
}

// quiet keeps go-tarantool from writing to the log of the program: what matters is in
// the errors of requests.
type quiet struct{}

// Report does nothing.
func (quiet) Report(tarantool.ConnLogKind, *tarantool.Connection, ...any) {}

package iproto

import (
	"bytes"
	"sync"

	"tarragon.dev/tarragon/xrow"
)

// Keys of the node's own events.
const (
	EventID       = "box.id"
	EventStatus   = "box.status"
	EventElection = "box.election"
	EventSchema   = "box.schema"
	EventShutdown = "box.shutdown"
	EventBallot   = "internal.ballot"
)

// Hub holds the values that clients may watch and tells watchers of changes.
// All methods are safe from many goroutines. Set costs time for each watcher of
// the key, so the node's loop should leave it to another goroutine.
type Hub struct {
	mu     sync.Mutex
	keys   map[string]*event
	follow func(key string, on bool) // nil: all values are from here
}

// event is one key. Keys without a value are kept while somebody watches them.
type event struct {
	name     string
	value    []byte // raw, never changed in place; nil: no value
	version  uint64 // number of the value; 0: never set
	watchers []*watcher
}

// watcher is one key watched on one connection. Only Hub touches it, under its
// lock.
type watcher struct {
	conn  *Conn
	event *event
	sync  uint64 // of the newest WATCH
	seen  uint64 // version of the last EVENT
	armed bool   // the client has acknowledged the last EVENT
	pos   int    // in event.watchers
}

// A connection's watched keys may cost this much memory: their length and
// watcherCost each.
const (
	watchBudget = 1 << 20
	watcherCost = 128
)

// NewHub returns a hub without values.
func NewHub() *Hub { return &Hub{keys: make(map[string]*event)} }

// Follow makes a hub whose values come from elsewhere. f is told when a key has its
// first watcher, and when it has none any more, and sees to it that Set or Update is called
// meanwhile: nobody is told of a key before that. It is called under the hub's lock.
func (h *Hub) Follow(f func(key string, on bool)) { h.follow = f }

// Set gives the key a new value, raw MessagePack that the hub copies, and tells
// its watchers even if it is equal to the old one; nil takes the value away.
func (h *Hub) Set(key string, value []byte) { h.set(key, value, true) }

// Update is Set, but does nothing when the value is the one already held.
func (h *Hub) Update(key string, value []byte) { h.set(key, value, false) }

func (h *Hub) set(key string, value []byte, always bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.at(key)
	if h.follows(e) && len(e.watchers) == 0 {
		h.forget(e) // nobody watches it any more
		return
	}
	if !always && e.version > 0 && bytes.Equal(e.value, value) && (e.value == nil) == (value == nil) {
		return
	}
	e.value = bytes.Clone(value)
	e.version++
	for _, w := range e.watchers {
		if w.armed {
			h.send(w)
			w.conn.Flush()
		}
	}
	h.forget(e)
}

// Value returns the value of a key; nil: it has none. It must not be changed.
func (h *Hub) Value(key string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.keys[key]; e != nil {
		return e.value
	}
	return nil
}

// watch handles WATCH: the first one is answered with an EVENT at once, later
// ones acknowledge the EVENT before.
func (h *Hub) watch(c *Conn, key []byte, sync uint64) *xrow.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := c.watchers[string(key)]
	if w == nil {
		cost := len(key) + watcherCost
		if c.watchCost+cost > watchBudget {
			return xrow.Errorf(xrow.ErrMemoryIssue, cost, "connection", "watcher")
		}
		c.watchCost += cost
		e := h.at(string(key))
		w = &watcher{conn: c, event: e, sync: sync, pos: len(e.watchers)}
		e.watchers = append(e.watchers, w)
		if c.watchers == nil {
			c.watchers = make(map[string]*watcher)
		}
		c.watchers[e.name] = w
		if h.follows(e) && len(e.watchers) == 1 {
			h.follow(e.name, true)
		}
		if h.follows(e) && e.version == 0 {
			w.armed = true
			return nil
		}
		h.send(w)
		return nil
	}
	w.sync, w.armed = sync, true
	if w.seen != w.event.version {
		h.send(w)
	}
	return nil
}

// unwatch handles UNWATCH; a key that is not watched is no error.
func (h *Hub) unwatch(c *Conn, key []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := c.watchers[string(key)]; w != nil {
		c.watchCost -= len(key) + watcherCost
		delete(c.watchers, string(key))
		h.remove(w)
	}
}

// drop removes all watchers of a connection.
func (h *Hub) drop(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range c.watchers { // the order does not show
		h.remove(w)
	}
	c.watchers, c.watchCost = nil, 0
}

// watches tells whether a connection watches a key.
func (h *Hub) watches(c *Conn, key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return c.watchers[key] != nil
}

// follows tells whether the value of a key comes from elsewhere: that the server stops is
// its own word.
func (h *Hub) follows(e *event) bool { return h.follow != nil && e.name != EventShutdown }

func (h *Hub) send(w *watcher) {
	w.armed, w.seen = false, w.event.version
	w.conn.push(w.sync, w.event.name, w.event.value)
}

func (h *Hub) at(key string) *event {
	e := h.keys[key]
	if e == nil {
		e = &event{name: key}
		h.keys[key] = e
	}
	return e
}

func (h *Hub) remove(w *watcher) {
	e := w.event
	last := len(e.watchers) - 1
	moved := e.watchers[last]
	e.watchers[w.pos], moved.pos = moved, w.pos
	e.watchers[last] = nil
	e.watchers = e.watchers[:last]
	if h.follows(e) && last == 0 {
		h.follow(e.name, false)
		e.value = nil
	}
	h.forget(e)
}

// forget lets go of a key that has neither value nor watchers.
func (h *Hub) forget(e *event) {
	if e.value == nil && len(e.watchers) == 0 {
		delete(h.keys, e.name)
	}
}

package iproto

import (
	"sync"
	"sync/atomic"
)

// slotBits is how much of a connection's ID is its slot in the table.
const slotBits = 20

// connTable finds connections by ID. Finding takes no lock: it is done once for
// each answer, on the node's loop.
type connTable struct {
	mu    sync.Mutex
	free  []uint32
	count uint64 // connections ever added: the upper part of an ID
	open  int
	slots atomic.Pointer[[]atomic.Pointer[Conn]] // replaced to grow; written under mu
}

// add gives the connection its ID; false: there are too many.
func (t *connTable) add(c *Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) == 0 && !t.growLocked() {
		return false
	}
	slot := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.count++
	t.open++
	c.id = t.count<<slotBits | uint64(slot)
	(*t.slots.Load())[slot].Store(c)
	return true
}

func (t *connTable) growLocked() bool {
	var old []atomic.Pointer[Conn]
	if p := t.slots.Load(); p != nil {
		old = *p
	}
	size := max(64, 2*len(old))
	if size > 1<<slotBits {
		return false
	}
	grown := make([]atomic.Pointer[Conn], size)
	for i := range old {
		grown[i].Store(old[i].Load())
	}
	for i := size - 1; i >= len(old); i-- {
		t.free = append(t.free, uint32(i))
	}
	t.slots.Store(&grown)
	return true
}

func (t *connTable) remove(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot := uint32(c.id & (1<<slotBits - 1))
	(*t.slots.Load())[slot].Store(nil)
	t.free = append(t.free, slot)
	t.open--
}

// find returns the connection, nil if it is gone.
func (t *connTable) find(id uint64) *Conn {
	p := t.slots.Load()
	if p == nil {
		return nil
	}
	slot := id & (1<<slotBits - 1)
	if slot >= uint64(len(*p)) {
		return nil
	}
	if c := (*p)[slot].Load(); c != nil && c.id == id {
		return c
	}
	return nil
}

// all returns the open connections.
func (t *connTable) all() []*Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	conns := make([]*Conn, 0, t.open)
	if p := t.slots.Load(); p != nil {
		for i := range *p {
			if c := (*p)[i].Load(); c != nil {
				conns = append(conns, c)
			}
		}
	}
	return conns
}

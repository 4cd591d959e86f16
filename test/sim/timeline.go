package sim

import "time"

// happening is something that will happen at a moment.
type happening interface{ happen() }

// doing is a happening of a kind of its own.
type doing func()

func (f doing) happen() { f() }

// timeline is the future of a world: a heap with four children to a node, the
// earliest on top. Half of a world's time would go into it if what moves in the
// heap had pointers: the heap has moments only, and names what happens then by
// its slot.
type timeline struct {
	heap  []moment
	slots []happening
	free  []uint32
	line  []linedUp // a queue beside the heap, see afterAll
	begun int       // of line: what is before it has happened
	order uint64
}

// moment is a time and, in one number, the order that breaks ties and below it
// the slot.
type moment struct {
	at    time.Duration
	order uint64
}

const slotBits = 24

func (m moment) before(o moment) bool { return m.at < o.at || m.at == o.at && m.order < o.order }

// linedUp is a happening of the queue.
type linedUp struct {
	moment
	what happening
}

func (t *timeline) push(at time.Duration, what happening) {
	t.order++
	var slot uint32
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
		t.slots[slot] = what
	} else {
		slot = uint32(len(t.slots))
		t.slots = append(t.slots, what)
	}
	m := moment{at, t.order<<slotBits | uint64(slot)}
	t.heap = append(t.heap, m)
	i := len(t.heap) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !m.before(t.heap[up]) {
			break
		}
		t.heap[i] = t.heap[up]
		i = up
	}
	t.heap[i] = m
}

// afterAll plans something that is not before anything planned by afterAll.
func (t *timeline) afterAll(at time.Duration, what happening) {
	t.order++
	if t.begun > 1024 && t.begun > len(t.line)/2 {
		n := copy(t.line, t.line[t.begun:])
		clear(t.line[n:])
		t.line, t.begun = t.line[:n], 0
	}
	t.line = append(t.line, linedUp{moment{at, t.order << slotBits}, what})
}

// next is the moment of what happens next.
func (t *timeline) next() (m moment, lined, ok bool) {
	if len(t.heap) > 0 {
		m, ok = t.heap[0], true
	}
	if t.begun < len(t.line) && (!ok || t.line[t.begun].before(m)) {
		return t.line[t.begun].moment, true, true
	}
	return m, false, ok
}

// pop takes what next told.
func (t *timeline) pop(lined bool) happening {
	if lined {
		what := t.line[t.begun].what
		t.line[t.begun].what = nil
		t.begun++
		return what
	}
	slot := uint32(t.heap[0].order & (1<<slotBits - 1))
	what := t.slots[slot]
	t.slots[slot] = nil
	t.free = append(t.free, slot)
	n := len(t.heap) - 1
	m := t.heap[n]
	t.heap = t.heap[:n]
	if n > 0 {
		t.sink(m)
	}
	return what
}

// sink puts a moment into the heap whose top is free.
func (t *timeline) sink(m moment) {
	n, i := len(t.heap), 0
	for {
		child := 4*i + 1
		if child >= n {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, n); c++ {
			if t.heap[c].before(t.heap[least]) {
				least = c
			}
		}
		if !t.heap[least].before(m) {
			break
		}
		t.heap[i] = t.heap[least]
		i = least
	}
	t.heap[i] = m
}

package limbo

import (
	"tarragon.dev/tarragon/internal/deque"
	"tarragon.dev/tarragon/vclock"
)

// queue is what is undecided, in log order. Whatever may wait in any number must
// not be walked over: what is asked for often is found by links.
type queue[P any] struct {
	nodes  deque.Deque[node[P]]
	popped uint64             // nodes that went at the front: node i has the place popped+i+1
	first  [vclock.Max]uint64 // place of the oldest entry of each origin; 0: none
	last   [vclock.Max]uint64 // and of the newest one

	size   int // sum of Bytes
	syncs  int // synchronous entries
	behind int // entries with Behind
}

// node is an entry with its links: places, which count from 1; 0: none.
type node[P any] struct {
	Entry[P]
	before, after uint64 // neighbours of the same origin
	sync          uint64 // newest synchronous entry up to this one; what is gone counts, too
}

func (q *queue[P]) len() int { return q.nodes.Len() }

func (q *queue[P]) at(i int) *Entry[P] { return &q.nodes.At(i).Entry }

func (q *queue[P]) place(place uint64) *node[P] { return q.nodes.At(q.index(place)) }

// index is where a place is in the queue, below 0 if it is gone.
func (q *queue[P]) index(place uint64) int { return int(int64(place - q.popped - 1)) }

func (q *queue[P]) push(e Entry[P]) {
	n := node[P]{Entry: e, before: q.last[e.Origin]}
	place := q.popped + uint64(q.len()) + 1
	if n.before != 0 {
		q.place(n.before).after = place
	} else {
		q.first[e.Origin] = place
	}
	q.last[e.Origin] = place
	switch {
	case e.Sync:
		n.sync = place
	case q.len() > 0:
		n.sync = q.nodes.At(q.len() - 1).sync
	}
	q.nodes.Push(n)
	q.count(&e, 1)
}

func (q *queue[P]) popFront() Entry[P] {
	n := q.nodes.PopFront()
	q.popped++
	if q.first[n.Origin] = n.after; n.after == 0 {
		q.last[n.Origin] = 0
	} else {
		q.place(n.after).before = 0
	}
	q.count(&n.Entry, -1)
	return n.Entry
}

func (q *queue[P]) popBack() Entry[P] {
	n := q.nodes.PopBack()
	if q.last[n.Origin] = n.before; n.before == 0 {
		q.first[n.Origin] = 0
	} else {
		q.place(n.before).after = 0
	}
	q.count(&n.Entry, -1)
	return n.Entry
}

func (q *queue[P]) count(e *Entry[P], by int) {
	q.size += by * e.Bytes
	if e.Sync {
		q.syncs += by
	}
	if e.Behind != 0 {
		q.behind += by
	}
}

// setBehind changes what an entry came behind.
func (q *queue[P]) setBehind(e *Entry[P], term uint64) {
	q.count(e, -1)
	e.Behind = term
	q.count(e, 1)
}

// oldestOf is the oldest entry of an origin, nil if it has none.
func (q *queue[P]) oldestOf(origin uint32) *Entry[P] {
	if q.first[origin] == 0 {
		return nil
	}
	return &q.nodes.Peek(q.index(q.first[origin])).Entry
}

// lastSync is where the newest synchronous entry is, below 0 if there is none.
func (q *queue[P]) lastSync() int {
	if q.len() == 0 {
		return -1
	}
	return q.syncUpTo(q.len() - 1)
}

// syncUpTo is where the newest synchronous entry up to i is, below 0 if it is gone
// or there was none.
func (q *queue[P]) syncUpTo(i int) int {
	if i < 0 {
		return -1
	}
	place := q.nodes.At(i).sync
	if place == 0 {
		return -1
	}
	return q.index(place)
}

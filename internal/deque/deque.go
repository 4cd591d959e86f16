// Package deque has a queue in blocks. It grows and shrinks at its ends without
// moving what it holds, so no operation on it takes time that grows with its
// length: the machines keep in it what may wait in any number.
//
// It is a plain value for one owner: no locks, no goroutines.
package deque

// blockLen is the elements of a block: enough that the list of blocks is short,
// little enough that a new block is no pause.
const blockLen = 256

// Deque is a queue. The zero value is empty.
type Deque[T any] struct {
	blocks [][]T // each of blockLen; the first one holds elements from head on
	head   int
	n      int
	spare  []T // a block that was emptied, for the next one
	looked uint64
}

// Len is the number of elements.
func (d *Deque[T]) Len() int { return d.n }

// Peek is At for readers that hold the owner off side by side: it changes nothing.
func (d *Deque[T]) Peek(i int) *T {
	if uint(i) >= uint(d.n) {
		panic("deque: no such element")
	}
	i += d.head
	return &d.blocks[i/blockLen][i%blockLen]
}

// Looked is how often an element was looked at: tests hold it against Len, for
// a step must not look at all that waits.
func (d *Deque[T]) Looked() uint64 { return d.looked }

// At is element i, the oldest one is 0. It stays valid until it is popped.
func (d *Deque[T]) At(i int) *T {
	d.looked++
	return d.Peek(i)
}

// Push appends an element.
func (d *Deque[T]) Push(v T) {
	at := d.head + d.n
	if at == len(d.blocks)*blockLen {
		if d.spare == nil {
			d.spare = make([]T, blockLen)
		}
		d.blocks, d.spare = append(d.blocks, d.spare), nil
	}
	d.blocks[at/blockLen][at%blockLen] = v
	d.n++
}

// PopFront takes the oldest element out.
func (d *Deque[T]) PopFront() T {
	v := d.take(0)
	if d.head++; d.head == blockLen {
		d.spare = d.blocks[0]
		last := len(d.blocks) - 1
		copy(d.blocks, d.blocks[1:])
		d.blocks[last] = nil
		d.blocks, d.head = d.blocks[:last], 0
	}
	d.n--
	d.rewind()
	return v
}

// PopBack takes the newest element out.
func (d *Deque[T]) PopBack() T {
	v := d.take(d.n - 1)
	d.n--
	if last := len(d.blocks) - 1; d.head+d.n <= last*blockLen {
		d.spare, d.blocks[last] = d.blocks[last], nil
		d.blocks = d.blocks[:last]
	}
	d.rewind()
	return v
}

// take leaves an element's place empty: the collector must not find what it held.
func (d *Deque[T]) take(i int) (v T) {
	p := d.At(i)
	v, *p = *p, v
	return v
}

// rewind begins an empty queue at the start of its block.
func (d *Deque[T]) rewind() {
	if d.n == 0 {
		d.head = 0
	}
}

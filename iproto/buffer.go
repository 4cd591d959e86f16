package iproto

import (
	"sync"
	"sync/atomic"
)

// Read buffers come in sizes from 4 KiB to 1 MiB, each four times the one
// before, and are pooled by size. A larger frame gets a buffer of its own,
// which the garbage collector takes back.
const (
	smallestBuf = 4 << 10
	bufClasses  = 5
	largestBuf  = smallestBuf << (2 * (bufClasses - 1))
	largestBase = 64 << 10 // what a connection keeps between frames: there may be thousands
)

// readBuf holds bytes of a connection as they came. The reader has one
// reference, each batch that points into it another.
type readBuf struct {
	data  []byte
	class int // index of the pool; bufClasses: not pooled
	refs  atomic.Int32
}

var readBufs [bufClasses]sync.Pool

// newReadBuf returns a buffer of at least size bytes with one reference.
func newReadBuf(size int) *readBuf {
	class, have := 0, smallestBuf
	for class < bufClasses && have < size {
		class++
		have *= 4
	}
	var b *readBuf
	if class < bufClasses {
		b, _ = readBufs[class].Get().(*readBuf)
	} else {
		have = size
	}
	if b == nil {
		b = &readBuf{data: make([]byte, have), class: class}
	}
	b.refs.Store(1)
	return b
}

// release gives one reference back; the last one returns the buffer to its pool.
func (b *readBuf) release() {
	if b.refs.Add(-1) == 0 && b.class < bufClasses {
		readBufs[b.class].Put(b)
	}
}

// shared tells whether a batch still points into the buffer.
func (b *readBuf) shared() bool { return b.refs.Load() > 1 }

var batches = sync.Pool{New: func() any { return new(Batch) }}

// newBatch returns an empty batch that keeps buf from being reused.
func newBatch(conn uint64, buf *readBuf) *Batch {
	b := batches.Get().(*Batch)
	b.Conn, b.buf = conn, buf
	buf.refs.Add(1)
	return b
}

// Release gives the batch and what its writes point into back. Nothing of the
// batch may be used after it; it is called exactly once.
func (b *Batch) Release() {
	b.buf.release()
	clear(b.Writes)
	b.Writes, b.buf = b.Writes[:0], nil
	batches.Put(b)
}

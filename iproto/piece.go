package iproto

import (
	"sync"

	"github.com/valyala/bytebufferpool"
)

// chunkSize is the size of the pieces of large answers, each of which is given
// back when it was sent.
const chunkSize = 256 << 10

// piece is a part of the output that is accounted for in the budget: frames, or a
// chunk of a large one.
type piece struct {
	buf   *bytebufferpool.ByteBuffer
	chunk bool // from chunkPool, and accounted for as a whole
}

var chunkPool = sync.Pool{New: func() any { return &bytebufferpool.ByteBuffer{B: make([]byte, 0, chunkSize)} }}

func newChunk(b *budget) piece {
	b.add(chunkSize)
	return piece{chunkPool.Get().(*bytebufferpool.ByteBuffer), true}
}

// room is how much may be added to a chunk.
func (p piece) room() int { return chunkSize - len(p.buf.B) }

// fill adds what there is room for to a chunk, and returns the rest.
func (p piece) fill(b []byte) (rest []byte) {
	n := min(len(b), p.room())
	p.buf.B = append(p.buf.B, b[:n]...)
	return b[n:]
}

// release gives the buffer back to where it is from, and its bytes to the budget.
// One that has grown beyond what is usual goes to the garbage.
func (p piece) release(b *budget) {
	switch n := len(p.buf.B); {
	case p.chunk:
		p.buf.B = p.buf.B[:0]
		chunkPool.Put(p.buf)
		b.add(-chunkSize)
	default:
		if cap(p.buf.B) <= outputSoft {
			bytebufferpool.Put(p.buf)
		}
		b.add(-n)
	}
}

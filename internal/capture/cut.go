package capture

import (
	"bytes"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
)

// MaxFrame is the longest frame that is kept together.
const MaxFrame = 16 << 20

// Cutter cuts what one side of a connection sends into a greeting and frames.
// Bytes in which no frame begins make the rest of that direction raw: there is
// no way back into step.
type Cutter struct {
	from    Side
	begun   bool   // the greeting is behind us, or there is none
	wild    bool   // no frames can be found any more
	pending []byte // an incomplete greeting or frame
	need    int    // how long pending must be before it is looked at again
	left    uint64 // bytes still to come of a frame that is too long to keep
}

// NewCutter cuts what from sends.
func NewCutter(from Side) *Cutter { return &Cutter{from: from, begun: from != Server} }

// greetingWord begins every greeting.
const greetingWord = "Tarantool "

// Add takes bytes as they arrived and hands whole pieces to emit, in order.
// Pieces are valid during the call. An error of emit ends it.
func (c *Cutter) Add(b []byte, emit func(Kind, []byte) error) error {
	for len(b) > 0 {
		if c.wild {
			return emit(Raw, b)
		}
		if c.left > 0 {
			n := min(c.left, uint64(len(b)))
			if err := emit(Raw, b[:n]); err != nil {
				return err
			}
			c.left -= n
			b = b[n:]
			continue
		}
		if len(c.pending) > 0 {
			c.pending = append(c.pending, b...)
			if len(c.pending) < c.need {
				return nil
			}
			b, c.pending = c.pending, nil
		}
		kind, n := c.next(b)
		if n == 0 {
			c.pending = append(c.pending, b...)
			return nil
		}
		if err := emit(kind, b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// Rest hands out what has not become whole.
func (c *Cutter) Rest(emit func(Kind, []byte) error) error {
	b := c.pending
	c.pending = nil
	if len(b) == 0 {
		return nil
	}
	return emit(Raw, b)
}

// next measures the piece that b begins with. 0: more bytes are needed.
func (c *Cutter) next(b []byte) (Kind, int) {
	if !c.begun {
		word := b[:min(len(b), len(greetingWord))]
		if bytes.HasPrefix([]byte(greetingWord), word) {
			if len(b) < iproto.GreetingSize {
				c.need = iproto.GreetingSize
				return "", 0
			}
			c.begun = true
			return Greeting, iproto.GreetingSize
		}
		c.begun = true
	}
	head, size, ok := frameLength(b)
	switch {
	case !ok:
		c.wild = true
		return Raw, len(b)
	case head == 0:
		c.need = len(b) + 1
		return "", 0
	case size > MaxFrame:
		c.left = uint64(head) + size
		n := min(c.left, uint64(len(b)))
		c.left -= n
		return Raw, int(n)
	case len(b) < head+int(size):
		c.need = head + int(size)
		return "", 0
	case b[0] != 0xce:
		return Raw, head + int(size)
	}
	return Frame, head + int(size)
}

// frameLength reads the length in front of a frame; head is its own length, 0:
// more bytes are needed. ok is false where no length is.
func frameLength(b []byte) (head int, size uint64, ok bool) {
	if c := b[0]; c > 0x7f && (c < 0xcc || c > 0xcf) {
		return 0, 0, false
	}
	size, head, ok = mp.ReadUint(b)
	if !ok {
		return 0, 0, true
	}
	return head, min(size, 1<<62), true
}

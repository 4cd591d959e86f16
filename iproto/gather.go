package iproto

import (
	"encoding/binary"
	"errors"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// errLarge ends a read whose answer is to be made in chunks.
var errLarge = errors.New("iproto: a large answer")

// gather makes the answer to one SELECT of the slices that come.
type gather struct {
	srv   *Server
	conn  *Conn
	taken int // bytes of tuples

	out    []byte  // a small answer, behind what was there before
	chunks []piece // a large one
	large  bool
}

// Take makes it a Sink.
func (g *gather) Take(b []byte) error {
	g.taken += len(b)
	if limit := g.srv.budget.maxAnswer(); g.taken > limit {
		return xrow.AnswerTooLarge(g.taken, limit)
	}
	if g.large {
		return g.write(b)
	}
	if g.taken > smallAnswer {
		return errLarge
	}
	g.out = append(g.out, b...)
	return nil
}

// write appends to the chunks, and waits for room for each.
func (g *gather) write(b []byte) error {
	for len(b) > 0 {
		if n := len(g.chunks); n == 0 || g.chunks[n-1].room() == 0 {
			if err := g.srv.budget.wait(g.srv.budget.forLarge(), g.conn.done); err != nil {
				return err
			}
			g.chunks = append(g.chunks, newChunk(&g.srv.budget))
		}
		b = g.chunks[len(g.chunks)-1].fill(b)
	}
	return nil
}

// small reads, and appends the answer, whatever it is, to out. false: it is a
// large one, and out is as it was.
func (g *gather) small(out []byte, q *Select) ([]byte, bool) {
	at := len(out)
	out, body := g.head(out, q)
	g.out, g.taken, g.large = out, 0, false
	n, position, err := g.srv.backend.Select(q, g)
	out, g.out = g.out, nil
	switch {
	case err == errLarge:
		return out[:at], false
	case err != nil:
		return g.fail(out[:at], q.Sync, err), true
	}
	binary.BigEndian.PutUint32(out[body+3:], n)
	if position != nil {
		out[body]++
		out = appendPosition(out, position)
	}
	return endFrame(out, at), true
}

// inChunks reads in the turn of large answers. The chunks are one frame; or
// there is an error, told in out.
func (g *gather) inChunks(q *Select) (chunks []piece, out []byte) {
	if err := g.srv.budget.take(g.conn.done); err != nil {
		return nil, g.fail(nil, q.Sync, err)
	}
	defer g.srv.budget.give()
	g.chunks, g.taken, g.large = nil, 0, true
	head, body := g.head(nil, q)
	err := g.write(head)
	var n uint32
	var position []byte
	if err == nil {
		n, position, err = g.srv.backend.Select(q, g)
	}
	if err == nil && position != nil {
		g.chunks[0].buf.B[body]++
		err = g.write(appendPosition(nil, position))
	}
	chunks, g.chunks = g.chunks, nil
	if err != nil {
		for _, c := range chunks {
			c.release(&g.srv.budget)
		}
		return nil, g.fail(nil, q.Sync, err)
	}
	first := chunks[0].buf.B
	binary.BigEndian.PutUint32(first[body+3:], n)
	size := (len(chunks)-1)*chunkSize + len(chunks[len(chunks)-1].buf.B)
	binary.BigEndian.PutUint32(first[1:], uint32(size-xrow.FrameHead))
	return chunks, nil
}

// head begins a frame; the body's first byte is at body, its count behind it.
func (g *gather) head(out []byte, q *Select) (res []byte, body int) {
	out = xrow.AppendReplyHead(out, xrow.OK, q.Sync, g.srv.logins.SchemaVersion())
	return appendDataKey(out, 0), len(out)
}

func appendPosition(dst, position []byte) []byte {
	return msgp.AppendStringFromBytes(append(dst, byte(xrow.KeyPosition)), position)
}

func (g *gather) fail(out []byte, sync uint64, err error) []byte {
	e := asError(err)
	g.conn.refused(e)
	return xrow.AppendErrorReply(out, e, sync, g.srv.logins.SchemaVersion())
}

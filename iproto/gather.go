package iproto

import (
	"encoding/binary"

	"tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// gather makes the answer to one SELECT of the slices that come.
type gather struct {
	out   []byte // the answer behind those that were there before
	taken int    // bytes of tuples
	limit int
}

// Take makes it a Sink.
func (g *gather) Take(b []byte) error {
	if g.taken += len(b); g.taken > g.limit {
		return xrow.AnswerTooLarge(g.taken, g.limit)
	}
	g.out = append(g.out, b...)
	return nil
}

// run reads and appends the answer, whatever it is, to out.
func (g *gather) run(s *Server, out []byte, q *Select) []byte {
	at := len(out)
	out = xrow.AppendReplyHead(out, xrow.OK, q.Sync, s.backend.SchemaVersion())
	body := len(out)
	g.out, g.taken, g.limit = appendDataKey(out, 0), 0, s.cfg.MaxResult
	n, position, err := s.backend.Select(q, g)
	out, g.out = g.out, nil
	if err != nil {
		s.meter.add(countErrors, 1)
		return xrow.AppendErrorReply(out[:at], asError(err), q.Sync, s.backend.SchemaVersion())
	}
	binary.BigEndian.PutUint32(out[body+3:], n)
	if position != nil {
		out[body]++
		out = append(out, byte(xrow.KeyPosition))
		out = msgp.AppendStringFromBytes(out, position)
	}
	return endFrame(out, at)
}

package instance

import (
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Select is [box.Box.Select], and that of the views whose tuples are the core's. Readers
// hold the shared side of the Loop's latch.
func (c *Core) Select(user box.Credentials, q *box.Query, out []byte) (res []byte, n int, err error) {
	if q.Space == xrow.ViewHistory {
		return c.box.SelectComputed(user, q, historyRows{c.limbo.History(), c.members.ids}, out)
	}
	return c.box.Select(user, q, out)
}

// historyRows are the tuples of _vtarragon_history: the terms in effect, oldest first.
// docs/protocol/history.md has their fields.
type historyRows struct {
	spans   []terms.Span
	members []box.Member
}

// Len and Number make it box.Rows.
func (h historyRows) Len() int            { return len(h.spans) }
func (h historyRows) Number(i int) uint64 { return h.spans[i].Term }

// Append adds the tuple of a term.
func (h historyRows) Append(b []byte, i int) []byte {
	s := &h.spans[i]
	b = append(b, 0x9e)
	b = msgp.AppendUint32(msgp.AppendUint64(b, s.Term), s.Owner)
	if at := slices.IndexFunc(h.members, func(m box.Member) bool { return m.ID == s.Owner }); at >= 0 {
		b = appendText(appendText(b, h.members[at].UUID), h.members[at].Name)
	} else {
		b = append(b, 0xc0, 0xc0)
	}
	b = msgp.AppendString(msgp.AppendString(msgp.AppendString(b, s.Began.Kind.String()), s.Began.By), s.Began.Reason)
	b = msgp.AppendUint64(msgp.AppendUint64(b, s.First), s.Last)
	if s.Began.At != 0 {
		b = msgp.AppendFloat64(b, terms.Seconds(s.Began.At))
	} else {
		b = append(b, 0xc0)
	}
	if still, known := s.Began.Still(); known {
		b = msgp.AppendBool(msgp.AppendFloat64(b, still.Seconds()), s.Began.Loose)
	} else {
		b = append(b, 0xc0, 0xc2)
	}
	if i > 0 {
		b = msgp.AppendUint64(b, h.spans[i-1].Term)
	} else {
		b = append(b, 0xc0)
	}
	return msgp.AppendString(b, s.Rules.String())
}

// appendText appends a text; an empty one is nil.
func appendText(b []byte, s string) []byte {
	if s == "" {
		return append(b, 0xc0)
	}
	return msgp.AppendString(b, s)
}

package xrow

import "slices"

// Gap is the rows of whole transactions that a stream has cut by the share of its peer, and not told
// yet. They follow each other in the log, and are of one origin and one term.
//
// Invariant: it is told, by Flush, before a row is sent and before the stream waits
// for anything. What it points into may be used again behind Flush.
type Gap struct {
	share  *Share
	always []uint32
	origin uint32
	from   uint64
	row    []byte // the last one's frame; nil: nothing was cut
	buf    []byte // frames since Reset
}

// NewGap is nil where the peer has all.
func NewGap(s *Share) *Gap {
	if s == nil {
		return nil
	}
	return &Gap{share: s}
}

// Always says which spaces pass whatever the share is: those of Tarragon's own that there
// are at the sender. The list is not changed while it is in use.
func (p *Gap) Always(spaces []uint32) {
	if p != nil {
		p.always = spaces
	}
}

// has tells whether rows of a space are sent.
func (p *Gap) has(space uint32) bool {
	return p == nil || p.share.Has(space) || slices.Contains(p.always, space)
}

// add takes rows first..last of a transaction, behind those that were cut before.
func (p *Gap) add(g *Group, first, last int, out [][]byte) [][]byte {
	ref := &g.Table[first]
	if p.row != nil && p.origin != ref.Origin {
		out = p.Flush(out)
	}
	if p.row == nil {
		p.origin, p.from = ref.Origin, ref.LSN
	}
	p.row = g.Frame(last)
	return out
}

// Flush appends the row that stands for what was cut: a NOP with its last LSN, and its
// first one in From. The frame is valid until Reset.
func (p *Gap) Flush(out [][]byte) [][]byte {
	if p == nil || p.row == nil {
		return out
	}
	var last Row
	if _, err := last.DecodeHeader(p.row[FrameHead:]); err != nil {
		panic("xrow: a group holds a damaged row: " + err.Error())
	}
	nop := Row{Type: Nop, ReplicaID: last.ReplicaID, LSN: last.LSN, Timestamp: last.Timestamp, Term: last.Term}
	if p.from != last.LSN {
		nop.From = p.from
	}
	at := len(p.buf)
	p.buf = nop.Append(p.buf)
	p.row = nil
	return append(out, p.buf[at:len(p.buf):len(p.buf)])
}

// Reset gives the memory of frames that were sent back.
func (p *Gap) Reset() {
	if p != nil {
		p.buf = p.buf[:0]
	}
}

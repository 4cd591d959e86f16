package xrow

import "slices"

// Gap is the rows of whole transactions that a stream has cut by the share of its peer, and not told
// yet. They follow each other in the log, and are of one origin and one term. Behind it goes what
// there is to send between them: pieces that are small are copied into one.
//
// Invariant: it is told, by Flush, before a row is sent and before the stream waits
// for anything. What it points into may be used again behind Flush.
type Gap struct {
	share  *Share
	own    Own
	known  [knownSpaces]uint64 // what has told of a space, by its last bits: ID << 1, and 1 where it is sent; 0: nothing
	origin uint32
	from   uint64
	group  *Group   // of the last one; nil: nothing was cut
	last   int      // its row there
	buf    []byte   // bytes that were copied since Reset
	piece  int      // buf[piece:] is not handed out yet
	firsts []uint32 // memory of CutAt
}

// knownSpaces is a power of two. Spaces that meet there cost a search each time.
const knownSpaces = 64

// smallRun is what is copied rather than handed out as it lies: a piece of a write costs the kernel
// more than so many bytes cost us.
const smallRun = 2 << 10

// NewGap is nil where the peer has all.
func NewGap(s *Share) *Gap {
	if s == nil {
		return nil
	}
	return &Gap{share: s}
}

// Own are those of Tarragon's own spaces, as there are at the sender, of which no share decides.
type Own struct {
	Always []uint32 // they pass; never changed
	Never  uint32   // it does not; 0: there is none
}

// Own says which these are from now on.
func (p *Gap) Own(o Own) {
	was := []uint32(nil)
	if p != nil {
		was = p.own.Always
	}
	if p == nil || o.Never == p.own.Never && len(o.Always) == len(was) && (len(was) == 0 || &o.Always[0] == &was[0]) {
		return
	}
	p.own, p.known = o, [knownSpaces]uint64{}
}

// has tells whether rows of a space are sent.
func (p *Gap) has(space uint32) bool {
	if p == nil || space < FirstUserSpace {
		return true
	}
	k := &p.known[space%knownSpaces]
	if *k>>1 != uint64(space) {
		*k = uint64(space) << 1
		if space != p.own.Never && (p.share.Has(space) || slices.Contains(p.own.Always, space)) {
			*k |= 1
		}
	}
	return *k&1 != 0
}

// add takes rows first..last of a transaction, behind those that were cut before.
func (p *Gap) add(g *Group, first, last int) {
	ref := &g.Table[first]
	if p.group != nil && p.origin != ref.Origin {
		p.stand()
	}
	if p.group == nil {
		p.origin, p.from = ref.Origin, ref.LSN
	}
	p.group, p.last = g, last
}

// stand writes the row that stands for what was cut: a NOP with its last LSN, and its first one in From.
func (p *Gap) stand() {
	if p.group == nil {
		return
	}
	var last Row
	if _, err := last.DecodeHeader(p.group.Frame(p.last)[FrameHead:]); err != nil {
		panic("xrow: a group holds a damaged row: " + err.Error())
	}
	nop := Row{Type: Nop, ReplicaID: last.ReplicaID, LSN: last.LSN, Timestamp: last.Timestamp, Term: last.Term}
	if p.from != last.LSN {
		nop.From = p.from
	}
	p.buf = nop.Append(p.buf)
	p.group = nil
}

// send appends bytes behind all that was sent.
func (p *Gap) send(run []byte, out [][]byte) [][]byte {
	switch {
	case p == nil:
		return append(out, run)
	case len(run) < smallRun:
		p.buf = append(p.buf, run...)
		return out
	}
	return append(p.handOut(out), run)
}

// handOut appends what was copied. It is valid until Reset.
func (p *Gap) handOut(out [][]byte) [][]byte {
	if p.piece == len(p.buf) {
		return out
	}
	from := p.piece
	p.piece = len(p.buf)
	return append(out, p.buf[from:p.piece:p.piece])
}

// Flush appends what there is to send, behind the rows that were cut last the one that stands for
// them.
func (p *Gap) Flush(out [][]byte) [][]byte {
	if p == nil {
		return out
	}
	p.stand()
	return p.handOut(out)
}

// Reset gives the memory of what was sent back.
func (p *Gap) Reset() {
	if p != nil {
		p.buf, p.piece = p.buf[:0], 0
	}
}

package xrow

import (
	"slices"

	"tarragon.dev/tarragon/vclock"
)

// Places says where in a group the transactions of each space are. It is made once for all streams
// that cut the group by a share: each then looks at what it sends, and at nothing that lies between.
// It is never changed.
type Places struct {
	origin uint32 // of all rows
	spaces []uint32
	ends   []uint32 // firsts[ends[i-1]:ends[i]] are of spaces[i]
	firsts []uint32 // first row of a transaction that has a row of the space; ascending for each space
}

// maxPlaces bounds the spaces of a group that has Places: with more of them, streams would pass over
// the spaces for as long as over rows.
const maxPlaces = 64

// Places looks at all rows. It is nil where each row must be looked at: a group of more
// than one origin, local rows too, or of many spaces.
func (g *Group) Places() *Places {
	if len(g.Table) == 0 {
		return nil
	}
	p := &Places{origin: g.Table[0].Origin}
	if p.origin == 0 {
		return nil
	}
	var slots [maxPlaces]uint8 // index of a space by its last bits, and where others meet there the newest
	ofRow := make([]uint8, len(g.Table))
	for i := range g.Table {
		ref := &g.Table[i]
		if ref.Origin != p.origin {
			return nil
		}
		k := int(slots[ref.SpaceID%maxPlaces])
		if k >= len(p.spaces) || p.spaces[k] != ref.SpaceID {
			k = slices.Index(p.spaces, ref.SpaceID)
		}
		if k < 0 {
			if k = len(p.spaces); k == maxPlaces {
				return nil
			}
			p.spaces, p.ends = append(p.spaces, ref.SpaceID), append(p.ends, 0)
		}
		slots[ref.SpaceID%maxPlaces], ofRow[i] = uint8(k), uint8(k)
		p.ends[k]++
	}
	p.fill(g, ofRow)
	return p
}

// fill sets firsts, where ends are the rows of each space.
func (p *Places) fill(g *Group, ofRow []uint8) {
	p.firsts = make([]uint32, len(g.Table))
	begins := make([]uint32, len(p.spaces))
	for k, sum := 0, uint32(0); k < len(p.ends); k++ {
		begins[k] = sum
		sum += p.ends[k]
		p.ends[k] = begins[k]
	}
	first := uint32(0)
	for i := range g.Table {
		if g.Table[i].First {
			first = uint32(i)
		}
		k := ofRow[i]
		if end := p.ends[k]; end == begins[k] || p.firsts[end-1] != first {
			p.firsts[end] = first
			p.ends[k]++
		}
	}
	// What several rows of a transaction have left free goes.
	end := uint32(0)
	for k := range p.ends {
		n := copy(p.firsts[end:], p.firsts[begins[k]:p.ends[k]])
		end += uint32(n)
		p.ends[k] = end
	}
	p.firsts = p.firsts[:end]
}

// sent is the first rows of the transactions that a stream sends some of, ascending, in the memory of
// firsts, and tells whether there are few: else it looks at all.
func (p *Places) sent(gap *Gap, firsts []uint32) (_ []uint32, few bool) {
	from, kinds := uint32(0), 0
	for k, space := range p.spaces {
		if gap.has(space) {
			kinds++
			firsts = append(firsts, p.firsts[from:p.ends[k]]...)
		}
		from = p.ends[k]
	}
	if len(firsts) > len(p.firsts)/2 {
		return firsts, false
	}
	if kinds > 1 {
		slices.Sort(firsts)
		firsts = slices.Compact(firsts)
	}
	return firsts, true
}

// CutAt does what Cut does. It looks at transactions that the share has something of, wherever
// they are all that the peer can have: p are the Places of g, or nil.
func (g *Group) CutAt(p *Places, pos *vclock.VClock, skip uint32, gap *Gap, out [][]byte) [][]byte {
	if p == nil || gap == nil || skip>>p.origin&1 != 0 || pos[p.origin] >= g.Table[0].LSN {
		return g.Cut(pos, skip, gap, out)
	}
	firsts, few := p.sent(gap, gap.firsts[:0])
	gap.firsts = firsts
	if !few {
		return g.Cut(pos, skip, gap, out)
	}
	c := cutter{g: g, pos: pos, skip: skip | 1<<0, gap: gap, out: out}
	behind := 0 // all rows in front of it are sent or cut
	for _, first := range firsts {
		c.cutRows(behind, int(first))
		behind = g.endOfTransaction(int(first))
		c.transaction(int(first), behind)
	}
	c.cutRows(behind, len(g.Table))
	c.flush()
	pos[p.origin] = g.Table[len(g.Table)-1].LSN
	return c.out
}

// cutRows cuts the whole transactions of rows from..to-1, of one origin.
func (c *cutter) cutRows(from, to int) {
	if from < to {
		c.flush()
		c.gap.add(c.g, from, to-1)
	}
}

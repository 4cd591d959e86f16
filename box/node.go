package box

import "unsafe"

// Fan-outs. A leaf is 12 bytes an entry; 64 of them keep a shift within a few
// cache lines and random inserts at about 70 % fill.
const (
	leafCap   = 64
	innerCap  = leafCap // one search serves both
	leafBlock = 64
	innerBlok = 16
	maxHeight = 16
)

// leaf holds entries in order. Neighbours are linked by ID; 0: none.
type leaf struct {
	hints      [leafCap]uint64
	refs       [leafCap]ref
	next, prev uint32
	n          int32
}

// inner holds n kids. Invariant: hints[i], refs[i] for i > 0 are the first entry
// of the leftmost leaf under kids[i].
type inner struct {
	hints [innerCap]uint64
	refs  [innerCap]ref
	kids  [innerCap]uint32
	n     int32
}

// pool hands out nodes to all trees of a box. IDs begin with 1. Nodes hold no
// pointers, so the garbage collector passes them over.
type pool struct {
	from       Pages
	leaves     []*[leafBlock]leaf
	inners     []*[innerBlok]inner
	freeLeaves []uint32
	freeInners []uint32
	nLeaves    uint32
	nInners    uint32
}

func (p *pool) leaf(id uint32) *leaf   { return &p.leaves[id/leafBlock][id%leafBlock] }
func (p *pool) inner(id uint32) *inner { return &p.inners[id/innerBlok][id%innerBlok] }

func (p *pool) newLeaf() uint32 {
	if n := len(p.freeLeaves); n > 0 {
		id := p.freeLeaves[n-1]
		p.freeLeaves = p.freeLeaves[:n-1]
		l := p.leaf(id)
		l.n, l.next, l.prev = 0, 0, 0
		return id
	}
	p.nLeaves++
	if int(p.nLeaves/leafBlock) >= len(p.leaves) {
		p.leaves = append(p.leaves, (*[leafBlock]leaf)(p.block(unsafe.Sizeof([leafBlock]leaf{}))))
	}
	return p.nLeaves
}

func (p *pool) newInner() uint32 {
	if n := len(p.freeInners); n > 0 {
		id := p.freeInners[n-1]
		p.freeInners = p.freeInners[:n-1]
		p.inner(id).n = 0
		return id
	}
	p.nInners++
	if int(p.nInners/innerBlok) >= len(p.inners) {
		p.inners = append(p.inners, (*[innerBlok]inner)(p.block(unsafe.Sizeof([innerBlok]inner{}))))
	}
	return p.nInners
}

// block is memory for nodes, which have no pointers and fields of eight bytes at most.
func (p *pool) block(size uintptr) unsafe.Pointer {
	b := p.from.Take(int(size))
	clear(b)
	return unsafe.Pointer(unsafe.SliceData(b))
}

func (p *pool) dropLeaf(id uint32)  { p.freeLeaves = append(p.freeLeaves, id) }
func (p *pool) dropInner(id uint32) { p.freeInners = append(p.freeInners, id) }

// insert puts an entry before pos.
func (l *leaf) insert(pos int, hint uint64, r ref) {
	n := int(l.n)
	copy(l.hints[pos+1:n+1], l.hints[pos:n])
	copy(l.refs[pos+1:n+1], l.refs[pos:n])
	l.hints[pos], l.refs[pos] = hint, r
	l.n++
}

func (l *leaf) remove(pos int) {
	n := int(l.n)
	copy(l.hints[pos:n-1], l.hints[pos+1:n])
	copy(l.refs[pos:n-1], l.refs[pos+1:n])
	l.n--
}

// moveTo appends the entries from pos on to dst.
func (l *leaf) moveTo(dst *leaf, pos int) {
	copy(dst.hints[dst.n:], l.hints[pos:l.n])
	copy(dst.refs[dst.n:], l.refs[pos:l.n])
	dst.n += l.n - int32(pos)
	l.n = int32(pos)
}

func (x *inner) insert(pos int, hint uint64, r ref, kid uint32) {
	n := int(x.n)
	copy(x.hints[pos+1:n+1], x.hints[pos:n])
	copy(x.refs[pos+1:n+1], x.refs[pos:n])
	copy(x.kids[pos+1:n+1], x.kids[pos:n])
	x.hints[pos], x.refs[pos], x.kids[pos] = hint, r, kid
	x.n++
}

func (x *inner) remove(pos int) {
	n := int(x.n)
	copy(x.hints[pos:n-1], x.hints[pos+1:n])
	copy(x.refs[pos:n-1], x.refs[pos+1:n])
	copy(x.kids[pos:n-1], x.kids[pos+1:n])
	x.n--
}

func (x *inner) moveTo(dst *inner, pos int) {
	copy(dst.hints[dst.n:], x.hints[pos:x.n])
	copy(dst.refs[dst.n:], x.refs[pos:x.n])
	copy(dst.kids[dst.n:], x.kids[pos:x.n])
	dst.n += x.n - int32(pos)
	x.n = int32(pos)
}

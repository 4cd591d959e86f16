package box

import "math/bits"

// tree is a B+tree of entries (hint, reference of a version), ordered by the
// index it belongs to. It is changed in place by the owner; readers hold no
// position in it across changes.
type tree struct {
	root   uint32
	height int // 0: the root is a leaf

	forming *forming // not nil: not all that it is to have is there
	since   uint64   // who sees less than this transaction may miss something here
}

// step is one node of the way down, with the slot that was taken.
type step struct {
	node uint32
	slot int
}

// path leads from the root to a place in a leaf. steps[height] is the leaf.
type path struct {
	steps [maxHeight + 1]step
}

// place is a position in the sequence of entries; leaf 0 is behind its end.
type place struct {
	leaf uint32
	pos  int
}

// cut counts how many of the entries from..n-1 come before the probe, with
// orEqual also those that equal it, and returns the slot behind them. Few
// entries have the hint of the probe.
func (ix *index) cut(hints *[leafCap]uint64, refs *[leafCap]ref, from, n int, p *probe, orEqual bool) int {
	return ix.cutFrom(hints, refs, before(hints, from, n, p.hint), n, p, orEqual)
}

// cutFrom is cut from lo on, where the entries begin whose hint is not below the
// probe's.
func (ix *index) cutFrom(hints *[leafCap]uint64, refs *[leafCap]ref, lo, n int, p *probe, orEqual bool) int {
	if lo == n || hints[lo&(leafCap-1)] != p.hint {
		return lo
	}
	hi := lo + 1
	for hi < n && hints[hi&(leafCap-1)] == p.hint {
		hi++
	}
	if ix.exactHint && p.parts == 1 {
		if orEqual {
			return hi
		}
		return lo
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if c := ix.compareBehindHint(refs[mid], p); c < 0 || orEqual && c == 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// before is the first of the slots from..n-1 whose hint is not below the given
// one; n: there is none. It counts instead of halving: loads that do not wait for each
// other, and no branch that is taken every second time.
func before(hints *[leafCap]uint64, from, n int, hint uint64) int {
	var blocks, rest uint64 // of eight
	for k := 8; k < n; k += 8 {
		_, less := bits.Sub64(hints[k&(leafCap-1)], hint, 0)
		blocks += less
	}
	at := int(blocks) * 8
	end := min(at+8, n)
	at = max(at, from)
	for k := at; k < end; k++ {
		_, less := bits.Sub64(hints[k&(leafCap-1)], hint, 0)
		rest += less
	}
	return at + int(rest)
}

// descend goes to the leaf where an entry equal to the probe is or would be.
// p has all parts. found tells whether it is there.
func (ix *index) descend(p *probe, way *path) (found bool) {
	id := ix.tree.root
	for level := range ix.tree.height {
		x := ix.pool.inner(id)
		slot := ix.cut(&x.hints, &x.refs, 1, int(x.n), p, true) - 1
		way.steps[level] = step{id, slot}
		id = x.kids[slot]
	}
	l := ix.pool.leaf(id)
	pos := ix.cut(&l.hints, &l.refs, 0, int(l.n), p, false)
	way.steps[ix.tree.height] = step{id, pos}
	return pos < int(l.n) && l.hints[pos] == p.hint && (ix.exactHint && p.parts == 1 || ix.compareBehindHint(l.refs[pos], p) == 0)
}

// descendTo goes to the entry that leads to r, whose key is the probe. Where
// another version stands for the key it is descend.
func (ix *index) descendTo(p *probe, r ref, way *path) (found bool) {
	id := ix.tree.root
	for level := range ix.tree.height {
		x := ix.pool.inner(id)
		slot := ix.cut(&x.hints, &x.refs, 1, int(x.n), p, true) - 1
		way.steps[level] = step{id, slot}
		id = x.kids[slot]
	}
	l := ix.pool.leaf(id)
	for pos := before(&l.hints, 0, int(l.n), p.hint); pos < int(l.n) && l.hints[pos] == p.hint; pos++ {
		if l.refs[pos] == r { // no tuple was looked at
			way.steps[ix.tree.height] = step{id, pos}
			return true
		}
	}
	return ix.descend(p, way)
}

// seek finds the first entry that is not before the probe, or, with after, the
// first one behind all that equal it. The probe may have few parts.
func (ix *index) seek(p *probe, after bool) place {
	id := ix.tree.root
	for range ix.tree.height {
		x := ix.pool.inner(id)
		id = x.kids[ix.cut(&x.hints, &x.refs, 1, int(x.n), p, after)-1]
	}
	l := ix.pool.leaf(id)
	pos := ix.cut(&l.hints, &l.refs, 0, int(l.n), p, after)
	if pos == int(l.n) {
		return place{l.next, 0}
	}
	return place{id, pos}
}

// edge is the leftmost or rightmost leaf.
func (ix *index) edge(right bool) uint32 {
	id := ix.tree.root
	for range ix.tree.height {
		x := ix.pool.inner(id)
		if right {
			id = x.kids[x.n-1]
		} else {
			id = x.kids[0]
		}
	}
	return id
}

// random is a place that seed chooses: the remainder by the fan-out of each node
// on the way down; the end for an empty tree. Tarantool: bps_tree_random.
func (ix *index) random(seed uint32) place {
	id := ix.tree.root
	for range ix.tree.height {
		x := ix.pool.inner(id)
		n := uint32(x.n)
		id, seed = x.kids[seed%n], seed/n
	}
	if n := uint32(ix.pool.leaf(id).n); n > 0 {
		return place{id, int(seed % n)}
	}
	return place{}
}

// first is the place of the first entry; the end for an empty tree.
func (ix *index) first() place {
	id := ix.edge(false)
	if ix.pool.leaf(id).n == 0 {
		return place{}
	}
	return place{id, 0}
}

// next and previous step from a place; previous of the end is the last entry.
func (ix *index) next(at place) place {
	l := ix.pool.leaf(at.leaf)
	if at.pos+1 < int(l.n) {
		return place{at.leaf, at.pos + 1}
	}
	return place{l.next, 0}
}

func (ix *index) previous(at place) place {
	if at.leaf == 0 {
		id := ix.edge(true)
		return place{id, int(ix.pool.leaf(id).n) - 1}.orEnd()
	}
	if at.pos > 0 {
		return place{at.leaf, at.pos - 1}
	}
	prev := ix.pool.leaf(at.leaf).prev
	if prev == 0 {
		return place{}
	}
	return place{prev, int(ix.pool.leaf(prev).n) - 1}
}

func (at place) orEnd() place {
	if at.pos < 0 {
		return place{}
	}
	return at
}

func (ix *index) refAt(at place) ref { return ix.pool.leaf(at.leaf).refs[at.pos] }

// set makes the entry at the end of the way lead to r, which has the same key.
func (ix *index) set(way *path, r ref) {
	s := way.steps[ix.tree.height]
	l := ix.pool.leaf(s.node)
	l.refs[s.slot] = r
	if s.slot == 0 {
		ix.fixMin(way, ix.tree.height, l.hints[0], r)
	}
}

// fixMin tells the nearest ancestor that keeps the minimum of the subtree at
// the given level of its new first entry.
func (ix *index) fixMin(way *path, level int, hint uint64, r ref) {
	for level--; level >= 0; level-- {
		if s := way.steps[level]; s.slot > 0 {
			x := ix.pool.inner(s.node)
			x.hints[s.slot], x.refs[s.slot] = hint, r
			return
		}
	}
}

// insert adds an entry where descend found none.
func (ix *index) insert(way *path, hint uint64, r ref) {
	s := way.steps[ix.tree.height]
	l := ix.pool.leaf(s.node)
	if l.n < leafCap {
		l.insert(s.slot, hint, r)
		return
	}
	id := ix.pool.newLeaf()
	right := ix.pool.leaf(id)
	right.next, right.prev, l.next = l.next, s.node, id
	if right.next != 0 {
		ix.pool.leaf(right.next).prev = id
	}
	switch half := leafCap / 2; {
	case s.slot == leafCap && right.next == 0: // ascending load: leave full leaves behind
		right.insert(0, hint, r)
	case s.slot > half:
		l.moveTo(right, half)
		right.insert(s.slot-half, hint, r)
	default:
		l.moveTo(right, half)
		l.insert(s.slot, hint, r)
	}
	ix.insertKid(way, ix.tree.height-1, right.hints[0], right.refs[0], id)
}

// insertKid adds a node to the right of the one at the given level's slot.
func (ix *index) insertKid(way *path, level int, hint uint64, r ref, kid uint32) {
	if level < 0 {
		root := ix.pool.newInner()
		x := ix.pool.inner(root)
		x.kids[0], x.n = ix.tree.root, 1
		x.insert(1, hint, r, kid)
		ix.tree.root = root
		ix.tree.height++
		return
	}
	s := way.steps[level]
	x := ix.pool.inner(s.node)
	pos := s.slot + 1
	if x.n < innerCap {
		x.insert(pos, hint, r, kid)
		return
	}
	id := ix.pool.newInner()
	right := ix.pool.inner(id)
	switch half := innerCap / 2; {
	case pos == innerCap:
		right.insert(0, hint, r, kid)
	case pos > half:
		x.moveTo(right, half)
		right.insert(pos-half, hint, r, kid)
	default:
		x.moveTo(right, half)
		x.insert(pos, hint, r, kid)
	}
	ix.insertKid(way, level-1, right.hints[0], right.refs[0], id)
}

// remove takes away the entry at the end of the way.
func (ix *index) remove(way *path) {
	level := ix.tree.height
	s := way.steps[level]
	l := ix.pool.leaf(s.node)
	l.remove(s.slot)
	if l.n >= leafCap/4 || level == 0 {
		if s.slot == 0 && l.n > 0 {
			ix.fixMin(way, level, l.hints[0], l.refs[0])
		}
		return
	}
	if l.n == 0 {
		ix.unlink(l)
		ix.pool.dropLeaf(s.node)
		ix.removeKid(way, level-1)
		return
	}
	if s.slot == 0 {
		ix.fixMin(way, level, l.hints[0], l.refs[0])
	}
	up := &way.steps[level-1]
	x := ix.pool.inner(up.node)
	left := up.slot
	if left+1 == int(x.n) {
		left--
	}
	if left < 0 {
		return
	}
	a, b := ix.pool.leaf(x.kids[left]), ix.pool.leaf(x.kids[left+1])
	if a.n+b.n > leafCap*3/4 {
		return
	}
	b.moveTo(a, 0)
	ix.unlink(b)
	ix.pool.dropLeaf(x.kids[left+1])
	up.slot = left + 1
	ix.removeKid(way, level-1)
}

func (ix *index) unlink(l *leaf) {
	if l.prev != 0 {
		ix.pool.leaf(l.prev).next = l.next
	}
	if l.next != 0 {
		ix.pool.leaf(l.next).prev = l.prev
	}
}

// removeKid takes the kid in the slot of the given level out of its node, whose
// memory was given back already, and mends the nodes above.
func (ix *index) removeKid(way *path, level int) {
	s := way.steps[level]
	x := ix.pool.inner(s.node)
	x.remove(s.slot)
	if x.n == 0 {
		ix.pool.dropInner(s.node)
		if level == 0 {
			ix.tree.root, ix.tree.height = ix.pool.newLeaf(), 0
			return
		}
		ix.removeKid(way, level-1)
		return
	}
	if s.slot == 0 {
		ix.fixMin(way, level, x.hints[0], x.refs[0])
	}
	if level == 0 {
		for ix.tree.height > 0 && ix.pool.inner(ix.tree.root).n == 1 {
			old := ix.tree.root
			ix.tree.root = ix.pool.inner(old).kids[0]
			ix.tree.height--
			ix.pool.dropInner(old)
		}
		return
	}
	if x.n >= innerCap/4 {
		return
	}
	ix.mergeInner(way, level)
}

// mergeInner joins the small node at the given level with a neighbour under the
// same parent if both fit in one.
func (ix *index) mergeInner(way *path, level int) {
	up := &way.steps[level-1]
	x := ix.pool.inner(up.node)
	left := up.slot
	if left+1 == int(x.n) {
		left--
	}
	if left < 0 {
		return
	}
	a, b := ix.pool.inner(x.kids[left]), ix.pool.inner(x.kids[left+1])
	if a.n+b.n > innerCap*3/4 {
		return
	}
	b.hints[0], b.refs[0] = x.hints[left+1], x.refs[left+1]
	b.moveTo(a, 0)
	ix.pool.dropInner(x.kids[left+1])
	up.slot = left + 1
	ix.removeKid(way, level-1)
}

// append adds an entry behind all others.
func (ix *index) append(hint uint64, r ref) {
	var way path
	id := ix.tree.root
	for level := range ix.tree.height {
		x := ix.pool.inner(id)
		way.steps[level] = step{id, int(x.n) - 1}
		id = x.kids[x.n-1]
	}
	way.steps[ix.tree.height] = step{id, int(ix.pool.leaf(id).n)}
	ix.insert(&way, hint, r)
}

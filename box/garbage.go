package box

// garbage is a tree that nobody needs once no view from before it is open.
type garbage struct {
	ix   *index
	data bool // the tuples go too: ix is the primary index of a dropped or emptied space

	bytes int // of these tuples
}

// trash keeps what is to be freed: versions and trees that views still need, in
// the order in which transactions ended them, and trees that are being taken
// apart in slices.
type trash struct {
	versions waiting // of global spaces
	local    waiting // of spaces decided by their write
	trees    []oldTree
	leaves   []oldLeaves
	kept     int // bytes of all that views made wait so far, what was freed since as well
}

type oldTree struct {
	garbage
	seq uint64
}

// oldLeaves is a chain of leaves without inner nodes.
type oldLeaves struct {
	next uint32
	data bool
}

// waiting is a queue of versions with an end, ascending.
type waiting struct {
	items []oldVersion
	head  int
}

type oldVersion struct {
	stmt
	seq uint64
}

func (q *waiting) waits() bool { return q.head < len(q.items) }

func (q *waiting) pop() {
	q.items[q.head] = oldVersion{}
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
}

// addVersion takes the version that a statement replaced.
func (tr *trash) addVersion(b *Box, s *stmt, seq uint64, byWrite bool) {
	q := &tr.versions
	if byWrite {
		q = &tr.local
	}
	q.items = append(q.items, oldVersion{*s, seq})
	if b.needed(seq, byWrite) {
		tr.kept += versionHead + len(b.mem.tuple(s.old))
	}
}

// behind tells whether what transaction seq gave up has to wait: for a view, or
// for its turn behind what is older.
func (tr *trash) behind(b *Box, seq uint64, byWrite bool) bool {
	if b.needed(seq, byWrite) {
		return true
	}
	if byWrite {
		return tr.local.waits()
	}
	return tr.versions.waits() || len(tr.trees) > 0
}

// add takes a tree that transaction seq gave up.
func (tr *trash) add(b *Box, g garbage, seq uint64) {
	if tr.behind(b, seq, false) || tr.local.waits() {
		tr.trees = append(tr.trees, oldTree{g, seq})
		if g.data && b.needed(seq, false) {
			tr.kept += g.bytes
		}
		return
	}
	tr.dismantle(b, g)
}

// sweep frees up to so many versions that the open views do not need any more,
// oldest first, and the trees between them, and returns what is left of the number.
func (tr *trash) sweep(b *Box, rows int) int {
	for q := &tr.local; q.waits() && !b.needed(q.items[q.head].seq, true); q.pop() {
		if rows <= 0 {
			return 0
		}
		rows -= b.freeOld(&q.items[q.head].stmt)
	}
	// Versions before trees: a tree's versions hang below what it leads to.
	for q := &tr.versions; q.waits() && !b.needed(q.items[q.head].seq, false); q.pop() {
		if rows <= 0 {
			return 0
		}
		tr.sweepTrees(b, q.items[q.head].seq-1)
		rows -= b.freeOld(&q.items[q.head].stmt)
	}
	tr.sweepTrees(b, noEnd)
	return rows
}

// sweepable tells whether there is something for sweep to do.
func (tr *trash) sweepable(b *Box) bool {
	return tr.local.waits() && !b.needed(tr.local.items[tr.local.head].seq, true) ||
		tr.versions.waits() && !b.needed(tr.versions.items[tr.versions.head].seq, false) ||
		len(tr.trees) > 0 && !b.needed(tr.trees[0].seq, false)
}

// sweepTrees gives up the trees that ended at or before seq.
func (tr *trash) sweepTrees(b *Box, seq uint64) {
	n := 0
	for n < len(tr.trees) && tr.trees[n].seq <= seq && !b.needed(tr.trees[n].seq, false) {
		tr.dismantle(b, tr.trees[n].garbage)
		n++
	}
	tr.trees = tr.trees[:copy(tr.trees, tr.trees[n:])]
}

// dismantle frees the inner nodes of a tree and leaves its leaves to Work.
func (tr *trash) dismantle(b *Box, g garbage) {
	first := g.ix.edge(false)
	g.ix.freeInners(g.ix.tree.root, g.ix.tree.height)
	tr.leaves = append(tr.leaves, oldLeaves{first, g.data})
}

// dropNodes frees all nodes of a tree, but no tuple.
func (tr *trash) dropNodes(b *Box, ix *index) { tr.dismantle(b, garbage{ix: ix}) }

func (ix *index) freeInners(id uint32, height int) {
	if height == 0 {
		return
	}
	x := ix.pool.inner(id)
	for _, kid := range x.kids[:x.n] {
		ix.freeInners(kid, height-1)
	}
	ix.pool.dropInner(id)
}

// Work frees up to about that many versions that no view needs any more, and
// entries of dropped and truncated spaces and of indexes, and tells whether more are
// left. Confirm does a slice of it; the owner may do more when it is idle.
func (b *Box) Work(rows int) (more bool) {
	rows = b.garbage.sweep(b, rows)
	for tr := &b.garbage; rows > 0 && len(tr.leaves) > 0; {
		chain := &tr.leaves[len(tr.leaves)-1]
		id := chain.next
		l := b.nodes.leaf(id)
		if chain.data {
			for _, r := range l.refs[:l.n] {
				b.freeChain(r)
			}
		}
		rows -= max(1, int(l.n))
		chain.next = l.next
		b.nodes.dropLeaf(id)
		if chain.next == 0 {
			tr.leaves = tr.leaves[:len(tr.leaves)-1]
		}
	}
	return len(b.garbage.leaves) > 0 || b.garbage.sweepable(b)
}

// freeChain frees a version and all below it.
func (b *Box) freeChain(r ref) {
	for r != 0 {
		below := b.mem.prev(r)
		b.mem.freeVersion(r)
		r = below
	}
}

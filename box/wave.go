package box

// waveSize is how many probes go down their trees together.
const waveSize = 16

// wave is probes that go down together, a step of each in turn. A node that is not
// in the processor's cache takes as long as some hundred instructions, and a search
// alone knows the next place only when it has the last one. Of several searches the
// processor waits for many places at the same time.
type wave struct {
	n       int
	ways    [waveSize]wayDown
	cuts    [waveSize]cutting
	touched uint64 // keeps the compiler from leaving out what is read ahead
}

// wayDown is a probe on its way.
type wayDown struct {
	ix     *index
	probe  probe
	node   uint32
	levels int   // above the leaf
	at     place // the first entry that is not before the probe, see land
}

// cutting is the search in one node, see index.cut.
type cutting struct {
	hints    *[leafCap]uint64
	hint     uint64
	lo, left int
}

// full tells whether the wave must go down before another probe is added.
func (w *wave) full() bool { return w.n == waveSize }

// add lets one more probe go along.
func (w *wave) add(ix *index, p probe) {
	w.ways[w.n] = wayDown{ix: ix, probe: p, node: ix.tree.root, levels: ix.tree.height}
	w.cuts[w.n].hint = p.hint
	w.n++
}

// run finds for each probe what seek(probe, false) would, and has the newest
// versions that are there read ahead.
func (w *wave) run() {
	for more := true; more; {
		w.begin()
		w.search()
		more = w.step()
	}
	w.land()
	w.readAhead()
}

// begin sets the searches up, each in the node that its way has come to.
func (w *wave) begin() {
	for i := range w.ways[:w.n] {
		s, c := &w.ways[i], &w.cuts[i]
		if s.levels > 0 {
			x := s.ix.pool.inner(s.node)
			c.hints, c.lo, c.left = &x.hints, 1, int(x.n)-1
		} else {
			l := s.ix.pool.leaf(s.node)
			c.hints, c.lo, c.left = &l.hints, 0, int(l.n)
		}
	}
}

// search halves what is left for all of them, until nothing is. It has no branch
// that depends on the data: one that is guessed wrongly drops all that was begun.
// Counting, as a search alone does, takes a sixth longer here.
func (w *wave) search() {
	for rest := 1; rest > 0; {
		rest = 0
		for i := range w.cuts[:w.n] {
			c := &w.cuts[i]
			half, lo := (c.left+1)>>1, c.lo
			if c.hints[(lo+half-1)&(leafCap-1)] < c.hint {
				lo += half
			}
			c.lo = lo
			c.left -= half // 0 stays 0
			rest |= c.left
		}
	}
}

// step goes to the kid that the search has found; false: all were in their leaves.
func (w *wave) step() (more bool) {
	for i := range w.ways[:w.n] {
		s := &w.ways[i]
		if s.levels == 0 {
			continue
		}
		x := s.ix.pool.inner(s.node)
		s.node = x.kids[s.ix.cutFrom(&x.hints, &x.refs, w.cuts[i].lo, int(x.n), &s.probe, false)-1]
		s.levels--
		more = true
	}
	return more
}

// land turns what the searches in the leaves have found into places.
func (w *wave) land() {
	for i := range w.ways[:w.n] {
		s := &w.ways[i]
		l := s.ix.pool.leaf(s.node)
		s.at = place{s.node, s.ix.cutFrom(&l.hints, &l.refs, w.cuts[i].lo, int(l.n), &s.probe, false)}
		if s.at.pos == int(l.n) {
			s.at = place{l.next, 0}
			continue
		}
		w.touched += uint64(l.refs[s.at.pos])
	}
}

// readAhead touches the first two lines of the versions.
func (w *wave) readAhead() {
	for i := range w.ways[:w.n] {
		s := &w.ways[i]
		if s.at.leaf == 0 {
			continue
		}
		h := s.ix.mem.head(s.ix.refAt(s.at))
		w.touched += uint64(h[0])
		if len(h) > cacheLine {
			w.touched += uint64(h[cacheLine])
		}
	}
}

const cacheLine = 64

package box

import "slices"

// look is a place in an index that a draft has looked at, and what it has found there,
// something or nothing, is in what it has answered. Its bytes are the looks' own.
type look struct {
	sp       *space
	ix       *index
	iterator uint32
	parts    int
	n        int      // entries
	key      []byte   // values
	keys     [][]byte // see scan
	from     []byte   // values behind which it went on; nil: it is the first slice of a scan
	end      []byte   // values of all parts of the last entry, nil: it came to the end
}

// looks are those of a draft.
type looks struct {
	all  []look
	buf  []byte // keys are here
	size int    // bytes
	cost int    // entries that all of them went over, one for each look at least
}

const lookOverhead = 192

// keep copies values.
func (l *looks) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	at := len(l.buf)
	l.buf = append(l.buf, b...)
	return l.buf[at:len(l.buf):len(l.buf)]
}

// keepKey copies the values that a tuple has in an index.
func (l *looks) keepKey(ix *index, tuple []byte) []byte {
	at := len(l.buf)
	l.buf = ix.appendKey(l.buf, tuple, len(ix.cmp))
	return l.buf[at:len(l.buf):len(l.buf)]
}

func (l *looks) add(k look) {
	if l.all == nil {
		l.all = make([]look, 0, 4)
	}
	l.all = append(l.all, k)
	l.size += lookOverhead + len(k.key) + len(k.from) + len(k.end)
	l.cost += k.n + 1
}

// point notes that the draft looks for a full unique key, and returns the scan for it.
func (l *looks) point(sp *space, ix *index, values []byte) scan {
	k := look{sp: sp, ix: ix, iterator: EQ, parts: len(ix.parts), key: l.keep(values)}
	if ix.hasRivals(values, k.parts) {
		k.keys = ix.keys(k.key, k.parts)
	}
	l.add(k)
	return k.scan()
}

// scanned notes that a slice of a query went over n entries, up to the one with the
// values in end; nil: to the last one. from is where the slice began.
func (l *looks) scanned(s *scan, from, end []byte, n int) {
	l.add(look{sp: s.sp, ix: s.ix, iterator: s.iterator, parts: s.parts, n: n, key: l.keep(s.key), keys: s.keys, from: l.keep(from), end: end})
}

// scan goes over the place again.
func (k *look) scan() scan {
	return scan{ix: k.ix, sp: k.sp, iterator: k.iterator, key: k.key, parts: k.parts, keys: k.keys}
}

// still tells whether the place is as it was: nothing there was made or ended by a
// transaction above the bound, undecided ones too.
func (k *look) still(bound uint64) bool {
	s, mem := k.scan(), k.ix.mem
	down := s.descending()
	for w := s.entries(k.from); s.there(&w); s.step(&w) {
		r := k.ix.refAt(w.at)
		if k.end != nil && k.behind(r, down) {
			return true
		}
		if mem.madeBy(r) > bound {
			return false
		}
	}
	return true
}

// behind tells whether an entry comes behind the end.
func (k *look) behind(r ref, down bool) bool {
	c := k.ix.compareKey(&walker{b: k.ix.mem.tuple(r)}, k.end, len(k.ix.cmp))
	if down {
		c = -c
	}
	return c > 0
}

// spaces calls f for each space that was looked at, until it says no.
func (l *looks) spaces(f func(*space) bool) bool {
	return !slices.ContainsFunc(l.all, func(k look) bool { return !f(k.sp) })
}

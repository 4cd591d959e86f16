package box

import "tarragon.dev/tarragon/xrow"

// errNotForward: the draft sees nothing yet.
var errNotForward = xrow.Errorf(xrow.ErrIllegalParams, "a transaction reads behind Forward")

// Query reads what the draft sees, behind Forward; before it that is an error. Safe for
// readers, one at a time for each draft.
func (d *Draft) Query(user Credentials, q *Query, out []byte) (res []byte, n int, err error) {
	q.More, q.Large = false, nil
	switch {
	case d.failed != nil:
		return out, 0, d.failed
	case d.pin == nil:
		return out, 0, errNotForward
	}
	s, err := d.box.prepareScan(d.dict, d.box.dict, user, q)
	if err != nil {
		return out, 0, err
	}
	if s.bound = d.boundOf(s.sp); s.bound < s.ix.tree.since {
		return out, 0, conflict() // the index came behind what it sees
	}
	if err := s.goOn(q); err != nil || q.Limit == 0 {
		return out, 0, err
	}
	out, n = d.run(&s, q, out)
	return out, n, nil
}

// merge is the entries of a space and those of an overlay, in one order.
type merge struct {
	d    *Draft
	base *scan
	own  scan // over the overlay's tree; of no meaning where there is none
	o    *overlay
	w    entries
	wOwn entries
	down bool
	left int // entries that may still be looked at; below 0 there is no bound
	n    int // that were looked at
	seen ref
}

func (d *Draft) merge(s *scan, q *Query) (m merge) {
	m = merge{d: d, base: s, w: s.entries(q.resume), down: s.descending(), left: -1}
	if q.MaxRows > 0 {
		m.left = q.MaxRows
	}
	if q.Random && q.resume == nil { // any of those that others see
		m.w.at = s.ix.random(q.Seed)
	} else if o := d.overlay(s.sp); o != nil && s.base == 0 {
		m.o, m.own = o, *s
		m.own.ix = o.index(s.ix)
		m.wOwn = m.own.entries(q.resume)
	}
	return m
}

// next is the next version that the draft sees, dead ones of its own left out; 0: there
// is none, or no entry may be looked at any more (spent).
func (m *merge) next() (r ref, spent bool) {
	for {
		base, own := m.base.there(&m.w), m.o != nil && m.own.there(&m.wOwn)
		switch {
		case !base && !own:
			return 0, false
		case m.left == 0:
			return 0, true
		}
		m.left--
		m.n++
		if own && (!base || m.ownFirst()) {
			m.seen = m.own.ix.refAt(m.wOwn.at)
			m.own.step(&m.wOwn)
			if m.d.box.mem.live(m.seen) {
				return m.seen, false
			}
			continue
		}
		ix := m.base.ix
		m.seen = ix.refAt(m.w.at)
		m.base.step(&m.w)
		m.d.saw(m.base.sp, ix.mem.madeBy(m.seen), m.base.bound)
		if u := ix.visible(m.seen, m.base.bound); u != 0 && !m.o.hides(ix.mem.tuple(u)) {
			return u, false
		}
	}
}

// ownFirst tells which of the two entries comes first. Where they are equal, the own
// one does: the other one is hidden by it or by another one of the draft's.
func (m *merge) ownFirst() bool {
	ix := m.base.ix
	a, b := ix.mem.tuple(m.own.ix.refAt(m.wOwn.at)), ix.mem.tuple(ix.refAt(m.w.at))
	c := ix.compareTuples(&walker{b: a}, &walker{b: b}, len(ix.cmp))
	if m.down {
		c = -c
	}
	return c <= 0
}

// run collects tuples until the limit, the end, or the bound of rows to look at, and
// notes where it has looked.
func (d *Draft) run(s *scan, q *Query, out []byte) ([]byte, int) {
	mem, n, start := &d.box.mem, 0, len(out)
	m := d.merge(s, q)
	from := q.resume
	var last ref
	var ended bool
	for uint32(n) < q.Limit && !ended {
		if q.More = q.Large != nil; q.More {
			break
		}
		before, looked := m.seen, m.n
		u, spent := m.next()
		if q.More, ended = spent, u == 0 && !spent; u == 0 {
			break
		}
		switch {
		case !s.wants(u):
		case q.Offset > 0:
			q.Offset--
		case !q.fits(mem.tuple(u), len(out)-start):
			m.seen, m.n, q.More = before, looked, true
		default:
			out = q.take(mem.tuple(u), out)
			last = u
			n++
		}
		if q.More {
			break
		}
	}
	var end []byte
	if !ended {
		end = d.looks.keepKey(s.ix, mem.tuple(m.seen))
	}
	d.looks.scanned(s, from, end, m.n)
	s.leaveOff(q, n, last, m.seen)
	return out, n
}

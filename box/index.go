package box

import (
	"cmp"
	"slices"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// part is one field of an index.
type part struct {
	field       uint32
	path        jsonPath // inside the field; empty: the field itself
	typ         fieldType
	scale       int // of a decimal of fixed size
	nullable    bool
	excludeNull bool
	desc        bool
}

// index is a definition and the tree that belongs to it. The definition never
// changes; altering an index makes another one, with the same tree where the
// order stays.
type index struct {
	id     uint32
	name   string
	hash   bool
	unique bool
	cannot string // why it is no more than a row; empty: it is a real index
	parts  []part
	// cmp is the order of the tree: parts, then those of the primary key that
	// are not among them.
	cmp []part
	// posParts is how many parts of cmp identify a tuple of the index to a
	// client: all, unless the declared ones are unique by themselves.
	posParts  int
	nullable  bool // some part is
	mixes     bool // some part holds numbers of all kinds, and it is a tree
	excludes  bool // some part has exclude_null
	exactHint bool // the hint is the whole first part

	tree *tree
	pool *pool
	mem  *arena
}

func (ix *index) typeName() string {
	if ix.hash {
		return "HASH"
	}
	return "TREE"
}

// setOrder computes what follows from the parts.
func (ix *index) setOrder(primary []part) {
	ix.cmp = slices.Clone(ix.parts)
	for _, p := range ix.parts {
		ix.nullable = ix.nullable || p.nullable
		ix.excludes = ix.excludes || p.excludeNull
		ix.mixes = ix.mixes || !ix.hash && p.typ.mixes()
	}
	for _, p := range primary {
		if !slices.ContainsFunc(ix.parts, func(q part) bool { return q.field == p.field && q.path == p.path }) {
			ix.cmp = append(ix.cmp, p)
		}
	}
	ix.posParts = len(ix.cmp)
	if ix.unique && !ix.nullable {
		ix.posParts = len(ix.parts)
	}
	first := ix.parts[0]
	ix.exactHint = first.typ == typeUnsigned && !first.nullable
}

// sameOrder tells whether two definitions order tuples alike, so that they can
// share a tree.
func (ix *index) sameOrder(other *index) bool {
	return slices.Equal(ix.cmp, other.cmp) && ix.excludes == other.excludes
}

// probe is what is looked for in a tree: a tuple, or the values of a key.
type probe struct {
	hint  uint64
	data  []byte // an array when tuple is set, else values back to back
	tuple bool
	parts int // how many parts of cmp count
}

func (ix *index) hint(value []byte) uint64 {
	h := hintOf(ix.cmp[0].typ, value)
	if ix.cmp[0].desc {
		return ^h
	}
	return h
}

// tupleProbe looks for a tuple by all parts.
func (ix *index) tupleProbe(tuple []byte) probe {
	w := walker{b: tuple}
	return ix.walkerProbe(&w)
}

// walkerProbe is tupleProbe for a walker that goes from index to index, whose
// fields mostly come in ascending order.
func (ix *index) walkerProbe(w *walker) probe {
	return probe{hint: ix.hint(w.part(&ix.cmp[0])), data: w.b, tuple: true, parts: len(ix.cmp)}
}

// keyProbe looks for the values of a key of at least one part.
func (ix *index) keyProbe(values []byte, parts int) probe {
	return probe{hint: ix.hint(values), data: values, parts: parts}
}

// compare orders the tuple of a version against the probe.
func (ix *index) compare(r ref, p *probe) int {
	a := walker{b: ix.mem.tuple(r)}
	if !p.tuple {
		return ix.compareKey(&a, p.data, p.parts)
	}
	return ix.compareTuples(&a, &walker{b: p.data}, p.parts)
}

// compareBehindHint is compare for a version whose hint is that of the probe.
func (ix *index) compareBehindHint(r ref, p *probe) int {
	a := walker{b: ix.mem.tuple(r)}
	switch {
	case !p.tuple:
		return ix.compareKey(&a, p.data, p.parts)
	case !ix.exactHint:
		return ix.compareTuples(&a, &walker{b: p.data}, p.parts)
	}
	b := walker{b: p.data}
	for i := 1; i < p.parts; i++ {
		part := &ix.cmp[i]
		if c := compareValues(part.typ, a.part(part), b.part(part)); c != 0 {
			return part.sign(c)
		}
	}
	return 0
}

func (ix *index) compareKey(a *walker, values []byte, parts int) int {
	for i := range ix.cmp[:parts] {
		p := &ix.cmp[i]
		if c := compareValues(p.typ, a.part(p), values); c != 0 {
			return p.sign(c)
		}
		if i+1 < parts {
			values = values[mp.Skip(values, 0):]
		}
	}
	return 0
}

func (ix *index) compareTuples(a, b *walker, parts int) int {
	for i := range ix.cmp[:parts] {
		p := &ix.cmp[i]
		if c := compareValues(p.typ, a.part(p), b.part(p)); c != 0 {
			return p.sign(c)
		}
	}
	return 0
}

func (p *part) sign(c int) int {
	if p.desc {
		return -c
	}
	return c
}

// sameKey tells whether two tuples have the same place in the index.
func (ix *index) sameKey(a, b []byte) bool {
	return ix.compareTuples(&walker{b: a}, &walker{b: b}, len(ix.cmp)) == 0
}

// leavesOut tells whether the tuple is not in the index at all (exclude_null).
func (ix *index) leavesOut(tuple []byte) bool {
	return ix.excludes && ix.hasNil(tuple, true)
}

// hasNil tells whether a part of the tuple is nil; with excluded only parts
// that keep such tuples out are looked at.
func (ix *index) hasNil(tuple []byte, excluded bool) bool {
	w := walker{b: tuple}
	for i := range ix.parts {
		p := &ix.parts[i]
		if p.nullable && (p.excludeNull || !excluded) && w.part(p)[0] == 0xc0 {
			return true
		}
	}
	return false
}

// walker reads fields of a tuple, cheaply when they come in ascending order.
type walker struct {
	b  []byte
	n  int
	no int
	at int
}

var nilValue = []byte{0xc0}

// field begins at the value; nil when the tuple is too short.
func (w *walker) field(no uint32) []byte { return w.part(&part{field: no}) }

// part begins at the value of an index part; nil when it is not there.
func (w *walker) part(p *part) []byte {
	no := int(p.field)
	if w.at == 0 || no < w.no {
		w.n, w.at = mp.ArrayOf(w.b)
		w.no = 0
	}
	if no >= w.n {
		return nilValue
	}
	for ; w.no < no; w.no++ {
		w.at = mp.Skip(w.b, w.at)
	}
	if p.path != "" {
		return p.path.follow(w.b[w.at:])
	}
	return w.b[w.at:]
}

// checkKey validates a raw key. With exact it must be full and without nil.
func (ix *index) checkKey(key []byte, exact bool) (values []byte, parts int, err error) {
	parts, at := mp.ArrayOf(key)
	values = key[at:]
	switch {
	case exact && !ix.unique:
		return nil, 0, xrow.Errorf(xrow.ErrMoreThanOneTuple)
	case exact && parts != len(ix.parts):
		err = xrow.Errorf(xrow.ErrExactMatch, len(ix.parts), parts)
	case parts > len(ix.parts):
		err = xrow.Errorf(xrow.ErrKeyPartCount, len(ix.parts), parts)
	default:
		err = ix.checkParts(values, parts, exact)
	}
	if err != nil {
		return nil, 0, about(err, "key", xrow.Raw(key))
	}
	return values, parts, nil
}

// checkParts validates the types of the first parts of cmp.
func (ix *index) checkParts(values []byte, parts int, exact bool) error {
	at := 0
	for i := range parts {
		p := &ix.cmp[i]
		v := values[at:]
		if v[0] == 0xc0 {
			if !p.nullable || exact {
				return xrow.Errorf(xrow.ErrKeyPartType, i, p.typ)
			}
		} else if !p.typ.accepts(v) {
			return xrow.Errorf(xrow.ErrKeyPartType, i, p.typ)
		} else if p.typ.outOfRange(v) {
			return p.typ.rangeError(xrow.ErrKeyPartValueOutOfRange, v, i, p.typ)
		}
		at = mp.Skip(values, at)
	}
	return nil
}

// appendKey appends the values of the first parts of cmp of a tuple.
func (ix *index) appendKey(dst, tuple []byte, parts int) []byte {
	w := walker{b: tuple}
	for i := range parts {
		dst = append(dst, mp.First(w.part(&ix.cmp[i]))...)
	}
	return dst
}

// visible is the version under an entry that a reader with the given bound
// sees by this index; 0: none.
func (ix *index) visible(r ref, bound uint64) ref {
	u := ix.mem.at(r, bound)
	if u == 0 || ix.mem.end(u) <= bound && ix.mem.end(u) != noEnd {
		return 0
	}
	if u != r && ix.id != 0 && (ix.leavesOut(ix.mem.tuple(u)) || !ix.sameKey(ix.mem.tuple(r), ix.mem.tuple(u))) {
		return 0
	}
	return u
}

// find looks a live tuple up by a full unique key. by is the transaction that
// made the answer what it is.
func (ix *index) find(values []byte) (r ref, by uint64) {
	p := ix.keyProbe(values, len(ix.parts))
	if r, by = ix.only(&p, 0); r == 0 {
		other, last := ix.rival(values, 0)
		r, by = other, max(by, last)
	}
	return r, by
}

// conflict finds a live tuple other than old that has the unique key of tuple.
// by is as in find, as far as it is not old.
func (ix *index) conflict(tuple []byte, old ref) (r ref, by uint64) {
	if ix.nullable && ix.hasNil(tuple, false) {
		return 0, 0
	}
	p := ix.tupleProbe(tuple)
	p.parts = len(ix.parts)
	if r, by = ix.only(&p, old); r == 0 {
		other, last := ix.rivalOf(tuple, old)
		r, by = other, max(by, last)
	}
	return r, by
}

// only goes over the entries of a unique key for the one that is live. Whoever
// put it there came behind those who took the others away.
func (ix *index) only(p *probe, but ref) (r ref, by uint64) {
	for at := ix.seek(p, false); at.leaf != 0; at = ix.next(at) {
		r := ix.refAt(at)
		if ix.compare(r, p) != 0 {
			break
		}
		if r == but {
			continue
		}
		if ix.mem.live(r) {
			return r, ix.mem.begin(r)
		}
		by = max(by, ix.mem.end(r))
	}
	return 0, by
}

// build fills an empty tree from the references of a space's tuples, in any order.
func (ix *index) build(refs []ref) (dup, with ref) {
	type entry struct {
		hint uint64
		r    ref
	}
	entries := make([]entry, 0, len(refs))
	for _, r := range refs {
		tuple := ix.mem.tuple(r)
		if !ix.leavesOut(tuple) {
			w := walker{b: tuple}
			entries = append(entries, entry{ix.hint(w.part(&ix.cmp[0])), r})
		}
	}
	order := func(a, b entry, parts int) int {
		if a.hint != b.hint || ix.exactHint && parts == 1 {
			return cmp.Compare(a.hint, b.hint)
		}
		return ix.compareTuples(&walker{b: ix.mem.tuple(a.r)}, &walker{b: ix.mem.tuple(b.r)}, parts)
	}
	slices.SortFunc(entries, func(a, b entry) int { return order(a, b, len(ix.cmp)) })
	for i, e := range entries {
		if i > 0 && ix.unique && order(entries[i-1], e, len(ix.parts)) == 0 && !(ix.nullable && ix.hasNil(ix.mem.tuple(e.r), false)) {
			return entries[i-1].r, e.r
		}
		ix.append(e.hint, e.r)
	}
	if !ix.mixes || !ix.unique {
		return 0, 0
	}
	for _, e := range entries {
		if with, _ := ix.conflict(ix.mem.tuple(e.r), e.r); with != 0 {
			return with, e.r
		}
	}
	return 0, 0
}

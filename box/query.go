package box

import (
	"encoding/base64"
	"slices"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// Iterator types of SELECT.
const (
	EQ  uint32 = 0
	REQ uint32 = 1
	ALL uint32 = 2
	LT  uint32 = 3
	LE  uint32 = 4
	GE  uint32 = 5
	GT  uint32 = 6
	NP  uint32 = 12 // next prefix
	PP  uint32 = 13 // previous prefix

	iterators = 14
)

// Query is a SELECT. The slices passed mp.Scan where they are MessagePack.
type Query struct {
	Space, Index         uint32
	SpaceName, IndexName string // win over the IDs when not empty
	Iterator             uint32
	Key                  []byte // raw array
	Offset, Limit        uint32
	FetchPosition        bool   // fill in Position
	AfterPosition        []byte // base64 as received; empty: from the start
	AfterTuple           []byte // raw array; nil: absent

	// Random makes ALL begin at a place that Seed chooses, the same one for the
	// same index and Seed. With Limit 1 it is a random tuple; at the end of the
	// index there may be none.
	Random bool
	Seed   uint32

	// MaxRows bounds how many tuples one call looks at; 0: no bound. When More
	// is set on return the caller lets go of its latch and calls again with the
	// same Query, which has gone on to the right Offset, Limit and place by itself.
	MaxRows int
	// MaxBytes bounds by how much one call grows out; 0: no bound. With a bound
	// of at least [SliceBytes] and as much room in out nothing is allocated.
	// A large tuple is not copied: it ends the slice as Large, behind those in
	// out, is counted among them, and may be kept after the latch was let go.
	MaxBytes int
	Large    []byte
	More     bool
	// Position of the last row that was returned, base64; nil: no row.
	Position []byte

	resume []byte // values of the comparison key that was looked at last
	order  *index // in whose order that is
}

// Select appends the tuples back to back (no array header) to out, and tells
// their number. It sees confirmed and shown versions. Safe for readers.
func (b *Box) Select(user Credentials, q *Query, out []byte) (res []byte, n int, err error) {
	return b.query(b.dict, user, q, out, nil)
}

// Query reads with the transaction's own writes, the newest versions. Rights
// are those of user.
func (t *Txn) Query(user Credentials, q *Query, out []byte) (res []byte, n int, err error) {
	if t.draft != nil {
		return t.draft.Query(user, q, out)
	}
	if t.isWalking(q.Space) {
		if err := t.settleWork(); err != nil {
			return out, 0, err
		}
	}
	return t.box.query(t.dict, user, q, out, t)
}

// scan is a query that was checked.
type scan struct {
	ix       *index
	dict     *Schema
	user     *account
	base     uint32 // space whose view is read; 0: no view
	bound    uint64
	iterator uint32
	key      []byte // values
	parts    int
	txn      *Txn // that reads newest versions, and what it sees counts; nil: a reader
	sp       *space

	// keys are those that are one with key by the rules of numbers, if there
	// may be others, in the order of the scan.
	keys [][]byte

	touched uint64 // keeps the compiler from leaving out what is read ahead
}

// query reads what readers see, or, for a transaction, the newest versions.
func (b *Box) query(dict *Schema, user Credentials, q *Query, out []byte, t *Txn) ([]byte, int, error) {
	q.More, q.Large = false, nil
	s, err := b.prepareScan(dict, dict, user, q)
	if err != nil {
		return out, 0, err
	}
	if s.sp.computed != 0 {
		return out, 0, xrow.Errorf(xrow.ErrViewIsRO, s.sp.name) // a transaction would write it: SelectComputed is for readers
	}
	if t != nil {
		s.bound, s.txn = noEnd, t
	}
	if err := s.goOn(q); err != nil || q.Limit == 0 {
		return out, 0, err
	}
	out, n := s.run(q, out)
	return out, n, nil
}

// goOn finds where the query begins behind a position, and refuses to go on in an index
// that is another one by now.
func (s *scan) goOn(q *Query) error {
	switch {
	case q.resume == nil:
		if err := s.setAfter(q); err != nil {
			return err
		}
	case !s.ix.sameOrder(q.order):
		return xrow.Errorf(xrow.ErrTransactionConflict)
	}
	q.order = s.ix
	return nil
}

// prepareScan finds the space and the index, and checks rights, iterator and key. rights
// is the dictionary that says what the user may do.
func (b *Box) prepareScan(dict, rights *Schema, user Credentials, q *Query) (s scan, err error) {
	if q.Iterator >= iterators {
		return s, xrow.Errorf(xrow.ErrIllegalParams, "Invalid iterator type")
	}
	if q.SpaceName != "" {
		if q.Space, err = dict.FindSpace(q.SpaceName); err != nil {
			return s, err
		}
	}
	sp, err := dict.needShown(q.Space)
	if err != nil {
		return s, err
	}
	if q.IndexName != "" {
		if q.Index, err = dict.FindIndex(sp.id, q.IndexName); err != nil {
			return s, err
		}
	}
	if err := rights.allowedSpace(user, sp, PrivRead); err != nil {
		return s, err
	}
	if s.ix, err = sp.needIndex(q.Index); err != nil {
		return s, err
	}
	s.dict, s.user, s.iterator, s.bound, s.sp = dict, rights.account(user), q.Iterator, b.bound(sp), sp
	if err := s.checkIterator(sp, q); err != nil {
		return s, err
	}
	if s.key, s.parts, err = s.ix.checkKey(q.Key, false); err != nil {
		return s, aboutIndex(err, sp, s.ix)
	}
	if s.ix.hash {
		if s.iterator == ALL {
			s.parts = 0
		}
		if q.FetchPosition || len(q.AfterPosition) > 0 || q.AfterTuple != nil {
			return s, s.unsupported("pagination")
		}
	}
	if sp.engine == engineSysview && sp.computed == 0 {
		s.base = viewBase(sp.id)
		if s.ix, err = dict.spaces[s.base].needIndex(q.Index); err != nil {
			return s, err
		}
	}
	if s.parts > 0 && s.ix.hasRivals(s.key, s.parts) {
		s.keys = s.ix.keys(s.key, s.parts)
		if s.descending() {
			slices.Reverse(s.keys)
		}
	}
	return s, nil
}

// unsupported is the error of what the index cannot do.
func (s *scan) unsupported(what string) error {
	return xrow.Errorf(xrow.ErrUnsupportedIndexFeature, s.ix.name, s.ix.typeName(), s.sp.name, s.sp.engine, what)
}

// checkIterator tells whether the index has the iterator for a key of so many parts,
// before anybody looks at these (Tarantool: iterator_validate).
func (s *scan) checkIterator(sp *space, q *Query) error {
	ix := s.ix
	parts, _ := mp.ArrayOf(q.Key)
	known := s.iterator <= GT || s.iterator == NP || s.iterator == PP
	if ix.hash {
		known = s.iterator == EQ || s.iterator == ALL || s.iterator == GT
	}
	if !known {
		return s.unsupported("requested iterator type")
	}
	if q.Random && sp.engine == engineSysview {
		return s.unsupported("random()")
	}
	if !ix.hash {
		return nil
	}
	if parts < len(ix.parts) && (parts > 0 || s.iterator == EQ) {
		return aboutIndex(xrow.Errorf(xrow.ErrPartialKey, ix.typeName(), len(ix.parts), parts).With("key", xrow.Raw(q.Key)), sp, ix)
	}
	return nil
}

func (s *scan) descending() bool {
	switch s.iterator {
	case REQ, LT, LE, PP:
		return true
	}
	return false
}

// setAfter turns the position that a client gave into the place to go on from.
func (s *scan) setAfter(q *Query) error {
	bad := xrow.ErrIteratorPosition
	var values []byte
	switch {
	case len(q.AfterPosition) > 0:
		raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(q.AfterPosition)))
		n, err := base64.RawStdEncoding.Decode(raw, q.AfterPosition)
		if err != nil {
			return xrow.Errorf(bad)
		}
		raw = raw[:n]
		if size, err := mp.Scan(raw); err != nil || size != len(raw) || mp.KindOf(raw[0]) != mp.Array || checkExts(raw) != nil {
			return xrow.Errorf(bad)
		}
		parts, at := mp.ArrayOf(raw)
		if parts != s.ix.posParts {
			return xrow.Errorf(bad)
		}
		values = raw[at:]
	case q.AfterTuple != nil:
		if checkExts(q.AfterTuple) != nil {
			return xrow.Errorf(bad)
		}
		values = s.ix.appendKey(nil, q.AfterTuple, s.ix.posParts)
	default:
		return nil
	}
	if s.ix.checkParts(values, s.ix.posParts, false) != nil || !s.satisfied(values) {
		return xrow.Errorf(bad)
	}
	q.resume = values
	return nil
}

// satisfied tells whether the query could have returned the position.
func (s *scan) satisfied(pos []byte) bool {
	if s.parts == 0 {
		return true
	}
	c := 0
	at, key := 0, s.key
	for i := range s.parts {
		if c = s.ix.cmp[i].order(pos[at:], key, i == 0); c != 0 {
			break
		}
		at = mp.Skip(pos, at)
		if i+1 < s.parts {
			key = key[mp.Skip(key, 0):]
		}
	}
	switch s.iterator {
	case EQ, REQ:
		return c == 0
	case LT, PP:
		return c < 0
	case LE:
		return c <= 0
	case GT, NP:
		return c > 0
	}
	return c >= 0
}

// countParts is how many values a resume key has: that of a client may be
// shorter than the full comparison key.
func countParts(values []byte) (n int) {
	for at := 0; at < len(values); n++ {
		at = mp.Skip(values, at)
	}
	return n
}

// start is the place of the first tuple to look at.
func (s *scan) start(resume []byte) place {
	ix := s.ix
	if resume != nil {
		p := ix.keyProbe(resume, countParts(resume))
		if s.descending() {
			return ix.previous(ix.seek(&p, false))
		}
		return ix.seek(&p, true)
	}
	if s.parts == 0 {
		if s.descending() {
			return ix.previous(place{})
		}
		return ix.first()
	}
	key := s.key
	if len(s.keys) > 0 {
		key = s.keys[0]
	}
	p := ix.keyProbe(key, s.parts)
	switch s.iterator {
	case GT:
		return ix.seek(&p, true)
	case NP:
		return s.nextPrefix()
	case LT, PP:
		return ix.previous(ix.seek(&p, false))
	case LE, REQ:
		return ix.previous(ix.seek(&p, true))
	}
	return ix.seek(&p, false)
}

// nextPrefix seeks behind all strings that begin with the last key part.
func (s *scan) nextPrefix() place {
	last := 0
	for range s.parts - 1 {
		last = mp.Skip(s.key, last)
	}
	p := &s.ix.cmp[s.parts-1]
	v := s.key[last:]
	if k := mp.KindOf(v[0]); p.desc || k != mp.Str && k != mp.Bin {
		probe := s.ix.keyProbe(s.key, s.parts)
		return s.ix.seek(&probe, true)
	}
	prefix := mp.TextOf(v)
	for len(prefix) > 0 && prefix[len(prefix)-1] == 0xff {
		prefix = prefix[:len(prefix)-1]
	}
	if len(prefix) == 0 {
		if s.parts == 1 {
			return place{}
		}
		probe := s.ix.keyProbe(s.key[:last], s.parts-1)
		return s.ix.seek(&probe, true)
	}
	key := append([]byte(nil), s.key[:last]...)
	if mp.KindOf(v[0]) == mp.Str {
		key = appendStrHead(key, len(prefix))
	} else {
		key = appendBinHead(key, len(prefix))
	}
	key = append(key, prefix...)
	key[len(key)-1]++
	probe := s.ix.keyProbe(key, s.parts)
	return s.ix.seek(&probe, false)
}

// run collects tuples until the limit, the end, or the bound of rows to look at.
func (s *scan) run(q *Query, out []byte) ([]byte, int) {
	ix, n := s.ix, 0
	w := s.entries(q.resume)
	if q.Random && q.resume == nil {
		w.at = ix.random(q.Seed)
	}
	var last, seen ref
	left, start := q.MaxRows, len(out)
	if s.txn != nil {
		s.txn.saw.look(s.txn, s.sp, 0)
	}
	for ahead := 0; s.there(&w); ahead-- {
		if ahead == 0 {
			ahead = s.readAhead(&w, uint64(q.Limit)+uint64(q.Offset)-uint64(n))
		}
		r := ix.refAt(w.at)
		if q.MaxRows > 0 && left == 0 || q.Large != nil {
			q.More = true
			break
		}
		u := ix.visible(r, s.bound)
		hit := u != 0 && s.wants(u)
		if hit && q.Offset == 0 && !q.fits(ix.mem.tuple(u), len(out)-start) {
			q.More = true
			break
		}
		left--
		seen = r
		if s.txn != nil {
			s.txn.saw.look(s.txn, s.sp, ix.mem.madeBy(r))
		}
		switch {
		case hit && q.Offset > 0:
			q.Offset--
		case hit:
			out = q.take(ix.mem.tuple(u), out)
			last = u
			n++
		}
		if uint32(n) == q.Limit || w.single && len(w.more) == 0 {
			break
		}
		s.step(&w)
	}
	s.leaveOff(q, n, last, seen)
	return out, n
}

// aheadRows is how many versions are read ahead: about as many lines of memory as a
// processor waits for at once.
const aheadRows = 12

// readAhead touches the versions that come next, want at most and those of one leaf
// alone, and returns how many they are. Neighbours in an index lie anywhere in memory,
// so a scan that looks at one after the other waits for each.
func (s *scan) readAhead(w *entries, want uint64) int {
	l := s.ix.pool.leaf(w.at.leaf)
	n := int(min(want, aheadRows))
	refs := l.refs[w.at.pos:min(w.at.pos+n, int(l.n))]
	if w.down {
		refs = l.refs[max(w.at.pos+1-n, 0) : w.at.pos+1]
	}
	if len(refs) < 2 {
		return 1
	}
	if refs[0]>>12 == refs[len(refs)-1]>>12 {
		return len(refs) // on one page, see arena.head: written one after the other, which the processor sees by itself
	}
	for _, r := range refs {
		h := s.ix.mem.head(r)
		s.touched += uint64(h[0])
		if len(h) > cacheLine {
			s.touched += uint64(h[cacheLine])
		}
	}
	return len(refs)
}

// leaveOff notes where the next page, and the next slice, go on: behind the tuple
// that was returned last, and the entry that was looked at last.
func (s *scan) leaveOff(q *Query, n int, last, seen ref) {
	ix := s.ix
	if q.FetchPosition && last != 0 {
		key := appendArrayHead(nil, ix.posParts)
		key = ix.appendKey(key, ix.mem.tuple(last), ix.posParts)
		q.Position = base64.RawStdEncoding.AppendEncode(q.Position[:0], key)
	}
	if q.More {
		q.Limit -= uint32(n)
		q.resume = ix.appendKey(make([]byte, 0, 32), ix.mem.tuple(seen), len(ix.cmp))
	}
}

// entries are those of a scan, one after the other.
type entries struct {
	at     place
	probe  probe
	more   [][]byte // keys to look for when those of the probe have ended
	equal  bool
	single bool // of each key there is one entry
	down   bool
}

// entries begins where the scan does, or behind the values where a slice of it ended.
func (s *scan) entries(resume []byte) (w entries) {
	w = entries{at: s.start(resume), down: s.descending(), equal: s.parts > 0 && (s.iterator == EQ || s.iterator == REQ)}
	w.single = w.equal && s.parts == len(s.ix.cmp)
	switch {
	case w.equal && len(s.keys) > 0:
		w.probe, w.more, w.at = s.firstKey(resume, w.at)
	case w.equal:
		w.probe = s.ix.keyProbe(s.key, s.parts)
	}
	return w
}

// there tells whether w is at an entry; behind those of a key it goes on to
// the next key.
func (s *scan) there(w *entries) bool {
	for {
		if w.at.leaf != 0 && !(w.equal && s.ix.differs(w.at, s.ix.refAt(w.at), &w.probe)) {
			return true
		}
		if len(w.more) == 0 {
			return false
		}
		w.probe, w.at = s.seekKey(w.more[0])
		w.more = w.more[1:]
	}
}

func (s *scan) step(w *entries) {
	if w.down {
		w.at = s.ix.previous(w.at)
	} else {
		w.at = s.ix.next(w.at)
	}
}

// fits tells whether a tuple may still go into a slice that has taken so many
// bytes. The first one does.
func (q *Query) fits(tuple []byte, taken int) bool {
	return q.MaxBytes == 0 || taken == 0 || lasts(tuple) || taken+len(tuple) <= q.MaxBytes
}

func (q *Query) take(tuple, out []byte) []byte {
	if q.MaxBytes > 0 && lasts(tuple) {
		q.Large = tuple
		return out
	}
	return append(out, tuple...)
}

// wants tells whether a visible version belongs to the answer.
func (s *scan) wants(u ref) bool {
	tuple := s.ix.mem.tuple(u)
	return (len(s.keys) == 0 || s.satisfied(s.ix.appendKey(nil, tuple, s.parts))) &&
		(s.base == 0 || s.dict.visibleRow(s.base, s.user, tuple))
}

// seekKey begins the entries of a key.
func (s *scan) seekKey(key []byte) (probe, place) {
	p := s.ix.keyProbe(key, s.parts)
	if s.descending() {
		return p, s.ix.previous(s.ix.seek(&p, true))
	}
	return p, s.ix.seek(&p, false)
}

// firstKey is the key to go on with behind the place that the scan had come to,
// where its entries go on, and what comes behind it.
func (s *scan) firstKey(resume []byte, behind place) (probe, [][]byte, place) {
	for i, key := range s.keys {
		c := 1
		if resume != nil {
			c = s.compareKeys(key, resume)
		}
		if c < 0 {
			continue
		}
		p, at := s.seekKey(key)
		if c == 0 {
			at = behind
		}
		return p, s.keys[i+1:], at
	}
	return probe{}, nil, place{}
}

// compareKeys orders the first values of two keys along the scan.
func (s *scan) compareKeys(a, b []byte) int {
	for i := range s.parts {
		p := &s.ix.cmp[i]
		c := p.sign(compareValues(p.typ, a, b))
		if s.descending() {
			c = -c
		}
		if c != 0 {
			return c
		}
		if i+1 < s.parts {
			a, b = a[mp.Skip(a, 0):], b[mp.Skip(b, 0):]
		}
	}
	return 0
}

// differs tells whether an entry lies outside of the probe's key.
func (ix *index) differs(at place, r ref, p *probe) bool {
	if ix.pool.leaf(at.leaf).hints[at.pos] != p.hint {
		return true
	}
	if ix.exactHint && p.parts == 1 {
		return false
	}
	return ix.compare(r, p) != 0
}

package box

// Lookup is a SELECT of the tuples that equal a key, one of several that
// [Box.Lookups] answers together.
type Lookup struct {
	User         Credentials
	Space, Index uint32
	Limit        uint32
	Key          []byte // raw array that passed mp.Scan

	// Done tells that N tuples, back to back in Tuples, are the answer. It is false
	// for what only [Box.Select] says: errors, and answers of many tuples or large ones.
	Done   bool
	N      uint32
	Tuples []byte
}

// lookupRows is how many entries are looked at for one lookup.
const lookupRows = 16

// Lookups answers lookups, each as Select would at this moment. The tuples lie in
// room, up to its length; nothing is allocated. Safe for readers.
func (b *Box) Lookups(all []Lookup, room []byte) {
	var w lookups
	var same *Lookup // of the same user, space and index as those behind it
	var ix *index
	var bound uint64
	for i := range all {
		q := &all[i]
		q.Done = false
		if same == nil || q.Space != same.Space || q.Index != same.Index || q.User != same.User {
			ix, bound = b.lookupIndex(q)
			same = q
		}
		if ix == nil {
			continue
		}
		w.add(q, ix, bound)
		if w.full() {
			room = w.answer(room)
		}
	}
	w.answer(room)
}

// lookupIndex is the index of a lookup, and what its user sees of it; nil: Select
// knows why not.
func (b *Box) lookupIndex(q *Lookup) (ix *index, bound uint64) {
	sp := b.dict.spaces[q.Space]
	if sp == nil || !sp.stored() || b.dict.allowedSpace(q.User, sp, PrivRead) != nil {
		return nil, 0
	}
	ix, err := sp.needIndex(q.Index)
	if err != nil {
		return nil, 0
	}
	return ix, b.bound(sp)
}

// lookups are a wave of them.
type lookups struct {
	wave
	of     [waveSize]*Lookup
	bounds [waveSize]uint64
}

// add puts a lookup to the others, if its key is one.
func (w *lookups) add(q *Lookup, ix *index, bound uint64) {
	values, parts, err := ix.checkKey(q.Key, false)
	if err != nil || parts == 0 || ix.hash && parts != len(ix.parts) || ix.hasRivals(values, parts) {
		return
	}
	w.of[w.n], w.bounds[w.n] = q, bound
	w.wave.add(ix, ix.keyProbe(values, parts))
}

// answer answers all of them, and returns what is left of the room.
func (w *lookups) answer(room []byte) (left []byte) {
	w.run()
	for i, q := range w.of[:w.n] {
		room = q.take(&w.ways[i], w.bounds[i], room)
	}
	w.n = 0
	return room
}

// take answers from the entries that begin where the way has led to.
func (q *Lookup) take(way *wayDown, bound uint64, room []byte) (left []byte) {
	ix, at := way.ix, way.at
	single := way.probe.parts == len(ix.cmp)
	n, size := uint32(0), 0
	for rows := 0; at.leaf != 0 && n < q.Limit; rows++ {
		r := ix.refAt(at)
		if ix.differs(at, r, &way.probe) {
			break
		}
		if rows == lookupRows {
			return room
		}
		if u := ix.visible(r, bound); u != 0 {
			tuple := ix.mem.tuple(u)
			if lasts(tuple) || len(tuple) > len(room)-size {
				return room
			}
			size += copy(room[size:], tuple)
			n++
		}
		if single {
			break
		}
		at = ix.next(at)
	}
	q.Done, q.N, q.Tuples = true, n, room[:size:size]
	return room[size:]
}

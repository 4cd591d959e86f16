package xlog

import "encoding/binary"

// Whose groups the log has is found again at Open without reading all of it:
// now and then a group carries an owner list. It tells whose the groups in
// front of it are, as runs, and where the list is that tells the same of the
// groups in front of the first run.
const (
	// listGroups and listBytes are how much log goes by between two lists, about:
	// so much of it Open reads behind the newest one.
	listGroups = 4096
	listBytes  = 4 << 20
)

// run is groups of one slot with positions that follow each other, as their
// numbers do.
type run struct {
	slot uint32
	no   uint64 // number of the first one
	pos  uint64 // its position
	n    uint64 // how many
}

// follows tells whether a group goes on with the run.
func (r *run) follows(slot uint32, no, pos uint64) bool {
	return r.slot == slot && r.no+r.n == no && r.pos+r.n == pos
}

// ownerList is what a group carries.
type ownerList struct {
	back uint64 // position of the list that goes on in front of the first run; 0: there is none
	runs []run  // oldest first; the last one ends in front of the group
}

// owners gathers the next list. It is the appender's.
type owners struct {
	next   ownerList
	every  int // groups between two lists
	groups int // since the last list
	bytes  int
}

// add counts a group. Where it has to carry a list that is in list, valid until
// the next call.
func (o *owners) add(slot uint32, no, pos uint64, bytes int) (list *ownerList) {
	if o.groups >= o.every || o.bytes >= listBytes {
		list = &ownerList{back: o.next.back, runs: o.next.runs}
		o.began(pos)
	}
	o.groups++
	o.bytes += bytes
	n := len(o.next.runs)
	if n > 0 && o.next.runs[n-1].follows(slot, no, pos) {
		o.next.runs[n-1].n++
	} else {
		o.next.runs = append(o.next.runs, run{slot, no, pos, 1})
	}
	return list
}

// began notes that the group at pos carries what has gathered. The next list
// begins with the run that is not over: where that is longer than the list is, its
// predecessor has nothing that the next one lacks.
func (o *owners) began(pos uint64) {
	n := len(o.next.runs)
	if n > 1 {
		o.next.back = pos
	}
	o.next.runs = append([]run(nil), o.next.runs[n-1:]...)
	o.groups, o.bytes = 0, 0
}

// appendList encodes a list that ends in front of the group that carries it.
func appendList(dst []byte, l *ownerList, pos uint64) []byte {
	back := uint64(0)
	if l.back != 0 {
		back = pos - l.back
	}
	dst = binary.AppendUvarint(dst, back)
	dst = binary.AppendUvarint(dst, uint64(len(l.runs)))
	for i := range l.runs {
		r := &l.runs[i]
		dst = binary.AppendUvarint(dst, uint64(r.slot))
		dst = binary.AppendUvarint(dst, r.no)
		dst = binary.AppendUvarint(dst, r.n)
	}
	return dst
}

// list reads what appendList wrote. Positions are found by located.
func (r *reader) list() *ownerList {
	l := &ownerList{back: r.uvarint()}
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return l
	}
	l.runs = make([]run, n)
	for i := range l.runs {
		l.runs[i] = run{slot: r.u32(), no: r.uvarint(), n: r.uvarint()}
	}
	return l
}

// located gives a list that the group at pos carries its positions; false: they
// cannot be.
func (l *ownerList) located(pos uint64) bool {
	if l.back >= pos {
		return false
	}
	if l.back != 0 {
		l.back = pos - l.back
	}
	for i := len(l.runs) - 1; i >= 0; i-- {
		r := &l.runs[i]
		if r.n == 0 || r.n >= pos {
			return false
		}
		pos -= r.n
		r.pos = pos
	}
	return true
}

// positions tells where the groups of a slot are: runs, in blocks of
// blockRuns, delta coded, for Cores that take turns have a run for each group.
type positions struct {
	blocks []posBlock
	newest run // n 0: there is none
}

type posBlock struct {
	no, pos uint64 // of its first group
	runs    int
	end     uint64 // number behind its last group
	behind  uint64 // position behind it
	code    []byte // for each run: positions between it and the one before it (uvarint), groups (uvarint)
}

const blockRuns = 64

// add notes a run behind all others. Where its numbers do not follow, what was
// before it is of no use any more: the end of the log was lost, and a
// checkpoint stands in for it.
func (p *positions) add(r run) {
	switch n := &p.newest; {
	case n.n == 0:
	case n.follows(n.slot, r.no, r.pos):
		n.n += r.n
		return
	case n.no+n.n == r.no:
		p.file()
	default:
		p.blocks = nil
	}
	p.newest = r
}

// file puts the newest run into a block.
func (p *positions) file() {
	r := &p.newest
	n := len(p.blocks)
	if n == 0 || p.blocks[n-1].runs == blockRuns {
		p.blocks = append(p.blocks, posBlock{no: r.no, pos: r.pos, end: r.no, behind: r.pos})
		n++
	}
	b := &p.blocks[n-1]
	b.code = binary.AppendUvarint(b.code, r.pos-b.behind)
	b.code = binary.AppendUvarint(b.code, r.n)
	b.end, b.behind = r.no+r.n, r.pos+r.n
	b.runs++
}

// find is the run with a group; false: it is not there.
func (p *positions) find(no uint64) (r run, ok bool) {
	return p.search(func(r *run) bool { return no < r.no+r.n }, func(r *run) bool { return r.no <= no })
}

// from is the number of the first group at a position or behind it; false: there
// is none.
func (p *positions) from(pos uint64) (no uint64, ok bool) {
	r, ok := p.search(func(r *run) bool { return pos < r.pos+r.n }, func(*run) bool { return true })
	if !ok {
		return 0, false
	}
	return r.no + max(pos, r.pos) - r.pos, true
}

// search is the first run that ends behind what is looked for, if it is the one.
// A block stands for a run of all that is in it.
func (p *positions) search(behind, is func(*run) bool) (r run, ok bool) {
	low, high := 0, len(p.blocks)
	for low < high {
		mid := (low + high) / 2
		b := &p.blocks[mid]
		if behind(&run{no: b.end - 1, pos: b.behind - 1, n: 1}) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	if low == len(p.blocks) {
		r = p.newest
		return r, r.n > 0 && behind(&r) && is(&r)
	}
	b := &p.blocks[low]
	r = run{slot: p.newest.slot, no: b.no, pos: b.pos}
	for code := b.code; len(code) > 0; {
		gap, k := binary.Uvarint(code)
		n, l := binary.Uvarint(code[k:])
		code = code[k+l:]
		r.pos += gap
		r.n = n
		if behind(&r) {
			return r, is(&r)
		}
		r.no, r.pos = r.no+n, r.pos+n
	}
	return r, false
}

// ends are the numbers of the oldest and the newest group; 0: there are none.
func (p *positions) ends() (first, last uint64) {
	if p.newest.n == 0 {
		return 0, 0
	}
	first = p.newest.no
	if len(p.blocks) > 0 {
		first = p.blocks[0].no
	}
	return first, p.newest.no + p.newest.n - 1
}

// drop forgets groups below a number, in whole blocks.
func (p *positions) drop(before uint64) {
	n := 0
	for n < len(p.blocks) && p.blocks[n].end <= before {
		n++
	}
	p.blocks = append([]posBlock(nil), p.blocks[n:]...)
	if len(p.blocks) == 0 && p.newest.no+p.newest.n <= before {
		p.newest = run{}
	}
}

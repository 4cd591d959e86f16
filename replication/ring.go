package replication

import (
	"sync"

	"tarragon.dev/tarragon/xrow"
)

// ring holds the newest groups of the log, synced or not, for all relays
// together. Groups come with consecutive numbers. While there is no relay it holds
// the newest one alone: who comes begins with the log.
type ring struct {
	groups []recent // groups[head:] are held
	head   int
	first  uint64 // number of groups[head]
	bytes  int
	limit  int
}

// demand is who reads the ring.
type demand uint8

const (
	noDemand  demand = iota
	demandAll        // all of it
	demandCut        // some of it, by some
)

// recent is a group with what relays ask of it.
type recent struct {
	g      *xrow.Group
	places *places // nil: no other stream has the group
	term   uint64  // greatest term of a PROMOTE or DEMOTE in it; 0: none
	size   int     // bytes it keeps in memory
}

// places are those of a group, found by the first of the streams that cut it.
type places struct {
	once sync.Once
	of   *xrow.Places
}

// at is nil where each row is to be looked at.
func (p *places) at(g *xrow.Group) *xrow.Places {
	if p == nil {
		return nil
	}
	p.once.Do(func() { p.of = g.Places() })
	return p.of
}

// refBytes is about what a row costs besides its bytes.
const refBytes = 40

func newRecent(g *xrow.Group) recent {
	r := recent{g: g, size: len(g.Rows) + refBytes*len(g.Table)}
	for i := range g.Table {
		r.term = max(r.term, g.Table[i].Term)
	}
	return r
}

// add takes the next group and lets the oldest go while there is too much; the
// newest one always stays.
func (r *ring) add(no uint64, g *xrow.Group, want demand) {
	limit := 0
	if want > noDemand {
		limit = r.limit
	}
	if no != r.end() {
		r.groups, r.head, r.bytes, r.first = r.groups[:0], 0, 0, no
	}
	e := newRecent(g)
	if want == demandCut {
		e.places = new(places)
	}
	r.groups = append(r.groups, e)
	r.bytes += e.size
	for r.bytes > limit && len(r.groups)-r.head > 1 {
		r.bytes -= r.groups[r.head].size
		r.groups[r.head] = recent{}
		r.head++
		r.first++
	}
	if r.head > 64 && r.head > len(r.groups)/2 {
		n := copy(r.groups, r.groups[r.head:])
		clear(r.groups[n:])
		r.groups, r.head = r.groups[:n], 0
	}
}

// end is the number behind the newest group.
func (r *ring) end() uint64 { return r.first + uint64(len(r.groups)-r.head) }

// at returns group no.
func (r *ring) at(no uint64) (recent, bool) {
	if no < r.first || no >= r.end() {
		return recent{}, false
	}
	return r.groups[r.head+int(no-r.first)], true
}

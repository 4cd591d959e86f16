package main

import (
	"fmt"
	"io"
	"time"
)

// Explorer visits every state within the bounds, nearest first, so that the
// first violation has a shortest trace.
type Explorer struct {
	Model
	LiveEvery uint64 // check liveness in every state whose fingerprint divides by it; 0: never
	MaxStates int
	MaxDepth  int // stop after so many steps; 0: no limit
	Out       io.Writer

	perms [][]uint8
	alive [][]int
	seen  *seenSet
	buf   []byte
}

// Result of a run.
type Result struct {
	States, Depth, LiveChecks int
	Complete                  bool
	Err                       error
	Start                     *State
	Trace                     []Step
}

func (e *Explorer) Run() (res Result) {
	n := e.Bounds.N
	e.perms, e.alive = permutations(n), subsets(n)
	e.seen = newSeenSet()
	var level [][]byte
	for _, root := range initials(e.Bounds) {
		if e.seen.add(root.fingerprint(e.perms, &e.buf), 0) {
			level = append(level, root.encode(nil, e.perms[0]))
		}
	}
	began := time.Now()
	fail := func(parent uint64, last *Step, err error) Result {
		res.States, res.Err = e.seen.n, err
		res.Start, res.Trace = e.trace(parent)
		if last != nil {
			res.Trace = append(res.Trace, *last)
		}
		return res
	}
	for res.Depth = 0; len(level) > 0; res.Depth++ {
		if e.MaxDepth > 0 && res.Depth == e.MaxDepth {
			res.States = e.seen.n
			return res
		}
		var next [][]byte
		var arena []byte
		for i, b := range level {
			s := decode(b, n)
			level[i] = nil
			fp := s.fingerprint(e.perms, &e.buf)
			if e.LiveEvery > 0 && fp%e.LiveEvery == 0 {
				res.LiveChecks++
				for _, alive := range e.alive {
					if err := e.stuck(s, alive); err != nil {
						return fail(fp, nil, err)
					}
				}
			}
			for _, p := range e.Steps(s) {
				t, err := e.Do(s, p)
				if err != nil {
					return fail(fp, &p, err)
				}
				if e.seen.add(t.fingerprint(e.perms, &e.buf), fp) {
					if len(arena) > 1<<20-4096 || arena == nil {
						arena = make([]byte, 0, 1<<20)
					}
					from := len(arena)
					arena = t.encode(arena, e.perms[0])
					next = append(next, arena[from:len(arena):len(arena)])
				}
			}
			if e.seen.n > e.MaxStates {
				res.States = e.seen.n
				return res
			}
		}
		fmt.Fprintf(e.Out, "depth %d: %d states, %d new, %.0fs\n", res.Depth+1, e.seen.n, len(next), time.Since(began).Seconds())
		level = next
	}
	res.States, res.Complete = e.seen.n, true
	return res
}

// trace walks the fingerprints back to the start, then finds the steps forward.
func (e *Explorer) trace(fp uint64) (start *State, out []Step) {
	var path []uint64
	for fp != 0 {
		path = append(path, fp)
		fp = e.seen.parent(fp)
	}
	for _, start = range initials(e.Bounds) {
		if start.fingerprint(e.perms, &e.buf) == path[len(path)-1] {
			break
		}
	}
	s := start
	for i := len(path) - 2; i >= 0; i-- {
		for _, p := range e.Steps(s) {
			t, err := e.Do(s, p)
			if err == nil && t.fingerprint(e.perms, &e.buf) == path[i] {
				s, out = t, append(out, p)
				break
			}
		}
	}
	return start, out
}

// seenSet maps the fingerprint of a state to that of its parent: open
// addressing, two words per state.
type seenSet struct {
	slot [][2]uint64
	n    int
}

func newSeenSet() *seenSet { return &seenSet{slot: make([][2]uint64, 1<<16)} }

func (t *seenSet) find(fp uint64) int {
	i := int(fp & uint64(len(t.slot)-1))
	for t.slot[i][0] != 0 && t.slot[i][0] != fp {
		i = (i + 1) & (len(t.slot) - 1)
	}
	return i
}

func (t *seenSet) add(fp, parent uint64) bool {
	if 10*t.n > 7*len(t.slot) {
		old := t.slot
		t.slot = make([][2]uint64, 2*len(old))
		for _, e := range old {
			if e[0] != 0 {
				t.slot[t.find(e[0])] = e
			}
		}
	}
	i := t.find(fp)
	if t.slot[i][0] == fp {
		return false
	}
	t.slot[i] = [2]uint64{fp, parent}
	t.n++
	return true
}

func (t *seenSet) parent(fp uint64) uint64 { return t.slot[t.find(fp)][1] }

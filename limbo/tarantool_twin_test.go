package limbo

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tarragon.dev/tarragon/terms"
)

// twin is Tarantool's queue, told as plainly as can be: no settled entries,
// no spans, a map of terms.
type twin struct {
	term      uint64
	termOf    map[uint32]uint64
	owner     uint32
	confirmed uint64
	of        map[uint32]uint64
	queue     []twinEntry
	out       []string
}

type twinEntry struct {
	seq, lsn uint64
	sync     bool
}

// check gives the text of the refusal, empty if there is none.
func (w *twin) check(r Row) string {
	c := w.of[r.Owner]
	if r.Kind != Promotion && r.Owner == 0 {
		return "synchronous requests with zero replica_id"
	}
	foreign := ""
	if r.Owner != w.owner {
		foreign = "got a request from a foreign synchro queue owner"
	}
	if r.Kind == Confirmation || r.Kind == Rollback {
		switch {
		case r.UpTo == 0:
			return "zero LSN for CONFIRM/ROLLBACK"
		case r.Kind == Confirmation && r.UpTo > c, r.Kind == Rollback && r.UpTo <= c,
			r.Kind == Rollback && w.termOf[r.Origin] == w.term:
			return foreign
		}
		return ""
	}
	switch n := len(w.queue); {
	case r.Begins == 0:
		return "PROMOTE/DEMOTE with a zero term"
	case r.Begins <= w.term:
		return "got a PROMOTE/DEMOTE with an obsolete term"
	case r.UpTo < w.confirmed:
		return "got a request with lsn from an already processed range"
	case r.UpTo == w.confirmed:
		return ""
	case n == 0:
		return "got a request mentioning future lsn"
	case r.UpTo < w.queue[0].lsn || r.UpTo > w.queue[n-1].lsn:
		return "got a request lsn out of queue range"
	}
	return ""
}

func (w *twin) confirm(lsn uint64) {
	if lsn <= w.confirmed {
		return
	}
	for len(w.queue) > 0 && (!w.queue[0].sync || w.queue[0].lsn <= lsn) {
		w.out = append(w.out, fmt.Sprint("commit ", w.queue[0].seq))
		w.queue = w.queue[1:]
	}
	w.confirmed = lsn
	w.of[w.owner] = lsn
}

func (w *twin) rollback(lsn uint64) {
	for i := range w.queue {
		if !w.queue[i].sync || w.queue[i].lsn < lsn {
			continue
		}
		for n := len(w.queue); n > i; n-- {
			w.out = append(w.out, fmt.Sprint("void ", w.queue[n-1].seq))
			w.queue = w.queue[:n-1]
		}
		return
	}
}

func (w *twin) take(r Row) {
	switch {
	case r.Kind == Confirmation && r.Owner == w.owner:
		w.confirm(r.UpTo)
	case r.Kind == Rollback && r.Owner == w.owner:
		w.rollback(r.UpTo)
	case r.Kind == Promotion || r.Kind == Demotion:
		w.term, w.termOf[r.Origin] = r.Begins, r.Begins
		w.confirm(r.UpTo)
		w.rollback(r.UpTo + 1)
		w.owner = 0
		if r.Kind == Promotion {
			w.owner = r.Origin
		}
		w.confirmed = w.of[w.owner]
	}
}

// submit is what the applier and the limbo say to a transaction: whether it goes
// on, and whether it waits.
func (w *twin) submit(e twinEntry) {
	if e.sync || len(w.queue) > 0 {
		w.queue = append(w.queue, e)
	} else {
		w.out = append(w.out, fmt.Sprint("commit ", e.seq))
	}
}

// TestTarantoolAgainstTwin feeds random rows of three instances to the limbo and
// to the twin: they refuse, commit and void the same.
func TestTarantoolAgainstTwin(t *testing.T) {
	kinds := map[string]int{}
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		var l Limbo[struct{}]
		l.Restore([]terms.Span{{Term: 1, Rules: terms.Tarantool}}, 0, [32]uint64{})
		w := &twin{term: 1, termOf: map[uint32]uint64{}, of: map[uint32]uint64{}}
		var lsn [4]uint64
		var story []string
		for seq := uint64(1); seq <= 60; seq++ {
			origin := uint32(1 + rnd.IntN(3))
			lsn[origin]++
			if rnd.IntN(2) == 0 { // a transaction of the owner's
				if origin = w.owner; origin == 0 {
					continue
				}
				e := twinEntry{seq: seq, lsn: lsn[origin], sync: rnd.IntN(3) > 0}
				lsn[origin]++
				story = append(story, fmt.Sprintf("submit %d:%d %t", origin, e.lsn, e.sync))
				l.Held(origin, 0, e.lsn)
				w.submit(e)
				l.TakeTxn(terms.Tarantool, Entry[struct{}]{Origin: origin, LSN: e.lsn, Seq: seq, Sync: e.sync})
				l.Written(0)
			} else {
				r := Row{Kind: 1 + Kind(rnd.IntN(4)), Origin: origin, LSN: lsn[origin], Owner: uint32(rnd.IntN(4)), Known: 1 << 40}
				if rnd.IntN(3) > 0 {
					r.Owner = w.owner
				}
				if r.UpTo = w.confirmed; rnd.IntN(2) == 0 && len(w.queue) > 0 {
					r.UpTo = w.queue[rnd.IntN(len(w.queue))].lsn
				} else if rnd.IntN(4) == 0 {
					r.UpTo = max(w.confirmed+uint64(rnd.IntN(5)), 2) - 2
				}
				if r.Kind == Confirmation {
					r.UpTo = min(r.UpTo, lsn[r.Owner]-min(lsn[r.Owner], 1)) // beyond what is held they differ
				}
				if r.Kind == Promotion || r.Kind == Demotion {
					r.Begins = max(w.term+uint64(rnd.IntN(3)), 1) - uint64(rnd.IntN(2))
				}
				story = append(story, fmt.Sprintf("%+v", r))
				want, got := w.check(r), ""
				if _, err := l.Judge(terms.Tarantool, r); err != nil {
					got = err.Error()
				}
				if got != want && !(got == "" && r.UpTo <= l.claimed) {
					t.Fatalf("seed %d: %v\nrefused with %q, twin %q", seed, story, got, want)
				}
				kinds[want]++
				if want != "" || got != "" {
					continue
				}
				w.take(r)
				if err := l.Take(terms.Tarantool, r); err != nil {
					t.Fatal(err)
				}
			}
			var out []string
			void := l.TakeVoid()
			for _, e := range l.TakeCommitted() {
				out = append(out, fmt.Sprint("commit ", e.Seq))
			}
			for _, e := range void {
				out = append(out, fmt.Sprint("void ", e.Seq))
			}
			if fmt.Sprint(out) != fmt.Sprint(w.out) || l.Confirmed() != w.confirmed || l.Current().Owner != w.owner {
				t.Fatalf("seed %d: %v\n%v owner %d confirmed %d\ntwin %v owner %d confirmed %d", seed, story,
					out, l.Current().Owner, l.Confirmed(), w.out, w.owner, w.confirmed)
			}
			w.out = nil
		}
	}
	if len(kinds) != 9 {
		t.Errorf("not all answers were met: %v", kinds)
	}
}

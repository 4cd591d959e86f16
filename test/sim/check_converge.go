package sim

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// quiet tells whether a healed cluster has come to rest: one leader in effect,
// everybody at the same vclock on disk, no client waiting.
func (w *World) quiet() bool {
	if w.inEffect() == nil || w.load.open > 0 {
		return false
	}
	first := w.nodes[0].disk.vclock.Global()
	for _, n := range w.nodes {
		if !n.active() || n.disk.vclock.Global() != first || n.handedOver() != n.disk.vclock {
			return false
		}
	}
	return true
}

// describe tells how the nodes stand, for failures of progress.
func (w *World) describe() string {
	var b strings.Builder
	for _, n := range w.nodes {
		state := "down"
		switch {
		case n.running() && n.paused:
			state = "paused"
		case n.running() && n.core == nil:
			state = "joining"
		case n.running():
			state = "up"
		}
		fmt.Fprintf(&b, "\n  %s %s disk %v term %d vote %d", n.label(), state, n.disk.vclock, n.disk.term, n.disk.vote)
		if n.shown != nil {
			fmt.Fprintf(&b, " shows term %d state %d leader %d seen %v", n.shown.Term, n.shown.State, n.shown.LeaderID, n.shown.IsLeaderSeen)
		}
	}
	if w.mixed() {
		for _, n := range w.nodes {
			if n.core != nil {
				i := n.core.Info(n.mono())
				fmt.Fprintf(&b, "\n  %s tarantool %t: queue of %d in term %d (Tarantool's rules %t): %d undecided, confirmed %d, ro %s, %v",
					n.label(), n.isTarantool(), i.QueueOwner, i.QueueTerm, i.Tarantool, i.QueueLen, i.Confirmed, i.ROReason, i.SplitBrains)
			}
		}
	}
	fmt.Fprintf(&b, "\n  clients wait for %d answers, terms in effect %v", w.load.open, w.check.history.effect)
	return b.String()
}

// countChain counts the PROMOTEs that newer ones left behind.
func (w *World) countChain() {
	h := &w.check.history
	for term := range h.promotes {
		if _, ok := h.upTo[term]; !ok && term < h.effect[len(h.effect)-1] {
			w.count(PromoteDied)
		}
	}
}

// final is the state of one node at the end.
type final struct {
	state  instance.State
	tuples []spaceTuple
}

// compare asks every node for a checkpoint and compares them, byte by byte and
// with the history that the checkers know.
func (w *World) compare() {
	finals := make([]*final, len(w.nodes))
	got := 0
	for i, n := range w.nodes {
		n.tag++
		n.snaps[n.tag] = func(s instance.Snapshot) {
			got++
			if s.Err != nil {
				w.fail("convergence", "%s gives no checkpoint: %v", n.label(), s.Err)
				return
			}
			finals[i] = &final{state: s.Complete(), tuples: readAll(w, s.View)}
			n.post(instance.CloseView{View: s.View})
		}
		n.post(instance.StartCheckpoint{Tag: n.tag})
	}
	if !w.run(w.now+convergeLimit, func() bool { return got == len(finals) }) {
		w.fail("convergence", "only %d of %d nodes gave a checkpoint", got, len(finals))
		return
	}
	for i, f := range finals {
		w.compareTwo(w.nodes[i], finals[0], f)
		w.compareHistory(w.nodes[i], f)
		w.compareIndexes(w.nodes[i])
		w.check.void.compare(w.nodes[i])
	}
	w.compareProofs(finals)
	w.compareContent(finals[0])
	w.check.numbered.judge(finals[0].tuples)
}

func readAll(w *World, v *box.View) (all []spaceTuple) {
	var c box.Cursor
	for more := true; more; {
		part, m, err := slice(v, &c, 1000, false)
		if err != nil {
			w.fail("convergence", "reading a view: %v", err)
			return all
		}
		all, more = append(all, part...), m
	}
	return all
}

func (w *World) compareTwo(n *node, a, b *final) {
	va, vb := a.state.VClock.Global(), b.state.VClock.Global()
	if va != vb {
		w.fail("convergence", "n0 is at %v, %s at %v", va, n.label(), vb)
	}
	if !slices.Equal(a.state.History, b.state.History) || a.state.Confirmed != b.state.Confirmed {
		w.fail("convergence", "n0 has the history %v (%d), %s %v (%d)", a.state.History, a.state.Confirmed,
			n.label(), b.state.History, b.state.Confirmed)
	}
	if u := b.state.Undecided; u != nil && len(u.Table) > 0 {
		w.fail("convergence", "%s still has %d undecided rows", n.label(), len(u.Table))
	}
	if i := firstDifference(a.tuples, b.tuples); i >= 0 {
		w.fail("convergence", "%s has other tuples than n0: number %d of %d and %d: %s", n.label(), i, len(b.tuples), len(a.tuples),
			differ(a.tuples, b.tuples, i))
	}
}

// firstDifference is the number of the first tuple that two nodes do not share;
// -1: they have the same.
func firstDifference(a, b []spaceTuple) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i].space != b[i].space || !bytes.Equal(a[i].tuple, b[i].tuple) {
			return i
		}
	}
	return -1
}

// compareIndexes: the second index of a space leads to the same tuples as the
// first, on every node.
func (w *World) compareIndexes(n *node) {
	for space := uint32(spaceRegisters); space <= spaceNotes; space++ {
		if _, found := n.box.ResolveIndex(space, valueIndex); !found {
			continue
		}
		var by [2][]byte
		for index := range by {
			q := box.Query{Space: space, Index: uint32(index), Iterator: box.ALL, Key: []byte{0x90}, Limit: 1 << 30}
			raw, count, err := n.box.Select(admin, &q, nil)
			if err != nil {
				w.fail("indexes", "%s: space %d, index %d: %v", n.label(), space, index, err)
				return
			}
			by[index] = sortTuples(raw, count)
		}
		if !bytes.Equal(by[0], by[1]) {
			w.fail("indexes", "%s: the indexes of space %d lead to other tuples", n.label(), space)
		}
	}
}

// sortTuples orders the raw tuples of an answer by their bytes.
func sortTuples(raw []byte, count int) []byte {
	tuples := make([][]byte, 0, count)
	for len(raw) > 0 {
		rest, err := msgp.Skip(raw)
		if err != nil {
			panic(err) // our own bytes
		}
		tuples = append(tuples, raw[:len(raw)-len(rest)])
		raw = rest
	}
	slices.SortFunc(tuples, bytes.Compare)
	return slices.Concat(tuples...)
}

func differ(a, b []spaceTuple, i int) string {
	show := func(s []spaceTuple) string {
		if i >= len(s) {
			return "none"
		}
		return fmt.Sprintf("space %d %x", s[i].space, s[i].tuple)
	}
	return show(a) + " and " + show(b)
}

// compareHistory: the terms that a node calls in effect are the chain that the
// checkers followed.
func (w *World) compareHistory(n *node, f *final) {
	h := &w.check.history
	newest := h.effect[len(h.effect)-1]
	spans := f.state.History
	if len(spans) == 0 || spans[len(spans)-1].Term != newest {
		w.fail("convergence", "%s has the history %v, the newest term in effect is %d", n.label(), spans, newest)
		return
	}
	for _, s := range spans[:len(spans)-1] {
		if end, ok := h.end(newest, s.Term); s.Term != 0 && (!ok || end != s.Last) {
			w.fail("convergence", "%s says that term %d ended at %d; the chain says %d (%v)", n.label(), s.Term, s.Last, end, ok)
		}
	}
}

// compareContent replays the committed rows and compares with the spaces, and
// every answer with what became of its op.
func (w *World) compareContent(f *final) {
	var rows []*row
	for _, known := range w.check.rows.known {
		for _, r := range known {
			if r != nil && r.space != 0 && w.check.history.committed(r.place()) {
				rows = append(rows, r)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b *row) int {
		switch {
		case a.place().less(b.place()):
			return -1
		case b.place().less(a.place()):
			return 1
		}
		return 0
	})
	want := map[tupleKey]opID{}
	survived := map[opID]bool{}
	for _, r := range rows {
		want[tupleKey{r.space, r.key}] = r.op
		if r.kind == xrow.Delete {
			delete(want, tupleKey{r.space, r.key})
		}
		survived[r.op] = true
	}
	w.check.conditional.judge(rows)
	w.check.txn.judge(rows)
	for _, t := range f.tuples {
		if !isClientSpace(t.space) {
			continue
		}
		key, id, err := readTuple(t.tuple)
		if err != nil || want[tupleKey{t.space, key}] != id {
			w.fail("content", "space %d has op %d under key %d, the history has op %d", t.space, id, key, want[tupleKey{t.space, key}])
			return
		}
		delete(want, tupleKey{t.space, key})
	}
	for _, r := range rows {
		if id, ok := want[tupleKey{r.space, r.key}]; ok {
			w.fail("content", "space %d lacks key %d, which op %d wrote", r.space, r.key, id)
			return
		}
	}
	for _, o := range w.load.ops {
		switch {
		case o.kind >= opLocal || o.empty:
		case o.outcome == acknowledged && o.kind < opAsync && !survived[o.id]:
			w.fail("acknowledged", "op %d was acknowledged by n%d at %v and is lost", o.id, o.node.slot, o.ended)
		case o.outcome == refused && survived[o.id]:
			w.fail("answers", "op %d was refused by n%d at %v and is there", o.id, o.node.slot, o.ended)
		}
	}
}

type tupleKey struct {
	space uint32
	key   uint64
}

func slots(nodes []*node) (out []int) {
	for _, n := range nodes {
		out = append(out, n.slot)
	}
	slices.Sort(out)
	return out
}

func stack() string { return string(debug.Stack()) }

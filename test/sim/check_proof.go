package sim

import (
	"tarragon.dev/tarragon/internal/proof"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
)

// proofs are digests of what the logs of a healed cluster hold of each term in effect, as
// `tarragon verify` makes them: a second judge beside those that look at rows and tuples, and
// the judge of its rule for which rows are decided. Every node that can be asked must give the same.
type proofs struct {
	h    *proof.Hasher
	sums map[proofRange]proofSum
}

// proofRange is a term's rows from an LSN on: logs begin at different places.
type proofRange struct{ term, from uint64 }

// proofSum is a digest, and who gave it first.
type proofSum struct {
	proof.Window
	by *node
}

// compareProofs compares the logs of all nodes term by term.
func (w *World) compareProofs(finals []*final) {
	p := proofs{proof.NewHasher(), map[proofRange]proofSum{}}
	var starts []vclock.VClock
	for _, n := range w.nodes {
		if len(n.disk.groups) > 0 && !n.isTarantool() {
			starts = append(starts, n.disk.groups[0].Before)
		}
	}
	for i, n := range w.nodes {
		if len(n.disk.groups) == 0 || n.isTarantool() {
			continue
		}
		for _, s := range finals[i].state.History {
			if s.Rules == terms.Strong && s.Owner != 0 {
				p.compare(w, n, &s, starts)
			}
		}
	}
}

// compare makes the digests of a term at a node, from each place on at which a log begins, and
// compares them with those of the nodes before it.
func (p *proofs) compare(w *World, n *node, s *terms.Span, starts []vclock.VClock) {
	begins := n.disk.groups[0].Before[s.Owner] + 1
	for _, start := range starts {
		from := max(s.First, start[s.Owner]+1)
		if from < begins || from > s.Last {
			continue
		}
		sum := p.digest(w, n, s.Owner, from, s.Last)
		if sum.Rows != s.Last-from+1 {
			w.fail("proof", "%s has %d rows of term %d from LSN %d to %d", n.label(), sum.Rows, s.Term, from, s.Last)
		}
		at := proofRange{s.Term, from}
		if first, ok := p.sums[at]; !ok {
			p.sums[at] = proofSum{sum, n}
		} else if !first.Equal(&sum) {
			w.fail("proof", "%s and %s hold other rows of term %d between LSN %d and %d", first.by.label(), n.label(), s.Term, from, s.Last)
		}
	}
}

func (p *proofs) digest(w *World, n *node, origin uint32, from, to uint64) (sum proof.Window) {
	for _, g := range n.disk.groups {
		for i := range g.Table {
			if ref := &g.Table[i]; ref.Origin != origin || ref.LSN < from || ref.LSN > to {
				continue
			}
			row, err := g.Row(i)
			if err != nil {
				w.fail("proof", "%s: %v", n.label(), err)
				return sum
			}
			sum.Rows++
			sum.Sum.Add(p.h.Row(&row))
		}
	}
	return sum
}

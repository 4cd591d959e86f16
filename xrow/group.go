package xrow

import (
	"iter"
	"math"

	"tarragon.dev/tarragon/vclock"
)

// Group is what goes to the log with one sync: frames of whole transactions,
// back to back, and a table that lets a relay cut them without decoding.
//
// A group is built by one goroutine, handed over, and never changed after
// that: log, relays and core share its bytes.
type Group struct {
	Rows  []byte
	Table []Ref
	// Before is the vclock in front of the first row, After behind the last.
	Before, After vclock.VClock
}

// Ref says where a row of a group is and what a relay needs to know of it.
type Ref struct {
	Offset  uint32 // of the frame's first byte in Rows
	Origin  uint32 // replica ID, less than vclock.Max; 0: local, never sent
	LSN     uint64
	SpaceID uint32 // 0: no DML
	Type    Type
	First   bool   // first row of a transaction
	Term    uint64 // PROMOTE and DEMOTE: the term of the body, so that a relay can hold it back; else 0
}

// Frame is the wire form of row i.
func (g *Group) Frame(i int) []byte { return g.Rows[g.Table[i].Offset:g.end(i)] }

// Frames is the wire form of the rows from..to-1, from < to.
func (g *Group) Frames(from, to int) []byte {
	return g.Rows[g.Table[from].Offset:g.end(to-1):g.end(to-1)]
}

// end is the offset behind row i.
func (g *Group) end(i int) uint32 {
	if i+1 < len(g.Table) {
		return g.Table[i+1].Offset
	}
	return uint32(len(g.Rows))
}

// Row decodes row i; its body points into the group.
func (g *Group) Row(i int) (Row, error) { return Decode(g.Frame(i)[FrameHead:]) }

// Add encodes r behind what is there. The rows of a transaction are added one
// after the other, local ones first. Term is that of a PROMOTE's or DEMOTE's
// body.
func (g *Group) Add(r *Row, spaceID uint32, first bool, term uint64) {
	if uint64(len(g.Rows)) > math.MaxUint32 {
		panic("xrow: a group beyond what its offsets can say")
	}
	g.Table = append(g.Table, Ref{Offset: uint32(len(g.Rows)), Origin: r.ReplicaID, LSN: r.LSN, SpaceID: spaceID,
		Type: r.Type, First: first, Term: term})
	g.Rows = r.Append(g.Rows)
	if r.LSN > g.After[r.ReplicaID] {
		g.After[r.ReplicaID] = r.LSN
	}
}

// Transactions goes over the transactions of the group: rows from..to-1.
func (g *Group) Transactions() iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for from := 0; from < len(g.Table); {
			to := g.endOfTransaction(from)
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}

// endOfTransaction is the row behind the transaction that row i is in.
func (g *Group) endOfTransaction(i int) int {
	for i++; i < len(g.Table) && !g.Table[i].First; i++ {
	}
	return i
}

package server

import (
	"bytes"
	"errors"
	"io"
	"math"

	"tarragon.dev/tarragon/internal/proof"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// past is a node's log for those who compare instances. What it looks at it reads from the
// store, beside the core and beside who asks, one request at a time.
type past struct{ n *node }

// What one answer looks at, at most: then who asks comes again, and others have had a turn.
const (
	proofRows  = 50_000
	proofBytes = 8 << 20
)

// Begins is the vclock in front of the oldest row.
func (p past) Begins() vclock.VClock { return p.n.store.Oldest() }

// beside runs f on a goroutine of its own, when the one before is done.
func (p past) beside(f func()) {
	p.n.bg.Go(func() {
		p.n.counting.Lock()
		defer p.n.counting.Unlock()
		f()
	})
}

// Digests makes digests of the rows of an author.
func (p past) Digests(r proc.DigestRange, done func(proc.DigestPage, error)) {
	p.beside(func() { done(digestPage(p.n.store, r)) })
}

func digestPage(log *xlog.Slot, r proc.DigestRange) (page proc.DigestPage, err error) {
	w, h := proof.Windows{Step: r.Step}, proof.NewHasher()
	rows, size := 0, 0
	page.Next = r.To + 1
	page.Begins, err = eachRow(log, r.Origin, r.From, r.To, func(row *xrow.Row) bool {
		if rows >= proofRows || size >= proofBytes {
			page.Next = row.LSN
			return false
		}
		rows, size = rows+1, size+len(row.Body)
		w.Add(row.LSN, h.Row(row))
		return true
	})
	page.Windows = make([]proc.DigestWindow, len(w.List))
	for i, win := range w.List {
		page.Windows[i] = proc.DigestWindow{First: win.First, Rows: win.Rows, Sum: win.Sum.Bytes()}
	}
	return page, err
}

// Rows are rows of an author, for people.
func (p past) Rows(origin uint32, from, to uint64, done func([]proc.PastRow, error)) {
	p.beside(func() {
		rows := []proc.PastRow{}
		_, err := eachRow(p.n.store, origin, from, to, func(row *xrow.Row) bool {
			rows = append(rows, readable(row))
			return true
		})
		done(rows, err)
	})
}

func readable(row *xrow.Row) proc.PastRow {
	r := proc.PastRow{Origin: row.ReplicaID, LSN: row.LSN, Term: row.Term, Type: row.Type.String(), Timestamp: row.Timestamp}
	if row.Type.IsDML() && row.Body != nil {
		if dml, err := xrow.DecodeDML(row.Type, row.Body); err == nil {
			r.SpaceID = dml.SpaceID
		}
	}
	if row.Body != nil {
		r.Body = string(xrow.RenderBody(row.Type, row.Body))
	}
	return r
}

// eachRow goes over the rows of an author with LSNs from to to, in their order, until f returns
// false. begins is from, or the LSN behind those that the log does not have any more.
// It reads what was in the log when it began, and holds up nobody who writes.
func eachRow(log *xlog.Slot, origin uint32, from, to uint64, f func(row *xrow.Row) bool) (begins uint64, err error) {
	held := vclock.VClock{}
	for i := range held {
		held[i] = math.MaxUint64
	}
	var start uint64
	err = xlog.ErrGap
	for tries := 0; errors.Is(err, xlog.ErrGap) && tries < 8; tries++ { // the log may be cut between two looks at it
		oldest := log.Oldest()
		begins = max(from, oldest[origin]+1)
		if begins > to {
			return begins, nil
		}
		held[origin] = begins - 1
		start, err = log.Seek(&held)
	}
	if err != nil {
		return begins, err
	}
	reader := log.Read(start)
	defer reader.Close()
	for done := false; !done; {
		_, g, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return begins, nil
		}
		if err != nil {
			return begins, err
		}
		if done, err = eachRowOf(g, origin, begins, to, f); err != nil {
			return begins, err
		}
	}
	return begins, nil
}

// eachRowOf goes over those of a group; done: there are no more behind it.
func eachRowOf(g *xrow.Group, origin uint32, from, to uint64, f func(row *xrow.Row) bool) (done bool, err error) {
	for i := range g.Table {
		if ref := &g.Table[i]; ref.Origin != origin || ref.LSN < from || ref.LSN > to {
			continue
		}
		row, err := g.Row(i)
		if err != nil || !f(&row) {
			return true, err
		}
	}
	return g.After[origin] >= to, nil
}

// Lost are voided transactions that the store keeps.
func (p past) Lost(from xrow.LostRow, limit int, done func([]xrow.LostRow, bool, error)) {
	p.beside(func() {
		var rows []xrow.LostRow
		more, size := false, 0
		err := p.n.store.EachLostFrom(from.Term, from.Origin, from.LSN, func(r xrow.LostRow) bool {
			if len(rows) == limit || size >= proofBytes {
				more = true
				return false
			}
			r.Frame = bytes.Clone(r.Frame)
			rows, size = append(rows, r), size+len(r.Frame)
			return true
		})
		done(rows, more, err)
	})
}

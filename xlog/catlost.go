package xlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// CatLost prints the rows that a newer term voided, by slot, term, author and LSN, as
// Cat does those of the log. They are in no group.
func CatLost(fs vfs.FS, dir string, f Filter, emit func(Entry) error) error {
	r, err := openRaw(fs, dir)
	if err != nil {
		return err
	}
	type voided struct {
		xrow.LostRow
		slot uint32
	}
	var all []voided
	who := r.holders()
	v := visitor{core: who.core, lost: func(slot uint32, l xrow.LostRow) error {
		l.Frame = slices.Clone(l.Frame)
		all = append(all, voided{l, slot})
		return nil
	}}
	if err := r.visit(&v); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b voided) int { // those in the journal come last
		return bytes.Compare(lostKey(a.slot, a.Term, a.Origin, a.LSN), lostKey(b.slot, b.Term, b.Origin, b.LSN))
	})
	for _, l := range all {
		core, former := who.coreOf(l.slot), who.isFormer(l.slot)
		if !f.wantsCore(core) || !f.wantsSlot(l.slot, former) || !former && !who.isPresent(l.slot) {
			continue // what a removed slot has left goes with it
		}
		if err := catTransaction(l.LostRow, f, func(e Entry) error {
			e.Core, e.Former = core, former
			return emit(e)
		}); err != nil {
			return err
		}
	}
	return errors.Join(who.checkSlot(f.Slot), r.damage())
}

// catTransaction prints the rows of one voided transaction.
func catTransaction(l xrow.LostRow, f Filter, emit func(Entry) error) error {
	for i, rest := 0, l.Frame; len(rest) > 0; i++ {
		var e Entry
		var t xrow.Type
		e, t, rest = lostEntry(l, rest)
		if !f.wants(&xrow.Ref{SpaceID: e.Space, Origin: l.Origin, Type: t, LSN: e.LSN}) {
			continue
		}
		e.Lost, e.Position = true, i
		if err := emit(e); err != nil {
			return err
		}
	}
	return nil
}

// lostEntry reads the first row of a voided transaction. A row that cannot be
// read takes the rest with it.
func lostEntry(l xrow.LostRow, frames []byte) (e Entry, t xrow.Type, rest []byte) {
	e = Entry{LSN: l.LSN, ReplicaID: l.Origin, Term: l.Term}
	n, ok := frameLen(frames)
	if !ok {
		e.Error = "short frame"
		return e, 0, nil
	}
	row, err := xrow.Decode(frames[xrow.FrameHead:n])
	if err != nil {
		e.Error = err.Error()
		return e, 0, nil
	}
	if row.Type.IsDML() {
		if dml, err := xrow.DecodeDML(row.Type, row.Body); err == nil {
			e.Space = dml.SpaceID
		}
	}
	e.fill(&row)
	return e, row.Type, frames[n:]
}

// frameLen is the length of the frame that b begins with, its head included.
func frameLen(b []byte) (n int, ok bool) {
	if len(b) < xrow.FrameHead || b[0] != 0xce {
		return 0, false
	}
	n = xrow.FrameHead + int(binary.BigEndian.Uint32(b[1:]))
	return n, n <= len(b)
}

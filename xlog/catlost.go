package xlog

import (
	"encoding/binary"
	"errors"

	"tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// CatLost prints the rows that a newer term voided, by term, author and LSN, as
// Cat does those of the log. They are in no group.
func CatLost(fs vfs.FS, dir string, f Filter, emit func(Entry) error) error {
	r, err := openRaw(fs, dir)
	if err != nil {
		return err
	}
	v := visitor{lost: func(l LostRow) error {
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
	}}
	if err := r.visit(&v); err != nil {
		return err
	}
	var all []error
	for _, p := range r.problems {
		all = append(all, damaged("%s", p))
	}
	return errors.Join(all...)
}

// lostEntry reads the first row of a voided transaction. A row that cannot be
// read takes the rest with it.
func lostEntry(l LostRow, frames []byte) (e Entry, t xrow.Type, rest []byte) {
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

package xrow

import (
	"encoding/binary"
	"fmt"
)

// LostRow is a transaction that a newer term, or a ROLLBACK of Tarantool's,
// voided. It is kept for the operator.
type LostRow struct {
	Term   uint64 // of its rows
	Origin uint32
	LSN    uint64 // of its last row
	Frame  []byte // its rows in wire format
}

// Rows are the rows of the transaction; their bodies point into Frame.
func (l *LostRow) Rows() (rows []Row, err error) {
	for rest := l.Frame; len(rest) > 0; {
		if len(rest) < FrameHead || rest[0] != 0xce || uint64(binary.BigEndian.Uint32(rest[1:])) > uint64(len(rest)-FrameHead) {
			return rows, fmt.Errorf("transaction %d of instance %d, term %d: a frame is cut short", l.LSN, l.Origin, l.Term)
		}
		end := FrameHead + int(binary.BigEndian.Uint32(rest[1:]))
		row, err := Decode(rest[FrameHead:end])
		if err != nil {
			return rows, err
		}
		rows, rest = append(rows, row), rest[end:]
	}
	return rows, nil
}

// Spaces are the spaces that its rows change, in their order; those that can be read.
func (l *LostRow) Spaces() (ids []uint32) {
	rows, _ := l.Rows()
	for i := range rows {
		if !rows[i].Type.IsDML() || rows[i].Body == nil {
			continue
		}
		if d, err := DecodeDML(rows[i].Type, rows[i].Body); err == nil {
			ids = append(ids, d.SpaceID)
		}
	}
	return ids
}

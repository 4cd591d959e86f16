package xrow

// LostRow is a transaction that a newer term, or a ROLLBACK of Tarantool's,
// voided. It is kept for the operator.
type LostRow struct {
	Term   uint64 // of its rows
	Origin uint32
	LSN    uint64 // of its last row
	Frame  []byte // its rows in wire format
}

package instance

import (
	"slices"

	"tarragon.dev/tarragon/xrow"
)

// backlog keeps rows of peers that came while a change of the schema is built,
// in the order in which they came. They are not in the log: whoever sent them
// keeps them until we ack, so they may be dropped together with their stream.
type backlog struct {
	events []heldRows
	size   int
}

// heldRows are whole transactions of one peer's stream, copied.
type heldRows struct {
	from uint32
	gen  uint64 // see Rows
	rows []xrow.Row
	size int
}

// rowOverhead is what a held row takes besides its body.
const rowOverhead = 112

func (b *backlog) head() *heldRows { return &b.events[0] }

// add copies rows: their bytes belong to the sender.
func (b *backlog) add(from uint32, gen uint64, rows []xrow.Row) {
	h := heldRows{from: from, gen: gen, rows: slices.Clone(rows), size: sizeOf(rows)}
	buf := make([]byte, 0, h.size-rowOverhead*len(rows))
	for i := range h.rows {
		if r := &h.rows[i]; r.Body != nil {
			at := len(buf)
			buf = append(buf, r.Body...)
			r.Body = buf[at:len(buf):len(buf)]
		}
	}
	b.events = append(b.events, h)
	b.size += h.size
}

func sizeOf(rows []xrow.Row) int {
	n := rowOverhead * len(rows)
	for i := range rows {
		n += len(rows[i].Body)
	}
	return n
}

// setHead leaves rest of the first event, and drops the event when that is nothing.
func (b *backlog) setHead(rest []xrow.Row) {
	if h := b.head(); len(rest) > 0 {
		h.rows = rest
		return
	}
	b.size -= b.events[0].size
	if b.events = b.events[1:]; len(b.events) == 0 {
		b.events = nil
	}
}

// takeTxn takes the first transaction out.
func (b *backlog) takeTxn() []xrow.Row {
	rows := b.head().rows
	n := txnLen(rows)
	b.setHead(rows[n:])
	return rows[:n]
}

// drop forgets what a peer sent.
func (b *backlog) drop(from uint32) {
	b.events = slices.DeleteFunc(b.events, func(h heldRows) bool {
		if h.from == from {
			b.size -= h.size
		}
		return h.from == from
	})
}

// txnLen is the number of rows of the first transaction; 0: its last row is missing.
func txnLen(rows []xrow.Row) int {
	for i := range rows {
		if rows[i].Flags&xrow.FlagCommit != 0 {
			return i + 1
		}
	}
	return 0
}

package box

import "iter"

// Bounds of what is taken under one hold of the latch: some tens of microseconds,
// and a processor's cache.
const (
	SliceRows  = 1000
	SliceBytes = 64 << 10 // of tuples that are copied; what lasts is not
)

// Pager goes over a View in pages. A page is taken under the latch and used
// outside of it: small tuples are copied into memory that is there before, the
// few large ones are kept as they are.
type Pager struct {
	view *View
	at   Cursor
	buf  []byte // the copies; has room for all of a page
	rows []pageRow
	add  func(space uint32, tuple []byte) error // (*Pager).take, made once
}

type pageRow struct {
	space uint32
	tuple []byte
}

// Pager begins at the first tuple.
func (v *View) Pager() *Pager {
	p := &Pager{view: v, buf: make([]byte, 0, SliceBytes+smallMax), rows: make([]pageRow, 0, SliceRows)}
	p.add = p.take
	return p
}

// Fill takes the next page, and tells whether there may be another one behind
// it. Safe for readers.
func (p *Pager) Fill() (more bool) {
	p.buf, p.rows = p.buf[:0], p.rows[:0]
	left := slice{rows: SliceRows, bytes: SliceBytes}
	more, _ = p.view.next(&p.at, &left, p.add) // take does not fail
	return more
}

// take keeps a tuple; the memory of a large one lives as long as the page, see lasts.
func (p *Pager) take(space uint32, tuple []byte) error {
	if !lasts(tuple) {
		start := len(p.buf)
		p.buf = append(p.buf, tuple...)
		tuple = p.buf[start:len(p.buf):len(p.buf)]
	}
	p.rows = append(p.rows, pageRow{space, tuple})
	return nil
}

// Rows are those of the page, with their spaces; valid until the next Fill. They
// need no latch.
func (p *Pager) Rows() iter.Seq2[uint32, []byte] {
	return func(yield func(uint32, []byte) bool) {
		for _, r := range p.rows {
			if !yield(r.space, r.tuple) {
				return
			}
		}
	}
}

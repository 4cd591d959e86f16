package instance

import (
	"sync"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// Sink takes the tuples of an answer, back to back, between two holds of the
// latch. b is valid during the call. An error ends the read.
type Sink interface {
	Take(b []byte) error
}

// slicePool has memory for what is copied under the latch: it is there before, and
// in the processor's cache.
var slicePool = sync.Pool{New: func() any { return new([box.SliceBytes]byte) }}

// Select reads confirmed state in slices and tells the number of tuples. The
// bounds of q are its own.
func (l *Loop) Select(user box.Credentials, q *box.Query, to Sink) (n int, err error) {
	return l.StreamSelect(TxnID{}, user, q, to)
}

// StreamSelect is Select within a stream, see [Core.StreamSelect]; stream 0 is none.
func (l *Loop) StreamSelect(id TxnID, user box.Credentials, q *box.Query, to Sink) (n int, err error) {
	return l.scan(q, to, func(c *Core, out []byte) ([]byte, int, error) { return c.StreamSelect(id, user, q, out) })
}

// TxnSelect is StreamSelect where it is an error that no transaction is open.
func (l *Loop) TxnSelect(id TxnID, user box.Credentials, q *box.Query, to Sink) (n int, err error) {
	return l.scan(q, to, func(c *Core, out []byte) ([]byte, int, error) {
		if !c.InTxn(id) {
			return out, 0, xrow.Errorf(xrow.ErrNoTransaction)
		}
		return c.StreamSelect(id, user, q, out)
	})
}

// scan reads slice by slice.
func (l *Loop) scan(q *box.Query, to Sink, read func(c *Core, out []byte) ([]byte, int, error)) (n int, err error) {
	buf := slicePool.Get().(*[box.SliceBytes]byte)
	defer slicePool.Put(buf)
	q.MaxRows, q.MaxBytes = box.SliceRows, box.SliceBytes
	for more := true; more; more = q.More {
		var part []byte
		got := 0
		slice := func(c *Core) { part, got, err = read(c, buf[:0]) }
		if n == 0 && q.Iterator == box.EQ && len(q.Key) > 1 {
			l.Read(slice) // a lookup, mostly
		} else {
			l.Scan(slice)
		}
		if err != nil {
			return n, err
		}
		n += got
		if len(part) > 0 {
			if err := to.Take(part); err != nil {
				return n, err
			}
		}
		if q.Large != nil {
			if err := to.Take(q.Large); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Lookups answers lookups in confirmed state, some tens at a time, see [box.Box.Lookups].
func (l *Loop) Lookups(all []box.Lookup, room []byte) {
	l.Read(func(c *Core) { c.box.Lookups(all, room) })
}

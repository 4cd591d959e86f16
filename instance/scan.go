package instance

import (
	"sync"

	"tarragon.dev/tarragon/box"
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
	buf := slicePool.Get().(*[box.SliceBytes]byte)
	defer slicePool.Put(buf)
	q.MaxRows, q.MaxBytes = box.SliceRows, box.SliceBytes
	for more := true; more; more = q.More {
		var part []byte
		got := 0
		slice := func(c *Core) { part, got, err = c.box.Select(user, q, buf[:0]) }
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

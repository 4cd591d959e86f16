package tarragon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
)

// Iterator says which tuples a read is for, by how they compare with its key, and in which
// order.
type Iterator uint32

// Iterators. The default is EQ, and ALL for a key without parts.
const (
	EQ  Iterator = Iterator(box.EQ)
	REQ Iterator = Iterator(box.REQ)
	ALL Iterator = Iterator(box.ALL)
	LT  Iterator = Iterator(box.LT)
	LE  Iterator = Iterator(box.LE)
	GE  Iterator = Iterator(box.GE)
	GT  Iterator = Iterator(box.GT)
)

// ReadOption is an option of a read.
type ReadOption func(*query)

// By sets the iterator.
func By(it Iterator) ReadOption {
	return func(q *query) { q.Iterator = uint32(it) }
}

// Limit bounds the number of tuples.
func Limit(n uint32) ReadOption { return func(q *query) { q.Limit = n } }

// Offset leaves out the first tuples.
func Offset(n uint32) ReadOption { return func(q *query) { q.Offset = n } }

// After goes on behind a position, which a Page has given; the zero one is the beginning.
func After(p Position) ReadOption { return func(q *query) { q.AfterPosition = p } }

// Linearizable lets a read see all that any member has acknowledged before it: it waits for a
// quorum. Not in a transaction, which has a level of isolation of its own.
func Linearizable() ReadOption { return func(q *query) { q.linear = true } }

// Position is where a page has ended. It may be kept, and sent to others.
type Position []byte

// query is a read on its way.
type query struct {
	box.Query
	linear bool
}

// take collects tuples; it is a Sink.
type take struct{ raw []byte }

func (t *take) Take(b []byte) error {
	t.raw = append(t.raw, b...)
	return nil
}

// Select reads the tuples with a key, in the order of an index: those of a whole space with
// the key nil. T is what a tuple decodes into, [Tuple] for the raw ones.
func Select[T any](ctx context.Context, from Source, key any, opts ...ReadOption) ([]T, error) {
	out, _, err := page[T](ctx, from, key, opts)
	return out, err
}

// Get reads the tuple with a key; ok: there is one. With a key of which there are several
// it is the first one.
func Get[T any](ctx context.Context, from Source, key any, opts ...ReadOption) (t T, ok bool, err error) {
	all, err := Select[T](ctx, from, key, with(opts, Limit(1))...)
	if len(all) == 0 {
		return t, false, err
	}
	return all[0], true, err
}

// Page is Select that tells where to go on; nil: there was nothing to read.
func Page[T any](ctx context.Context, from Source, key any, opts ...ReadOption) ([]T, Position, error) {
	return page[T](ctx, from, key, with(opts, func(q *query) { q.FetchPosition = true }))
}

// pageRows is how many tuples All reads at a time.
const pageRows = 1000

// All goes over tuples, page by page: other than those of Select they may be of several
// moments, outside of a transaction. The loop ends behind an error.
func All[T any](ctx context.Context, from Source, key any, opts ...ReadOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var at Position
		var left, most uint32
		next := with(opts, func(q *query) {
			if at == nil {
				left = q.Limit
			} else {
				q.AfterPosition, q.Offset = at, 0
			}
			most = min(left, pageRows)
			q.Limit = most
		})
		for {
			rows, end, err := Page[T](ctx, from, key, next...)
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			if left -= uint32(len(rows)); left == 0 || uint32(len(rows)) < most {
				return
			}
			at = end
		}
	}
}

// with is options and one more; those of the caller stay as they are.
func with(opts []ReadOption, last ReadOption) []ReadOption { return append(slices.Clip(opts), last) }

func page[T any](ctx context.Context, from Source, key any, opts []ReadOption) ([]T, Position, error) {
	raw, n, at, err := read(ctx, from.index(), key, opts)
	if err != nil {
		return nil, nil, err
	}
	out := make([]T, n)
	for i := range out {
		end := mp.Skip(raw, 0)
		if err := decode(raw[:end], &out[i]); err != nil {
			return nil, nil, fmt.Errorf("tarragon: a tuple of space %q as %T: %w", from.index().of.name, out[i], err)
		}
		raw = raw[end:]
	}
	return out, at, nil
}

// read gives raw tuples, back to back.
func read(ctx context.Context, i Index, key any, opts []ReadOption) (raw []byte, n int, at Position, err error) {
	l, space, index, err := i.resolve()
	if err != nil {
		return nil, 0, nil, err
	}
	q := query{Query: box.Query{Space: space, Index: index, Limit: math.MaxUint32}}
	if q.Key, err = encodeKey(key); err != nil {
		return nil, 0, nil, err
	}
	if len(q.Key) == 1 {
		q.Iterator = box.ALL
	}
	for _, o := range opts {
		o(&q)
	}
	if q.linear {
		if err := i.of.on.linear(ctx, space); err != nil {
			return nil, 0, nil, err
		}
	}
	var to take
	n, err = l.Select(ctx, &q.Query, &to)
	return to.raw, n, q.Query.Position, err
}

var errLinearTx = errors.New("tarragon: Linearizable is no option of a read in a transaction: begin that at the level Linearizable")

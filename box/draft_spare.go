package box

// Bounds of the memory that drafts leave to those behind them: of one, and how many.
const (
	spareBytes    = 4 << 10
	spareItems    = 16 // of a list
	spareOverlays = 2
	spareDrafts   = 128
)

// take gives memory to make a draft of. What is in it says nothing.
func (s *drafts) take() *Draft {
	n := len(s.unused)
	if n == 0 {
		return new(Draft)
	}
	d := s.unused[n-1]
	s.unused[n-1] = nil
	s.unused = s.unused[:n-1]
	return d
}

// give takes the memory of a draft that has ended: of its slices those that are small, so
// that a large transaction does not live on in a small one. Whoever looks at the draft
// nevertheless finds no box.
func (s *drafts) give(d *Draft) {
	if len(s.unused) == spareDrafts {
		return
	}
	left := Draft{calls: reuse(d.calls, spareItems), freed: reuse(d.freed, spareItems), key: reuse(d.key, spareBytes)}
	left.looks = looks{all: reuse(d.looks.all, spareItems), buf: reuse(d.looks.buf, spareBytes)}
	left.tx.work = reuse(d.tx.work, spareBytes)
	if left.spare, left.overlays = d.spare, d.overlays; len(d.overlays) > 0 {
		left.spare, left.overlays = d.overlays, reuse(d.spare, spareOverlays)
	}
	if len(left.spare) > spareOverlays {
		left.spare = nil
	}
	*d = left
	s.unused = append(s.unused, d)
}

// reuse empties a slice, or drops it where it has grown beyond most.
func reuse[T any](s []T, most int) []T {
	if cap(s) > most {
		return nil
	}
	clear(s)
	return s[:0]
}

// spareOverlayOf is an overlay of a space that was left by an earlier draft; nil: there is none.
func (d *Draft) spareOverlayOf(sp *space) *overlay {
	for i, o := range d.spare {
		if o.sp == sp {
			last := len(d.spare) - 1
			d.spare[i], d.spare[last] = d.spare[last], nil
			d.spare = d.spare[:last]
			return o
		}
	}
	return nil
}

package box

import (
	"math"

	"tarragon.dev/tarragon/xrow"
)

// walk is a pass over the tuples of a space whose definition changes: each is
// checked against the new shape and goes into the indexes that are new.
//
// Invariant: nothing else changes the space until the transaction has ended,
// so what was passed stays passed. Dead versions may go meanwhile, so the place
// between two slices is a key and not an entry.
type walk struct {
	was, now *space
	build    []*index
	bounded  bool   // the indexes count against Config.Memory
	key      []byte // primary key of the last entry passed; empty: none yet
}

// needed tells whether the tuples have to be looked at: not when they go with
// their primary index, nor when the new shape takes all that the old one took.
func (w *walk) needed() bool {
	return w.was.primary() != nil && w.now.primary() != nil && (len(w.build) > 0 || !w.now.format.takesAll(w.was.format))
}

// run passes entries until about work units are spent, and tells how many are
// left of them; more: the pass has not ended. It fails as Tarantool does, at
// the first tuple by primary key that does not fit.
func (w *walk) run(b *Box, work int) (left int, more bool, err error) {
	pk := w.was.primary()
	at := pk.first()
	if len(w.key) > 0 {
		p := pk.keyProbe(w.key, len(pk.cmp))
		at = pk.seek(&p, true)
	}
	var last ref
	for ; at.leaf != 0 && work > 0; at = pk.next(at) {
		last = pk.refAt(at)
		tuple := b.mem.tuple(last)
		work -= 1 + len(tuple)/bytesPerUnit
		if !b.mem.live(last) {
			continue
		}
		work -= len(w.build)
		if w.bounded {
			if err := b.roomForEntries(len(w.build)); err != nil {
				return 0, false, err
			}
		}
		if err := w.pass(b, last, tuple); err != nil {
			return 0, false, err
		}
	}
	if last != 0 {
		w.key = pk.appendKey(w.key[:0], b.mem.tuple(last), len(pk.cmp))
	}
	return work, at.leaf != 0, nil
}

// bytesPerUnit is how much of a tuple is read in about the time that an entry
// of an index takes.
const bytesPerUnit = 1 << 10

// pass checks one tuple and puts it into the new indexes.
func (w *walk) pass(b *Box, r ref, tuple []byte) error {
	if err := w.now.format.check(tuple); err != nil {
		return about(err, "tuple", xrow.Raw(tuple))
	}
	fields := walker{b: tuple}
	for _, ix := range w.build {
		if ix.unique && !ix.leavesOut(tuple) {
			if with, _ := ix.conflict(tuple, 0); with != 0 {
				return duplicate(w.now, ix, b.mem.tuple(with), tuple)
			}
		}
		ix.point(&fields, r)
	}
	return nil
}

// NeedsWork tells whether a change of the schema has tuples to look at before
// Prepare, see [Txn.Build].
func (t *Txn) NeedsWork() bool { return len(t.walks) > 0 || t.failed != nil }

// Build does a slice of the work that changes of the schema have left: checks
// of tuples against a new shape, and indexes. rows bounds it, about one for each
// tuple and one for each index entry. more tells that the work has not ended.
// After an error the transaction can only be aborted. Between slices the
// caller begins no other transaction; readers see nothing of the work before
// Confirm.
func (t *Txn) Build(rows int) (more bool, err error) {
	for len(t.walks) > 0 && rows > 0 && t.failed == nil {
		rows, more, t.failed = t.walks[0].run(t.box, rows)
		if !more && t.failed == nil {
			t.walks = t.walks[1:]
		}
	}
	if t.failed != nil {
		return false, t.failed
	}
	return len(t.walks) > 0, nil
}

// settleWork does all work that is left: something else needs its result.
func (t *Txn) settleWork() error {
	_, err := t.Build(math.MaxInt)
	return err
}

// isWalking tells whether the new definition of a space is not complete yet.
func (t *Txn) isWalking(space uint32) bool {
	for _, w := range t.walks {
		if w.now.id == space {
			return true
		}
	}
	return false
}

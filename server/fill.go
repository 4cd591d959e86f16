package server

import (
	"bytes"
	"errors"
	"io"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// kept is the content of the slot that a received state makes, with what must be
// kept of the old one. That is whole: the run that ended has written all it had.
func (l *life) kept(st instance.State) (kept instance.Kept, err error) {
	r := l.anew
	if r == nil || r.newLife {
		return instance.Kept{State: st}, nil
	}
	old, failed := readOld(l.home.present())
	if *failed != nil {
		return kept, *failed
	}
	old.Self, old.Shown = r.self, r.shown
	kept, err = st.Rejoin(old)
	return kept, errors.Join(err, *failed)
}

// readOld looks at the old slot. failed is why its log could not be read, if it
// could not.
func readOld(slot *xlog.Slot) (old *instance.Old, failed *error) {
	failed = new(error)
	old = &instance.Old{Before: slot.Oldest()}
	if all := slot.Checkpoints(); len(all) > 0 {
		old.Checkpoint = instance.State(all[0].State)
	}
	*failed = slot.EachLost(func(row xrow.LostRow) bool {
		row.Frame = bytes.Clone(row.Frame)
		old.Lost = append(old.Lost, row)
		return true
	})
	old.Log = func(yield func(*xrow.Group) bool) {
		reader := slot.Read(slot.First())
		defer reader.Close()
		for {
			_, g, err := reader.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					*failed = err
				}
				return
			}
			if !yield(g) {
				return
			}
		}
	}
	return old, failed
}

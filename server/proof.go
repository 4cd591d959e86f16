package server

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/proof"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/vclock"
)

// proofTag marks snapshots whose tuples are compared.
const proofTag = 2

// A view keeps what is replaced meanwhile in memory. So digests of all spaces are given up when
// they have taken so long, or so much is kept.
const (
	proofTime = time.Minute
	proofPins = 64 << 20
)

// State makes digests of the tuples of each space, as they are decided at a vclock. At another one
// there are none in the answer.
func (p past) State(at vclock.VClock, done func(proc.StatePage, error)) {
	p.beside(func() { done(p.state(&at)) })
}

func (p past) state(at *vclock.VClock) (page proc.StatePage, err error) {
	e := p.n.engine.Load()
	if err := e.loop.Submit(instance.StartCheckpoint{Tag: proofTag}); err != nil {
		return page, err
	}
	var snap instance.Snapshot
	select {
	case snap = <-p.n.proofs:
	case <-p.n.over:
		return page, errors.New("the instance stops")
	}
	if snap.View != nil {
		defer func() { _ = e.loop.Submit(instance.CloseView{View: snap.View}) }()
	}
	if snap.Err != nil {
		return page, snap.Err
	}
	st := snap.Complete()
	clock := st.VClock.Global()
	page.VClock = append(page.VClock, clock[:]...)
	page.Open = uint64(len(st.Undecided.Table))
	if page.Open > 0 || clock != at.Global() {
		return page, nil
	}
	page.Spaces, err = digestView(e.loop, snap.View)
	return page, err
}

// digestView hashes the tuples of a view, in slices that have turns with other readers; local
// spaces are left out.
func digestView(core coreAccess, v *box.View) (spaces []proc.StateSpace, err error) {
	began, h, pages := time.Now(), proof.NewHasher(), v.Pager()
	sums := map[uint32]*proof.Window{}
	for more := true; more; {
		pins := 0
		core.Scan(func(*instance.Core) { more, pins = pages.Fill(), v.Pins() })
		for space, tuple := range pages.Rows() {
			w := sums[space]
			if w == nil {
				if v.IsLocal(space) {
					continue
				}
				w = &proof.Window{}
				sums[space] = w
			}
			w.Rows++
			w.Sum.Add(h.Tuple(space, tuple))
		}
		if pins > proofPins || time.Since(began) > proofTime {
			return nil, fmt.Errorf("digests of all tuples were given up after %v, with %d MiB of replaced tuples kept for them", time.Since(began).Round(time.Second), pins>>20)
		}
	}
	for id, w := range sums {
		spaces = append(spaces, proc.StateSpace{ID: id, Rows: w.Rows, Sum: w.Sum.Bytes()})
	}
	slices.SortFunc(spaces, func(a, b proc.StateSpace) int { return int(a.ID) - int(b.ID) })
	return spaces, nil
}

package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tarragon/box"
	"tarragon/instance"
	"tarragon/vclock"
	"tarragon/xlog"
	"tarragon/xrow"
)

// keeper makes checkpoints and drops what nobody needs any more. It is one
// goroutine.
type keeper struct {
	s      *Server
	n      *node
	snaps  chan instance.Snapshot
	asked  chan func(error) // box.snapshot
	lost   chan []instance.LostRow
	atRows uint64 // vclock signature of the newest checkpoint
}

// keepTag marks snapshots that are checkpoints; joins have tags of their own.
const keepTag = 1

// sliceTuples is how many tuples are read under one hold of the latch.
const sliceTuples = 512

func newKeeper(s *Server, n *node) *keeper {
	return &keeper{s: s, n: n, snaps: make(chan instance.Snapshot, 1), asked: make(chan func(error), 16), lost: make(chan []instance.LostRow, 64)}
}

// ask wants a checkpoint now; done is told how it ended.
func (k *keeper) ask(done func(error)) {
	select {
	case k.asked <- done:
	default:
		done(xrow.Errorf(xrow.ErrCheckpointInProgress))
	}
}

func (k *keeper) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now()
	if cps := k.s.store.Checkpoints(); len(cps) > 0 {
		k.atRows = cps[0].State.VClock.Signature()
	} else {
		k.attempt(ctx) // a bootstrapped instance starts from a checkpoint of its own
	}
	for {
		var done func(error)
		select {
		case <-ctx.Done():
			return
		case rows := <-k.lost:
			k.keepLost(rows)
			continue
		case done = <-k.asked:
		case <-tick.C:
			if !k.due(last) {
				k.prune()
				continue
			}
		}
		err := k.attempt(ctx)
		last = time.Now()
		if done != nil {
			done(err)
		}
	}
}

// due tells whether the log has grown, or time passed, enough for the next one.
func (k *keeper) due(last time.Time) bool {
	in := k.s.in
	rows := k.rows()
	if rows == k.atRows {
		return false
	}
	if limit := in.Tarragon.SnapshotThreshold; limit > 0 && rows-k.atRows >= uint64(limit) {
		return true
	}
	return in.Snapshot.Interval > 0 && time.Since(last) >= in.Snapshot.Interval
}

func (k *keeper) rows() (n uint64) {
	k.n.loop.Read(func(c *instance.Core) {
		i := c.Info(0)
		n = i.Synced.Signature()
	})
	return n
}

func (k *keeper) keepLost(rows []instance.LostRow) {
	if err := k.s.store.PutLost(lostRows(rows)); err != nil {
		k.s.log.Error().Err(err).Int("rows", len(rows)).Msg("voided rows could not be kept")
	}
}

func (k *keeper) attempt(ctx context.Context) error {
	began := time.Now()
	tuples, err := k.checkpoint(ctx)
	if err != nil {
		if ctx.Err() == nil {
			k.s.log.Error().Err(err).Msg("checkpoint failed")
		}
		return err
	}
	k.s.log.Info().Int("tuples", tuples).Dur("took", time.Since(began)).Msg("checkpoint made")
	k.prune()
	return nil
}

// checkpoint writes down the confirmed state of one moment while writes go on.
func (k *keeper) checkpoint(ctx context.Context) (tuples int, err error) {
	if err := k.n.loop.Submit(instance.StartCheckpoint{Tag: keepTag}); err != nil {
		return 0, err
	}
	var snap instance.Snapshot
	select {
	case snap = <-k.snaps:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if snap.View != nil {
		defer func() { _ = k.n.loop.Submit(instance.CloseView{View: snap.View}) }()
	}
	if snap.Err != nil {
		return 0, snap.Err
	}
	w, err := k.s.store.NewCheckpoint()
	if err != nil {
		return 0, err
	}
	if tuples, err = copyView(ctx, k.n.loop, snap.View, w); err != nil {
		w.Abort()
		return tuples, err
	}
	if _, err := w.Finish(toStore(snap.State)); err != nil {
		return tuples, err
	}
	k.atRows = snap.State.VClock.Signature()
	return tuples, nil
}

// copyView writes all tuples of a view, a slice under each hold of the latch.
func copyView(ctx context.Context, loop *instance.Loop, v *box.View, w *xlog.CheckpointWriter) (n int, err error) {
	var cur box.Cursor
	type row struct {
		space      uint32
		start, end int
	}
	var (
		buf  []byte
		rows []row
	)
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		buf, rows = buf[:0], rows[:0]
		loop.Read(func(*instance.Core) {
			more, err = v.Next(&cur, sliceTuples, func(space uint32, tuple []byte) error {
				start := len(buf)
				buf = append(buf, tuple...)
				rows = append(rows, row{space, start, len(buf)})
				return nil
			})
		})
		if err != nil {
			return n, err
		}
		for _, r := range rows {
			if err := w.Add(r.space, buf[r.start:r.end]); err != nil {
				return n, fmt.Errorf("space %d: %w", r.space, err)
			}
			n++
		}
	}
	return n, nil
}

// prune drops old checkpoints and the log that neither recovery nor a known
// replica needs, as far as the caps allow.
func (k *keeper) prune() {
	store := k.s.store
	cps := store.Checkpoints()
	if len(cps) == 0 {
		return
	}
	keep := max(k.s.in.Snapshot.Count, 1)
	for _, cp := range cps[min(keep, len(cps)):] {
		if err := store.DropCheckpoint(cp.ID); err != nil && !errors.Is(err, xlog.ErrFailed) {
			k.s.log.Error().Err(err).Uint64("checkpoint", cp.ID).Msg("could not drop a checkpoint")
		}
	}
	oldest := cps[min(keep, len(cps))-1]
	before := oldest.State.NextGroup
	if need := k.neededByPeers(); need < before {
		before = max(need, k.capped(before))
	}
	if before <= store.First() {
		return
	}
	if err := store.Prune(before); err != nil && !errors.Is(err, xlog.ErrFailed) {
		k.s.log.Error().Err(err).Msg("could not drop old log")
	}
}

// neededByPeers is the group from which the slowest member goes on; the first
// one while a member has not told what it holds.
func (k *keeper) neededByPeers() uint64 {
	var least *vclock.VClock
	silent := false
	k.n.loop.Read(func(c *instance.Core) {
		self := c.Info(0).ID
		for _, m := range c.Box().Members() {
			if m.ID == self {
				continue
			}
			v, ok := c.Acked(m.ID)
			if !ok {
				silent = true
				return
			}
			if least == nil {
				least = &v
			} else {
				least.Min(&v)
			}
		}
	})
	if silent {
		return k.s.store.First()
	}
	if least == nil {
		return k.s.store.Last() + 1
	}
	no, err := k.s.store.Seek(least)
	if err != nil {
		return k.s.store.First()
	}
	return no
}

// capped is the oldest group that slow replicas may hold on to.
func (k *keeper) capped(newest uint64) uint64 {
	limit := k.s.in.Tarragon.MaxLogEntries
	if limit <= 0 {
		return 0
	}
	// Groups hold one row at least, so this never keeps more than the limit
	// allows; the bytes are the store's to know.
	last := k.s.store.Last()
	if last <= uint64(limit) {
		return 0
	}
	return min(last-uint64(limit), newest)
}

package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// keeper makes checkpoints and drops what nobody needs any more. It is one
// goroutine.
//
// Invariant: what it prunes lies in front of the oldest checkpoint that it keeps
// and of the oldest row whose fate is open.
type keeper struct {
	keeperEnv
	snaps chan instance.Snapshot
	asked chan func(error) // box.snapshot

	atRows  uint64 // vclock signature of the newest checkpoint
	atBytes uint64 // appended to the log when it was made
	tried   time.Time
	failing bool // the last attempt failed
}

// keeperEnv is all that a keeper knows of the process.
type keeperEnv struct {
	store    keptStore
	core     coreAccess
	limits   *config.Tarragon
	tuning   *tuning
	troubles *troubles
	log      zerolog.Logger
	ready    func() bool                           // there is data to keep
	readers  func() (least vclock.VClock, ok bool) // what anonymous replicas have; ok: there are some
	tick     func()                                // called once a second
}

// keptStore is the store as a keeper needs it.
type keptStore interface {
	First() uint64
	Last() uint64
	Appended() uint64
	Seek(v *vclock.VClock) (group uint64, err error)
	Within(entries, bytes uint64) (group uint64, err error)
	Prune(before uint64) error
	HeldBack() (bytes uint64, err error)
	Checkpoints() []xlog.CheckpointInfo
	NewCheckpoint() (*xlog.CheckpointWriter, error)
	DropCheckpoint(id uint64) error
}

// coreAccess reaches a core through its Loop.
type coreAccess interface {
	Submit(ev instance.Event) error
	Read(f func(*instance.Core))
	Scan(f func(*instance.Core))
}

const (
	// keepTag marks snapshots that are checkpoints; joins have tags of their own.
	keepTag = 1
	// retryPause is between attempts on a store that may be full.
	retryPause = 30 * time.Second
)

func newKeeper(env keeperEnv) *keeper {
	return &keeper{keeperEnv: env, snaps: make(chan instance.Snapshot, 1), asked: make(chan func(error), 16)}
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
	k.tried = time.Now()
	if cps := k.store.Checkpoints(); len(cps) > 0 {
		k.atRows = cps[0].State.VClock.Signature()
	}
	for {
		var done func(error)
		select {
		case <-ctx.Done():
			return
		case done = <-k.asked:
		case <-tick.C:
			k.tick()
			if !k.due(time.Now()) {
				k.prune()
				continue
			}
		}
		err := k.attempt(ctx)
		if done != nil {
			done(err)
		}
	}
}

// due tells whether the log has grown, or time passed, enough for the next one.
// A bootstrapped instance makes its first one as soon as its rows are
// confirmed: an earlier one would be empty.
func (k *keeper) due(now time.Time) bool {
	if !k.ready() || k.failed() {
		return false
	}
	since := now.Sub(k.tried)
	if k.failing && since < retryPause {
		return false
	}
	if len(k.store.Checkpoints()) == 0 {
		return true
	}
	rows := k.rows()
	if rows == k.atRows {
		return k.keepsOthers()
	}
	if limit := k.limits.SnapshotThreshold; limit > 0 && rows-k.atRows >= uint64(limit) {
		return true
	}
	if limit := k.tuning.checkpointBytes.Load(); limit > 0 && k.store.Appended()-k.atBytes >= uint64(limit) {
		return true
	}
	every := k.tuning.every()
	return every > 0 && since >= every
}

// keepsOthers tells whether a Core that has nothing new holds back so much of the log,
// which others have filled, that checkpoints at its end are worth their while. Two
// of them, or as many as are kept, and it holds back nothing more.
func (k *keeper) keepsOthers() bool {
	cps := k.store.Checkpoints()
	oldest := cps[min(len(cps), max(int(k.tuning.checkpointCount.Load()), 1))-1]
	if oldest.State.NextGroup > k.store.Last() {
		return false
	}
	held, err := k.store.HeldBack()
	limit := k.tuning.checkpointBytes.Load()
	return err == nil && limit > 0 && held >= uint64(limit)
}

// failed tells that nothing can be written any more.
func (k *keeper) failed() (failed bool) {
	k.core.Read(func(c *instance.Core) { failed = c.Info(0).Failed != nil })
	return failed
}

func (k *keeper) rows() (n uint64) {
	k.core.Read(func(c *instance.Core) {
		i := c.Info(0)
		n = i.Synced.Signature()
	})
	return n
}

func (k *keeper) attempt(ctx context.Context) error {
	began := time.Now()
	k.tried = began
	appended := k.store.Appended()
	tuples, err := k.checkpoint(ctx)
	if ctx.Err() != nil {
		return err
	}
	k.failing = err != nil
	fresh := k.troubles.set(areaCheckpoint, "checkpoint failed", err)
	if err != nil {
		if fresh { // status goes on telling it
			k.log.Error().Err(err).Dur("retry", retryPause).Msg("checkpoint failed")
		}
		return err
	}
	k.atBytes = appended
	k.log.Info().Int("tuples", tuples).Dur("took", time.Since(began)).Msg("checkpoint made")
	k.prune()
	return nil
}

// checkpoint writes down the confirmed state of one moment while writes go on.
func (k *keeper) checkpoint(ctx context.Context) (tuples int, err error) {
	if err := k.core.Submit(instance.StartCheckpoint{Tag: keepTag}); err != nil {
		return 0, err
	}
	var snap instance.Snapshot
	select {
	case snap = <-k.snaps:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if snap.View != nil {
		defer func() { _ = k.core.Submit(instance.CloseView{View: snap.View}) }()
	}
	if snap.Err != nil {
		return 0, snap.Err
	}
	w, err := k.store.NewCheckpoint()
	if err != nil {
		return 0, err
	}
	if tuples, err = copyView(ctx, k.core, snap.View, w); err != nil {
		w.Abort()
		return tuples, err
	}
	if _, err := w.Finish(xlog.State(snap.Complete())); err != nil {
		w.Abort()
		return tuples, err
	}
	k.atRows = snap.State.VClock.Signature()
	return tuples, nil
}

// copyView writes all tuples of a view, a page under each hold of the latch.
func copyView(ctx context.Context, core coreAccess, v *box.View, w *xlog.CheckpointWriter) (n int, err error) {
	pages := v.Pager()
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		core.Scan(func(*instance.Core) { more = pages.Fill() })
		for space, tuple := range pages.Rows() {
			if err := w.Add(space, tuple); err != nil {
				return n, fmt.Errorf("space %d: %w", space, err)
			}
			n++
		}
	}
	return n, nil
}

// prune drops old checkpoints and the log that neither recovery nor a known
// member needs, as far as the caps allow.
func (k *keeper) prune() {
	err := k.pruneStore()
	if errors.Is(err, xlog.ErrFailed) {
		return // status tells it by another name
	}
	if k.troubles.set(areaRetention, "old log could not be dropped", err) && err != nil {
		k.log.Error().Err(err).Msg("old log could not be dropped")
	}
}

func (k *keeper) pruneStore() error {
	p := k.plan(k.store.Checkpoints())
	var errs []error
	for _, id := range p.drop {
		errs = append(errs, k.store.DropCheckpoint(id))
	}
	if err := errors.Join(errs...); err != nil || p.before <= k.store.First() {
		return err
	}
	return k.store.Prune(p.before)
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/offheap"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// progressEvery is how often a long recovery says how far it is.
const progressEvery = 2 * time.Second

// recover builds the core from the newest valid checkpoint and the log behind
// it.
func (n *node) recover(ctx context.Context) error {
	b := newBox(n.in, n.hooks)
	core, err := instance.New(n.coreConfig(), b)
	if err != nil {
		return err
	}
	from, err := n.loadCheckpoint(ctx, core, b)
	if err != nil {
		return err
	}
	if err := n.replayLog(ctx, core, from); err != nil {
		return err
	}
	n.recovered = core
	if err := instance.CheckFeature(b, n.feature); err != nil {
		return err
	}
	if err := n.life.checkSet(b); err != nil {
		return err
	}
	if err := n.life.checkNames(b); err != nil {
		return err
	}
	if err := n.life.checkLife(b); err != nil {
		return err
	}
	if n.life.doubt != nil {
		core.Distrust(n.life.doubt)
	}
	if err := n.register(ctx, core, b); err != nil {
		return err
	}
	return n.start(core, b)
}

func newBox(in *config.Instance, hooks map[string]*box.Hooks) *box.Box {
	return box.New(box.Config{Memory: max(in.Memtx.Memory, 1), MaxTupleSize: in.Memtx.MaxTupleSize, Opaque: in.Tarragon.OpaqueSpaces, Pages: offheap.New(), Hooks: hooks})
}

func (n *node) loadCheckpoint(ctx context.Context, core *instance.Core, b *box.Box) (from uint64, err error) {
	all := n.store.Checkpoints()
	if len(all) == 0 {
		return n.store.First(), nil
	}
	r, err := n.store.OpenCheckpoint(all[0].ID)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	began, told := time.Now(), time.Now()
	count := uint64(0)
	for ; ; count++ {
		space, tuple, ok, err := r.Next()
		if err != nil {
			return 0, fmt.Errorf("checkpoint %d: %w", all[0].ID, err)
		}
		if !ok {
			break
		}
		if err := b.Load(space, tuple); err != nil {
			return 0, fmt.Errorf("checkpoint %d, space %d: %w", all[0].ID, space, err)
		}
		if count%4096 == 0 && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if count%4096 == 0 && time.Since(told) > progressEvery {
			told = time.Now()
			n.log.Info().Uint64("tuples", count).Uint64("of", all[0].Tuples).Msg("loading the checkpoint")
		}
	}
	if err := instance.LoadDone(b, n.in.Tarragon.Filter); err != nil {
		return 0, fmt.Errorf("checkpoint %d: %w", all[0].ID, err)
	}
	state := instance.State(r.State())
	if f := state.Share; f != nil && n.in.Tarragon.Filter == "" {
		return 0, fmt.Errorf("the store has what filter '%s' gives, and the configuration has no tarragon.filter: an instance that is to have all begins with an empty directory", f.Filter)
	}
	n.warnOfFilter(state.Share)
	n.log.Info().Uint64("checkpoint", all[0].ID).Uint64("tuples", count).Stringer("vclock", state.VClock).
		Dur("took", time.Since(began)).Msg("checkpoint loaded")
	return state.NextGroup, core.Restore(state)
}

// warnOfFilter tells of a replica that is started with another filter than its disk was
// filled by. Whether it is to have that one its senders know.
func (n *node) warnOfFilter(had *xrow.Share) {
	now := n.in.Tarragon.Filter
	if now == "" || had != nil && had.Filter == now {
		return
	}
	was := ""
	if had != nil {
		was = had.Filter
	}
	n.log.Warn().Str("filter", now).Str("before", was).
		Msg("started with another filter than before: what is on the disk is not served, and stays there until a member has given something by the new one, which has to be registered for this replica")
}

func (n *node) replayLog(ctx context.Context, core *instance.Core, from uint64) error {
	last := n.store.Last()
	if from > last {
		return nil
	}
	r := readAhead(ctx, n.store.Read(from))
	defer r.Close()
	began, told, rows := time.Now(), time.Now(), 0
	for ctx.Err() == nil {
		read := r.Next(ctx)
		if errors.Is(read.err, io.EOF) {
			break
		}
		if read.err != nil {
			return fmt.Errorf("log: %w", read.err)
		}
		if err := core.ReplayDecoded(read.no, read.d); err != nil {
			return err
		}
		rows += read.d.Rows()
		if time.Since(told) > progressEvery {
			told = time.Now()
			n.log.Info().Uint64("group", read.no).Uint64("of", last).Int("rows", rows).Msg("replaying the log")
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n.log.Info().Uint64("groups", last-from+1).Int("rows", rows).Dur("took", time.Since(began)).Msg("log replayed")
	return nil
}

// coreConfig turns the configuration into the core'n.
func (n *node) coreConfig() instance.Config {
	r := &n.in.Replication
	c := instance.Config{
		UUID: n.life.UUID, Name: n.in.Name, Mode: r.ElectionMode, Fencing: r.ElectionFencing,
		ReadOnly: n.in.ReadOnly, Supervised: r.Failover == config.FailoverSupervised, DeathTimeout: r.Timeout, ElectionTimeout: r.ElectionTimeout,
		StallTimeout: n.in.Tarragon.StallTimeout, SessionIdle: n.in.Tarragon.SessionIdle, WaitLimit: n.in.Database.TxnSynchroTimeout, PromoteTimeout: r.SynchroTimeout,
		QueueMaxSize: queueSize(r.SynchroQueueMaxSize), SyncAll: n.in.Tarragon.SyncAll,
		TxnTimeout: n.in.Database.TxnTimeout, TxnIsolation: box.ParseIsolation(n.in.Database.TxnIsolation), TxnKeeps: int(n.in.Tarragon.TxnKeeps),
		ForwardWrites: n.in.Tarragon.ForwardWrites, HandoverGrace: instance.GraceOf(n.in.Tarragon.HandoverGrace),
		Preferred: n.in.Tarragon.PreferredLeader, PreferredCalm: n.in.Tarragon.PreferredCalm,
		SkipConflict: r.SkipConflict, Members: n.in.Tarragon.Members, MaxMembers: n.in.Tarragon.MaxMembers, AllowTarantool: n.in.Tarragon.AllowTarantool || n.mixed, Rand: seeded(),
		SynchroQuorum: synchroQuorum(r.SynchroQuorum), Quorum: r.SynchroQuorum.String(), ParseQuorum: parseQuorum,
		LearnerTimeout: n.in.Tarragon.LearnerTimeout, LinearizableQuorum: linearizableQuorum(r.LinearizableQuorum),
		Address: n.addressOf, Trace: n.traceCore, Trusted: n.life.trusted, Feature: n.feature, Procedures: n.procedures, Filter: n.in.Tarragon.Filter, CopyPause: n.copyPause,
	}
	return c
}

// queueSize: 0 is no limit to people, and "the default" to the core.
func queueSize(n int64) int {
	if n == 0 {
		return math.MaxInt
	}
	return int(n)
}

// The formulas were checked for every number of members when they were read.

func synchroQuorum(f config.Formula) func(int) int {
	return func(n int) int {
		q, err := f.Eval(n, 0)
		if err != nil {
			return n/2 + 1
		}
		return q
	}
}

// parseQuorum reads the quorum of the replica set.
func parseQuorum(text string) (func(n int) int, error) {
	f, err := config.Parse(text)
	if err == nil {
		err = f.Check(nil)
	}
	if err != nil {
		return nil, err
	}
	return synchroQuorum(f), nil
}

// linearizableQuorum is at least one and at most all. Beyond the range of a
// quorum it may be where Q is more than N: see [config.Formula.Check].
func linearizableQuorum(f config.Formula) func(n, q int) int {
	return func(n, q int) int {
		v, err := f.Eval(n, q)
		if err != nil {
			v = n - q + 1
		}
		return min(max(v, 1), vclock.MaxID)
	}
}

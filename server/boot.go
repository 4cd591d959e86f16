package server

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/google/uuid"
)

// settle finds out where the state comes from, and builds the core from it.
// bootstrap is set when this instance begins the replica set.
func (n *node) settle(ctx context.Context) (bootstrap bool, err error) {
	if n.life.anew == nil && (len(n.store.Checkpoints()) > 0 || n.store.Last() > 0) {
		return false, n.recover(ctx)
	}
	foreign := n.foreign()
	if foreign != nil {
		n.log.Warn().Str("dir", foreign.Dir).Str("file", foreign.Files[0]).
			Msg("there is data of Tarantool, which is not read: this instance can join a replica set that runs, and begins none")
	}
	boot := n.newBoot()
	n.boot.Store(boot)
	met := false // the Tarantools had time to meet us
	refused := refusedPace()
	for {
		d, err := n.decide(ctx, boot)
		if err != nil {
			return false, err
		}
		if d.Action == replication.ActionBootstrap && n.life.anew == nil {
			if foreign != nil {
				return false, foreign
			}
			if err := n.in.BootstrapError(); err != nil {
				return false, err
			}
			n.mixed = d.Tarantools
			return true, n.recover(ctx)
		}
		if d.Tarantools && !met {
			if met = true; !n.letMeet(ctx) {
				return false, context.Cause(ctx)
			}
		}
		err = boot.JoinAny(ctx, d.Peers, func() (replication.Sink, error) { return newSink(n.store, &n.life) })
		complete := err == nil || errors.Is(err, replication.ErrFinalStage)
		if err == nil {
			if err := n.life.noteRegistered(); err != nil {
				return false, err
			}
		}
		switch {
		case complete && n.life.anew != nil:
			return false, errJoined
		case complete:
			return false, n.recover(ctx)
		case errors.Is(err, instance.ErrUncovered), errors.Is(err, instance.ErrLostData):
			return false, &rejoin{cause: err, newLife: true}
		case errors.Is(err, errWrongSet), errors.Is(err, xlog.ErrFailed), !replication.Retry(err):
			return false, err // a store that has failed takes no state from anybody
		}
		n.log.Debug().Err(err).Msg("no member takes us yet") // the first of its kind was told already
		if !refused.rest(ctx, err) {
			return false, context.Cause(ctx)
		}
	}
}

// announce lets a node without a state say so from the moment on in which it can be
// asked: an answer that says nothing passes for a member, as that of a Tarantool which starts, and
// a founder would give way to it.
func (n *node) announce() {
	if n.life.anew != nil || len(n.store.Checkpoints()) == 0 && n.store.Last() == 0 {
		n.boot.Store(n.newBoot())
	}
}

// decide is the decision where the state comes from. Who is in doubt about its disk has
// its old state yet, and waits not for ever for somebody who can give it a state.
func (n *node) decide(ctx context.Context, boot *replication.Boot) (replication.Decision, error) {
	if n.life.anew == nil || !n.life.anew.newLife || n.life.anew.former {
		return boot.Decide(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(n.patience, giverPatience), errNoGiver)
	defer cancel()
	for !boot.HasGiver(ctx) {
		select {
		case <-ctx.Done():
			return replication.Decision{}, context.Cause(ctx)
		case <-time.After(giverPause):
		}
	}
	return boot.Decide(ctx)
}

// letMeet waits until members of Tarantool's kind, which connect again within
// a replication timeout, have seen our uuid. One that still holds a former life
// under our name stops its stream from the leader at the row that registers us.
func (n *node) letMeet(ctx context.Context) bool {
	if n.in.Replication.Anon || n.in.Name == "" {
		return true
	}
	select {
	case <-time.After(2 * n.tuning.death()):
		return true
	case <-ctx.Done():
		return false
	}
}

// joinPause is between attempts to join.
const joinPause = 200 * time.Millisecond

// joinPace is the pace of attempts to become a member. One that is refused by the
// leader waits longer each time: somebody has to change a configuration first.
type joinPace struct{ pacer }

func refusedPace() joinPace { return joinPace{pacer{least: 4 * joinPause, most: 10 * time.Second}} }

// rest waits after an attempt that failed; false: ctx ended.
func (p *joinPace) rest(ctx context.Context, err error) bool {
	if replication.Refused(err) {
		return p.wait(ctx, 0)
	}
	p.next = 0
	select {
	case <-ctx.Done():
		return false
	case <-time.After(joinPause):
		return true
	}
}

func (n *node) replicaIdentity() replication.Identity {
	id := replication.Identity{Group: n.group, UUID: n.life.UUID, Name: n.in.Name, Incarnation: n.life.Incarnation, Version: versionNumber(), Feature: n.feature, Anon: n.in.Replication.Anon, Filter: n.in.Tarragon.Filter,
		Raft: n.in.Replication.ElectionMode != instance.ModeOff}
	if n.life.anew != nil && !n.life.anew.newLife {
		id.Term, id.InEffect, id.Confirmed = n.life.anew.shown.Term, n.life.anew.inEffect, n.life.anew.confirmed
	}
	return id
}

func (n *node) newBoot() *replication.Boot {
	appointed, other := bootstrapRole(n.in)
	set := ""
	if n.recovered != nil || n.life.anew != nil {
		set = n.heldSet()
	}
	return &replication.Boot{Self: n.replicaIdentity(), Addr: n.ownPeerAddr(), Peers: n.peers(), ReadOnly: n.in.ReadOnly,
		CanLead:   n.in.Replication.ElectionMode >= instance.ModeManual,
		Appointed: appointed, MustJoin: other || n.life.anew != nil, Mixed: n.in.Tarragon.AllowTarantool,
		Set: set, ConnectTimeout: n.in.Replication.ConnectTimeout, Grace: bootGrace, Logger: n.log}
}

// bootGrace is how long the first start of a replica set waits for all of its
// instances: processes of a set are started together, and some take longer.
const bootGrace = 2 * time.Second

func namesBootstrapLeader(b config.BootstrapStrategy) bool {
	return b == config.BootstrapNative || b == config.BootstrapSupervised
}

// bootstrapRole tells whether the configuration appoints us to begin the replica
// set, or somebody else; neither: the instances agree on it.
func bootstrapRole(in *config.Instance) (appointed, other bool) {
	switch in.Replication.BootstrapStrategy {
	case config.BootstrapAuto, config.BootstrapLegacy:
		return false, false
	}
	appointed = in.Replication.BootstrapLeader == in.Name
	return appointed, !appointed
}

// peers are all members as configured, ourselves among them.
func (n *node) peers() []replication.Peer {
	names := make(map[string]string)
	for _, m := range n.in.Members {
		names[m.Peer.Address()] = m.Name
	}
	var out []replication.Peer
	for _, u := range n.in.Replication.Peers {
		out = append(out, replication.Peer{Addr: u.Address(), User: u.Login, Password: u.Password, Name: names[u.Address()], Secure: n.secure(u)})
	}
	return out
}

func (n *node) ownPeerAddr() string {
	for _, m := range n.in.Members {
		if m.Name == n.in.Name && !m.Peer.IsZero() {
			return m.Peer.Address()
		}
	}
	return ""
}

// start joins the core to its adapters.
func (n *node) start(core *instance.Core, b *box.Box) error {
	e := &engine{core: core, box: b}
	hub, err := n.newHub()
	if err != nil {
		return err
	}
	e.watch = newWatch(n, e)
	n.hub.Store(hub)
	meter := newGroupMeter(n.meters)
	j := &meteredJournal{core: core, meter: meter}
	e.loop = instance.NewLoop(core, instance.LoopConfig{Journal: j, Peers: hub, Clients: n.replies(), Watcher: e.watch, Stepped: func(took time.Duration, events []instance.Event, _ *instance.Effects) {
		n.meters.stepped(took, events)
		meter.stepped(core)
		e.pulse.stepped()
	}})
	e.writer = n.writer(n.store,
		func(no uint64) {
			meter.written()
			_ = e.loop.Submit(instance.Written{Group: no})
		},
		func(err error) { _ = e.loop.Submit(instance.WriteFailed{Err: err}) })
	j.writer = e.writer
	e.keeper = newKeeper(keeperEnv{store: n.store, core: e.loop, limits: &n.in.Tarragon, tuning: n.tuning, troubles: &n.troubles, log: n.log,
		ready: n.ready.Load, readers: hub.Readers, tick: n.tick})
	if n.newFront != nil {
		if e.front, err = n.newFront(n, e); err != nil {
			return err
		}
	}
	n.engine.Store(e)
	return nil
}

func (n *node) newHub() (*replication.Hub, error) {
	r := &n.in.Replication
	outside, err := n.life.membership()
	if err != nil {
		return nil, err
	}
	silence, places := n.tuning.copies()
	var memory func() xrow.MemoryUse
	if r.Anon {
		memory = n.memoryUse
	}
	return replication.New(replication.Config{Memory: memory, CopyTimeout: silence, MaxCopies: places, Group: n.group, UUID: n.life.UUID, Name: n.in.Name, Incarnation: n.life.Incarnation, TakesMark: outside == registered, Process: process, Feature: n.feature, Procedures: n.procedures,
		Anon: r.Anon, Filter: n.in.Tarragon.Filter, Version: versionNumber(), Peers: n.peers(), DeathTimeout: r.Timeout, ReconnectMax: r.ReconnectTimeout,
		NameSelf: namesBootstrapLeader(r.BootstrapStrategy),
		Log:      storeLog{n.store}, CanLog: n.store.Mode() != xlog.None, Rights: n.rights, Registers: n.registers, AddressOf: n.addressOf, Line: n.line, MustJoin: n.joinAnew, SpoolDir: filepath.Dir(storeDir(n.in)), CopyDir: n.copyDir(), Forwarded: n.meters.forwarded, FileMode: n.in.Tarragon.FileMode, DirMode: n.in.Tarragon.DirMode, Transfer: n.transfer(), Logger: n.log})
}

// bootstrap begins the replica set with this instance.
func (n *node) bootstrap(e *engine) error {
	set := n.in.Database.ReplicasetUUID
	if set == "" {
		set = uuid.NewString()
	}
	profile := box.Profile3_8_0
	if n.in.Tarragon.BootstrapProfile == "2.10.4" {
		profile = box.Profile2_10_4
	}
	rows := box.BootstrapRows(profile, set, n.life.UUID, n.in.Name, n.in.Replicaset)
	for i := range rows {
		if rows[i].SpaceID == xrow.SpaceCluster {
			rows[i].Tuple = instance.MemberTuple(1, n.life.UUID, n.in.Name, n.life.Incarnation)
		}
	}
	if need := n.founders(); need > 1 {
		rows = append(rows, instance.FoundingRow(need))
		n.log.Info().Int("needed", need).Msg("the replica set takes no writes of clients before so many of the configured instances are members")
	}
	n.log.Info().Str("replicaset", set).Str("profile", n.in.Tarragon.BootstrapProfile).Msg("bootstrapping the replica set")
	return e.loop.Submit(instance.BootstrapRows{Rows: rows, ID: 1})
}

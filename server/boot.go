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
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/google/uuid"
)

// settle finds out where the state comes from, and builds the core from it.
// bootstrap is set when this instance begins the replica set.
func (s *Server) settle(ctx context.Context) (bootstrap bool, err error) {
	if s.life.anew == nil && (len(s.slot.Checkpoints()) > 0 || s.slot.Last() > 0) {
		return false, s.recover(ctx)
	}
	foreign := foreignFiles(s.in)
	if foreign != nil {
		s.log.Warn().Str("dir", foreign.Dir).Str("file", foreign.Files[0]).
			Msg("there is data of Tarantool, which is not read: this instance can join a replica set that runs, and begins none")
	}
	boot := s.newBoot()
	s.boot.Store(boot)
	met := false // the Tarantools had time to meet us
	refused := refusedPace()
	for {
		d, err := s.decide(ctx, boot)
		if err != nil {
			return false, err
		}
		if d.Action == replication.ActionBootstrap && s.life.anew == nil {
			if foreign != nil {
				return false, foreign
			}
			if err := s.in.BootstrapError(); err != nil {
				return false, err
			}
			s.mixed = d.Tarantools
			return true, s.recover(ctx)
		}
		if d.Tarantools && !met {
			if met = true; !s.letMeet(ctx) {
				return false, context.Cause(ctx)
			}
		}
		err = boot.JoinAny(ctx, d.Peers, func() (replication.Sink, error) { return newSink(s.slot, &s.life) })
		complete := err == nil || errors.Is(err, replication.ErrFinalStage)
		if err == nil {
			if err := s.life.noteRegistered(); err != nil {
				return false, err
			}
		}
		switch {
		case complete && s.life.anew != nil:
			return false, errJoined
		case complete:
			return false, s.recover(ctx)
		case errors.Is(err, instance.ErrUncovered), errors.Is(err, instance.ErrLostData):
			return false, &rejoin{cause: err, newLife: true}
		case errors.Is(err, errWrongSet), errors.Is(err, xlog.ErrFailed), !replication.Retry(err):
			return false, err // a store that has failed takes no state from anybody
		}
		s.log.Debug().Err(err).Msg("no member takes us yet") // the first of its kind was told already
		if !refused.rest(ctx, err) {
			return false, context.Cause(ctx)
		}
	}
}

// decide is the decision where the state comes from. Who is in doubt about its disk has
// its old store yet, and waits not for ever for somebody who can give it a state.
func (s *Server) decide(ctx context.Context, boot *replication.Boot) (replication.Decision, error) {
	if s.life.anew == nil || !s.life.anew.newLife || s.life.anew.former {
		return boot.Decide(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(s.cfg.giverPatience, giverPatience), errNoGiver)
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
func (s *Server) letMeet(ctx context.Context) bool {
	if s.in.Replication.Anon || s.in.Name == "" {
		return true
	}
	select {
	case <-time.After(2 * s.tuning.death()):
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

func (s *Server) replicaIdentity() replication.Identity {
	id := replication.Identity{UUID: s.life.UUID, Name: s.in.Name, Incarnation: s.life.Incarnation, Version: versionNumber(), Anon: s.in.Replication.Anon,
		Raft: electionMode(s.in.Replication.ElectionMode) != instance.ModeOff}
	if s.life.anew != nil && !s.life.anew.newLife {
		id.Term, id.InEffect, id.Confirmed = s.life.anew.shown.Term, s.life.anew.inEffect, s.life.anew.confirmed
	}
	return id
}

func (s *Server) newBoot() *replication.Boot {
	appointed, other := bootstrapRole(s.in)
	set := ""
	if s.recovered != nil || s.life.anew != nil {
		set = s.heldSet()
	}
	return &replication.Boot{Self: s.replicaIdentity(), Addr: s.ownPeerAddr(), Peers: s.peers(), ReadOnly: s.in.ReadOnly,
		CanLead:   electionMode(s.in.Replication.ElectionMode) >= instance.ModeManual,
		Appointed: appointed, MustJoin: other || s.life.anew != nil, Mixed: s.in.Tarragon.AllowTarantool,
		Set: set, ConnectTimeout: s.in.Replication.ConnectTimeout, Grace: bootGrace, Logger: s.log}
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
func (s *Server) peers() []replication.Peer {
	names := make(map[string]string)
	for _, m := range s.in.Members {
		names[m.Peer.Address()] = m.Name
	}
	var out []replication.Peer
	for _, u := range s.in.Replication.Peers {
		out = append(out, replication.Peer{Addr: u.Address(), User: u.Login, Password: u.Password, Name: names[u.Address()]})
	}
	return out
}

func (s *Server) ownPeerAddr() string {
	for _, m := range s.in.Members {
		if m.Name == s.in.Name && !m.Peer.IsZero() {
			return m.Peer.Address()
		}
	}
	return ""
}

// makeNode joins the core to its adapters.
func (s *Server) makeNode(core *instance.Core, b *box.Box) error {
	n := &node{core: core, box: b}
	n.status = newStatus(s, n)
	hub, err := s.newHub()
	if err != nil {
		return err
	}
	s.hub.Store(hub)
	j := &journal{}
	n.loop = instance.NewLoop(core, instance.LoopConfig{Journal: j, Peers: hub, Clients: &clients{s.answers, &s.calls}, Watcher: n.status})
	n.journal = xlog.NewJournal(s.store)
	n.writer = n.journal.Writer(s.slot,
		func(no uint64) { _ = n.loop.Submit(instance.Written{Group: no}) },
		func(err error) { _ = n.loop.Submit(instance.WriteFailed{Err: err}) })
	j.Writer = n.writer
	n.keeper = newKeeper(keeperEnv{store: s.slot, core: n.loop, limits: &s.in.Tarragon, tuning: &s.tuning, troubles: &s.troubles, log: s.log,
		ready: s.ready.Load, readers: hub.Readers, tick: func() {
			s.clients.Tick()
			s.watchMemory(n)
		}})
	if n.procs, err = s.newProcs(n); err != nil {
		return err
	}
	s.node.Store(n)
	return nil
}

// journal is set once both ends exist.
type journal struct{ *xlog.Writer }

func (s *Server) newHub() (*replication.Hub, error) {
	r := &s.in.Replication
	outside, err := s.life.membership()
	if err != nil {
		return nil, err
	}
	return replication.New(replication.Config{UUID: s.life.UUID, Name: s.in.Name, Incarnation: s.life.Incarnation, TakesMark: outside == registered, Process: process,
		Anon: r.Anon, Version: versionNumber(), Peers: s.peers(), DeathTimeout: r.Timeout, ReconnectMax: r.ReconnectTimeout,
		NameSelf: namesBootstrapLeader(r.BootstrapStrategy),
		Log:      storeLog{s.slot}, CanLog: s.store.Mode() != xlog.None, Rights: s.rights, Registers: s.reloadMembers, MustJoin: s.joinAnew, SpoolDir: filepath.Dir(storeDir(s.in)), Logger: s.log})
}

// rights of a user that wants to replicate; member: as a member of the set.
func (s *Server) rights(user iproto.User, member bool) *xrow.Error {
	n := s.node.Load()
	if n == nil {
		return xrow.Errorf(xrow.ErrLoading)
	}
	var err error
	n.loop.Read(func(c *instance.Core) {
		schema := c.Box().Schema()
		if member {
			err = schema.CheckSpace(box.Credentials(user), spaceCluster, box.PrivWrite)
		}
		if err == nil {
			err = schema.CheckUniverse(box.Credentials(user), box.PrivRead)
		}
	})
	var e *xrow.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

const (
	spaceSchema  = 272
	spaceSpace   = 280
	spaceCluster = 320

	firstUserSpace = 512
)

// bootstrap begins the replica set with this instance.
func (s *Server) bootstrap(n *node) error {
	set := s.in.Database.ReplicasetUUID
	if set == "" {
		set = uuid.NewString()
	}
	profile := box.Profile3_8_0
	if s.in.Tarragon.BootstrapProfile == "2.10.4" {
		profile = box.Profile2_10_4
	}
	rows := box.BootstrapRows(profile, set, s.life.UUID, s.in.Name, s.in.Replicaset)
	for i := range rows {
		if rows[i].SpaceID == spaceCluster {
			rows[i].Tuple = instance.MemberTuple(1, s.life.UUID, s.in.Name, s.life.Incarnation)
		}
	}
	if need := s.founders(); need > 1 {
		rows = append(rows, instance.FoundingRow(need))
		s.log.Info().Int("needed", need).Msg("the replica set takes no writes of clients before so many of the configured instances are members")
	}
	s.log.Info().Str("replicaset", set).Str("profile", s.in.Tarragon.BootstrapProfile).Msg("bootstrapping the replica set")
	return n.loop.Submit(instance.BootstrapRows{Rows: rows, ID: 1})
}

// becameWritable aligns users and rights with the configuration: each new
// leader does it, adding and changing, never dropping.
func (s *Server) becameWritable() {
	n := s.node.Load()
	c := &s.in.Credentials
	if len(c.Users) == 0 && len(c.Roles) == 0 {
		return
	}
	conn := s.calls.add(func(r instance.Reply) {
		if r.Err == nil {
			s.troubles.set(areaCredentials, "", nil)
		} else if s.troubles.set(areaCredentials, "credentials of the configuration could not be applied", r.Err) {
			s.log.Error().Err(r.Err).Msg("credentials of the configuration could not be applied")
		}
	})
	if err := n.loop.Submit(instance.Write{Requests: []instance.Request{proc.AlignCredentials(conn, credentials(c), n.loop.Now().Wall)}}); err != nil {
		s.calls.answer(instance.Reply{Conn: conn}) // the end of the run: the next leader does it
	}
}

package server

import (
	"context"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/config"
)

// seat is the place of a node: for the replica set, or for another group, over
// the same store, journal and port. Nothing in the configuration makes one of those yet.
//
// A node that cannot go on ends and begins anew by itself, while all others run.
type seat struct {
	group string               // empty: the replica set
	core  uint32               // in the store
	node  atomic.Pointer[node] // of the present run; nil: it is between two, which is never so for the replica set
}

func newSeats(groups []string) map[string]*seat {
	seats := make(map[string]*seat, len(groups))
	for i, group := range groups {
		seats[group] = &seat{group: group, core: uint32(i + 1)}
	}
	return seats
}

// openSeats makes a place in the store for each group.
func (s *Server) openSeats() error {
	for _, b := range s.beside {
		if _, err := s.store.AddCore(b.core, b.group); err != nil {
			return err
		}
	}
	return nil
}

// startSeats runs them until ctx ends, or stopSeats ends them.
func (s *Server) startSeats(ctx context.Context) {
	ctx, s.stopSeats = context.WithCancelCause(ctx)
	for _, b := range s.beside {
		s.seats.Go(func() { s.keep(ctx, b) })
	}
}

// keep runs the node of a seat again and again.
func (s *Server) keep(ctx context.Context, b *seat) {
	log := s.log.With().Str("core", b.group).Logger()
	next := newComeback(&home{store: s.store, core: b.core}, log)
	for ctx.Err() == nil {
		began := time.Now()
		end := s.runBeside(ctx, b, newNode(b.group, s.hostBeside(b.group), next))
		if _, err := next.after(ctx, end, began); err != nil {
			log.Error().Err(err).Msg("the node of this group has ended, and begins anew; the others go on")
			next.pause.wait(ctx, time.Since(began))
		}
	}
}

// runBeside is one run of a node, from its identity to the end of all its parts.
func (s *Server) runBeside(ctx context.Context, b *seat, n *node) error {
	slot, err := n.life.begin()
	if err != nil {
		return err
	}
	n.store = slot
	run := n.begin(ctx)
	b.node.Store(n)
	err = n.run(run)
	n.noteSet(err)
	b.node.Store(nil)
	for _, step := range n.ending(func() {}) {
		step.run()
	}
	n.noteShown(err)
	return err
}

// hostBeside is host for a node of another group: it is of a replica set of its own, and
// no clients see it.
func (s *Server) hostBeside(group string) host {
	h := s.host()
	conf := *s.in
	conf.Database.InstanceUUID, conf.Database.ReplicasetUUID = s.main().life.UUID, ""
	conf.Replicaset, conf.Credentials, conf.Tarragon.AllowTarantool = group, config.Credentials{}, false
	h.in, h.log = &conf, s.log.With().Str("core", group).Logger()
	h.serves, h.tick = func() {}, func() {}
	return h
}

// nodes are all that run now.
func (s *Server) nodes() []*node {
	all := []*node{s.main()}
	for _, b := range s.beside {
		if n := b.node.Load(); n != nil {
			all = append(all, n)
		}
	}
	return all
}

package server

import (
	"context"
	"sync/atomic"

	"tarragon.dev/tarragon/instance"
)

// watch takes what a core says to the rest of its node. One goroutine looks at the
// core after each word of it, so that the Loop never waits for those who watch.
type watch struct {
	n    *node
	e    *engine
	kick chan struct{}
	tell atomic.Uint64 // the core waits until clients are told who leads since this term; 0: it does not
}

func newWatch(n *node, e *engine) *watch { return &watch{n: n, e: e, kick: make(chan struct{}, 1)} }

// Changed is called on the Loop's goroutine.
func (w *watch) Changed(e *instance.Effects) {
	for _, snap := range e.Snaps {
		w.route(snap)
	}
	if len(e.Lost) > 0 {
		w.n.log.Warn().Int("transactions", len(e.Lost)).Uint64("term", e.Lost[0].Term).Uint64("lsn", e.Lost[len(e.Lost)-1].LSN).
			Msg("a newer term, or a ROLLBACK, voided transactions: they are kept for you to read (tarragon lost list)")
	}
	if e.Checkpoint {
		w.e.keeper.ask(func(error) {}) // one that fails is told, and the copy is made anew if need be
	}
	if e.GaveWay {
		w.n.gaveWay()
	}
	if e.Fatal != nil {
		w.n.fatal(e.Fatal)
	}
	if w.e.front != nil {
		w.e.front.changed(e)
	}
	if e.Tell != 0 {
		w.tell.Store(e.Tell)
	}
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *watch) route(snap instance.Snapshot) {
	switch snap.Tag {
	case keepTag:
		w.e.keeper.snaps <- snap // capacity 1: one checkpoint is asked for at a time
		return
	case proofTag:
		w.n.proofs <- snap // the same
		return
	}
	w.n.hub.Load().Snapshot(snap)
}

func (w *watch) run(ctx context.Context) {
	for {
		l := w.look()
		if w.e.front != nil {
			w.e.front.publish(&l)
		}
		w.told(&l)
		w.n.noteReady(&l)
		if w.e.front != nil {
			w.e.front.published(&l)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.kick:
		}
	}
}

// told answers a core that waits for it, once all that a look shows is published: the
// words of it stand in the output of each connection before any answer that comes now.
func (w *watch) told(l *look) {
	if term := w.tell.Load(); term != 0 && l.QueueTerm >= term && w.tell.CompareAndSwap(term, 0) {
		_ = w.e.loop.Submit(instance.LeaderTold{Term: l.QueueTerm}) // else the loop has ended
	}
}

// look is a consistent look at the core.
type look struct {
	instance.Info
	replicaset string // its UUID; empty: none yet
	rights     uint64 // version of users and rights
}

func (w *watch) look() (l look) {
	now := w.e.loop.Now().Mono
	w.e.loop.Read(func(c *instance.Core) {
		l.Info = c.Info(now)
		l.replicaset = c.Box().ReplicasetUUID()
		l.rights = c.Box().Schema().RightsVersion()
	})
	return l
}

// noteReady opens the door once the node is a member of a replica set and the rows
// that say so are confirmed: before that it would show an empty set.
func (n *node) noteReady(l *look) {
	if l.ID == 0 && !n.in.Replication.Anon || l.replicaset == "" || n.ready.Swap(true) {
		return
	}
	n.log.Info().Uint32("id", l.ID).Str("uuid", l.UUID).Stringer("vclock", l.VClock).Msg("ready")
	n.serves()
}

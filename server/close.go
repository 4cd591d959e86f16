package server

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// drainLimit is how long clients may take to leave (Tarantool's
	// set_on_shutdown_timeout).
	drainLimit = 3 * time.Second
	// closeLimit is how long all the rest may take: a sync that hangs must not
	// keep the process from ending.
	closeLimit = 15 * time.Second
	// cutGrace is how long clients of a node that ends may take to read what it has
	// answered.
	cutGrace = time.Second
)

// errStuck: a part did not end in time. Its goroutine and the store stay as
// they are, so the process has to end.
var errStuck = errors.New("the shutdown hangs")

// close ends the parts, each before what it needs, and gives up when that takes
// too long.
func (s *Server) close(cause error) error {
	s.stopping.Store(true)
	drain := s.drainTime()
	began := time.Now()
	s.log.Info().AnErr("cause", cause).Msg("stopping")
	err := runSteps(s.closing(drain), drain+closeLimit)
	if err != nil {
		s.log.Error().Err(err).Msg("giving up: the next start recovers from the log")
	} else {
		s.log.Info().Dur("took", time.Since(began)).Msg("stopped")
	}
	return err
}

// runSteps runs the steps in order, all of them within a limit.
func runSteps(steps []closeStep, limit time.Duration) error {
	var at atomic.Pointer[string]
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, step := range steps {
			at.Store(&step.name)
			step.run()
		}
	}()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return fmt.Errorf("%w: %s does not end", errStuck, *at.Load())
	}
}

// drainTime is how long clients have to leave by themselves.
func (s *Server) drainTime() time.Duration {
	if d := s.drain.Load(); d > 0 {
		return time.Duration(d)
	}
	return drainLimit
}

type closeStep struct {
	name string
	run  func()
}

// closing is the order of a stop. Every step may rely on what comes after it.
func (s *Server) closing(drain time.Duration) []closeStep {
	return []closeStep{
		{"handover", s.handOver}, // while all still works
		{"resignation", func() {
			s.resign()
			s.hook.leave() // its program runs while clients leave
		}},
		{"router", s.closeRouter}, // its clients have somewhere else to go, and what waits has another leader by now
		{"clients", func() { // those that watch box.shutdown leave by themselves
			ctx, cancel := context.WithTimeout(context.Background(), drain)
			defer cancel()
			s.port.clients.Drain(ctx)
		}},
		{"procedures", s.procs.close}, // their clients had their time
		{"nodes of other groups", func() { // each by itself, from its replication to its last group
			s.stopSeats(errStopped)
			s.seats.Wait()
		}},
		{"replication", func() { // before connections: readers wait in JOINs that only this ends
			s.port.clients.StopListening()
			s.main().endReplication()
		}},
		{"connections", s.port.clients.Close}, // nobody submits any more
		{"background work", func() { // a checkpoint is given up
			s.stop(errStopped)
			s.hook.close()
			s.closeDebug()
			s.closeHTTP()
			s.main().endBackground()
			s.bg.Wait()
		}},
		{"loop", func() {
			s.main().endLoop()
			s.port.calls.end()
		}},
		{"journal", func() {
			s.main().endWriter()
			s.journal.Close()
		}},
		{"audit log", s.closeAudit},
		{"store", func() {
			if err := s.store.Close(); err != nil {
				s.log.Error().Err(err).Msg("the store did not close cleanly")
			}
		}},
	}
}

// ending is the end of one node, while the process goes on. Every step may rely on what
// comes after it. cut closes the connections of its clients.
func (n *node) ending(cut func()) []closeStep {
	return []closeStep{
		{"resignation", n.resign},
		{"replication", n.endReplication},
		{"connections", func() { // nobody submits any more
			n.leaving.Store(true)
			cut()
		}},
		{"background work", n.endBackground}, // a checkpoint is given up
		{"loop", n.endLoop},
		{"journal", n.endWriter},
	}
}

// cutClients ends the sessions of a node that clients see, and takes away what it has
// published. Peers of other groups stay.
func (s *Server) cutClients() {
	s.procs.cut()
	s.port.clients.Cut(cutGrace)
	for _, key := range published {
		s.port.events.Update(key, nil)
	}
}

func (s *Server) resign() {
	for _, n := range s.nodes() {
		n.resign()
	}
}

// pacer makes pauses between attempts grow, and forgets them after a good run.
type pacer struct {
	least, most time.Duration
	next        time.Duration
}

// wait pauses; false: ctx ended. ran is how long the attempt before lasted.
func (p *pacer) wait(ctx context.Context, ran time.Duration) bool {
	if ran > 2*p.most {
		p.next = 0
	}
	pause := p.next
	p.next = min(max(2*p.next, p.least), p.most)
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

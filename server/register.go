package server

import (
	"context"
	"errors"
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/xlog"
)

// metaMembership is why the state in the store has no _cluster row of ours.
const metaMembership = "membership"

// What is under metaMembership.
const (
	member     = ""           // no reason: if the row is not there we were expelled
	anonymous  = "anonymous"  // an anonymous replica has none
	unknown    = "unknown"    // the state came by JOIN, the word that we are registered did not
	registered = "registered" // we are, a JOIN has told; the row may be on its way
)

func (s *Server) membership() (string, error) {
	raw, _, err := s.store.Meta(metaMembership)
	return string(raw), err
}

func (s *Server) setMembership(m string) error {
	return s.store.SetMeta(metaMembership, []byte(m))
}

// noteOutsider is said before a state without our row becomes valid.
func (s *Server) noteOutsider() error {
	if s.in.Replication.Anon {
		return s.setMembership(anonymous)
	}
	return s.setMembership(unknown)
}

// noteRegistered: whatever the state has, a JOIN has told that we are registered.
func (s *Server) noteRegistered() error {
	if m, err := s.membership(); err != nil || m == anonymous {
		return err
	}
	return s.setMembership(registered)
}

// adoptIncarnation takes that of our row for our own. A Tarantool that registers
// a next life, by its name or its uuid, leaves the mark of the former one in the
// row. It is for the first start that finds the row after a JOIN.
func (s *Server) adoptIncarnation(incarnation uint64) error {
	s.log.Info().Msg("a Tarantool registered this instance in the row of a former life: its mark is ours now")
	s.identity.Incarnation = incarnation
	return s.identity.save(s.store)
}

// register has an instance registered that holds a state and should be a
// member: one that was anonymous, or whose JOIN broke off at its end. It does
// not return before that is done.
func (s *Server) register(ctx context.Context, core *instance.Core, b *box.Box) error {
	m, err := s.membership()
	if err != nil {
		return err
	}
	id := s.registeredAs(b)
	switch {
	case s.in.Replication.Anon && id != 0:
		return fmt.Errorf("this instance is member %d of replica set %s, the configuration says replication.anon = true: a member cannot become anonymous; expel it first, and empty its data directory",
			id, b.ReplicasetUUID())
	case id != 0 && m != member:
		return s.setMembership(member)
	case s.in.Replication.Anon || m != anonymous && m != unknown:
		return nil
	}
	boot := s.newBoot()
	s.boot.Store(boot)
	v := core.Info(0).VClock
	refused := refusedPace()
	for {
		err := boot.RegisterAny(ctx, &v)
		if err == nil {
			return s.setMembership(registered)
		}
		if errors.Is(err, xlog.ErrFailed) || !replication.Retry(err) {
			return fmt.Errorf("register this instance: %w", err)
		}
		if !refused.rest(ctx, err) {
			return context.Cause(ctx)
		}
	}
}

// registeredAs is our replica ID in the data; 0: none.
func (s *Server) registeredAs(b *box.Box) uint32 {
	for _, m := range append(b.Members(), b.NewestMembers()...) {
		if m.UUID == s.identity.UUID {
			return m.ID
		}
	}
	return 0
}

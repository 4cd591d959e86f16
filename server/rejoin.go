package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tarragon/config"
	"tarragon/instance"
	"tarragon/vclock"
)

// rejoin ends a run: the instance must take the state from a peer anew. It
// carries what must not be forgotten over that.
type rejoin struct {
	cause     error
	newLife   bool          // data was lost: a new incarnation, so a new replica ID
	vclock    vclock.VClock // else: what we hold and may have acked,
	term      uint64        // the term and vote that were shown,
	vote      uint32
	self      uint32 // our replica ID,
	newest    uint64 // the term of the newest PROMOTE that we hold,
	inEffect  uint64 // and what we know to be committed
	confirmed uint64
	set       string // whose store we hold: we join no other; empty: any
}

func (r *rejoin) Error() string { return "this instance has to join anew: " + r.cause.Error() }
func (r *rejoin) Unwrap() error { return r.cause }

// errJoined ends the run that filled the new store.
var errJoined = errors.New("the new store is complete")

// fatal answers a broken guarantee. A disk that lost rows comes back as a new
// incarnation; anything else is for the operator.
func (s *Server) fatal(err error) {
	if errors.Is(err, instance.ErrLostData) {
		s.broken(&rejoin{cause: err, newLife: true})
		return
	}
	s.troubles.set(areaGuarantee, "a guarantee of the replica set is broken", err)
	s.log.Error().Err(err).Msg("a guarantee of the replica set is broken: this instance stops writing; look at every member before you restart it")
}

// joinAnew is called when no peer has the log that we need.
func (s *Server) joinAnew(cause error) {
	n := s.node.Load()
	if n == nil {
		return
	}
	r := &rejoin{cause: cause}
	n.loop.Read(func(c *instance.Core) {
		i := c.Info(0)
		r.vclock, r.term, r.vote, r.inEffect, r.confirmed = i.VClock.Global(), i.Term, i.Vote, i.QueueTerm, i.Confirmed
		r.self, r.newest = i.ID, i.NewestPromote
	})
	s.broken(r)
}

// errBehind: a state that lacks rows that we hold. We may have acked them, and
// those of our own must not be written a second time.
var errBehind = errors.New("the state of this peer lacks rows that this instance holds")

// keep puts what must not be forgotten into a state that came by JOIN.
func (r *rejoin) keep(st *instance.State) error {
	if r == nil || r.newLife {
		return nil
	}
	// A term in effect that is newer than all rows of ours leaves out those it
	// does not have: they are void. Their LSNs are used up all the same, see
	// leftovers.
	n := len(st.History)
	settled := n > 0 && st.History[n-1].Term > r.newest
	if !settled && !st.VClock.Covers(&r.vclock) {
		return fmt.Errorf("%w: it has %s, here is %s", errBehind, st.VClock, r.vclock)
	}
	if st.Term == r.term && r.vote != 0 {
		st.Vote = r.vote
	}
	return nil
}

// openAnew opens an empty second store beside the old one, which stays until
// the new one is complete.
func (s *Server) openAnew() error {
	dir := storeDir(s.in)
	old, err := s.openStore(dir)
	if err != nil {
		return err
	}
	id, err := loadIdentity(old, s.in)
	if err == nil {
		err = markLost(old, s.anew)
	}
	if err = errors.Join(err, old.Close(), os.RemoveAll(newDir(dir))); err != nil {
		return err
	}
	if s.anew.newLife {
		id.Incarnation = freshIncarnation()
	}
	store, err := s.openStore(newDir(dir))
	if err != nil {
		return err
	}
	if err := id.save(store); err != nil {
		return errors.Join(err, store.Close())
	}
	s.store, s.identity = store, id
	return nil
}

// swapStores makes the complete new store the store. The old one is removed
// unless it may hold rows that nobody else has: then it stays beside the new
// one for the operator.
func swapStores(in *config.Instance, keepOld bool) error {
	dir := storeDir(in)
	if err := os.Rename(newDir(dir), readyDir(dir)); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := finishSwap(dir); err != nil || keepOld {
		return err
	}
	return os.RemoveAll(oldDir(dir))
}

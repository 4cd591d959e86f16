package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tarragon/config"
	"tarragon/instance"
	"tarragon/vclock"
	"tarragon/xlog"
)

// rejoin ends a run: the instance must take the state from a peer anew. It
// carries what must not be forgotten over that.
type rejoin struct {
	cause   error
	newLife bool          // data was lost: a new incarnation, so a new replica ID
	vclock  vclock.VClock // else: what the old store holds, and has acked,
	newest  uint64        // the term of the newest PROMOTE in it,
	self    uint32        // own ID, and
	lsn     uint64        // the own LSN that must not be used again,
	term    uint64        // and the term and vote that were shown
	vote    uint32
}

func (r *rejoin) Error() string { return "this instance has to join anew: " + r.cause.Error() }
func (r *rejoin) Unwrap() error { return r.cause }

// mayForget tells whether the old store holds nothing that may still count but
// what a state has: an acked row may be committed by that ack. A term in effect
// that is newer than all rows of ours leaves out those that it does not have.
func (r *rejoin) mayForget(st *instance.State) bool {
	if n := len(st.History); n > 0 && st.History[n-1].Term > r.newest {
		return true
	}
	return st.VClock.Covers(&r.vclock)
}

// errJoined ends the run that filled the new store.
var errJoined = errors.New("the new store is complete")

// fatal answers a broken guarantee. A disk that lost rows comes back as a new
// incarnation; anything else is for the operator.
func (s *Server) fatal(err error) {
	if errors.Is(err, instance.ErrLostData) {
		s.broken(&rejoin{cause: err, newLife: true})
		return
	}
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
		r.self, r.lsn, r.term, r.vote = i.ID, i.VClock[i.ID], i.Term, i.Vote
		r.vclock, r.newest = i.VClock, i.NewestPromote
	})
	s.broken(r)
}

// openAnew opens an empty second store beside the old one, which stays until
// the new one is complete.
func openAnew(in *config.Instance, r *rejoin, log func(xlog.Event)) (*xlog.Store, identity, error) {
	dir := storeDir(in)
	old, err := xlog.Open(xlog.Options{Dir: dir, Mode: walMode(in.WAL.Mode), Log: log})
	if err != nil {
		return nil, identity{}, fmt.Errorf("old store: %w", err)
	}
	id, err := loadIdentity(old, in)
	if err = errors.Join(err, old.Close()); err != nil {
		return nil, id, err
	}
	if r.newLife {
		id.Incarnation = freshIncarnation()
	}
	if err := os.RemoveAll(newDir(dir)); err != nil {
		return nil, id, err
	}
	store, err := xlog.Open(xlog.Options{Dir: newDir(dir), Mode: walMode(in.WAL.Mode), Log: log})
	if err != nil {
		return nil, id, err
	}
	return store, id, id.save(store)
}

// swapStores makes the complete new store the store.
func swapStores(in *config.Instance) error {
	dir := storeDir(in)
	if err := os.Rename(newDir(dir), readyDir(dir)); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	return finishSwap(dir)
}

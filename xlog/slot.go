package xlog

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"tarragon.dev/tarragon/vclock"

	"github.com/cockroachdb/pebble/v2"
)

// Slot is what the store keeps for one Core: its groups, checkpoints, voided
// rows and named values. Its methods may be called from any goroutine, but there
// is one appender at a time.
type Slot struct {
	s *Store

	// The appender's, under Store.appendMu: what was encoded, which is what was
	// published but inside of appendLocked.
	tail     uint64        // number of the newest group
	end      vclock.VClock // behind it
	anchored bool          // the next group's vclock follows from those before it

	ckpts  []CheckpointInfo // newest first; under Store.metaMu
	nextID uint64           // of a checkpoint; under Store.metaMu

	appended atomic.Uint64 // bytes of rows since Open
	last     atomic.Uint64 // number of the newest synced group
	mu       sync.Mutex    // guards what follows, and last is set under it
	advanced *sync.Cond    // last has moved, or the store is of no more use
	first    uint64
	before   vclock.VClock // in front of group first
	after    vclock.VClock // behind group last, and what a checkpoint added
}

func newSlot(s *Store) *Slot {
	sl := &Slot{s: s, nextID: 1}
	sl.advanced = sync.NewCond(&sl.mu)
	s.fail.tell(func(error) { sl.wake() })
	return sl
}

// wake has those who wait for groups look at the store again.
func (sl *Slot) wake() {
	sl.mu.Lock()
	sl.advanced.Broadcast()
	sl.mu.Unlock()
}

// startAt makes an empty log go on with group next, behind a clock.
func (sl *Slot) startAt(next uint64, clock vclock.VClock) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.first, sl.before, sl.after = next, clock, clock
	sl.last.Store(next - 1)
	sl.tail, sl.end = next-1, clock
}

// content is what there is, for messages.
func (sl *Slot) content() string {
	return fmt.Sprintf("%d groups up to %d, vclock %s, %d checkpoints", sl.Last()+1-sl.First(), sl.Last(), sl.VClock(), len(sl.ckpts))
}

// Core finds what there is of a Core; nil: nothing. 0 is the replica set.
func (s *Store) Core(id uint32) *Slot {
	if id != 0 {
		return nil
	}
	return s.slot
}

// Store is the store that the slot is in.
func (sl *Slot) Store() *Store { return sl.s }

// Mode is the mode the store was opened in.
func (sl *Slot) Mode() Mode { return sl.s.Mode() }

// MayHaveLost tells that groups which were reported written may be missing: the
// mode was not Fsync, and there was no clean stop before the machine (mode
// None: the process) went down. It stays true until ForgetLoss.
func (sl *Slot) MayHaveLost() bool {
	s := sl.s
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	return s.card.lost
}

// ForgetLoss ends MayHaveLost: the instance has a new identity, or holds again
// what its peers have of it.
func (sl *Slot) ForgetLoss() error {
	s := sl.s
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	s.card.lost = false
	return s.writeError("write the card", writeCard(s.fs, s.opts.Dir, &s.card))
}

// Meta reads a named value.
func (sl *Slot) Meta(name string) (value []byte, ok bool, err error) {
	s := sl.s
	if err := s.usable(); err != nil {
		return nil, false, err
	}
	v, closer, err := s.db.Get(metaKey(name))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, s.readError("value "+name, err)
	}
	defer func() { _ = closer.Close() }()
	return append([]byte{}, v...), true, nil
}

// SetMeta writes a named value; it is on disk when SetMeta returns.
func (sl *Slot) SetMeta(name string, value []byte) error {
	s := sl.s
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	key := metaKey(name)
	return s.ingestOne(key, value, pebble.KeyRange{Start: key, End: successor(key)})
}

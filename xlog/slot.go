package xlog

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"tarragon.dev/tarragon/vclock"

	"github.com/cockroachdb/pebble/v2"
)

// Slot is what the store keeps for one Core: its groups, checkpoints, voided
// rows and named values. Its methods may be called from any goroutine, but there
// is one appender at a time.
type Slot struct {
	s      *Store
	core   uint32
	number uint32
	gone   atomic.Bool // another slot is the Core's now, or this one was dropped

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
	where    positions     // of the groups, and of some below first
	need     uint64        // number of the oldest group that somebody needs; 0: not told, all
}

func newSlot(s *Store, core, number uint32) *Slot {
	sl := &Slot{s: s, core: core, number: number, nextID: 1}
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

// usable tells why the slot must not be read.
func (sl *Slot) usable() error {
	if sl.gone.Load() {
		return ErrClosed
	}
	return sl.s.usable()
}

// writable tells why the slot must not be written.
func (sl *Slot) writable() error {
	if sl.gone.Load() {
		return ErrClosed
	}
	return sl.s.writable()
}

// ofCore names the Core for messages, where it is not the replica set.
func (sl *Slot) ofCore() string {
	if sl.core == 0 {
		return ""
	}
	return fmt.Sprintf(" of Core %d", sl.core)
}

// Number names the slot in the store.
func (sl *Slot) Number() uint32 { return sl.number }

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
	return slices.Contains(s.card.lost, sl.number)
}

// ForgetLoss ends MayHaveLost: the instance has a new identity, or holds again
// what its peers have of it.
func (sl *Slot) ForgetLoss() error {
	s := sl.s
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := sl.writable(); err != nil {
		return err
	}
	return s.forgetLoss(sl)
}

func (s *Store) forgetLoss(sl *Slot) error {
	if !slices.Contains(s.card.lost, sl.number) {
		return nil
	}
	s.card.lost = slices.DeleteFunc(slices.Clone(s.card.lost), func(number uint32) bool { return number == sl.number })
	return s.writeError("write the card", writeCard(s.fs, s.opts.Dir, &s.card))
}

// Meta reads a named value.
func (sl *Slot) Meta(name string) (value []byte, ok bool, err error) {
	s := sl.s
	if err := sl.usable(); err != nil {
		return nil, false, err
	}
	v, closer, err := s.db.Get(metaKey(sl.number, name))
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
	if err := sl.writable(); err != nil {
		return err
	}
	key := metaKey(sl.number, name)
	return s.ingestOne(key, value, pebble.KeyRange{Start: key, End: successor(key)})
}

package server

import (
	"errors"
	"os"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/xlog"
)

// home is where the state of a node is, and where the next one is filled while a peer
// gives it. Until take returns, own is whole.
type home interface {
	own() (*xlog.Slot, error)   // what counts now
	fresh() (*xlog.Slot, error) // empty, beside own; what was there before is dropped
	// former is own, to be read while a fresh one is open. leave it then.
	former() (*xlog.Slot, error)
	leave(slot *xlog.Slot) error
	// take puts the fresh one in the place of own, which stays aside if it may hold
	// rows that nobody else has, and if this home can keep it.
	take(keepOld bool) error
	// aside is where it stays; empty: nowhere.
	aside() string
}

// directories are the home of the replica set's node: the store itself, and a second
// one beside it.
type directories struct {
	conf *config.Instance
	open func(dir string) (*xlog.Store, error)
}

func (d *directories) own() (*xlog.Slot, error) {
	if err := os.RemoveAll(newDir(storeDir(d.conf))); err != nil { // of a rejoin that was cut short
		return nil, err
	}
	return d.former()
}

func (d *directories) former() (*xlog.Slot, error) { return d.slot(storeDir(d.conf)) }

func (d *directories) fresh() (*xlog.Slot, error) {
	dir := newDir(storeDir(d.conf))
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	return d.slot(dir)
}

func (d *directories) slot(dir string) (*xlog.Slot, error) {
	store, err := d.open(dir)
	if err != nil {
		return nil, err
	}
	return store.Core(0), nil
}

func (d *directories) leave(slot *xlog.Slot) error { return slot.Store().Close() }

func (d *directories) take(keepOld bool) error { return swapStores(d.conf, keepOld) }

func (d *directories) aside() string { return oldDir(storeDir(d.conf)) }

// slots are the home of a node beside it: all in one store, which the others go on
// using.
type slots struct {
	store *xlog.Store
	core  uint32
	next  *xlog.Slot // what fresh has made
}

func (s *slots) own() (*xlog.Slot, error) { return s.former() }

func (s *slots) former() (*xlog.Slot, error) { return s.store.Core(s.core), nil }

func (s *slots) fresh() (slot *xlog.Slot, err error) {
	s.next, err = s.store.Core(s.core).Fresh()
	return s.next, err
}

func (s *slots) leave(*xlog.Slot) error { return nil }

func (s *slots) take(bool) error { return s.next.Switch() }

func (s *slots) aside() string { return "" }

// leaveOver leaves a slot that is of no use because of err.
func leaveOver(h home, slot *xlog.Slot, err error) error {
	if e := h.leave(slot); !errors.Is(e, xlog.ErrFailed) { // that says so again
		err = errors.Join(err, e)
	}
	return err
}

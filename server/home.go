package server

import (
	"time"

	"tarragon.dev/tarragon/xlog"
)

// home is where the state of a node is, and where the next one is filled while a peer
// gives it: slots of the store, which the other nodes go on using.
//
// Invariant: until take returns, the slot that counts is whole.
type home struct {
	store *xlog.Store // nil: it is not open yet
	core  uint32      // in the store
	next  *xlog.Slot  // what fresh has made; nil: nothing
}

// present is the slot that counts.
func (h *home) present() *xlog.Slot { return h.store.Core(h.core) }

// own is present, for a run that fills no other one: what was filled before is dropped.
func (h *home) own() (*xlog.Slot, error) {
	if h.next != nil {
		if err := h.next.Discard(); err != nil {
			return nil, err
		}
		h.next = nil
	}
	return h.present(), nil
}

// fresh is an empty slot beside the one that counts; one that was there before is
// dropped.
func (h *home) fresh() (slot *xlog.Slot, err error) {
	h.next, err = h.present().Fresh()
	return h.next, err
}

// take has the fresh slot count. why says why the old one is kept for an operator, as a
// former slot; empty: it is removed.
func (h *home) take(why string) error {
	next := h.next
	h.next = nil
	if why == "" {
		return next.Switch()
	}
	return next.SwitchKeeping(time.Now(), why)
}

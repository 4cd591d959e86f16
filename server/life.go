package server

import (
	"errors"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/xlog"

	"github.com/rs/zerolog"
)

// life is who this instance is and what its store says of that: by which row it is
// a member, whether its data is all of what it has shown to others, and, where it
// has to take a state anew, why. It judges and notes; what follows from that is
// the run's.
//
// Invariant: the identity is in the store before anybody is told of it.
type life struct {
	identity
	store   lifeStore
	conf    *config.Instance
	log     zerolog.Logger
	home    *home
	trusted bool    // an operator says that the disk is to be believed
	anew    *rejoin // set: this run fills a fresh slot
	doubt   error   // why this disk is in doubt at the start; nil: it is not
}

// lifeStore is the store as a life needs it.
type lifeStore interface {
	metaStore
	Mode() xlog.Mode
	MayHaveLost() bool
	ForgetLoss() error
	Checkpoints() []xlog.CheckpointInfo
	Last() uint64
}

// begin reads who we are from our slot, or makes a fresh one beside it for a run
// that takes a state anew.
func (l *life) begin() (*xlog.Slot, error) {
	if l.anew != nil {
		return l.openAnew()
	}
	return l.openOwn()
}

// openOwn reads who we are.
func (l *life) openOwn() (*xlog.Slot, error) {
	slot, err := l.home.own()
	if err != nil {
		return nil, err
	}
	l.store = slot
	if l.identity, err = loadIdentity(slot, l.conf); err == nil {
		err = l.checkEmptyLoss()
	}
	if err != nil {
		return nil, err
	}
	return slot, nil
}

// openAnew makes an empty slot beside the old one, which stays until the new one is
// complete.
func (l *life) openAnew() (*xlog.Slot, error) {
	old := l.home.present()
	id, err := loadIdentity(old, l.conf)
	if err == nil {
		err = markLost(old, l.anew)
	}
	if err != nil {
		return nil, err
	}
	if l.anew.newLife {
		id.Incarnation = freshIncarnation()
	}
	slot, err := l.home.fresh()
	if err != nil {
		return nil, err
	}
	if err := id.save(slot); err != nil {
		return nil, err
	}
	l.store, l.identity = slot, id
	return slot, nil
}

// forgetLoss takes back that this store has lost anything.
func (l *life) forgetLoss() error {
	l.log.Warn().Msg("ROWS MAY BE LOST: going on with what is left, as an operator has said; acknowledged transactions may be gone, and members may differ")
	return errors.Join(l.store.SetMeta(metaLost, nil), l.store.ForgetLoss())
}

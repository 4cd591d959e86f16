package server

import (
	"testing"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/xlog"

	"github.com/rs/zerolog"
)

// newLife is one without a server, and without a store.
func newLife(in *config.Instance) *life { return &life{conf: in, log: zerolog.Nop(), home: &home{}} }

// openHome opens the store that a life is in.
func (l *life) openHome(t *testing.T) *xlog.Store {
	t.Helper()
	store, err := xlog.Open(storeOptions(l.conf, storeDir(l.conf)))
	if err != nil {
		t.Fatal(err)
	}
	l.home.store = store
	return store
}

// formers are the former slots of an instance that is stopped, or runs.
func (n *node1) formers() []xlog.FormerValues {
	n.set.t.Helper()
	all, err := xlog.ListFormers(nil, storeDir(n.load()))
	if err != nil {
		n.set.t.Fatal(err)
	}
	return all
}

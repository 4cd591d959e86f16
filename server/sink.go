package server

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// sink writes what a JOIN brings into the store, as a checkpoint.
type sink struct {
	*xlog.CheckpointWriter
	store  sinkStore
	life   *life
	space  uint32   // of the newest tuple
	late   []uint32 // spaces of users that have not come yet, the empty ones among them
	schema *box.Box // of the system spaces that came: spaces that we cannot have end the JOIN
}

// sinkStore is the store as a sink needs it.
type sinkStore interface {
	NewCheckpoint() (*xlog.CheckpointWriter, error)
	Last() uint64
	Append(groups []*xrow.Group) error
	PutLost(rows []xrow.LostRow) error
}

func newSink(store sinkStore, l *life) (replication.Sink, error) {
	w, err := store.NewCheckpoint()
	if err != nil {
		return nil, err
	}
	return &sink{CheckpointWriter: w, store: store, life: l, schema: newBox(l.conf, nil)}, nil
}

// Add takes a tuple, unless it says that this is another replica set.
func (k *sink) Add(space uint32, tuple []byte) error {
	if space != k.space {
		if err := k.enter(space); err != nil {
			return err
		}
	}
	if space == xrow.SpaceSchema {
		have, want := schemaValue(tuple, "replicaset_uuid", "cluster"), k.life.conf.Database.ReplicasetUUID
		if have != "" && want != "" && have != want {
			return fmt.Errorf("%w: it is of replica set %s, the configuration says %s", errWrongSet, have, want)
		}
		if a := k.life.anew; have != "" && a != nil && a.set != "" && have != a.set {
			return fmt.Errorf("%w: it is of replica set %s, the store of this instance of %s", errWrongSet, have, a.set)
		}
	}
	if space == xrow.SpaceSpace {
		k.noteSpace(tuple)
	}
	if space < xrow.FirstUserSpace {
		if err := k.schema.Load(space, tuple); err != nil {
			return fmt.Errorf("space %d: %w", space, err)
		}
	}
	return k.CheckpointWriter.Add(space, tuple)
}

// enter leaves a place in the checkpoint for spaces that come late. The
// Tarantool sends its system spaces first. Those of users come in ascending order
// from newer versions, in that of a hash table from older ones, and those of
// vinyl last.
func (k *sink) enter(space uint32) error {
	last := k.space
	k.space = space
	k.late = slices.DeleteFunc(k.late, func(id uint32) bool { return id == space })
	if slices.ContainsFunc(k.late, func(id uint32) bool { return last < id && id < space }) {
		return k.Cut()
	}
	return nil
}

// noteSpace looks at a tuple of _space: [id, ...].
func (k *sink) noteSpace(tuple []byte) {
	fields, at, ok := mp.ReadArrayHeader(tuple)
	if !ok || fields == 0 {
		return
	}
	if id, _, ok := mp.ReadUint(tuple[at:]); ok && id >= xrow.FirstUserSpace && id <= math.MaxUint32 {
		k.late = append(k.late, uint32(id))
	}
}

// errWrongSet: a configured peer is a member of another replica set.
var errWrongSet = errors.New("the peer does not belong to this replica set")

// schemaValue is the text of a tuple of _schema under one of the keys.
func schemaValue(tuple []byte, keys ...string) string {
	fields, at, ok := mp.ReadArrayHeader(tuple)
	if !ok || fields < 2 {
		return ""
	}
	key, n, ok := mp.ReadString(tuple[at:])
	if !ok || !slices.Contains(keys, string(key)) {
		return ""
	}
	text, _, _ := mp.ReadString(tuple[at+n:])
	return string(text)
}

// Finish makes the state valid, if it may take the place of what we had.
func (k *sink) Finish(st instance.State, registered bool) error {
	kept, err := k.life.kept(st)
	if err != nil {
		return err
	}
	if !registered { // said first: the state must never look like that of a member
		if err := k.life.noteOutsider(); err != nil {
			return err
		}
	}
	kept.State.NextGroup = k.store.Last() + 1
	if _, err := k.CheckpointWriter.Finish(xlog.State(kept.State)); err != nil {
		return err
	}
	if err := k.store.Append(kept.Log); err != nil {
		return err
	}
	return k.store.PutLost(kept.Lost)
}

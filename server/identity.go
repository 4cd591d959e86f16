package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"tarragon.dev/tarragon/config"

	"github.com/google/uuid"
)

// identity is who this instance is. It is on disk before the first connect.
type identity struct {
	UUID        string
	Incarnation uint64 // of the store: drawn when the instance lost or had no data
}

const (
	metaUUID        = "instance_uuid"
	metaIncarnation = "incarnation"
)

// metaStore keeps named values.
type metaStore interface {
	Meta(name string) (value []byte, ok bool, err error)
	SetMeta(name string, value []byte) error
}

// loadIdentity reads the identity from the store, and makes one where there is
// none. A uuid in the configuration that differs from the stored one is an
// error: it is another instance's data.
func loadIdentity(store metaStore, in *config.Instance) (id identity, err error) {
	raw, ok, err := store.Meta(metaUUID)
	if err != nil {
		return id, err
	}
	want := in.Database.InstanceUUID
	if ok {
		id.UUID = string(raw)
		if want != "" && want != id.UUID {
			return id, fmt.Errorf("the data directory belongs to instance %s, the configuration says %s", id.UUID, want)
		}
		raw, _, err := store.Meta(metaIncarnation)
		if err != nil || len(raw) != 8 {
			return id, errors.Join(errors.New("the store has no incarnation"), err)
		}
		id.Incarnation = binary.BigEndian.Uint64(raw)
		return id, nil
	}
	id = identity{UUID: want, Incarnation: freshIncarnation()}
	if id.UUID == "" {
		id.UUID = uuid.NewString()
	}
	return id, id.save(store)
}

// StoredIdentity is who an instance was by the named values of a store: its uuid and the
// incarnation of the life that the store had; empty and 0: it had none yet.
func StoredIdentity(values map[string][]byte) (uuid string, incarnation uint64) {
	if raw := values[metaIncarnation]; len(raw) == 8 {
		incarnation = binary.BigEndian.Uint64(raw)
	}
	return string(values[metaUUID]), incarnation
}

// process tells this process from a copy of it on another machine.
var process = rand.Uint64() | 1

// freshIncarnation is never zero: that means "not told".
func freshIncarnation() uint64 { return rand.Uint64() | 1 }

func (id identity) save(store metaStore) error {
	if err := store.SetMeta(metaIncarnation, binary.BigEndian.AppendUint64(nil, id.Incarnation)); err != nil {
		return err
	}
	return store.SetMeta(metaUUID, []byte(id.UUID))
}

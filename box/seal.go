package box

import (
	"fmt"
	"strings"

	"tarragon.dev/tarragon/xrow"
)

// ownKeys begin the keys of _schema that are Tarragon's own: the quorum of the
// replica set, its feature level, its founding, the greatest ID that was given back.
const ownKeys = "tarragon."

// Seal keeps the statements of clients in this transaction off what is the
// replica set's own and no data: the members, and those rows of _schema that say
// which set this is and by which rules it goes. Rights do not matter: who may
// write any space would otherwise decide who counts, without any of the checks by
// which members come and go.
func (t *Txn) Seal() { t.sealed = true }

// refuseSealed is asked before a client's statement runs, so that it does not
// matter what the statement would have found.
func (t *Txn) refuseSealed(sp *space) error {
	if err := t.refuseOwn(sp); err != nil || !t.sealed {
		return err
	}
	switch sp.id {
	case xrow.SpaceCluster:
		return sealed("Space '_cluster' takes no changes of clients: an instance becomes a member, and gets its name, when it starts with the" +
			" configuration of the replica set; 'tarragon expel' (tarragon.expel) lets one go")
	case xrow.SpaceGcConsumers:
		return sealed("Space '_gc_consumers' takes no changes of clients: a member keeps the log that it needs by itself")
	}
	return nil
}

// refuseSealedRow is asked for each row of _schema, _space and _index that a
// client's statement has changed. Rows and spaces of ours are sealed in every
// transaction.
func (t *Txn) refuseSealedRow(sp *space, tuple []byte) error {
	row := splitRow(tuple)
	switch sp.id {
	case xrow.SpaceSchema:
		return t.refuseSealedKey(row.string(0))
	case xrow.SpaceSpace, xrow.SpaceIndex:
		switch id := row.uint(0); {
		case !t.sealed:
		case id == xrow.SpaceCluster, id == xrow.SpaceSchema, id == xrow.SpaceGcConsumers:
			return sealed(fmt.Sprintf("The definition of space %d takes no changes of clients: what is in it is the replica set's own", id))
		}
		name := ""
		if sp.id == xrow.SpaceSpace {
			name = row.string(2)
		}
		return t.refuseOwnDefinition(uint32(row.uint(0)), name)
	}
	return nil
}

func (t *Txn) refuseSealedKey(key string) error {
	switch key {
	case "tarragon.quorum":
		return sealed("The synchronous quorum is changed by box.cfg{replication_synchro_quorum = ...} on the leader, or by the configuration of a majority")
	case "tarragon.feature":
		return sealed("The feature level is raised by 'tarragon feature raise' (tarragon.feature_raise)")
	case "version", "cluster", "replicaset_uuid", "replicaset_name", "bootstrap_leader_uuid":
		if !t.sealed {
			return nil
		}
	default:
		if !strings.HasPrefix(key, ownKeys) {
			return nil
		}
	}
	return sealed(fmt.Sprintf("Row '%s' of space '_schema' takes no changes of clients: it is the replica set's own", shortName(key)))
}

func sealed(message string) error { return &xrow.Error{Code: xrow.ErrUnsupported, Message: message} }

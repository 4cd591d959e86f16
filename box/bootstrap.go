package box

import (
	_ "embed"

	"tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// bootstrapRows are the rows of a fresh database of schema version 3.8.0 that
// are the same everywhere: arrays [space id, tuple], back to back, ascending by
// space. Source: bootstrap.snap of Tarantool 3.8.0.
//
//go:embed bootstrap.msgpack
var bootstrapRows []byte

// eachBootstrapRow goes over the embedded rows.
func eachBootstrapRow(f func(space uint32, tuple []byte)) {
	for at := 0; at < len(bootstrapRows); {
		end := skip(bootstrapRows, at)
		row := splitRow(bootstrapRows[at:end])
		f(uint32(row.uint(0)), row.raw(1))
		at = end
	}
}

// BootstrapRows are the rows of a fresh database, as INSERTs in the order in
// which they must be applied. An empty instance or replica set name is left out.
func BootstrapRows(replicasetUUID, instanceUUID, instanceName, replicasetName string) []xrow.DML {
	var rows []xrow.DML
	add := func(space uint32, tuple []byte) {
		rows = append(rows, xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: tuple})
	}
	pair := func(key, value string) []byte { return msgp.AppendString(msgp.AppendString([]byte{0x92}, key), value) }
	eachBootstrapRow(func(space uint32, tuple []byte) {
		add(space, tuple)
		if space == idSchema {
			add(idSchema, pair("replicaset_uuid", replicasetUUID))
			if replicasetName != "" {
				add(idSchema, pair("replicaset_name", replicasetName))
			}
		}
	})
	member := msgp.AppendString([]byte{0x92, 1}, instanceUUID)
	if instanceName != "" {
		member = msgp.AppendString(append([]byte{0x93}, member[1:]...), instanceName)
	}
	add(idCluster, member)
	return rows
}

// defineSystemSpaces makes the layout of the system spaces known before their
// own rows come.
func (b *Box) defineSystemSpaces() {
	eachBootstrapRow(func(id uint32, tuple []byte) {
		var err error
		switch id {
		case idSpace:
			var sp *space
			if sp, err = parseSpace(tuple, door{}); err == nil {
				b.dict.putSpace(sp)
			}
		case idIndex:
			sp := b.dict.spaces[uint32(splitRow(tuple).uint(0))]
			var ix *index
			if ix, err = parseIndex(tuple, sp, door{}); err == nil {
				ix.pool, ix.mem, ix.tree = &b.nodes, &b.mem, b.newTree()
				defs := withIndex(sp.indexes, ix)
				ix.setOrder(primaryParts(defs))
				sp.indexes = defs
				sp.format = newFormat(sp.format.named, sp.format.fieldCount, defs)
			}
		}
		if err != nil {
			panic("box: embedded rows: " + err.Error())
		}
	})
}

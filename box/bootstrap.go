package box

import (
	_ "embed"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Profile is the schema version that a fresh database begins with. A version
// of Tarantool refuses to join a database whose system spaces are newer than
// it knows.
type Profile uint8

// Profiles.
const (
	Profile3_8_0  Profile = iota // for members from 3.8 on, and us
	Profile2_10_4                // the newest that 2.6 to 2.10 can join; a 3.x member may upgrade it
)

// embedded are the rows of a fresh database that are the same everywhere:
// arrays [space id, tuple], back to back, ascending by space. Source:
// bootstrap.snap of the release that the name says.
var (
	//go:embed bootstrap.msgpack
	embedded3_8_0 []byte
	//go:embed bootstrap_2_10_4.msgpack
	embedded2_10_4 []byte
)

// each goes over the embedded rows.
func (p Profile) each(f func(space uint32, tuple []byte)) {
	rows := embedded3_8_0
	if p == Profile2_10_4 {
		rows = embedded2_10_4
	}
	for at := 0; at < len(rows); {
		end := mp.Skip(rows, at)
		row := splitRow(rows[at:end])
		f(uint32(row.uint(0)), row.raw(1))
		at = end
	}
}

// replicasetKey is the key of _schema under which the UUID of the set stands.
func (p Profile) replicasetKey() string {
	if p == Profile2_10_4 {
		return "cluster"
	}
	return "replicaset_uuid"
}

// BootstrapRows are the rows of a fresh database, as INSERTs in the order in
// which they must be applied. An empty instance or replica set name is left out.
func BootstrapRows(profile Profile, replicasetUUID, instanceUUID, instanceName, replicasetName string) []xrow.DML {
	var rows []xrow.DML
	add := func(space uint32, tuple []byte) {
		rows = append(rows, xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: tuple})
	}
	pair := func(key, value string) []byte { return msgp.AppendString(msgp.AppendString([]byte{0x92}, key), value) }
	identity := false
	profile.each(func(space uint32, tuple []byte) {
		if space != xrow.SpaceSchema && !identity {
			identity = true
			add(xrow.SpaceSchema, pair(profile.replicasetKey(), replicasetUUID))
			if replicasetName != "" {
				add(xrow.SpaceSchema, pair("replicaset_name", replicasetName))
			}
		}
		add(space, tuple)
	})
	member := msgp.AppendString([]byte{0x92, 1}, instanceUUID)
	if instanceName != "" {
		member = msgp.AppendString(append([]byte{0x93}, member[1:]...), instanceName)
	}
	add(xrow.SpaceCluster, member)
	return rows
}

// defineSystemSpaces makes the layout of the system spaces known before their
// own rows come. Rows of an older profile then define them as they were there.
func (b *Box) defineSystemSpaces() {
	Profile3_8_0.each(func(id uint32, tuple []byte) {
		var err error
		switch id {
		case xrow.SpaceSpace:
			var sp *space
			if sp, err = parseSpace(tuple, nil, door{}); err == nil {
				b.dict.putSpace(sp)
			}
		case xrow.SpaceIndex:
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

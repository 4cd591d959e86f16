package xlog

import (
	"encoding/binary"
	"math"
)

// A key is the number of the replica set in this process (u32), a keyspace
// byte, and the rest. All integers are big endian, so keys sort as numbers.
// These bytes are on disk.
const (
	spaceCheckpoint byte = 'c' // id u64, space u32, ordinal u64: a chunk of tuples; the end record has the greatest space and ordinal
	spaceLog        byte = 'l' // position u64: a group
	spaceLost       byte = 'v' // term u64, origin u32, LSN u64: a voided row
	spaceMeta       byte = 'm' // name
)

const (
	prefixLen    = 5
	logKeyLen    = prefixLen + 8
	chunkKeyLen  = prefixLen + 8 + 4 + 8
	lostKeyLen   = prefixLen + 8 + 4 + 8
	replicaGroup = 0 // the only replica set of a process so far
)

func appendPrefix(dst []byte, space byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, replicaGroup), space)
}

func logKey(no uint64) []byte {
	return binary.BigEndian.AppendUint64(appendPrefix(make([]byte, 0, logKeyLen), spaceLog), no)
}

// logEnd is behind every key of the log.
func logEnd() []byte { return appendPrefix(nil, spaceLog+1) }

// parseLogKey tells the number of the group that a key belongs to.
func parseLogKey(key []byte) (no uint64, ok bool) {
	if len(key) != logKeyLen || !hasPrefix(key, spaceLog) {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[prefixLen:]), true
}

func hasPrefix(key []byte, space byte) bool {
	return len(key) >= prefixLen && binary.BigEndian.Uint32(key) == replicaGroup && key[4] == space
}

func metaKey(name string) []byte { return append(appendPrefix(nil, spaceMeta), name...) }

func chunkKey(id uint64, space uint32, ordinal uint64) []byte {
	key := binary.BigEndian.AppendUint64(appendPrefix(make([]byte, 0, chunkKeyLen), spaceCheckpoint), id)
	key = binary.BigEndian.AppendUint32(key, space)
	return binary.BigEndian.AppendUint64(key, ordinal)
}

// endSpace stands where the space of other keys is: behind them all.
const endSpace = math.MaxUint32

// endKey is the key of a checkpoint's end record.
func endKey(id uint64) []byte { return chunkKey(id, endSpace, math.MaxUint64) }

// parseChunkKey takes the key of a chunk or of an end record apart.
func parseChunkKey(key []byte) (id uint64, space uint32, ordinal uint64, ok bool) {
	if len(key) != chunkKeyLen || !hasPrefix(key, spaceCheckpoint) {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint64(key[prefixLen:]), binary.BigEndian.Uint32(key[prefixLen+8:]),
		binary.BigEndian.Uint64(key[prefixLen+12:]), true
}

func lostKey(term uint64, origin uint32, lsn uint64) []byte {
	key := binary.BigEndian.AppendUint64(appendPrefix(make([]byte, 0, lostKeyLen), spaceLost), term)
	key = binary.BigEndian.AppendUint32(key, origin)
	return binary.BigEndian.AppendUint64(key, lsn)
}

func parseLostKey(key []byte) (term uint64, origin uint32, lsn uint64, ok bool) {
	if len(key) != lostKeyLen || !hasPrefix(key, spaceLost) {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint64(key[prefixLen:]), binary.BigEndian.Uint32(key[prefixLen+8:]),
		binary.BigEndian.Uint64(key[prefixLen+12:]), true
}

// successor is the least key behind key.
func successor(key []byte) []byte { return append(append([]byte(nil), key...), 0) }

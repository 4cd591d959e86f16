package xlog

import (
	"encoding/binary"
	"math"
)

// A key is a letter and the rest. All integers are big endian, so keys sort as
// numbers. Nothing lies between the log and the voided rows, which share tables
// for a while. These bytes are on disk.
const (
	spaceCore byte = 'c' // core u32: the record of a Core
	spaceData byte = 'd' // slot u32, then one of the letters below
	spaceLog  byte = 'l' // position u64: a group
	spaceLost byte = 'v' // slot u32, term u64, origin u32, LSN u64: a voided row

	dataCheckpoint byte = 'c' // id u64, space u32, ordinal u64: a chunk of tuples; the end record has the greatest space and ordinal
	dataLog        byte = 'l' // number u64: a group of a former slot
	dataMeta       byte = 'm' // name
)

const (
	coreKeyLen  = 1 + 4
	dataKeyLen  = 1 + 4 + 1 // at least
	logKeyLen   = 1 + 8
	chunkKeyLen = dataKeyLen + 8 + 4 + 8
	lostKeyLen  = 1 + 4 + 8 + 4 + 8
)

func coreKey(core uint32) []byte { return binary.BigEndian.AppendUint32([]byte{spaceCore}, core) }

// parseCoreKey tells the Core that a record is of.
func parseCoreKey(key []byte) (core uint32, ok bool) {
	if len(key) != coreKeyLen || key[0] != spaceCore {
		return 0, false
	}
	return binary.BigEndian.Uint32(key[1:]), true
}

func appendLogKey(dst []byte, pos uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, spaceLog), pos)
}

func logKey(pos uint64) []byte { return appendLogKey(make([]byte, 0, logKeyLen), pos) }

// logEnd is behind every key of the log.
func logEnd() []byte { return []byte{spaceLog + 1} }

// parseLogKey tells the position of the group that a key belongs to.
func parseLogKey(key []byte) (pos uint64, ok bool) {
	if len(key) != logKeyLen || key[0] != spaceLog {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

// dataKey begins a key of a slot's data. The kind dataMeta+1 is behind them all.
func dataKey(slot uint32, kind byte) []byte {
	return append(binary.BigEndian.AppendUint32(append(make([]byte, 0, chunkKeyLen), spaceData), slot), kind)
}

// parseDataKey tells what a slot's data is, and what is behind that in its key.
func parseDataKey(key []byte) (slot uint32, kind byte, rest []byte, ok bool) {
	if len(key) < dataKeyLen || key[0] != spaceData {
		return 0, 0, nil, false
	}
	return binary.BigEndian.Uint32(key[1:]), key[5], key[dataKeyLen:], true
}

func metaKey(slot uint32, name string) []byte { return append(dataKey(slot, dataMeta), name...) }

// keptKey is the key of a former slot's group.
func keptKey(slot uint32, no uint64) []byte {
	return binary.BigEndian.AppendUint64(dataKey(slot, dataLog), no)
}

// parseKeptKey tells which group of a former slot a key belongs to.
func parseKeptKey(key []byte) (slot uint32, no uint64, ok bool) {
	slot, kind, rest, ok := parseDataKey(key)
	if !ok || kind != dataLog || len(rest) != 8 {
		return 0, 0, false
	}
	return slot, binary.BigEndian.Uint64(rest), true
}

func chunkKey(slot uint32, id uint64, space uint32, ordinal uint64) []byte {
	key := binary.BigEndian.AppendUint64(dataKey(slot, dataCheckpoint), id)
	key = binary.BigEndian.AppendUint32(key, space)
	return binary.BigEndian.AppendUint64(key, ordinal)
}

// endSpace stands where the space of other keys is: behind them all.
const endSpace = math.MaxUint32

// endKey is the key of a checkpoint's end record.
func endKey(slot uint32, id uint64) []byte { return chunkKey(slot, id, endSpace, math.MaxUint64) }

// parseChunkKey takes the key of a chunk or of an end record apart.
func parseChunkKey(key []byte) (slot uint32, id uint64, space uint32, ordinal uint64, ok bool) {
	slot, kind, rest, ok := parseDataKey(key)
	if !ok || kind != dataCheckpoint || len(key) != chunkKeyLen {
		return 0, 0, 0, 0, false
	}
	return slot, binary.BigEndian.Uint64(rest), binary.BigEndian.Uint32(rest[8:]), binary.BigEndian.Uint64(rest[12:]), true
}

// lostStart is in front of the voided rows of a slot, and behind those of the
// slots before it.
func lostStart(slot uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, lostKeyLen), spaceLost), slot)
}

// lostEnd is behind all voided rows.
func lostEnd() []byte { return []byte{spaceLost + 1} }

func lostKey(slot uint32, term uint64, origin uint32, lsn uint64) []byte {
	key := binary.BigEndian.AppendUint64(lostStart(slot), term)
	key = binary.BigEndian.AppendUint32(key, origin)
	return binary.BigEndian.AppendUint64(key, lsn)
}

func parseLostKey(key []byte) (slot uint32, term uint64, origin uint32, lsn uint64, ok bool) {
	if len(key) != lostKeyLen || key[0] != spaceLost {
		return 0, 0, 0, 0, false
	}
	return binary.BigEndian.Uint32(key[1:]), binary.BigEndian.Uint64(key[5:]), binary.BigEndian.Uint32(key[13:]),
		binary.BigEndian.Uint64(key[17:]), true
}

// successor is the least key behind key.
func successor(key []byte) []byte { return append(append([]byte(nil), key...), 0) }

// Keys of format 1 begin with four zero bytes, so they lie in front of all of
// ours. Then comes a letter: 'c', 'l', 'm' or 'v'.
const (
	oldPrefixLen = 5
	// upgradedSlot is the slot of what was in a store of format 1.
	upgradedSlot = 1
)

// oldEnd is behind every key of format 1.
func oldEnd() []byte { return []byte{spaceCore} }

func isOldKey(key []byte) bool {
	return len(key) >= oldPrefixLen && binary.BigEndian.Uint32(key) == 0
}

func oldKey(kind byte) []byte { return []byte{0, 0, 0, 0, kind} }

// presentKey is the key by which format 2 has what a key of format 1 has. Any
// other key is returned as it is.
func presentKey(key []byte) []byte {
	if !isOldKey(key) {
		return key
	}
	rest := key[oldPrefixLen:]
	switch key[4] {
	case 'c':
		return append(dataKey(upgradedSlot, dataCheckpoint), rest...)
	case 'l':
		return append([]byte{spaceLog}, rest...)
	case 'm':
		return append(dataKey(upgradedSlot, dataMeta), rest...)
	case 'v':
		return append(lostStart(upgradedSlot), rest...)
	}
	return key
}

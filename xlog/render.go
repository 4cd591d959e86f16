package xlog

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"

	"tarragon/xrow"
)

// keyNames are the body keys that rows of the log have.
var keyNames = map[xrow.Key]string{
	xrow.KeySpaceID: "space_id", xrow.KeyIndexID: "index_id", xrow.KeyIndexBase: "index_base", xrow.KeyKey: "key",
	xrow.KeyTuple: "tuple", xrow.KeyOps: "ops", xrow.KeyReplicaID: "replica_id", xrow.KeyLSN: "lsn",
	xrow.KeyTerm: "term", xrow.KeyVClock: "vclock", xrow.KeyPrevTerm: "prev_term", xrow.KeyRules: "rules",
}

var raftNames = map[xrow.Key]string{0: "term", 1: "vote", 2: "state", 3: "vclock", 4: "leader_id", 5: "is_leader_seen"}

// renderBody turns a body into JSON. What JSON does not have becomes a string:
// binary and extensions as hex, keys as their text.
func renderBody(t xrow.Type, body []byte) json.RawMessage {
	if n, err := xrow.Scan(body); err != nil || n != len(body) {
		return appendString(nil, "unreadable: "+hex.EncodeToString(body))
	}
	names := keyNames
	if t == xrow.RaftState {
		names = raftNames
	}
	dst, _ := appendJSON(nil, body, names)
	return dst
}

// appendJSON renders the value at the head of b, which was scanned, so depth
// and lengths are bounded. names are for the keys of a map; it returns the rest.
func appendJSON(dst, b []byte, names map[xrow.Key]string) (out, rest []byte) {
	if v, n, ok := xrow.ReadUint(b); ok {
		return strconv.AppendUint(dst, v, 10), b[n:]
	}
	if s, n, ok := xrow.ReadString(b); ok {
		return appendString(dst, string(s)), b[n:]
	}
	if pairs, n, ok := xrow.ReadMapHeader(b); ok {
		return appendMap(dst, b[n:], pairs, names)
	}
	if elems, n, ok := xrow.ReadArrayHeader(b); ok {
		dst, b = append(dst, '['), b[n:]
		for i := range elems {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst, b = appendJSON(dst, b, nil)
		}
		return append(dst, ']'), b
	}
	n, _ := xrow.Scan(b)
	return appendScalar(dst, b[:n]), b[n:]
}

func appendMap(dst, b []byte, pairs int, names map[xrow.Key]string) (out, rest []byte) {
	dst = append(dst, '{')
	for i := range pairs {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		key, _, isUint := xrow.ReadUint(b)
		var text []byte
		text, b = appendJSON(nil, b, nil)
		switch name := names[xrow.Key(key)]; {
		case isUint && key <= math.MaxUint8 && name != "":
			dst = appendString(dst, name)
		case text[0] == '"':
			dst = append(dst, text...)
		default:
			dst = appendString(dst, string(text))
		}
		dst = append(dst, ": "...)
		dst, b = appendJSON(dst, b, nil)
	}
	return append(dst, '}'), b
}

// appendScalar renders nil, booleans, negative integers, floats, binary and
// extensions.
func appendScalar(dst, v []byte) []byte {
	switch c := v[0]; {
	case c == 0xc0:
		return append(dst, "null"...)
	case c == 0xc2, c == 0xc3:
		return strconv.AppendBool(dst, c == 0xc3)
	case c >= 0xe0:
		return strconv.AppendInt(dst, int64(int8(c)), 10)
	case c >= 0xd0 && c <= 0xd3:
		return strconv.AppendInt(dst, signed(v[1:]), 10)
	case c == 0xca:
		return appendFloat(dst, float64(math.Float32frombits(binary.BigEndian.Uint32(v[1:]))), 32)
	case c == 0xcb:
		return appendFloat(dst, math.Float64frombits(binary.BigEndian.Uint64(v[1:])), 64)
	case c >= 0xc4 && c <= 0xc6:
		return appendString(dst, "0x"+hex.EncodeToString(v[1+1<<(c-0xc4):]))
	}
	return appendExt(dst, v)
}

func signed(b []byte) int64 {
	switch len(b) {
	case 1:
		return int64(int8(b[0]))
	case 2:
		return int64(int16(binary.BigEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b)))
	}
	return int64(binary.BigEndian.Uint64(b))
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendString(dst, strconv.FormatFloat(f, 'g', -1, bits))
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// extUUID is Tarantool's extension type of a uuid.
const extUUID = 2

func appendExt(dst, v []byte) []byte {
	head := 2 // fixext: the code, then the type
	if v[0] >= 0xc7 && v[0] <= 0xc9 {
		head = 2 + 1<<(v[0]-0xc7)
	}
	kind, data := int8(v[head-1]), hex.EncodeToString(v[head:])
	if kind == extUUID && len(data) == 32 {
		return appendString(dst, data[:8]+"-"+data[8:12]+"-"+data[12:16]+"-"+data[16:20]+"-"+data[20:])
	}
	return appendString(dst, "ext("+strconv.Itoa(int(kind))+"):"+data)
}

func appendString(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // cannot be: every string has a JSON form
		panic(err)
	}
	return append(dst, quoted...)
}

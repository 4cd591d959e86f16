package xrow

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"

	"tarragon.dev/tarragon/internal/mp"
)

// names are what keys of a map are called, and the keys of maps below them.
type names map[Key]struct {
	name  string
	inner names
}

var headerNames = names{
	KeyType: {"type", nil}, KeySync: {"sync", nil}, KeyReplicaID: {"replica_id", nil}, KeyLSN: {"lsn", nil},
	KeyTimestamp: {"timestamp", nil}, KeySchemaVersion: {"schema_version", nil}, KeyGroupID: {"group_id", nil},
	KeyTSN: {"tsn", nil}, KeyFlags: {"flags", nil}, KeyStreamID: {"stream_id", nil}, KeyTerm: {"term", nil}, KeyFrom: {"from", nil},
}

var bodyNames = names{
	KeyReplicaID: {"replica_id", nil}, KeyLSN: {"lsn", nil}, KeyServerVersion: {"server_version", nil},
	KeySpaceID: {"space_id", nil}, KeyIndexID: {"index_id", nil}, KeyLimit: {"limit", nil}, KeyOffset: {"offset", nil},
	KeyIterator: {"iterator", nil}, KeyIndexBase: {"index_base", nil}, KeyFetchPosition: {"fetch_position", nil},
	KeyKey: {"key", nil}, KeyTuple: {"tuple", nil}, KeyFunctionName: {"function_name", nil}, KeyUserName: {"user_name", nil},
	KeyInstanceUUID: {"instance_uuid", nil}, KeyReplicasetUUID: {"replicaset_uuid", nil}, KeyVClock: {"vclock", nil},
	KeyExpr: {"expr", nil}, KeyOps: {"ops", nil}, KeyBallot: {"ballot", ballotNames}, KeyTupleMeta: {"tuple_meta", nil},
	KeyOptions: {"options", nil}, KeyOldTuple: {"old_tuple", nil}, KeyNewTuple: {"new_tuple", nil},
	KeyAfterPosition: {"after_position", nil}, KeyAfterTuple: {"after_tuple", nil}, KeyData: {"data", nil},
	KeyError24: {"error_24", nil}, 0x32: {"metadata", nil}, 0x33: {"bind_metadata", nil}, 0x34: {"bind_count", nil},
	KeyPosition: {"position", nil}, KeySQLText: {"sql_text", nil}, 0x41: {"sql_bind", nil}, 0x42: {"sql_info", nil},
	KeyStmtID: {"stmt_id", nil}, KeyReplicaAnon: {"replica_anon", nil}, KeyIDFilter: {"id_filter", nil},
	KeyError: {"error", stackNames}, KeyTerm: {"term", nil}, KeyVersion: {"version", nil}, KeyFeatures: {"features", nil},
	KeyTimeout: {"timeout", nil}, KeyEventKey: {"event_key", nil}, KeyEventData: {"event_data", eventNames},
	KeyTxnIsolation: {"txn_isolation", nil}, KeyVClockSync: {"vclock_sync", nil}, KeyAuthType: {"auth_type", nil},
	KeyReplicasetName: {"replicaset_name", nil}, KeyInstanceName: {"instance_name", nil}, KeySpaceName: {"space_name", nil},
	KeyIndexName: {"index_name", nil}, KeyTupleFormats: {"tuple_formats", nil}, KeyIsSync: {"is_sync", nil},
	0x62: {"is_checkpoint_join", nil}, 0x63: {"checkpoint_vclock", nil}, 0x64: {"checkpoint_lsn", nil},
	KeyPrevTerm: {"prev_term", nil}, KeyRules: {"rules", nil}, KeyHistory: {"history", nil},
	KeyIncarnation: {"incarnation", nil}, KeyCommitted: {"committed", nil}, KeyTuples: {"tuples", nil}, KeyShown: {"shown", nil}, KeyProcess: {"process", nil}, KeyGroup: {"group", nil}, KeyFeature: {"feature", nil},
	KeyStrongLSN: {"strong_lsn", nil}, KeySet: {"set", nil}, KeyShare: {"share", nil}, KeyCopy: {"copy", nil}, KeyFile: {"file", nil}, KeyMemory: {"memory", nil}, KeyProcedures: {"procedures", nil},
}

var raftNames = names{0: {"term", nil}, 1: {"vote", nil}, 2: {"state", nil}, 3: {"vclock", nil}, 4: {"leader_id", nil},
	5: {"is_leader_seen", nil}}

// eventNames: the data of internal.ballot is a map with the ballot; that of
// other events has keys of text.
var eventNames = names{KeyBallot: {"ballot", ballotNames}}

var ballotNames = names{
	ballotIsROCfg: {"is_ro_cfg", nil}, ballotIsRO: {"is_ro", nil}, ballotIsAnon: {"is_anon", nil},
	ballotIsBooted: {"is_booted", nil}, ballotVClock: {"vclock", nil}, ballotGCVClock: {"gc_vclock", nil},
	ballotCanLead: {"can_lead", nil}, ballotBootstrapLeader: {"bootstrap_leader_uuid", nil},
	ballotRegistered: {"registered_replica_uuids", nil}, ballotInstanceName: {"instance_name", nil}, KeyRules: {"rules", nil}, KeySet: {"set", nil},
}

var stackNames = names{0: {"stack", names{
	errType: {"type", nil}, errFile: {"file", nil}, errLine: {"line", nil}, errMessage: {"message", nil},
	errErrno: {"errno", nil}, errCode: {"code", nil}, errFields: {"fields", nil},
}}}

// Field is a pair of a map in readable form.
type Field struct {
	Name string          // of the key, or the key itself as text
	JSON json.RawMessage // the value
}

// RenderHeader turns a header map into fields. It takes any bytes: ok is false
// where they are no map.
func RenderHeader(b []byte) (fields []Field, ok bool) {
	if mp.Check(b) != nil {
		return nil, false
	}
	pairs, n, ok := mp.ReadMapHeader(b)
	for b = b[n:]; pairs > 0; pairs-- {
		var f Field
		var name []byte
		name, b, _ = appendName(nil, b, headerNames)
		f.Name = string(name)
		f.JSON, b = appendJSON(nil, b, nil)
		fields = append(fields, f)
	}
	return fields, ok
}

// RenderBody turns the body of a row or request of a type into JSON. It takes
// any bytes. What JSON does not have becomes a string: binary and extensions as
// hex, keys that have no name as their text.
func RenderBody(t Type, body []byte) json.RawMessage {
	if mp.Check(body) != nil {
		return appendString(nil, "unreadable: "+hex.EncodeToString(body))
	}
	called := bodyNames
	if t == RaftState {
		called = raftNames
	}
	dst, _ := appendJSON(nil, body, called)
	return dst
}

// appendJSON renders the value at the head of b, which was scanned, so depth
// and lengths are bounded. called is for the keys of a map, or of maps in an
// array; it returns the rest.
func appendJSON(dst, b []byte, called names) (out, rest []byte) {
	if v, n, ok := mp.ReadUint(b); ok {
		return strconv.AppendUint(dst, v, 10), b[n:]
	}
	if s, n, ok := mp.ReadString(b); ok {
		return appendString(dst, string(s)), b[n:]
	}
	if pairs, n, ok := mp.ReadMapHeader(b); ok {
		return appendMap(dst, b[n:], pairs, called)
	}
	if elems, n, ok := mp.ReadArrayHeader(b); ok {
		dst, b = append(dst, '['), b[n:]
		for i := range elems {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst, b = appendJSON(dst, b, called)
		}
		return append(dst, ']'), b
	}
	n, _ := mp.Scan(b)
	return appendScalar(dst, b[:n]), b[n:]
}

func appendMap(dst, b []byte, pairs int, called names) (out, rest []byte) {
	dst = append(dst, '{')
	for i := range pairs {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		var name []byte
		var inner names
		name, b, inner = appendName(nil, b, called)
		dst = append(appendString(dst, string(name)), ": "...)
		dst, b = appendJSON(dst, b, inner)
	}
	return append(dst, '}'), b
}

// appendName renders a key, and returns what keys below it are called.
func appendName(dst, b []byte, called names) (out, rest []byte, inner names) {
	if key, n, ok := mp.ReadUint(b); ok {
		if known, ok := called[Key(key)]; ok && key <= math.MaxUint8 {
			return append(dst, known.name...), b[n:], known.inner
		}
		return strconv.AppendUint(dst, key, 10), b[n:], nil
	}
	if s, n, ok := mp.ReadString(b); ok {
		return append(dst, s...), b[n:], nil
	}
	dst, rest = appendJSON(dst, b, nil)
	return dst, rest, nil
}

// appendScalar renders nil, booleans, negative integers, floats, binary and
// extensions.
func appendScalar(dst, v []byte) []byte {
	switch mp.KindOf(v[0]) {
	case mp.Nil:
		return append(dst, "null"...)
	case mp.Bool:
		return strconv.AppendBool(dst, v[0] == 0xc3)
	case mp.Int:
		n, _ := mp.IntOf(v)
		return strconv.AppendInt(dst, int64(n), 10)
	case mp.Float:
		return appendFloat(dst, mp.FloatOf(v), 32)
	case mp.Double:
		return appendFloat(dst, mp.FloatOf(v), 64)
	case mp.Bin:
		return appendString(dst, "0x"+hex.EncodeToString(mp.TextOf(v)))
	}
	return appendExt(dst, v)
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendString(dst, strconv.FormatFloat(f, 'g', -1, bits))
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

func appendExt(dst, v []byte) []byte {
	t, payload := mp.ExtOf(v)
	data := hex.EncodeToString(payload)
	if t == mp.ExtUUID && len(data) == 32 {
		return appendString(dst, data[:8]+"-"+data[8:12]+"-"+data[12:16]+"-"+data[16:20]+"-"+data[20:])
	}
	return appendString(dst, "ext("+strconv.Itoa(int(t))+"):"+data)
}

func appendString(dst []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // cannot be: every string has a JSON form
		panic(err)
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

package attack

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// step is one request of the file.
type step struct {
	verb    string // do, try
	source  string
	without string // of the kind that is not asked: ours, 3.8
	user    string
	typ     xrow.Type
	raw     []byte // RAW: the frame
	header  map[xrow.Key]any
	called  string
	body    string // JSON, with $SET and $ME
	answer  answer
}

// skips tells whether the kind is not asked.
func (st *step) skips(theirs bool) bool {
	return st.without == "3.8" && theirs || st.without == "ours" && !theirs
}

// headerKeys are the settings of a header, by name.
var headerKeys = map[string]xrow.Key{"stream": xrow.KeyStreamID, "schema": xrow.KeySchemaVersion, "thread": 0x0b}

// bodyKeys by their names.
var bodyKeys = map[string]xrow.Key{
	"space_id": xrow.KeySpaceID, "index_id": xrow.KeyIndexID, "limit": xrow.KeyLimit, "offset": xrow.KeyOffset, "iterator": xrow.KeyIterator,
	"index_base": xrow.KeyIndexBase, "fetch_position": xrow.KeyFetchPosition, "key": xrow.KeyKey, "tuple": xrow.KeyTuple,
	"function_name": xrow.KeyFunctionName, "user_name": xrow.KeyUserName, "instance_uuid": xrow.KeyInstanceUUID,
	"replicaset_uuid": xrow.KeyReplicasetUUID, "vclock": xrow.KeyVClock, "expr": xrow.KeyExpr, "ops": xrow.KeyOps,
	"after_position": xrow.KeyAfterPosition, "after_tuple": xrow.KeyAfterTuple, "arrow": xrow.KeyArrow, "replica_anon": xrow.KeyReplicaAnon,
	"is_checkpoint_join": xrow.KeyIsCheckpoint, "server_version": xrow.KeyServerVersion,
	"sql_text": xrow.KeySQLText, "stmt_id": xrow.KeyStmtID, "sql_bind": 0x41, "event_key": xrow.KeyEventKey, "timeout": xrow.KeyTimeout, "txn_isolation": xrow.KeyTxnIsolation,
	"is_sync": xrow.KeyIsSync, "space_name": xrow.KeySpaceName, "index_name": xrow.KeyIndexName,
}

// parseStep reads a request of the file.
func parseStep(verb, source string) (*step, error) {
	st := &step{verb: verb, source: source, user: bossName, header: map[xrow.Key]any{}}
	rest := source
	next := func() (word string) {
		word, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
		return word
	}
	word := next()
	if strings.HasPrefix(word, "-") {
		st.without, word = word[1:], next()
	}
	if user, typ, ok := strings.Cut(word, "@"); ok {
		st.user, word = user, typ
	}
	if word == "RAW" {
		var err error
		st.raw, err = hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		return st, err
	}
	var ok bool
	if st.typ, ok = typeByName(word); !ok {
		return nil, fmt.Errorf("what is a %q?", word)
	}
	for rest != "" && rest[0] != '{' && rest[0] != '[' {
		word := next()
		name, value, set := strings.Cut(word, "=")
		if !set {
			st.called = word
			continue
		}
		key, known := headerKeys[name]
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil || !known {
			return nil, fmt.Errorf("%q is not for a header", word)
		}
		st.header[key] = n
	}
	st.body = rest
	_, err := st.encode(rest)
	return st, err
}

func typeByName(name string) (xrow.Type, bool) {
	for t := range xrow.Type(200) {
		if t.String() == name {
			return t, true
		}
	}
	return 0, false
}

// encode the body, which is that of JSON.
func (st *step) encode(body string) ([]byte, error) {
	if body == "" && st.called == "" {
		return nil, nil
	}
	var v any
	if body != "" {
		dec := json.NewDecoder(strings.NewReader(body))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			return nil, fmt.Errorf("%s: %w", body, err)
		}
	}
	f := map[xrow.Key]any{}
	if st.called != "" {
		if v == nil {
			v = []any{}
		}
		f[xrow.KeyFunctionName], f[xrow.KeyTuple] = st.called, v
	} else {
		all, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s is no body", body)
		}
		for name, value := range all {
			key, known := bodyKeys[name]
			if !known {
				return nil, fmt.Errorf("no key is called %q", name)
			}
			f[key] = value
		}
	}
	return appendKeys(nil, f)
}

func appendKeys(b []byte, f map[xrow.Key]any) (_ []byte, err error) {
	b = msgp.AppendMapHeader(b, uint32(len(f)))
	for _, key := range slices.Sorted(maps.Keys(f)) {
		if b, err = appendValue(append(b, byte(key)), f[key]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendValue encodes a value of JSON: {"$hex": "..."} is MessagePack as it is, and
// {"$repeat": "x", "times": n} a long string.
func appendValue(b []byte, v any) (_ []byte, err error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseUint(string(v), 10, 64); err == nil {
			return msgp.AppendUint64(b, n), nil
		}
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return msgp.AppendInt64(b, n), nil
		}
		f, err := v.Float64()
		return msgp.AppendFloat64(b, f), err
	case []any:
		b = msgp.AppendArrayHeader(b, uint32(len(v)))
		for _, x := range v {
			if b, err = appendValue(b, x); err != nil {
				return nil, err
			}
		}
		return b, nil
	case map[string]any:
		if code, ok := v["$hex"].(string); ok {
			raw, err := hex.DecodeString(code)
			return append(b, raw...), err
		}
		if text, ok := v["$repeat"].(string); ok {
			n, err := v["times"].(json.Number).Int64()
			return msgp.AppendString(b, strings.Repeat(text, int(n))), err
		}
		b = msgp.AppendMapHeader(b, uint32(len(v)))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if b, err = appendValue(msgp.AppendString(b, key), v[key]); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	return msgp.AppendIntf(b, v)
}

// frame of the request. What prepares a Tarantool by CALL goes there as Lua: what the
// call returns need not fit into an answer.
func (st *step) frame(n *node, words *strings.Replacer) []byte {
	n.t.Helper()
	if st.raw != nil {
		return st.raw
	}
	body, err := st.encode(words.Replace(st.body))
	if err != nil {
		n.t.Fatal(err)
	}
	typ := st.typ
	if st.called != "" && st.verb == "do" && n.theirs {
		typ = xrow.Eval
		body = bytes.Replace(body, msgp.AppendString([]byte{byte(xrow.KeyFunctionName)}, st.called),
			msgp.AppendString([]byte{byte(xrow.KeyExpr)}, st.called+"(...)"), 1)
	}
	st.header[xrow.KeyType], st.header[xrow.KeySync] = uint64(typ), uint64(1)
	f, err := appendKeys([]byte{0xce, 0, 0, 0, 0}, st.header)
	if err != nil {
		n.t.Fatal(err)
	}
	f = append(f, body...)
	xrow.EndFrame(f, 0)
	return f
}

// readFields are the fields of an error as JSON, by name.
func readFields(t testing.TB, raw []byte) string {
	t.Helper()
	if raw == nil {
		return "{}"
	}
	var b strings.Builder
	if _, err := msgp.UnmarshalAsJSON(&b, raw); err != nil {
		t.Fatalf("%x: %v", raw, err)
	}
	var v any
	dec := json.NewDecoder(strings.NewReader(b.String()))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}

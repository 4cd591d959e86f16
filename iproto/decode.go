package iproto

import (
	"math"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// header is what the server heeds of a request's header.
type header struct {
	typ           xrow.Type
	sync          uint64
	schemaVersion uint64
	stream        uint64
	number        *Numbered // nil: it has none
}

// decode reads the header map at the head of b and returns its length. Values
// read before a fault stay, so that the answer carries the sync if there was one.
func (h *header) decode(b []byte) (n int, ok bool) {
	if n = h.decodePlain(b); n > 0 {
		return n, true
	}
	return h.decodeAny(b)
}

func (h *header) decodeAny(b []byte) (n int, ok bool) {
	*h = header{}
	pairs, n, ok := mp.ReadMapHeader(b)
	if !ok {
		return 0, false
	}
	for range pairs {
		key, size, isUint := mp.ReadUint(b[n:])
		if !isUint {
			if size, ok = skip(b[n:]); !ok {
				return n, false
			}
			key = math.MaxUint64
		}
		n += size
		if size, ok = h.value(key, b[n:]); !ok {
			return n, false
		}
		n += size
	}
	return n, true
}

// value reads the value of one header key and returns its length.
func (h *header) value(key uint64, b []byte) (size int, ok bool) {
	if key > uint64(xrow.KeyStreamID) {
		if xrow.IsNumberKey(key) {
			return h.readNumber(xrow.Key(key), b)
		}
		return skip(b)
	}
	if xrow.Key(key) == xrow.KeyTimestamp {
		return 9, len(b) >= 9 && b[0] == 0xcb
	}
	v, size, ok := mp.ReadUint(b)
	switch xrow.Key(key) {
	case xrow.KeyType:
		h.typ = xrow.Type(min(v, math.MaxUint32))
	case xrow.KeySync:
		h.sync = v
	case xrow.KeySchemaVersion:
		h.schemaVersion = v
	case xrow.KeyStreamID:
		h.stream = v
	}
	return size, ok
}

// shape says what a frame has behind its header.
type shape uint8

const (
	bodyAbsent   shape = iota
	bodyMap            // a map, every known key with a value of its kind
	bodyMistyped       // a map with a known key whose value is of another kind
	bodyForeign        // well-formed, but no map
)

// body is every key that a client request may have. All slices point into the
// frame; those of arrays are raw, those of strings are the text.
type body struct {
	plainBody

	// What is behind it is set. Invariant: where more is false it is zero.
	more bool

	fetchPosition bool
	isolation     uint64

	afterTuple, features                                        []byte // raw arrays
	arrow                                                       []byte // a raw extension
	function, expr, user, event, spaceName, indexName, afterPos []byte // text
}

// present tells whether a known key is in the body.
func (q *body) present(k xrow.Key) bool { return q.has[k>>6]&(1<<(k&63)) != 0 }

// decode walks everything behind the header, once. The error is what a body
// that is not well-formed gets; a body of the wrong shape is judged by the
// caller, who knows the request type.
func (q *body) decode(b []byte) *xrow.Error {
	if q.decodePlain(b) {
		return nil
	}
	return q.decodeAny(b)
}

func (q *body) decodeAny(b []byte) *xrow.Error {
	*q = body{plainBody: plainBody{raw: b}, more: true}
	if len(b) == 0 {
		return nil
	}
	pairs, n, ok := mp.ReadMapHeader(b)
	if !ok {
		return q.decodeForeign(b)
	}
	q.shape = bodyMap
	for range pairs {
		key, size, isUint := mp.ReadUint(b[n:])
		if !isUint {
			if size, ok = skip(b[n:]); !ok {
				return errMalformed(b)
			}
			key = math.MaxUint64
		}
		n += size
		if size, ok = skip(b[n:]); !ok {
			return errMalformed(b)
		}
		if key < uint64(len(bodyKinds)) && bodyKinds[key] != mp.Reserved {
			q.put(xrow.Key(key), b[n:n+size])
		}
		n += size
	}
	if n != len(b) || len(b) >= mp.MaxDepth && !scansWhole(b) {
		return errMalformed(b)
	}
	return nil
}

// scansWhole holds a body to the depth that rows of the log are held to: each
// of its values was found shallow enough by itself, but one level deeper, in a
// row, it might be refused by every replica and by recovery.
func scansWhole(b []byte) bool {
	n, err := xrow.ScanStrict(b)
	return err == nil && n == len(b)
}

// decodeForeign takes a body that is no map: only PING may have one.
func (q *body) decodeForeign(b []byte) *xrow.Error {
	if n, err := xrow.ScanStrict(b); err != nil || n != len(b) {
		return errMalformed(b)
	}
	q.shape = bodyForeign
	return nil
}

// put stores the value of a known key; v is exactly one well-formed value.
func (q *body) put(k xrow.Key, v []byte) {
	if mp.KindOf(v[0]) != bodyKinds[k] {
		q.shape = bodyMistyped
		return
	}
	q.has[k>>6] |= 1 << (k & 63)
	switch bodyKinds[k] {
	case mp.Uint:
		n, _, _ := mp.ReadUint(v)
		q.putUint(k, n)
	case mp.Str:
		s, _, _ := mp.ReadString(v)
		q.putString(k, s)
	case mp.Array:
		q.putArray(k, v)
	case mp.Ext:
		q.arrow = v
	case mp.Bool:
		if k == xrow.KeyFetchPosition {
			q.fetchPosition = v[0] == 0xc3
		}
	}
}

// putUint cuts 32-bit fields silently, as Tarantool does.
func (q *body) putUint(k xrow.Key, n uint64) {
	switch k {
	case xrow.KeySpaceID:
		q.space = uint32(n)
	case xrow.KeyIndexID:
		q.index = uint32(n)
	case xrow.KeyLimit:
		q.limit = uint32(n)
	case xrow.KeyOffset:
		q.offset = uint32(n)
	case xrow.KeyIterator:
		q.iterator = uint32(n)
	case xrow.KeyIndexBase:
		q.indexBase = uint32(n)
	case xrow.KeyTxnIsolation:
		q.isolation = n
	}
}

func (q *body) putString(k xrow.Key, s []byte) {
	switch k {
	case xrow.KeyFunctionName:
		q.function = s
	case xrow.KeyUserName:
		q.user = s
	case xrow.KeyExpr:
		q.expr = s
	case xrow.KeyAfterPosition:
		q.afterPos = s
	case xrow.KeyEventKey:
		q.event = s
	case xrow.KeySpaceName:
		q.spaceName = s
	case xrow.KeyIndexName:
		q.indexName = s
	}
}

func (q *body) putArray(k xrow.Key, v []byte) {
	switch k {
	case xrow.KeyKey:
		q.key = v
	case xrow.KeyTuple:
		q.tuple = v
	case xrow.KeyOps:
		q.ops = v
	case xrow.KeyAfterTuple:
		q.afterTuple = v
	case xrow.KeyFeatures:
		q.features = v
	}
}

// skip measures the value at the head of b without trusting it. A malformed
// decimal, uuid, datetime or interval is refused with the whole request, also
// where nobody looks at it, as in Tarantool.
func skip(b []byte) (n int, ok bool) {
	// Short scalars are most of what requests are made of; a Scan costs more.
	if n = mp.ReadScalar(b); n > 0 {
		return n, true
	}
	n, err := xrow.ScanStrict(b)
	return n, err == nil
}

// errMalformed says what is wrong with a body that is not well-formed.
func errMalformed(b []byte) *xrow.Error {
	n, err := xrow.ScanStrict(b)
	if err == nil {
		return errBody(errMsgpack("junk after input").With("offset", n))
	}
	details := "truncated input"
	switch {
	case n >= len(b):
	case b[n] == 0xc1:
		details = "illegal code"
	case mp.KindOf(b[n]) == mp.Ext:
		details = "invalid extension"
	}
	return errBody(errMsgpack(details).With("offset", n))
}

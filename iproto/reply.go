package iproto

import (
	"encoding/binary"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// endFrame fills in the length of the frame that began at the given offset.
func endFrame(dst []byte, at int) []byte {
	xrow.EndFrame(dst, at)
	return dst
}

// AppendEmpty encodes an OK reply with an empty body.
func AppendEmpty(dst []byte, sync, schemaVersion uint64) []byte {
	at := len(dst)
	return endFrame(append(xrow.AppendReplyHead(dst, xrow.OK, sync, schemaVersion), 0x80), at)
}

// AppendData encodes an OK reply whose DATA is a raw array. The array's header
// is written anew: clients of Tarantool always see the widest form.
func AppendData(dst []byte, sync, schemaVersion uint64, data []byte) []byte {
	dst, rest := appendDataHead(dst, sync, schemaVersion, data)
	return append(dst, rest...)
}

// appendDataHead is AppendData up to the elements of the array, which are rest.
func appendDataHead(dst []byte, sync, schemaVersion uint64, data []byte) (res, rest []byte) {
	n, size, ok := mp.ReadArrayHeader(data)
	if !ok {
		return AppendEmpty(dst, sync, schemaVersion), nil
	}
	at := len(dst)
	dst = xrow.AppendReplyHead(dst, xrow.OK, sync, schemaVersion)
	dst = appendDataKey(dst, uint32(n))
	rest = data[size:]
	binary.BigEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-xrow.FrameHead+len(rest)))
	return dst, rest
}

// appendDataKey begins a body of one key, DATA with n elements to follow.
func appendDataKey(dst []byte, n uint32) []byte {
	dst = append(dst, 0x81, byte(xrow.KeyData), 0xdd)
	return binary.BigEndian.AppendUint32(dst, n)
}

// appendChunk encodes a CHUNK: what belongs to a request that is not answered yet.
func appendChunk(dst []byte, sync, schemaVersion uint64, v []byte) []byte {
	at := len(dst)
	dst = xrow.AppendReplyHead(dst, xrow.Chunk, sync, schemaVersion)
	dst = append(appendDataKey(dst, 1), v...)
	return endFrame(dst, at)
}

// AppendEvent encodes an EVENT. value is raw; nil: the key has none.
func AppendEvent(dst []byte, sync uint64, key string, value []byte) []byte {
	at := len(dst)
	dst = append(dst, 0xce, 0, 0, 0, 0, 0x82, byte(xrow.KeyType), byte(xrow.Event), byte(xrow.KeySync))
	dst = msgp.AppendUint64(dst, sync)
	pairs := byte(0x81)
	if value != nil {
		pairs++
	}
	dst = append(dst, pairs, byte(xrow.KeyEventKey))
	dst = msgp.AppendString(dst, key)
	if value != nil {
		dst = append(append(dst, byte(xrow.KeyEventData)), value...)
	}
	return endFrame(dst, at)
}

// appendID encodes the reply to ID.
func appendID(dst []byte, sync, schemaVersion uint64, features Features, method string) []byte {
	at := len(dst)
	dst = xrow.AppendReplyHead(dst, xrow.OK, sync, schemaVersion)
	dst = append(dst, 0x83)
	dst = appendVersionFeatures(dst, features)
	dst = append(dst, byte(xrow.KeyAuthType))
	return endFrame(msgp.AppendString(dst, method), at)
}

// appendVersionFeatures encodes the two pairs that ID requests and replies share.
func appendVersionFeatures(dst []byte, features Features) []byte {
	dst = append(dst, byte(xrow.KeyVersion), ProtocolVersion, byte(xrow.KeyFeatures))
	at := len(dst)
	dst = append(dst, 0xdc, 0, 0)
	count := 0
	for f := Feature(0); f < 64; f++ {
		if features.Has(f) {
			dst = msgp.AppendUint64(dst, uint64(f))
			count++
		}
	}
	if count > 15 {
		binary.BigEndian.PutUint16(dst[at+1:], uint16(count))
		return dst
	}
	dst[at] = 0x90 | byte(count)
	return append(dst[:at+1], dst[at+3:]...)
}

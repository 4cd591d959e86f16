package xrow

import "encoding/binary"

// AppendReplyHead opens a reply to a client, its length left open for
// [EndFrame]. The header has the fixed width of Tarantool's: type as u32,
// SYNC and SCHEMA_VERSION as u64; clients need SYNC even when it is 0.
func AppendReplyHead(dst []byte, t Type, sync, schemaVersion uint64) []byte {
	dst = append(dst, 0xce, 0, 0, 0, 0, 0x83, byte(KeyType), 0xce)
	dst = binary.BigEndian.AppendUint32(dst, uint32(t))
	dst = binary.BigEndian.AppendUint64(append(dst, byte(KeySync), 0xcf), sync)
	return binary.BigEndian.AppendUint64(append(dst, byte(KeySchemaVersion), 0xcf), schemaVersion)
}

// EndFrame fills in the length of the frame that begins at start and reaches
// to the end of buf.
func EndFrame(buf []byte, start int) {
	binary.BigEndian.PutUint32(buf[start+1:], uint32(len(buf)-start-FrameHead))
}

// AppendErrorReply encodes the whole frame of an error reply to a client.
func AppendErrorReply(dst []byte, e *Error, sync, schemaVersion uint64) []byte {
	start := len(dst)
	dst = AppendReplyHead(dst, e.Reply(), sync, schemaVersion)
	dst = AppendErrorBody(dst, e)
	EndFrame(dst, start)
	return dst
}

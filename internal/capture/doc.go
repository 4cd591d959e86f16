// Package capture makes and reads recorded IPROTO conversations: files of one
// JSON object a line, each a greeting, a frame or an event of a connection.
//
//	{"t": 0.433, "conn": "1", "from": "client", "kind": "frame", "hex": "ce...", "note": "JOIN ..."}
//
//	t      seconds since the start of the recording, never decreasing
//	conn   which connection; the recorder numbers them from 1 in the order of accept
//	from   client (who connected), server (who accepted), recorder (remarks)
//	kind   greeting: the 128 bytes; frame: one frame with its length of 5 bytes;
//	       raw: bytes that are no such frame; eof: that side's stream ended;
//	       cut: frames were left out here; note: a remark
//	hex    the bytes
//	note   for people
//
// # Invariants
//
//  1. The bytes of one direction of one connection, put together in file order,
//     are exactly what was sent, but at cut lines.
//  2. What a side sent stands in the file before anything the other side
//     answered to it: bytes are recorded before they are passed on.
//  3. A direction costs at most MaxFrame bytes of memory to record; what is
//     longer is recorded in pieces, as raw.
//  4. Reading takes any bytes. A damaged line costs that line.
//
// Sources: docs/protocol/captures.md; recordings of Tarantool made before this
// package, which have the same form.
package capture

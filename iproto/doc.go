// Package iproto speaks IPROTO with clients: greeting, framing, login,
// requests and their answers, errors, watchers, and the server of all that. It
// is also the client side for replication: dial, log in, frames with deadlines.
//
// It knows nothing of spaces, elections or the log. What it needs of the node
// is [Backend]; what it hears from the node is [Answers] and [Hub].
//
//	frame:    length (any msgpack uint read, 0xce u32 written) | header map | body map or nothing
//	reply:    ce u32 | 83 00 ce <u32 code> 01 cf <u64 sync> 05 cf <u64 schema version> | body map
//	event:    ce u32 | 82 00 4c 01 <sync> | 82 57 <key> 58 <value>
//	greeting: "Tarantool X.Y.Z (Binary) UUID" padded to 63, \n, base64 of 32 bytes of salt padded to 63, \n
//
// # Goroutines
//
// A connection has one, its reader. It owns the read side: it cuts frames out of
// whole read buffers, answers reads in place, gathers writes into one [Batch] per
// buffer, and writes its own answers to the socket. What somebody else (the
// node's loop, a watcher's key, a procedure) has left in the output, a few
// senders write for all connections: what the socket takes at once. A socket
// that is full gets a goroutine of its own until it has taken the rest. One of
// them writes at any time; nobody else ever waits for a socket. A connection with
// requests behind others in streams has a goroutine that begins these, and up to
// four that carry out what may take long, while there is something to do.
//
// # Invariants
//
//  1. Every request is answered exactly once, WATCH and UNWATCH excepted, and
//     answers are matched by sync alone: they come in any order.
//  2. Foreign bytes are walked once, never beyond the frame, never recursively,
//     and cost memory only for bytes that have really arrived.
//  3. A read buffer is reused only after every Batch that points into it was
//     released.
//  4. On each connection at most Config.MaxInFlight requests wait for the node;
//     at the limit the connection is not read.
//  5. A client that does not read its answers is not read either, and is closed
//     once its output passes Config.OutputLimit or makes no progress for
//     Config.SlowTimeout.
//  6. After an EVENT no other one leaves for that key on that connection before
//     the client has sent WATCH again; a watcher holds no value, only the
//     number of the last one it saw.
//  7. Locks are taken in the order Hub, then Conn; and Server, gate, then Conn.
//  8. Connections never take more places than Config.Limits has, and of all the one
//     without a login that has been idle for longest goes first, see gate.go.
//
// Sources: docs/protocol/iproto.md; Tarantool, src/box/iproto.cc,
// src/box/authentication.c, src/box/session.cc.
package iproto

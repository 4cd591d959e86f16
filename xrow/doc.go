// Package xrow is one row of the log and its wire form: header, bodies, the
// scanner that foreign bytes pass first, and the group of rows that is written
// with one sync.
//
// A row is encoded once, in the very bytes that go to the log and to the
// replicas:
//
//	0xce | length u32 big endian | header map | body map or nothing
//
// # Invariants
//
//  1. decode(encode(row)) == row, and encode(decode(bytes)) == bytes where the
//     bytes were in the canonical layout (keys in the original's order, smallest
//     integers).
//  2. Nothing is read from foreign bytes before [Scan] went over them: depth
//     and length are bounded, nothing is allocated.
//  3. The rows of one transaction are next to each other, local ones first,
//     and the last one alone carries flags. So what is left without the local
//     rows is still a whole transaction.
//
// Sources: replication.md sections 2, 3; limbo.md 1; raft.md 1; Tarantool,
// src/box/xrow.c, src/box/iproto_constants.h.
package xrow

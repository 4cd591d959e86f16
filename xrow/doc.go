// Package xrow is one row of the log and its wire form: header, bodies, and the
// group of rows that is written with one sync.
//
// A row is encoded once, in the very bytes that go to the log and to the
// replicas:
//
//	0xce | length u32 big endian | header map | body map or nothing
//
// The package does no I/O and knows no rule of replication: whether a row may
// be applied is for others to say. Its formats are those of
// docs/protocol/rows.md and docs/protocol/keys.md, on disk and on the wire.
//
// # Invariants
//
//  1. decode(encode(row)) == row, and encode(decode(bytes)) == bytes where the
//     bytes were in the canonical layout (keys in Tarantool's order, smallest
//     integers).
//  2. Foreign bytes cost bounded stack and no memory before [mp.Scan] or
//     [ScanStrict] went over them; [Decode] does that itself. Decoders of bodies
//     take scanned bytes.
//  3. The rows of one transaction are next to each other, local ones first,
//     and the last one alone carries flags. So what is left without the local
//     rows is still a whole transaction, byte for byte.
//  4. A refused row or body is an [*Error] with the code and text that the
//     Tarantool answers with.
//  5. Rows, DML bodies, acks, heartbeats and groups are encoded, decoded and
//     cut without allocation.
//
// Sources: Tarantool 3.x, src/box/xrow.c, src/box/iproto_constants.h,
// src/box/mp_error.cc, src/lib/core/decimal.c, datetime.h and mp_interval.c;
// recorded conversations in testdata/frames.
package xrow

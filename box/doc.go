// Package box keeps spaces, tuples and indexes in memory: the data dictionary,
// users and rights, transactions, update operations, versions and read views.
//
// Box is a value. It does no I/O, reads no clock, starts no goroutine and takes
// no lock. One owner changes it; any number of readers may call the methods
// that say so while the owner changes nothing (they share a latch that lives
// elsewhere). What a reader calls never changes anything, caches included.
//
// # Tuples and versions
//
// A tuple is a MessagePack array behind a 20-byte header, in a slab that the
// garbage collector does not scan:
//
//	begin u48 | end u48 | prev u32 | size u32 | array
//
// begin is the number of the transaction that made the version, end that of
// the one that replaced or deleted it (all ones: nobody), prev the version
// below it. An index entry is a 64-bit hint of the first key part and the
// 32-bit reference of the newest version that has the entry's key. A reader
// whose bound is S goes down from there to the first version with begin <= S
// and takes it when its end is above S and its key is the entry's.
//
// # Invariants
//
//  1. Along prev, begin never grows; only the newest version of a key can have
//     no end.
//  2. A transaction is undecided from Prepare until Confirm or Rollback.
//     Confirm runs oldest first, Rollback newest first.
//  3. Default readers see begin <= max(confirmed, shown), a view what was
//     confirmed when it was opened, writers the newest. Local and temporary
//     spaces are decided by Prepare.
//  4. A version is freed, and its keys leave the indexes, once it is superseded
//     by a confirmed one and no open view can see it; older ones first.
//  5. The dictionary of readers changes at Confirm, that of writers with each
//     statement on a system space.
//  6. An entry of a secondary index is ordered by its parts, then by the parts
//     of the primary key: versions of different tuples may share a unique key
//     as long as only one of them has no end.
//  7. No call takes long. A change of the schema that has tuples to look at
//     leaves most of that to Txn.Build, what drops them to Box.Work.
//  8. What a sequence has come to follows from the rows of its space: it is a
//     change of _sequence_data inside their transaction that is never logged.
//
// # Two doors
//
// What a client asks for by [Txn.Execute] must be served. A row of the log, by
// [Txn.Apply] or [Box.Load], was checked by its author: definitions of things
// that are not served here are kept, statements on such spaces are applied
// without what is missing, and [Schema.Carried] lists it. Clients are refused
// where the missing part would have had a say. A definition without which rows
// could not be applied exactly is an error through either door, unless
// Config.Opaque leaves the index concerned out; see docs/protocol/divergence.md.
//
// Sources: Tarantool, src/box/alter.cc,
// src/box/tuple_compare.cc, src/box/xrow_update.c, src/box/user.cc, src/box/sysview.c,
// src/box/sequence.c, src/box/request.c, src/box/lua/upgrade.lua.
package box

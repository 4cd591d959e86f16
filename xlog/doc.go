// Package xlog keeps the logs of a process in a Pebble store: of each Core groups of
// rows, checkpoints, rows that a newer term voided, and a few named values.
//
// Pebble's write-ahead log is the only journal. A group is one key, so it is
// there whole or not at all, and a batch of groups, of whatever Cores, costs one
// sync.
//
// All groups have one order, that of their positions. A Core knows the numbers of
// its own only. What else it has lies under its slot, and so do the groups that
// bear the slot's number: a Core that joins anew fills another slot and changes to it
// by one edit.
//
// # Invariants
//
//  1. A group is reported written only after the sync of the batch it is in
//     (in the mode that was chosen), and readers see no group before that.
//  2. After the first failed operation on a file nothing is written or read
//     again: every call answers [ErrFailed], and the disk stays as a crash at
//     that moment would leave it. Pebble never hears of it, see calmFS. A
//     failed sync is never retried.
//  3. Positions are consecutive, and so are the numbers of a slot. What is missing
//     is at the old end only.
//  4. A checkpoint is in the store with its end record or not at all: its files
//     are taken in by one edit of the manifest.
//  5. Only groups, and the rows that they void, go through Pebble's memtable.
//     Everything else is written as a table of its own that no other one
//     overlaps, and removed by excision. Voided rows get one table of their own
//     when the log is next dropped. So tables of the log do not overlap for
//     long, and nothing is ever compacted.
//  6. A voided row is on disk with the group that voids it, or neither is.
//  7. What lies under a slot that no Core has, and its groups, are seen by nobody,
//     and its number is not given again while anything bears it. A former slot is
//     a Core's: what lies under it, with a copy of its groups, stays until it is
//     dropped by its number.
//  8. Bytes that were synced are never cut off silently: Open goes over the
//     newest journal file itself before Pebble may repair its tail.
//
// # Layout
//
// Keys, integers big endian:
//
//	'c' | core u32                                            the record of a Core
//	'd' | slot u32 | 'c' | id u64 | space u32 | ordinal u64   tuples of a checkpoint
//	'd' | slot u32 | 'l' | number u64                         a group of a former slot
//	'd' | slot u32 | 'm' | name                               a named value
//	'l' | position u64                                        a group
//	'v' | slot u32 | term u64 | origin u32 | LSN u64          a voided row
//
// The record of a Core: version u8 = 1, slot uvarint, name; or, where it has former
// slots, version u8 = 2, see appendCore. A group:
//
//	version u8 = 2
//	flags u8: 1 = the clock is whole, else it has the authors of the rows only;
//	          2 = an owner list
//	core uvarint | slot uvarint | number uvarint
//	rows uvarint | bytes of all rows uvarint
//	clock before the group: count u8, then count times (ID u8, LSN uvarint)
//	[owner list: positions back to the one before it uvarint, 0 = none; runs
//	 uvarint; for each: slot uvarint, number of the first uvarint, groups uvarint]
//	for each row:
//	  flags u8: 1 first of a transaction, 2 has a term, 4 same origin,
//	            8 same type, 16 same space as the row before, 32 next LSN
//	  bytes uvarint
//	  [origin u8] [type uvarint] [space uvarint] [LSN - last one varint] [term uvarint]
//	rows, in wire format
//	CRC32C u32 little endian over all of the above
//
// The clock is whole in every 64th group of a Core, in the first one after Open, and
// where it jumps. Any group's vclock follows from the nearest whole one before
// or behind it. docs/protocol/store.md has the rest.
//
// Sources: Pebble v2.1.7, record, wal, ingest and excise.
package xlog

// Package copyfile writes and reads the file in which a base copy for filtered replicas is
// brought by an external command: docs/protocol/copyfile.md has the format.
//
// A file is a row of blocks between a mark and its own digest. A reader hands nothing out of
// a block whose checksum is wrong.
//
// # Invariants
//
//  1. What a Reader returns is what the Writer was given, in that order, or an error that
//     wraps [ErrDamaged]: whichever bytes were altered, and wherever the file was cut.
//  2. A Reader has one block in memory, and takes no more for one than has come of it.
package copyfile

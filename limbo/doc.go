// Package limbo keeps transactions from the log to their outcome: committed or
// void. It knows which term is in effect, the PROMOTEs that are not yet, and
// what of the queue each of them would commit.
//
// The machine does no I/O, reads no clock and starts no goroutine. What it
// decides is taken with [Limbo.TakeCommitted] and [Limbo.TakeVoid].
//
// # Invariants
//
//  1. All queued entries with a term have the term in effect and its owner's
//     LSNs, which strictly grow. Older terms were settled when it took effect;
//     a newer one takes writes only after its own CONFIRM, which settles this
//     one.
//  2. Entries commit oldest first and are voided newest first.
//  3. A PROMOTE takes effect when a quorum has it, and on a follower when a
//     CONFIRM of its term is read, never before. What its chain of
//     predecessors names is committed with it; the rest is void.
//  4. A leader counts rows of its own term only.
//  5. confirmed never goes back within a term.
//
// An entry without a term was decided by its author's write; it commits once
// that write is on disk and everything before it is decided. Nothing voids it:
// where what is before it goes, it is taken again.
//
// # Two sets of rules
//
// The above are the strong rules. A term whose PROMOTE does not ask for them has
// Tarantool's: PROMOTE and DEMOTE take effect where they are taken, but for our own
// PROMOTE, which waits for a quorum here as well. What differs is told by one value
// for each set (strong.go, tarantool.go; decision 0024): how what arrives is judged
// and taken, what a leader commits, what a PROMOTE settles and names.
//
//  6. The first settled entries of the queue are decided and wait for our disk
//     only; nothing voids them.
//  7. Under Tarantool's rules confirmedOf[owner] >= confirmed for the present
//     owner. It never goes back, and is 0 for owner 0.
//  8. Under the strong rules confirmedOf has LSNs of synchronous transactions
//     only, and rows tell Tarantools no others. So it does not matter for the next
//     PROMOTE which CONFIRMs its writer has read, and which a Tarantool.
//
// Sources: docs/protocol/limbo.md, checked by test/model; Tarantool,
// src/box/txn_limbo.c, src/box/txn_limbo_queue.c.
package limbo

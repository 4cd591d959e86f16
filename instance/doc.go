// Package instance is the node: Core, one deterministic machine made of raft,
// limbo, vclock and box, and Loop, the only goroutine that owns it.
//
// Core takes events and returns effects. It does no I/O, reads no clock,
// starts no goroutine and ranges over no map where order shows; time and
// chance are arguments. test/sim runs whole clusters of it from a seed. Its state
// lies in rooms, plain values with an invariant each: outbox, members, peers, gate,
// waits, leadership, beats (docs/architecture.md).
//
// # Invariants
//
//  1. A Step runs every expired deadline before it looks at an event.
//  2. Rows leave the instance only after the sync of the group they are in;
//     so do votes, terms and acks.
//  3. At most one group is with the journal; the next one gathers meanwhile.
//  4. All undecided DML of the limbo belongs to one term, the newest that is
//     known to be in effect; it commits oldest first and is voided newest
//     first.
//
// The rules of a term are those of its PROMOTE: the strong ones, or the
// Tarantool's when a member needs them (decision 0012).
//
//  5. Nothing that an instance of Tarantool's kind may send is a broken
//     guarantee: it is taken, or it ends its stream.
//
// Sources: docs/architecture.md, docs/protocol/election.md,
// docs/protocol/limbo.md, docs/protocol/membership.md.
package instance

// Package raft is the election machine: term, vote, state, leader, pre-vote,
// fencing and resignation. The log, and what is committed in it, is the
// business of package limbo.
//
// The machine does no I/O, reads no clock and starts no goroutine. Its owner
// calls it with the time and with what happened, writes the record {term,
// vote} when [Raft.TakeRecord] gives one, and shows [Raft.Shown] to the peers
// when [Raft.TakeShow] says that it changed.
//
// # Invariants
//
//  1. Term and vote are shown only once they are on disk; the term never goes
//     back; there is at most one vote in a term, across restarts too.
//  2. A vote goes only to a candidate whose vclock covers everything that this
//     instance handed to its journal, and its record follows those rows there.
//  3. Nobody raises its term by itself unless a quorum of voters, itself
//     included, is in touch and sees no leader (pre-vote).
//  4. After a restart an instance is a follower; it never goes on as candidate
//     or leader of the same term.
//  5. A leader that had no word of a quorum for the fencing interval resigns.
//  6. While elections are paused an instance campaigns only when it is told to.
//  7. Who holds the row by which the leader of its term has handed over does not see
//     that leader any more, and does not campaign during the head start of the target,
//     which campaigns at once.
//
// Sources: Ongaro, Raft thesis, sections 3.4, 9.6; Tarantool, src/lib/raft;
// docs/protocol/election.md.
package raft

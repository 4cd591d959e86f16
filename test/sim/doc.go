// Package sim runs whole clusters of instance.Core, each with a real box, in
// virtual time. A seed draws everything: members, delays, faults, clients. The
// same seed gives the same history, to the hash of its trace.
//
// A run has two halves. First safety: any fault at any time, while checkers
// watch every group that is logged, every word that is shown to a peer and
// every answer that a client gets. Then liveness: a random majority is healed
// and the rest stays broken; the majority must elect a leader and commit in
// bounded time. At last everything is healed and must become equal.
//
// # What is modelled
//
//   - Network: an applier's connection to a relay is two FIFO pipes with delays
//     of their own. A cut direction holds packets back; when it heals they come
//     late or the connection is reset. A dead process refuses, a lost host or a
//     paused process is silent.
//   - Disk: one group after the other is synced after a drawn delay. A crash
//     loses the group that was not synced, or keeps it: nobody can tell.
//     A group and the rows that it voids are one write.
//     Disks stall and fail. Checkpoints are made while writes go on; the log
//     before them goes, sometimes even what a replica still needs.
//   - Instances crash, restart, pause, lose their disk and come back, jump in
//     wall time and drift in monotonic time.
//   - Who counts: instances come, are expelled and replaced while their old life
//     goes on; quorums change by hand and by files, modes at any time.
//   - Clients write to synchronous and asynchronous spaces, alone and in
//     transactions of several rows, and read with and without a quorum round.
//
// # Invariants
//
//  1. Nothing but the seed and the code decides what happens: no map order, no
//     clock, no goroutine within a world.
//  2. Checkers know only what the world outside a core can see: logged rows,
//     messages, answers, reads. None of them asks a core for its opinion.
//
// Sources: docs/testing.md#the-simulator; test/model, whose checks (one history,
// same rows) are repeated here on the real thing.
package sim

// Package server joins the parts to one running instance: store, core and
// loop, replication and the client server. cmd/tarragon runs it; a Go program
// may embed it.
//
// # Invariants
//
//  1. One process has a data directory: the store is locked before anything
//     in it is read.
//  2. Identity (uuid, incarnation) is on disk before the first connect.
//  3. Nothing but the Loop touches the core; readers hold its latch shared and
//     for a bounded number of rows.
//  4. The parts are closed in the order of Server.closing, and the stop ends
//     within a limit also when a part hangs.
//  5. What may have been shown to others is never forgotten under the same
//     identity: a store that lost rows, or a state that lacks some of ours,
//     makes a new incarnation.
//  6. The slot of a node that counts is whole at any moment: the next one is filled
//     beside it, and one edit of the store switches. What may have rows that nobody
//     else has is noted by that edit, and removed by an operator only.
//  7. A disk that fails ends writes, not the process: reads go on, and status
//     tells.
//  8. What an operator reads is bounded: a state is logged when it begins and
//     when it ends, not while it lasts.
//  9. A node waits for no other one, and ends none: what all of them share is
//     the store, its journal and the port, which outlive their runs. An end of the
//     replica set's node that no run follows ends the process.
//
// Sources: docs/architecture.md, docs/protocol/store.md.
package server

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
//  4. The parts are closed in the order of [Server.Close], each for the reason
//     told there.
//
// Sources: design sections 3, 8, 9.
package server

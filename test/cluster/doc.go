// Package cluster tests replica sets of real processes on the real file system
// with real faults: SIGKILL, SIGSTOP, cut connections, wiped and full disks.
// What each test shows is told in docs/testing.md.
//
// # Invariants
//
//  1. A test waits for what it wants to see, for a bounded time, and never for
//     time to pass.
//  2. Whatever happens, no process outlives its test.
//  3. Every test that writes ends with [rig.verify]: no acknowledged row is
//     lost, no refused row is there, all nodes hold the same.
package cluster

// Package interop tests replica sets of Tarragon and real Tarantool processes:
// either joins the other, both write, elect and are killed, and at the end all
// spaces are compared row by row, byte by byte.
//
// The part with elections off runs with the tarantool that is found in PATH,
// Debian's 2.6; all of it, and the part with elections, runs with a Tarantool 3
// that the variable TARANTOOL names. What ran is told in docs/testing.md.
//
// # Invariants
//
//  1. A test waits for what it wants to see, for a bounded time, and never for
//     time to pass. What it did not see it reports with the logs of all nodes.
//  2. Whatever happens, no process outlives its test.
//  3. Every test ends with [rig.same]: all spaces of all nodes are equal, but
//     for what [isLocal] names, and hold what the writers were told.
//  4. A Tarantool that a test is done with starts again alone from its own
//     files, with the same rows.
package interop

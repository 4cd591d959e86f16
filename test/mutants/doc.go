// Package mutants measures how well the simulator watches. A mutant is one rule
// of the core taken away: a few words of one file that a build sees otherwise
// than they stand there. Production code has no switch for it.
//
// For each mutant the simulator lives the seeds that CI lives, until one fails;
// the table of docs/testing.md says which checker saw it, in which seed, and in
// how many of the first seeds. What the simulator cannot reach by its nature
// (the store, sockets) is killed by a named test of another package.
//
// # Invariants
//
//  1. The words that a mutant replaces occur exactly once in their file, which a
//     unit test checks: a change of the code that moves them has to say what
//     becomes of the mutant.
//  2. A mutant that no input can tell from Tarantool is none.
//  3. Results depend on the seeds alone, not on the number of processes.
package mutants

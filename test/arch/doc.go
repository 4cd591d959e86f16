// Package arch is the table of packages in docs/architecture.md as a test: what
// each may import of ours, and what the deterministic ones must never touch.
//
// # Invariants
//
//  1. Every package of the module is in the table, but for tools (bench, test),
//     which nobody else imports.
//  2. The deterministic packages reach no network, file, clock, lock, goroutine
//     or global randomness. In instance that goes for all files but the loop's.
//  3. A library that only one room may know is imported there alone.
package arch

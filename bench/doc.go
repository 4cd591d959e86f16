// Bench measures a tarragon replica set, or any server that speaks IPROTO.
//
// Without addresses it starts three nodes itself, on a directory of a real file
// system, and prints the standard table: throughput and latency of several
// workloads, then how long commits stop when the leader is lost. With addresses
// it runs one workload against them.
//
// It is a module of its own so that what it needs stays out of the server.
// docs/benchmark.md explains the output.
package main

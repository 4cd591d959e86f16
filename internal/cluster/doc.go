// Package cluster runs a replica set of real tarragon processes on this
// machine: for the demo, for tests with real faults and for the benchmark.
// Processes get a configuration file, ports and directories of their own, and
// can be killed, paused and started again.
package cluster

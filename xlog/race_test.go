//go:build race

package xlog

// sampledFaults is the distance of faults where all would take too long.
const sampledFaults = 11

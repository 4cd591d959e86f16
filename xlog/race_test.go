//go:build race

package xlog

// sampledFaults is the distance of faults where all would take too long.
const sampledFaults = 58

// crashStep is the distance of the operations before which a store that is upgraded dies.
const crashStep = 18

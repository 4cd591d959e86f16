// Package result is what a run of the benchmark found: figures of lines on
// systems, how the systems compare, and on what machine that was.
//
// # How systems compare
//
// They take turns on one machine: ours, the peer, ours, the peer. The n-th
// measurement of ours and the n-th of the peer are a pair, and each pair has a
// ratio. A machine that is slow for a minute is slow for both sides of a pair, so
// ratios say more than figures: their median is the result, their range says how
// far to trust it.
package result

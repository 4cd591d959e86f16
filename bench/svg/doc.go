// Package svg draws the benchmark's charts: curves over a grid, and bars of
// ratios. It is as small as they are, so that a chart is a text that a person can
// read and two of them can be compared line by line.
package svg

//go:build race

package xlog

// Under the race detector a sample is enough: without it all are tried.
func init() { faultStep = 11 }

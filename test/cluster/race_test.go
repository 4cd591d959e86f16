//go:build race

package cluster

// Under the race detector the nodes run under it too.
func init() { buildFlags = append(buildFlags, "-race") }

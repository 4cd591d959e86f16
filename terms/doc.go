// Package terms is what all parts call a term in effect, and the rules that it goes
// by: the queue keeps such terms ([tarragon.dev/tarragon/limbo]), checkpoints and
// JOINs carry them.
//
// How they are on disk is in xlog's file state.go, how on the wire in xrow's file
// joinmeta.go.
package terms

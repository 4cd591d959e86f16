package main

import (
	"fmt"
	"io"
)

// forwards counts writes of clients that went to other leaders, since the start.
type forwards struct {
	Open     uint64 `json:"open"`
	Answered uint64 `json:"answered"` // by a leader, with an error too
	Unknown  uint64 `json:"unknown"`  // whether it was executed
	Refused  uint64 `json:"refused"`  // no leader has executed it
}

// parseForwards makes what we show of it; nil: nothing was forwarded.
func parseForwards(m *boxForwards) *forwards {
	if m == nil || *m == (boxForwards{}) {
		return nil
	}
	return &forwards{uint64(m.Open), uint64(m.Answered), uint64(m.Unknown), uint64(m.Refused)}
}

// printForwards has a line for each instance that has forwarded something.
func printForwards(w io.Writer, all []*instanceInfo) {
	for _, in := range all {
		if f := in.Forwards; f != nil {
			fmt.Fprintf(w, "%s: of the writes that it forwarded to leaders %d were answered, %d are open, the outcome of %d is unknown, %d were refused\n",
				in.label(), f.Answered, f.Open, f.Unknown, f.Refused)
		}
	}
}

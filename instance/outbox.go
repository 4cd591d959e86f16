package instance

import (
	"time"

	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// outbox gathers rows into the group that the journal gets next, and knows what
// is on disk.
//
// Invariant: onDisk <= what the journal has <= vclock in every component, and
// written < the number of the flight < nextNo.
type outbox struct {
	vclock vclock.VClock // everything handed to the journal or gathering for it
	onDisk vclock.VClock // what is synced

	open    *xrow.Group // gathers; nil: nothing yet
	record  *raft.Record
	lost    []xrow.LostRow // what open voids. Invariant: none while open is nil
	flight  *flight        // with the journal; nil: it is idle
	nextNo  uint64         // number that open will get
	written uint64

	scratch             []byte // body being encoded
	results             []byte // answers; a full one is left to those who still point into it
	lastRows, lastTable int    // sizes of the last group: the next one will need about as much

	failed  error // the journal's; nothing is ever written again
	stalled bool
	parked  bool // as it was told last, see notePark
}

// flight is a group that the journal has.
type flight struct {
	no     uint64
	group  *xrow.Group
	record *raft.Record
	since  time.Duration
	stamp  float64 // of the newest foreign row
}

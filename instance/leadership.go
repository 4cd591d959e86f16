package instance

import "time"

// leadership is what this instance has as leader, and what it leaves behind.
type leadership struct {
	leading      bool          // our PROMOTE of the raft term is in the log
	confirmAt    time.Duration // an idle leader writes CONFIRM then; 0: nothing to tell
	voidPromotes []uint64      // LSNs of PROMOTEs of ours that took effect nowhere, ascending
	newVoid      bool          // the adapters do not know them all yet
}

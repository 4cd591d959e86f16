package instance

import (
	"time"

	"tarragon.dev/tarragon/box"
)

// members are who belongs to the replica set and who of them counts, by the
// rows of _cluster and _schema. Sets are a bit each by replica ID.
type members struct {
	self      uint32        // replica ID; 0: not registered
	ids       []box.Member  // confirmed, learners too
	confirmed configuration // by the rows that are known to be committed
	newest    configuration // by those whose fate is open as well
	all       uint32        // learners too, by these
	learners  []learner
	givenBack uint32 // IDs whose rows went since our start
	kinds     kinds
	oldSchema bool // 2.10.1 or older: Tarantool filters no requests then

	// founding is how many voters must be there before clients may write, see
	// founding.go; 0: the set is complete.
	founding    int
	alignQuorum bool // wishes, or our leadership, have changed

	expelled bool
	leaveAt  time.Duration // an expelled instance ends its streams then at the latest; 0: it has, or need not
}

// kinds are who takes the strong rules, see tarantools. Sets are a bit each by
// replica ID.
type kinds struct {
	saidStrong    uint32 // by what they said since our start
	saidTarantool uint32
	unmarked      uint32 // members without an incarnation, by the newest rows
	all           uint32 // all others by these
}

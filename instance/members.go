package instance

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// members are who belongs to the replica set and who of them counts, by the
// rows of _cluster and _schema. Sets are a bit each by replica ID.
//
// Invariant: ids, confirmed, learners, founding and oldSchema follow the rows that
// are committed (refreshMembers), newest, all and kinds those in the log
// (refreshNewest). self is never given back: who finds another ID at its row is
// expelled.
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

// otherVoters are those who count, by either configuration, but for us.
func (m *members) otherVoters() uint32 {
	return (m.confirmed.voters | m.newest.voters) &^ (1 << (m.self % vclock.Max))
}

func (m *members) uuidOf(id uint32) string {
	for _, o := range m.ids {
		if o.ID == id {
			return o.UUID
		}
	}
	return "unknown"
}

// refuseOwnExpulsion: no change takes our own row away, as in Tarantool. The
// leader that is to go resigns first, and the next one lets it go.
func (m *members) refuseOwnExpulsion(newest []box.Member) error {
	if m.all&(1<<(m.self%vclock.Max)) == 0 || slices.ContainsFunc(newest, func(o box.Member) bool { return o.ID == m.self }) {
		return nil
	}
	return xrow.Errorf(xrow.ErrLocalInstanceIDIsReadOnly, m.self)
}

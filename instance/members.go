package instance

import (
	"fmt"
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

// kinds are what the other members are. Sets are a bit each by replica ID.
//
// Invariant: tarantools follows from the others.
type kinds struct {
	said       [vclock.Max]xrow.Kind // by what they said since our start
	all        uint32                // by the newest rows
	unmarked   uint32                // of them, without an incarnation
	tarantools uint32                // of them, who are not known to be Tarragon, see of
}

// of is what a member is taken for: what it said since our start, else what its row
// tells, for its mark is ours. A Tarantool where nobody knows: it is safe to take
// somebody for one who knows less.
func (k *kinds) of(m *box.Member) xrow.Kind {
	switch {
	case k.said[m.ID] != xrow.KindUnknown:
		return k.said[m.ID]
	case m.Kind() == xrow.Tarragon:
		return xrow.Tarragon
	}
	return xrow.Tarantool
}

// say notes what a peer said.
func (k *kinds) say(id uint32, kind xrow.Kind) {
	k.said[id] = kind
	k.derive()
}

// note takes the others of the newest rows. An ID may be given to somebody else: a
// word holds for one membership, and confirmed are those who may still be members.
func (k *kinds) note(all, unmarked, confirmed uint32) {
	k.all, k.unmarked = all, unmarked
	for id := range k.said {
		if (all|confirmed)&(1<<id) == 0 {
			k.said[id] = xrow.KindUnknown
		}
	}
	k.derive()
}

func (k *kinds) derive() {
	k.tarantools = k.unmarked
	for id, kind := range k.said {
		switch bit := uint32(1) << id; kind {
		case xrow.Tarragon:
			k.tarantools &^= bit
		case xrow.Tarantool:
			k.tarantools |= bit & k.all
		}
	}
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

// nameOfID is how people call a member, or who was one.
func (m *members) nameOfID(id uint32) string {
	for i := range m.ids {
		if m.ids[i].ID == id {
			return nameOf(&m.ids[i])
		}
	}
	return fmt.Sprintf("instance %d", id)
}

// refuseOwnExpulsion: no change takes our own row away, as in Tarantool. The
// leader that is to go resigns first, and the next one lets it go.
func (m *members) refuseOwnExpulsion(newest []box.Member) error {
	if m.all&(1<<(m.self%vclock.Max)) == 0 || slices.ContainsFunc(newest, func(o box.Member) bool { return o.ID == m.self }) {
		return nil
	}
	return xrow.Errorf(xrow.ErrLocalInstanceIDIsReadOnly, m.self)
}

package server

import "tarragon.dev/tarragon/box"

// metaMembership is why the state in the store has no _cluster row of ours.
const metaMembership = "membership"

// What is under metaMembership.
const (
	member     = ""           // no reason: if the row is not there we were expelled
	anonymous  = "anonymous"  // an anonymous replica has none
	unknown    = "unknown"    // the state came by JOIN, the word that we are registered did not
	registered = "registered" // we are, a JOIN has told; the row may be on its way
)

func (l *life) membership() (string, error) {
	raw, _, err := l.store.Meta(metaMembership)
	return string(raw), err
}

func (l *life) setMembership(m string) error {
	return l.store.SetMeta(metaMembership, []byte(m))
}

// noteOutsider is said before a state without our row becomes valid.
func (l *life) noteOutsider() error {
	if l.conf.Replication.Anon {
		return l.setMembership(anonymous)
	}
	return l.setMembership(unknown)
}

// noteRegistered: whatever the state has, a JOIN has told that we are registered.
func (l *life) noteRegistered() error {
	if m, err := l.membership(); err != nil || m == anonymous {
		return err
	}
	return l.setMembership(registered)
}

// adoptIncarnation takes that of our row for our own. A Tarantool that registers
// a next life, by its name or its uuid, leaves the mark of the former one in the
// row. It is for the first start that finds the row after a JOIN.
func (l *life) adoptIncarnation(incarnation uint64) error {
	l.log.Info().Msg("a Tarantool registered this instance in the row of a former life: its mark is ours now")
	l.Incarnation = incarnation
	return l.save(l.store)
}

// registeredAs is our replica ID in the data; 0: none.
func (l *life) registeredAs(b *box.Box) uint32 {
	for _, m := range append(b.Members(), b.NewestMembers()...) {
		if m.UUID == l.UUID {
			return m.ID
		}
	}
	return 0
}

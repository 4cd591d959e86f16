package replication

import (
	"cmp"
	"context"
	"slices"
)

// Several replica sets may be visible, of which all but one are only being
// founded (instance/founding.go): their bootstrapper was cut off, and others
// began another one. All instances prefer the same of them, so that one becomes
// complete: a complete one; else one that somebody has joined, since nobody
// leaves it again; else that with the smaller UUID, whose only member stays
// while the others give way.

// standing is how firmly a set stands; the smaller the firmer.
type standing int

const (
	complete standing = iota // also what a Tarantool tells, who knows no other
	founded                  // being founded, by several
	lone                     // by one, who may give way
)

func (c *candidate) standing() standing {
	switch {
	case c.ballot.Founding == 0:
		return complete
	case len(c.ballot.Registered) > 1:
		return founded
	}
	return lone
}

// firmer orders booted candidates by their sets; 0: it says nothing between them.
func firmer(a, b *candidate) int {
	s := cmp.Compare(a.standing(), b.standing())
	if s != 0 || a.standing() == complete {
		return s
	}
	return cmp.Or(cmp.Compare(a.ballot.Replicaset, b.ballot.Replicaset), cmp.Compare(a.uuid, b.uuid))
}

// oneSet leaves those booted candidates that are of the preferred set, the best
// to join first. of: it must be that one; empty: any.
func oneSet(booted []candidate, of string) []candidate {
	placeTarantools(booted)
	if of != "" {
		booted = slices.DeleteFunc(booted, func(c candidate) bool { return c.ballot.Replicaset != "" && c.ballot.Replicaset != of })
	}
	slices.SortFunc(booted, func(x, y candidate) int { return cmp.Or(firmer(&x, &y), better(&x, &y)) })
	if len(booted) == 0 {
		return nil
	}
	if booted[0].standing() == lone {
		return booted[:1]
	}
	set := booted[0].ballot.Replicaset
	return slices.DeleteFunc(booted, func(c candidate) bool { return c.ballot.Replicaset != set })
}

// placeTarantools finds the sets of those that do not tell theirs: a member of
// ours knows them, or they know it.
func placeTarantools(booted []candidate) {
	for i := range booted {
		c := &booted[i]
		for k := 0; k < len(booted) && c.ballot.Replicaset == ""; k++ {
			m := &booted[k]
			if m.ballot.Replicaset != "" && (slices.Contains(m.ballot.Registered, c.uuid) || slices.Contains(c.ballot.Registered, m.uuid)) {
				c.ballot.Replicaset, c.ballot.Founding = m.ballot.Replicaset, m.ballot.Founding
			}
		}
	}
}

// Rival is another replica set than the one that an instance founds.
type Rival struct {
	Replicaset string // its UUID; empty: a Tarantool did not tell
	Addr       string // of a member
	Firmer     bool   // it is the one that all prefer
}

// Rival asks the peers once whether there is a set besides set, which this
// instance founds; alone: as its only member.
func (b *Boot) Rival(ctx context.Context, set string, alone bool) (r Rival, ok bool) {
	b.withDefaults()
	return b.rival(b.round(ctx), set, alone)
}

func (b *Boot) rival(seen []candidate, set string, alone bool) (r Rival, ok bool) {
	others := slices.DeleteFunc(booted(seen), func(c candidate) bool { return c.uuid == b.Self.UUID || c.saysNothing() || b.isOurs(&c, set) })
	if others = oneSet(others, ""); len(others) == 0 {
		return r, false
	}
	other, own := &others[0], &candidate{uuid: b.Self.UUID}
	own.ballot.Replicaset, own.ballot.Founding = set, 1
	if !alone {
		own.ballot.Registered = make([]string, 2)
	}
	return Rival{Replicaset: other.ballot.Replicaset, Addr: other.peer.Addr, Firmer: firmer(other, own) < 0}, true
}

// saysNothing tells of the answer of one that only begins to load its data: it may be of
// any set, so nobody gives way for it. The next look knows more.
func (c *candidate) saysNothing() bool {
	return c.ballot.Replicaset == "" && len(c.ballot.Registered) == 0 && c.ballot.VClock.Signature() == 0
}

// isOurs tells whether a booted candidate is of the set that we found. The UUID
// alone does not say it: where the configuration gives it, another set has the
// same. But whoever has our set's store has us among its members.
func (b *Boot) isOurs(c *candidate, set string) bool {
	return (c.ballot.Replicaset == "" || c.ballot.Replicaset == set) && slices.Contains(c.ballot.Registered, b.Self.UUID)
}

package instance

import (
	"cmp"

	"tarragon.dev/tarragon/xrow"
)

// A filtered replica is anonymous for ever (docs/protocol/filters.md, rule 8). What only a
// member does it refuses by an error of its own, which names it, its filter and what to do.

// FilteredReplica is that error. does: what it does not do; instead: what to do.
func FilteredReplica(instance, filter, does, instead string) *xrow.Error {
	return xrow.Errorf(xrow.ErrFilteredReplica, instance, filter, does, instead)
}

// refuseLeading is what a filtered replica answers to who would have it lead, or have it
// move or give up leadership; nil: it has no filter.
func (c *Core) refuseLeading() *xrow.Error {
	if c.cfg.Filter == "" {
		return nil
	}
	instead := "ask a member, of which none is known here to lead"
	leader := cmp.Or(c.raft.Leader(), c.limbo.Current().Owner)
	for i := range c.members.ids {
		if m := &c.members.ids[i]; m.ID == leader {
			instead = "ask the leader, '" + nameOf(m) + "'"
		}
	}
	return FilteredReplica(cmp.Or(c.cfg.Name, c.cfg.UUID), c.cfg.Filter, "lead", instead)
}

// refuseReplicaAsMember is the answer to who takes a registered replica with a filter for a
// member; nil: there is none of that name or uuid.
func (c *Core) refuseReplicaAsMember(who, does, instead string) *xrow.Error {
	for i := range c.replicas {
		if r := &c.replicas[i]; !r.Dropped && r.Filter != "" && (r.Name == who || r.UUID == who) {
			return FilteredReplica(r.Name, r.Filter, does, instead)
		}
	}
	return nil
}

// RefuseExpel tells how a replica with a filter goes, which is no member; nil: there is
// none of that name or uuid.
func (c *Core) RefuseExpel(who string) *xrow.Error {
	return c.refuseReplicaAsMember(who, "count among the members", "'tarragon replica drop' takes it away")
}

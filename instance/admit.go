package instance

import (
	"fmt"
	"slices"
	"tarragon.dev/tarragon/box"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// refuseMember tells why a joiner may not be registered by this configuration;
// nil: it may. It is asked before anything of the registration is written. Each
// member weighs in every quorum once it has caught up, so who may come is said by
// those who run the set and not by whoever knows a password. The answer is for
// now: another configuration, or an expulsion, lets the joiner in, and it asks
// again by itself.
func (c *Config) refuseMember(j *JoinRequest, members []box.Member) *xrow.Error {
	if !c.mayJoin(j) {
		return xrow.Errorf(xrow.ErrCfg, "instance_name", fmt.Sprintf("%q is not among those that the configuration of the instance that leads lets in as members"+
			" (tarragon.members; by default the instances of the file): add it there, this one asks again", j.Name))
	}
	for i := range members {
		if m := &members[i]; m.UUID == j.UUID || j.Name != "" && m.Name == j.Name {
			return nil // it takes a place that is there
		}
	}
	if len(members) < c.MaxMembers {
		return nil
	}
	if c.MaxMembers >= vclock.MaxID {
		return xrow.Errorf(xrow.ErrReplicaMax, vclock.Max) // IDs are used up, in Tarantool's words
	}
	err := xrow.Errorf(xrow.ErrReplicaMax, c.MaxMembers)
	err.Message += " (tarragon.max_members of the instance that leads): expel a member or raise it there"
	return err
}

// mayJoin tells whether the name is one of those that may. An instance of the
// Tarantool kind before 3.0 has none: whether it may come is for AllowTarantool, or
// for nobody where Tarantool's rules hold.
func (c *Config) mayJoin(j *JoinRequest) bool {
	return c.Members == nil || j.Name == "" && xrow.KindOf(j.Incarnation) == xrow.Tarantool || slices.Contains(c.Members, j.Name)
}

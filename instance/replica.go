package instance

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// A replica is registered by a tuple of _tarragon_replica, [uuid, name, filter, state,
// number]: whoever has that uuid gets what that filter gives, and nothing once it is
// dropped. Only a confirmed row counts: a sender that went by one whose fate is open
// would have given what nobody decided. docs/protocol/filters.md has the rules.

// Replica is a registered one, or one that was dropped.
type Replica struct {
	UUID    string // which no restart and no configuration changes
	Name    string // of the instance
	Filter  string // empty: it has all
	Dropped bool
	Number  uint64 // raised with each change of any row: the least is that of the oldest
}

// What a row says of a replica. What else a newer version writes is none for us.
const (
	replicaRegistered = "registered"
	replicaDropped    = "dropped"
)

// State is the word for what became of it.
func (r *Replica) State() string {
	if r.Dropped {
		return replicaDropped
	}
	return replicaRegistered
}

// Tuple is the row of a replica.
func (r *Replica) Tuple() []byte {
	b := msgp.AppendString([]byte{0x95}, r.UUID)
	for _, s := range [...]string{r.Name, r.Filter, r.State()} {
		b = msgp.AppendString(b, s)
	}
	return msgp.AppendUint64(b, r.Number)
}

// readReplica reads what Tuple wrote; false: it is of a newer version, or a Tarantool
// let somebody write it.
func readReplica(tuple []byte) (r Replica, ok bool) {
	b := filterReader{b: tuple}
	if b.array() < 5 {
		return r, false
	}
	r = Replica{UUID: b.string(), Name: b.string(), Filter: b.string()}
	state := b.string()
	r.Dropped, r.Number = state == replicaDropped, b.uint()
	return r, !b.bad && r.Name != "" && (r.Dropped || state == replicaRegistered)
}

// readReplicas reads all rows; they are in the order of their UUIDs.
func readReplicas(rows [][]byte) []Replica {
	all := make([]Replica, 0, len(rows))
	for _, tuple := range rows {
		if r, ok := readReplica(tuple); ok {
			all = append(all, r)
		}
	}
	return all
}

// FindReplica finds the one of a UUID in what [Core.Replicas] gives; nil: none is
// registered, nor was one dropped.
func FindReplica(all []Replica, uuid string) *Replica {
	at, found := slices.BinarySearchFunc(all, uuid, func(r Replica, uuid string) int { return cmp.Compare(r.UUID, uuid) })
	if !found {
		return nil
	}
	return &all[at]
}

// Replicas are the confirmed ones, those that were dropped too, by their UUIDs. Nobody
// changes the list.
func (c *Core) Replicas() []Replica { return c.replicas }

// noteReplicas follows the confirmed rows. It is called whenever a transaction on system
// spaces was committed.
func (c *Core) noteReplicas() {
	if all := readReplicas(c.box.OwnRows(&box.OwnReplica)); !slices.Equal(all, c.replicas) {
		c.replicas = all
	}
}

// Refuse tells why a replica gets nothing by a filter, empty: all that there is; nil: it
// is registered with that. of: what it says to be.
func (r *Replica) Refuse(filter string, of xrow.Kind) *xrow.Error {
	if r == nil {
		return nil
	}
	switch {
	case r.Dropped:
		return replicaError("Replica '%s' (%s) was dropped and gets nothing any more; 'tarragon replica alter %s --filter %s' registers it again",
			r.Name, r.UUID, r.Name, quoted(r.Filter))
	case r.Filter != "" && of == xrow.Tarantool:
		return FilteredTarantool(r.Name)
	case r.Filter != filter:
		return replicaError("Replica '%s' (%s) is registered with %s and asks with %s: give its configuration tarragon.filter: %s, or register it with what it asks for: 'tarragon replica alter %s --filter %s'",
			r.Name, r.UUID, withFilter(r.Filter), withFilter(filter), quoted(r.Filter), r.Name, quoted(filter))
	}
	return nil
}

// RefuseUnknown is Refuse where nobody knows the filter that a replica asks with: to register
// it with that would be refused too.
func (r *Replica) RefuseUnknown(filter string) *xrow.Error {
	switch {
	case r == nil || filter == "":
		return nil
	case r.Dropped:
		return replicaError("Replica '%s' (%s) was dropped and gets nothing any more, and filter '%s' does not exist: make it ('tarragon filter create'), then 'tarragon replica alter %s --filter %s' registers it again",
			r.Name, r.UUID, filter, r.Name, filter)
	case r.Filter != filter:
		return replicaError("Replica '%s' (%s) is registered with %s and asks with filter '%s', which does not exist: give its configuration tarragon.filter: %s",
			r.Name, r.UUID, withFilter(r.Filter), filter, quoted(r.Filter))
	}
	return nil
}

// RefuseMember tells why the instance of a registered replica becomes no member; nil: it
// may, as an anonymous one that has all.
func (r *Replica) RefuseMember() *xrow.Error {
	if r == nil || r.Dropped || r.Filter == "" {
		return nil
	}
	return xrow.Errorf(xrow.ErrUnsupported, fmt.Sprintf("Instance '%s' (%s), a filtered replica (filter '%s'),", r.Name, r.UUID, r.Filter),
		fmt.Sprintf("JOIN and REGISTER: it becomes a member with an empty data directory, once 'tarragon replica drop %s' has taken it away", r.Name))
}

// FilteredTarantool is the answer to who would filter an instance of Tarantool.
func FilteredTarantool(name string) *xrow.Error {
	return &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf(
		"A real Tarantool cannot be filtered ('%s'): it would stop at the first row that is cut. It follows without a filter, as an anonymous replica", name)}
}

// notRegistered is the answer of an instance that may not write the row; it makes the
// replica come back.
func notRegistered(j *JoinRequest, why *xrow.Error) *xrow.Error {
	e := *why
	e.Message = fmt.Sprintf("Replica '%s' (%s) is not registered, and only the leader does that, when it follows it: %s", j.replicaName(), j.UUID, why.Message)
	return &e
}

func withFilter(name string) string {
	if name == "" {
		return "no filter"
	}
	return "filter '" + name + "'"
}

// quoted is the name of a filter where a shell and YAML read it.
func quoted(filter string) string {
	if filter == "" {
		return "''"
	}
	return filter
}

// replicaError has a code with which a replica comes back: what is registered may change.
func replicaError(format string, args ...any) *xrow.Error {
	return &xrow.Error{Code: xrow.ErrCfg, Message: fmt.Sprintf(format, args...)}
}

// names are for people, in the order of the list.
func replicaNames(all []Replica) string {
	names := make([]string, len(all))
	for i := range all {
		names[i] = "'" + all[i].Name + "'"
	}
	return strings.Join(names, ", ")
}

package proc

import (
	"slices"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// Registered replicas: docs/filters.md.

var (
	newReplicaOptions = template{"uuid": "string", "filter": "string"}
	replicaOptions    = template{"filter": "string"}
)

// createReplica is tarragon.replica.create(name, {uuid=, filter=}).
func createReplica(c *call) error {
	name, opts, err := c.filterArgs("tarragon.replica.create(name, {uuid = ...[, filter = ...]})", newReplicaOptions)
	if err != nil {
		return err
	}
	if opts.str("uuid") == "" {
		return illegal("options parameter 'uuid' should be that of the replica")
	}
	return c.submit(instance.CreateReplica{Conn: c.Conn, Sync: c.Sync, Name: name, UUID: opts.str("uuid"), Filter: opts.str("filter")})
}

// alterReplica is tarragon.replica.alter(name, {filter=}).
func alterReplica(c *call) error {
	name, opts, err := c.filterArgs("tarragon.replica.alter(name, {filter = ...})", replicaOptions)
	if err != nil {
		return err
	}
	if _, given := opts["filter"]; !given {
		return illegal("nothing is changed: the option is 'filter', '' for none")
	}
	return c.submit(instance.AlterReplica{Conn: c.Conn, Sync: c.Sync, Name: name, Filter: opts.str("filter")})
}

// dropReplica is tarragon.replica.drop(name).
func dropReplica(c *call) error {
	name, _, err := c.filterArgs("tarragon.replica.drop(name)", template{})
	if err != nil {
		return err
	}
	return c.submit(instance.DropReplica{Conn: c.Conn, Sync: c.Sync, Name: name})
}

// infoReplica is a registered replica, as this instance sees it.
type infoReplica struct {
	Name   string         `msgpack:"name"`
	UUID   string         `msgpack:"uuid"`
	Filter string         `msgpack:"filter"` // empty: it has all
	State  string         `msgpack:"state"`
	Stream *replicaStream `msgpack:"stream,omitempty"` // that it gets from this instance; nil: none
}

// replicaStream is the stream of a replica. Version is that of its filter by which it was
// asked for: the replica has taken this one up.
type replicaStream struct {
	Status  string         `msgpack:"status"`
	Address string         `msgpack:"address,omitempty"`
	Version uint64         `msgpack:"acked_version"`
	Lag     float64        `msgpack:"lag"`
	Idle    float64        `msgpack:"idle"`
	Message *string        `msgpack:"message,omitempty"`
	Memory  *replicaMemory `msgpack:"memory,omitempty"` // as the replica says; nil: it does not
}

type replicaMemory struct {
	Taken uint64 `msgpack:"taken"`
	Limit uint64 `msgpack:"limit"`
}

// listReplicas is tarragon.replica.list(): the confirmed ones, on any instance.
func listReplicas(c *call) error {
	if len(c.args) > 0 {
		return illegal("Usage: tarragon.replica.list()")
	}
	var all []instance.Replica
	var peers []PeerStatus
	c.p.env.Loop.Read(func(core *instance.Core) { all = core.Replicas() })
	if c.p.env.Peers != nil {
		peers = c.p.env.Peers()
	}
	c.reply(one(mp.Encode(replicasOf(all, peers))))
	return nil
}

// registered leaves out those that were dropped.
func registered(all []instance.Replica) []instance.Replica {
	return slices.DeleteFunc(slices.Clone(all), func(r instance.Replica) bool { return r.Dropped })
}

func replicasOf(all []instance.Replica, peers []PeerStatus) []infoReplica {
	out := make([]infoReplica, len(all))
	for i := range all {
		r := &all[i]
		out[i] = infoReplica{Name: r.Name, UUID: r.UUID, Filter: r.Filter, State: r.State()}
		for k := range peers {
			if d := peers[k].Downstream; d != nil && peers[k].UUID == r.UUID {
				out[i].Stream = &replicaStream{Status: d.Status, Address: d.Address, Version: d.FilterVersion, Lag: d.Lag.Seconds(), Idle: d.Idle.Seconds(), Message: orNil(d.Message)}
				if d.Memory != (xrow.MemoryUse{}) {
					out[i].Stream.Memory = &replicaMemory{d.Memory.Taken, d.Memory.Limit}
				}
			}
		}
	}
	return out
}

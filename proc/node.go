package proc

import (
	"math"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
)

// What administrators say of one instance: docs/router.md#fences.

var nodeOptions = template{"route_fence": "boolean", "route_writes": "boolean", "route_priority": "number"}

// setNode is tarragon.node.set(name, {route_fence=, route_writes=, route_priority=}): what is not
// given stays. It is answered when the row is committed.
func setNode(c *call) error {
	const usage = "tarragon.node.set(name, {route_fence = ..., route_writes = ..., route_priority = ...})"
	name, opts, err := c.filterArgs(usage, nodeOptions)
	if err != nil {
		return err
	}
	if len(opts) == 0 {
		return illegal("nothing is changed: the options are 'route_fence', 'route_writes' and 'route_priority'")
	}
	ev := instance.SetNode{Conn: c.Conn, Sync: c.Sync, Who: name}
	if b, ok := opts["route_fence"].boolean(); ok {
		ev.Fence = &b
	}
	if b, ok := opts["route_writes"].boolean(); ok {
		ev.Writes = &b
	}
	if v, ok := opts["route_priority"]; ok {
		f, _ := v.number()
		if f != math.Trunc(f) || !(f >= instance.MinPriority && f <= instance.MaxPriority) {
			return illegal("options parameter 'route_priority' should be from %d to %d", instance.MinPriority, instance.MaxPriority)
		}
		n := int64(f)
		ev.Priority = &n
	}
	return c.submit(ev)
}

// infoRoute is what administrators said of an instance.
type infoRoute struct {
	Name     string `msgpack:"name"`
	UUID     string `msgpack:"uuid"`
	Fence    bool   `msgpack:"route_fence"`
	Writes   bool   `msgpack:"route_writes"`
	Priority int64  `msgpack:"route_priority"`
}

func routeOf(n *instance.Node) infoRoute {
	return infoRoute{Name: n.Name, UUID: n.UUID, Fence: n.Fence, Writes: !n.NoWrites, Priority: n.Priority}
}

func routesOf(all []instance.Node) []infoRoute {
	out := make([]infoRoute, len(all))
	for i := range all {
		out[i] = routeOf(&all[i])
	}
	return out
}

// listNodes is tarragon.node.list(): those of whom something is said, as this instance has it
// confirmed.
func listNodes(c *call) error {
	if len(c.args) > 0 {
		return illegal("Usage: tarragon.node.list()")
	}
	var all []instance.Node
	c.p.env.Loop.Read(func(core *instance.Core) { all = core.Nodes() })
	c.reply(one(mp.Encode(routesOf(all))))
	return nil
}

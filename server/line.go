package server

import "tarragon.dev/tarragon/instance"

// line tells where this instance stands, for who compares it with a peer's history.
func (n *node) line() (l instance.Line) {
	n.engine.Load().loop.Read(func(c *instance.Core) { l = c.Line() })
	return l
}

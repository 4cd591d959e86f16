package sim

import "tarragon.dev/tarragon/instance"

// lineChecker: the history of no instance parts from that of another one, whoever judges
// whom, and all tell the same of terms that are over.
type lineChecker struct{ w *World }

// inEffect holds everybody beside everybody else, when a term takes effect somewhere.
func (c *lineChecker) compare() {
	if c.w.mixed() {
		return
	}
	for _, n := range c.w.nodes {
		if n.core == nil {
			continue
		}
		line := n.core.Line()
		for _, peer := range c.w.nodes {
			if peer != n && peer.core != nil {
				c.beside(n, &line, peer)
			}
		}
	}
}

func (c *lineChecker) beside(n *node, line *instance.Line, peer *node) {
	theirs := peer.core.Line()
	if got := line.Compare(theirs.History, theirs.Confirmed); got.Standing == instance.Parted {
		c.w.fail("line", "%s parts from %s %s", n.label(), peer.label(), got.Text)
	}
	i, j := 0, 0
	for i < len(line.History)-1 && j < len(theirs.History)-1 {
		switch a, b := &line.History[i], &theirs.History[j]; {
		case a.Term < b.Term:
			i++
		case a.Term > b.Term:
			j++
		default:
			if a.Began != b.Began {
				c.w.fail("line", "%s and %s tell of term %d: %+v, %+v", n.label(), peer.label(), a.Term, a.Began, b.Began)
			}
			i++
			j++
		}
	}
}

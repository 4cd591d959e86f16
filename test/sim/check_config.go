package sim

import (
	"errors"
	"math/bits"
	"slices"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// configTracker knows who counts, from the rows of authors alone: the voters and
// the quorums that each change of _cluster and of the quorum in _schema makes.
// It decides nothing about commits: the history checker asks it.
type configTracker struct {
	w       *World
	changes []*configChange    // in the order in which they were written
	settled map[uint64]settled // by term
}

// settled is a configuration behind which no change is open: it holds in its
// term until the next change is written.
type settled struct {
	changes int
	configuration
}

// configChange is one transaction that changes who counts.
type configChange struct {
	origin uint32
	tsn    uint64
	at     place // of its last row
	ops    []configOp
}

// configOp sets one thing: a member's row, or the quorum when id is 0.
type configOp struct {
	id      uint32
	voter   bool
	learner bool
	quorum  string
}

// configuration is who counts at some point of the history.
type configuration struct {
	voters   uint32 // a bit each by replica ID
	learners uint32
	quorum   string
	synchro,
	election int
}

func (c *configTracker) init(w *World) { c.w, c.settled = w, map[uint64]settled{} }

// wrote looks for changes among the rows that their author hands to its disk.
func (c *configTracker) wrote(n *node, g *xrow.Group) {
	for i, ref := range g.Table {
		if ref.Origin != n.id && (n.id != 0 || ref.Origin == 0) || ref.SpaceID != xrow.SpaceCluster && ref.SpaceID != xrow.SpaceSchema {
			continue
		}
		x, err := g.Row(i)
		if err != nil {
			continue // the row checker says so
		}
		d, err := xrow.DecodeDML(x.Type, x.Body)
		if err != nil {
			continue
		}
		o, ok := readConfigOp(&d)
		if !ok {
			continue
		}
		if k := len(c.changes); k == 0 || c.changes[k-1].origin != ref.Origin || c.changes[k-1].tsn != x.TSN {
			c.changes = append(c.changes, &configChange{origin: ref.Origin, tsn: x.TSN})
			c.w.ambush.changes(n)
		}
		last := c.changes[len(c.changes)-1]
		last.at = place{x.Term, x.LSN}
		last.ops = append(last.ops, o)
	}
}

func readConfigOp(d *xrow.DML) (o configOp, ok bool) {
	tuple := d.Tuple
	if d.Type == xrow.Delete {
		tuple = d.Key
	}
	fields, rest, err := msgp.ReadArrayHeaderBytes(tuple)
	if err != nil || fields == 0 {
		return o, false
	}
	if d.SpaceID == xrow.SpaceCluster {
		if o.id, rest, err = msgp.ReadUint32Bytes(rest); err != nil {
			return o, false
		}
		o.voter = d.Type != xrow.Delete
		for range 3 {
			if rest, err = msgp.Skip(rest); err != nil {
				return o, d.Type == xrow.Delete || fields < 4
			}
		}
		o.learner = o.voter && fields > 4 && rest[0] == 0xc3
		o.voter = o.voter && !o.learner
		return o, true
	}
	key, rest, err := msgp.ReadStringBytes(rest)
	if err != nil || key != quorumKey || d.Type == xrow.Delete {
		return o, false
	}
	o.quorum, _, err = msgp.ReadStringBytes(rest)
	return o, err == nil
}

const quorumKey = "tarragon.quorum"

// apply gives the configuration after some changes.
func (c *configTracker) apply(changes []*configChange) configuration {
	out := configuration{quorum: defaultQuorum}
	for _, ch := range changes {
		out.change(ch)
	}
	return out.counted()
}

func (c *configuration) change(ch *configChange) {
	for _, o := range ch.ops {
		if o.id == 0 {
			c.quorum = o.quorum
			continue
		}
		c.voters &^= 1 << o.id
		c.learners &^= 1 << o.id
		switch {
		case o.voter:
			c.voters |= 1 << o.id
		case o.learner:
			c.learners |= 1 << o.id
		}
	}
}

// counted gives the quorums that so many voters need.
func (c configuration) counted() configuration {
	rule, err := parseQuorum(c.quorum)
	if err != nil {
		rule, _ = parseQuorum(defaultQuorum)
	}
	n := bits.OnesCount32(c.voters)
	c.synchro = min(max(rule(max(n, 1)), 1), max(n, 1))
	c.election = max(n/2+1, n-c.synchro+1)
	return c
}

// inForce gives the configuration that is decided in the chain of a term, and
// the one after the first change that is not, with its place; no place: all are.
func (c *configTracker) inForce(term uint64) (confirmed, newest configuration, at place) {
	if s, ok := c.settled[term]; ok && s.changes == len(c.changes) {
		return s.configuration, s.configuration, place{}
	}
	var chain []*configChange
	for _, ch := range c.changes {
		if c.w.check.history.names(term, ch.at) {
			chain = append(chain, ch)
		}
	}
	slices.SortStableFunc(chain, func(a, b *configChange) int {
		switch {
		case a.at == b.at:
			return 0
		case a.at.less(b.at):
			return -1
		}
		return 1
	})
	for i, ch := range chain {
		if !c.w.check.history.committed(ch.at) {
			return c.apply(chain[:i]), c.apply(chain[:i+1]), ch.at
		}
	}
	confirmed = c.apply(chain)
	c.settled[term] = settled{len(c.changes), confirmed}
	return confirmed, confirmed, place{}
}

// possible gives who may come to count by the rows that are there: what is
// decided, and that with each change whose fate is open.
func (c *configTracker) possible() []configuration {
	h := &c.w.check.history
	newest := uint64(0)
	if len(h.effect) > 0 {
		newest = h.effect[len(h.effect)-1]
	}
	all := []configuration{c.now()}
	for _, ch := range c.changes {
		if !h.committed(ch.at) && (ch.at.term >= newest || h.names(newest, ch.at)) {
			with := all[0]
			with.change(ch)
			all = append(all, with.counted())
		}
	}
	return all
}

// now is who counts, as far as anything is decided.
func (c *configTracker) now() configuration {
	term := uint64(0)
	if e := c.w.check.history.effect; len(e) > 0 {
		term = e[len(e)-1]
	}
	confirmed, _, _ := c.inForce(term)
	return confirmed
}

// parseQuorum stands for the configuration's reader of formulas: a number, or
// the default.
func parseQuorum(text string) (func(n int) int, error) {
	if text == defaultQuorum {
		return func(n int) int { return n/2 + 1 }, nil
	}
	n := 0
	for _, r := range text {
		if r < '0' || r > '9' {
			return nil, errQuorum
		}
		n = 10*n + int(r-'0')
	}
	return func(int) int { return n }, nil
}

const defaultQuorum = "N / 2 + 1"

var errQuorum = errors.New("no number")

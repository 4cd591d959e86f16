package instance

import (
	"bytes"

	"tarragon.dev/tarragon/xrow"
)

// gate is behind what requests, registrations and rows of peers wait: a change of
// the schema, and what may not be let in.
//
// Invariant: while it is shut no transaction begins but those that it lets out
// itself, registrations and other changes of our own first, then requests, each
// in the order in which they came. Rows of peers wait only while something is
// built, and those of a stream that is cut are dropped.
type gate struct {
	barrier bool          // a transaction on system spaces is undecided
	joins   []JoinRequest // registrations behind it
	chores  []Request     // other changes of our own behind it
	held    []Request     // requests of clients behind it, copied
	size    int           // their bytes
	welcome []welcome     // joiners that count already, while a quorum has not been told so

	build    *building // a change of the schema that is built in slices; nil: none
	backlog  backlog   // rows of peers behind it
	ddlWaits bool      // the backlog's first transaction waits for our disk

	moving bool // leadership is about to move, or has, and it is not known where

	splits []SplitBrain // peers whose rows contradict ours, until the operator acts
	cut    uint32       // peers whose stream was refused and has not begun anew, a bit each
}

// shut tells whether requests wait.
func (g *gate) shut() bool {
	return g.build != nil || g.barrier || g.moving || len(g.held) > 0 || g.choresWait()
}

// choresWait tells whether changes of our own wait for a moment at which nothing
// is undecided. Requests of clients wait behind them: under load there would
// never be such a moment.
func (g *gate) choresWait() bool { return len(g.joins) > 0 || len(g.chores) > 0 }

// hold keeps a copy of a request until the barrier is gone. false: it would be
// more than the limit.
func (g *gate) hold(r *Request, limit int) bool {
	size := r.heldSize()
	if g.size+size > limit {
		return false
	}
	kept := r.kept()
	kept.waits = size
	g.held = append(g.held, kept)
	g.size += size
	return true
}

// kept is a copy that points into no read buffer.
func (r *Request) kept() Request {
	h := *r
	h.DML.Key, h.DML.Tuple, h.DML.Ops = bytes.Clone(r.DML.Key), bytes.Clone(r.DML.Tuple), bytes.Clone(r.DML.Ops)
	return h
}

// heldSize is what a copy takes, about.
func (r *Request) heldSize() int {
	n := len(r.DML.Key) + len(r.DML.Tuple) + len(r.DML.Ops) + 128
	if r.Call != nil {
		n += len(r.Call.Name) + len(r.Call.Args)
	}
	if r.Commit != nil {
		n += r.Commit.Size()
	}
	return n
}

// takeHeld lets the first request out.
func (g *gate) takeHeld() Request {
	r := g.held[0]
	g.barrier = false
	g.size -= r.waits
	g.held = g.held[1:]
	return r
}

// takeJoin lets the first registration out.
func (g *gate) takeJoin() JoinRequest {
	j := g.joins[0]
	g.barrier = false
	g.joins = g.joins[1:]
	return j
}

// takeChore lets the first other change of ours out.
func (g *gate) takeChore() Request {
	r := g.chores[0]
	g.barrier = false
	g.chores = g.chores[1:]
	return r
}

// failHeld answers those requests for which why gives a reason. The others stay.
func (g *gate) failHeld(eff *Effects, why func(*Request) *xrow.Error) {
	held := g.held
	g.held, g.size = g.held[:0], 0
	for i := range held {
		if err := why(&held[i]); err != nil {
			eff.turnAway(&held[i], err)
			continue
		}
		g.size += held[i].waits
		g.held = append(g.held, held[i])
	}
	clear(held[len(g.held):])
}

// failChores turns away who waits to change what is ours.
func (g *gate) failChores(eff *Effects, err *xrow.Error) {
	for i := range g.joins {
		eff.failJoin(&g.joins[i], err)
	}
	for i := range g.chores {
		eff.reply(g.chores[i].Conn, g.chores[i].Sync, nil, err)
	}
	g.joins, g.chores = nil, nil
}

// awaitsWelcome lets a joiner that asks again wait as the first time.
func (g *gate) awaitsWelcome(j *JoinRequest) bool {
	for _, w := range g.welcome {
		if w.join.UUID == j.UUID && !j.anonymous() {
			w.join = j
			g.welcome = append(g.welcome, w)
			return true
		}
	}
	return false
}

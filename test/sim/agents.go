package sim

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// agentKinds are not drawn: they strike in worlds of their own (TestAgents), which agents
// supervise.
var agentKinds = []faultKind{{"agents", strikeAgents}}

// agent says who leads, from outside: it draws tokens from a register that all agents share,
// has somebody promoted, and renews the lease. Agents know nothing of each other, die, and
// come late.
type agent struct {
	w     *World
	no    int
	pace  time.Duration // five turns in it at most
	lease time.Duration
	token uint64
	at    *node         // who leads by its token, as it was told; nil: nobody
	until time.Duration // so it believes, by the world's clock
	awake time.Duration // it does nothing before
	words int           // sent so far
	asked bool          // the last one is not answered
}

// Supervised counts what worlds with agents met.
type Supervised struct {
	Promoted int // who was told to, and leads
	Renewed  int
	Old      int // words that came too late and were refused
	Handed   int // moves of leadership
	Ended    int // leaders that a lease made resign
}

// Add sums counts.
func (s *Supervised) Add(o Supervised) {
	s.Promoted += o.Promoted
	s.Renewed += o.Renewed
	s.Old += o.Old
	s.Handed += o.Handed
	s.Ended += o.Ended
}

// beginAgents starts as many as contend.
func (w *World) beginAgents() {
	for no := range 2 {
		pace := w.between(instance.MinLease, 2*time.Second)
		a := &agent{w: w, no: no, pace: pace, lease: pace}
		w.agents = append(w.agents, a)
		w.after(w.between(0, pace), a.turn)
	}
}

// turn does what an agent does from time to time. When faults have ended one of them is left.
func (a *agent) turn() {
	w := a.w
	if w.half >= liveness && a.no != 0 {
		return
	}
	if w.half == ending {
		a.pace, a.lease = 10*time.Second, instance.MaxLease // all has to come to rest in between
	}
	if w.half == liveness && !slices.Contains(w.healed, a.at) {
		a.at = nil
	}
	w.after(w.between(a.pace/5, a.pace/3), a.turn)
	switch {
	case w.now < a.awake && w.half < liveness:
	case a.asked && w.now < a.until:
	case a.at != nil && w.now < a.until:
		a.promote(a.at, 0)
	default:
		a.appoint()
	}
}

// appoint has somebody promoted by a new token. The word may be late by much.
func (a *agent) appoint() {
	w := a.w
	w.tokens++
	a.token, a.at = w.tokens, nil
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	late := time.Duration(0)
	switch {
	case w.half >= liveness:
		n = w.fullest()
	case w.chance(4):
		late = w.between(0, 2*time.Second)
	}
	if leader := w.leader(); w.half == safety && leader != nil && leader.core != nil && leader != n && w.chance(4) {
		a.handOver(leader, n)
		return
	}
	a.promote(n, late)
}

// fullest is who has most on its disk, of those who run and may lead.
func (w *World) fullest() *node {
	among := w.nodes
	if w.half == liveness {
		among = w.healed
	}
	best := among[0]
	for _, n := range among {
		if n.active() && n.mode != instance.ModeVoter && (!best.active() || best.mode == instance.ModeVoter || n.disk.vclock.Signature() > best.disk.vclock.Signature()) {
			best = n
		}
	}
	return best
}

// promote sends a word, which comes so much later. Who gets no answer in time has another
// idea.
func (a *agent) promote(n *node, late time.Duration) {
	w, token, sent, renews := a.w, a.token, a.w.now, a.at == n
	if !renews {
		a.until = sent + a.lease
	}
	a.send(n, late, func(o *op) instance.Event {
		w.tell(n, "is told to lead by token %d for %v", token, a.lease)
		return instance.PromoteRequest{Conn: 1, Sync: uint64(o.id), Mandate: instance.Mandate{Token: token, Lease: a.lease}}
	}, func() {
		if renews {
			w.check.mandate.met.Renewed++
		} else {
			w.check.mandate.met.Promoted++
		}
		a.at, a.until = n, sent+a.lease
	})
}

func (a *agent) handOver(leader, heir *node) {
	w, token := a.w, a.token
	a.until = w.now + a.lease
	a.send(leader, 0, func(o *op) instance.Event {
		w.tell(leader, "is told to hand over to n%d by token %d", heir.slot, token)
		return instance.SwitchoverRequest{Conn: 1, Sync: uint64(o.id), To: heir.name, Fast: w.chance(2), Hold: w.between(5*time.Millisecond, time.Second), By: "agent",
			Mandate: instance.Mandate{Token: token, Lease: a.lease}}
	}, func() {
		w.check.mandate.met.Handed++
		a.at, a.until = heir, w.now+a.lease
	})
}

// send posts a word, and calls done when it was answered without an error, unless the
// agent has sent another one since.
func (a *agent) send(n *node, late time.Duration, word func(*op) instance.Event, done func()) {
	w := a.w
	a.words++
	no := a.words
	a.asked = true
	w.after(late, func() {
		if !n.running() || n.core == nil {
			return
		}
		o := w.load.begin(n, opByHand, 0)
		o.answered = func(err *xrow.Error) {
			if err != nil && err.Code == xrow.ErrOldToken {
				w.check.mandate.met.Old++
			}
			if a.words != no {
				return
			}
			if a.asked = false; err != nil {
				a.at = nil
			} else if o.outcome == acknowledged {
				done()
			}
		}
		n.post(word(o))
	})
}

// strikeAgents lets an agent be away for a while, as one that dies and comes back.
func strikeAgents(w *World) {
	if len(w.agents) == 0 {
		return
	}
	a := w.agents[w.rng.IntN(len(w.agents))]
	a.awake = w.now + w.between(0, 3*a.lease)
	if w.chance(2) {
		a.at, a.asked = nil, false // it has forgotten whom it promoted
	}
}

package sim

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// Directed schedules: troubles that meet something that happens, where chance
// alone would hit it once in a thousand lives. They are drawn and strike like
// any other fault.
var directedKinds = []faultKind{
	{"rivals", strikeRivals},
	{"voterdies", func(w *World) { w.ambush.voter++ }},
	{"votesaved", func(w *World) { w.ambush.save++ }},
	{"laggard", strikeLaggard},
	{"stale", strikeStale},
	{"inflight", strikeInFlight},
	{"latevote", strikeLateVote},
	{"deposed", strikeDeposed},
	{"loser", strikeLoser},
	{"quorumcut", strikeQuorumCut},
	{"cutchange", strikeCutChange},
	{"cutjoin", func(w *World) { w.ambush.join++ }},
}

// ambush is what waits for its moment.
type ambush struct {
	voter int // so many of those who vote next die with it
	save  int // so many of those who vote next take a checkpoint, and die with it
	join  int // so many of the next joins are cut
	alone int // so many of the next who change who counts keep that to themselves
	loser int // so many of the next who lose an election fall behind everybody's log
	saves map[*node]int
	first map[uint64]uint32 // by term: a candidate
}

// shown is called when an instance shows its election state.
func (a *ambush) shown(n *node, r *xrow.Raft) {
	switch r.State {
	case stateCandidate:
		a.rival(n, r)
	case stateLeader:
		a.won(n, r.Term)
	}
	if r.Vote == 0 || n.w.half != safety || r.State == stateLeader || r.LeaderID != 0 {
		return
	}
	life := n.life
	switch {
	case a.voter > 0 && r.Vote != n.id:
		a.voter--
		n.w.after(n.w.between(0, 3*time.Millisecond), func() {
			if n.life == life && n.running() {
				n.w.count(VoterDied)
				n.crash(false)
				n.restartLater(time.Millisecond, 60*time.Millisecond)
			}
		})
	case a.save > 0 && !n.saving && !n.disk.failing:
		a.save--
		if a.saves == nil {
			a.saves = map[*node]int{}
		}
		a.saves[n] = life
		n.checkpoint()
	}
}

// rival counts terms with several candidates.
func (a *ambush) rival(n *node, r *xrow.Raft) {
	if a.first == nil {
		a.first = map[uint64]uint32{}
	}
	if old, ok := a.first[r.Term]; !ok {
		a.first[r.Term] = n.id
	} else if old != n.id {
		n.w.count(Rivals)
	}
}

// saved is called when a checkpoint is complete.
func (a *ambush) saved(n *node) {
	if life, ok := a.saves[n]; ok && life == n.life && n.w.half == safety {
		delete(a.saves, n)
		n.w.after(0, func() {
			if n.life == life && n.running() {
				n.w.count(VoteSaved)
				n.crash(false)
				n.restartLater(time.Millisecond, 60*time.Millisecond)
			}
		})
	}
}

// joins is called when a peer begins to serve a join.
func (a *ambush) joins(c *conn) {
	w := c.net.w
	if a.join == 0 || w.half != safety {
		return
	}
	a.join--
	w.after(w.between(0, 30*time.Millisecond), func() {
		w.count(JoinCut)
		c.reset()
	})
}

// byHand lets an operator promote a node.
func (w *World) byHand(n *node) {
	if n.running() && n.core != nil {
		w.tell(n, "is promoted by hand")
		o := w.load.begin(n, opByHand, 0)
		n.post(instance.PromoteRequest{Conn: 1, Sync: uint64(o.id)})
	}
}

// strikeRivals lets operators promote two at once: rivals in one term, as far as
// their terms are the same. One of those who vote then may die.
func strikeRivals(w *World) {
	order := w.rng.Perm(len(w.nodes))
	for _, i := range order[:min(2, len(order))] {
		n := w.nodes[i]
		w.after(w.between(0, time.Millisecond), func() { w.byHand(n) })
	}
	if w.chance(2) {
		w.ambush.voter++
	}
}

// strikeLaggard lets somebody who lacks the newest rows ask for votes. It hears
// nothing for a while, asks, and its connections break: over the next ones the
// answers come before the rows.
func strikeLaggard(w *World) {
	leader, n := w.leader(), w.nodes[w.rng.IntN(len(w.nodes))]
	if leader == nil || leader == n {
		return
	}
	w.tell(n, "hears nothing")
	for _, peer := range w.nodes {
		if peer != n {
			w.net.sever(peer.slot, n.slot)
		}
	}
	asks := w.between(10*time.Millisecond, w.plan.config.DeathTimeout/2)
	w.later(asks, asks, func() {
		w.count(LaggardAsked)
		w.byHand(n)
	})
	w.later(asks+20*time.Millisecond, asks+150*time.Millisecond, func() {
		if leader.running() && w.chance(3) {
			leader.crash(false)
			leader.restartLater(10*time.Millisecond, 2*time.Second)
		}
		for _, peer := range w.nodes {
			w.net.cut[peer.slot][n.slot] = false
		}
		for _, c := range slices.Clone(w.net.conns) {
			if c.ends[dialler].host == n || c.ends[acceptor].host == n {
				c.reset()
			}
		}
	})
}

// strikeStale lets words of a leader, its CONFIRMs too, come late to somebody
// who hears of the next term first.
func strikeStale(w *World) {
	leader := w.leader()
	if leader == nil || len(w.nodes) < 3 {
		return
	}
	order := w.rng.Perm(len(w.nodes))
	deaf, next := w.nodes[order[0]], w.nodes[order[1]]
	if leader == deaf || leader == next {
		return
	}
	late := w.between(w.plan.config.DeathTimeout/4, w.plan.config.DeathTimeout)
	w.tell(deaf, "hears n%d %v late", leader.slot, late)
	w.net.extra[leader.slot][deaf.slot] = late
	w.later(late/3, late/3, func() { w.byHand(next) })
	w.later(2*late, 2*late, func() { w.net.extra[leader.slot][deaf.slot] = 0 })
}

// strikeInFlight tells the story of TestVoteBehindRowsInFlight: a voter's disk is
// slow, a row of the leader's is with it, and a candidate that the leader does
// not reach asks for the vote. The row is acked under the old term; the leader
// dies; the connection that would bring the row to the candidate breaks, and the
// vote is the first that comes over the next one.
func strikeInFlight(w *World) {
	leader := w.leader()
	if len(w.nodes) < 3 {
		return
	}
	order := w.rng.Perm(len(w.nodes))
	voter, candidate := w.nodes[order[0]], w.nodes[order[1]]
	if leader == nil || leader == voter || leader == candidate || leader.core == nil {
		return
	}
	w.net.sever(leader.slot, candidate.slot)
	w.net.sever(candidate.slot, leader.slot)
	slow := w.between(40*time.Millisecond, 120*time.Millisecond)
	d := voter.disk
	d.slow = slow
	o := w.load.begin(leader, opInsert, 0)
	leader.post(instance.Write{Requests: []instance.Request{w.load.request(o)}})
	at := func(share time.Duration, do func()) { w.later(slow*share/100, slow*share/100, do) }
	at(10, func() { w.byHand(candidate) })
	at(50, func() { w.net.sever(voter.slot, candidate.slot) })
	at(150, func() { leader.pause() })
	at(250, func() {
		w.count(VoteInFlight)
		w.net.cut[voter.slot][candidate.slot] = false
		for _, c := range slices.Clone(w.net.conns) {
			if c.ends[dialler].host != leader && c.ends[acceptor].host != leader {
				c.reset()
			}
		}
	})
	at(350, func() { d.slow = 0 })
	life := leader.life
	w.later(time.Second, 3*time.Second, func() {
		w.net.heal(leader.slot, candidate.slot)
		w.net.heal(candidate.slot, leader.slot)
		if leader.life == life {
			leader.resume()
		}
	})
}

// strikeLateVote lets a vote come when its candidate asks again, in the next
// term, and the voter has voted for a rival in that one.
func strikeLateVote(w *World) {
	if len(w.nodes) < 3 {
		return
	}
	order := w.rng.Perm(len(w.nodes))
	candidate, rival, voter := w.nodes[order[0]], w.nodes[order[1]], w.nodes[order[2]]
	late := w.between(30*time.Millisecond, w.plan.config.DeathTimeout/2)
	w.net.extra[voter.slot][candidate.slot] = late
	w.byHand(candidate)
	w.later(late/2, late/2, func() {
		w.net.extra[candidate.slot][voter.slot] = late
		w.byHand(candidate)
		w.byHand(rival)
	})
	w.later(3*late, 3*late, func() {
		w.net.extra[voter.slot][candidate.slot], w.net.extra[candidate.slot][voter.slot] = 0, 0
	})
}

// strikeDeposed cuts a leader off and lets an operator promote another at once.
// For a while both lead, and the clients know both.
func strikeDeposed(w *World) {
	leader, next := w.leader(), w.nodes[w.rng.IntN(len(w.nodes))]
	if leader == nil || leader == next {
		return
	}
	w.tell(leader, "is cut off and deposed")
	for _, peer := range w.nodes {
		if peer != leader {
			w.net.sever(peer.slot, leader.slot)
			w.net.sever(leader.slot, peer.slot)
		}
	}
	w.byHand(next)
	w.later(w.plan.config.DeathTimeout/2, 2*w.plan.config.DeathTimeout, func() {
		for _, peer := range w.nodes {
			w.net.heal(peer.slot, leader.slot)
			w.net.heal(leader.slot, peer.slot)
		}
	})
}

// strikeLoser lets rivals run, and the one that loses join anew in the very term
// in which it voted for itself.
func strikeLoser(w *World) {
	w.ambush.loser++
	strikeRivals(w)
}

// won looks for somebody who gave its vote to another candidate.
func (a *ambush) won(leader *node, term uint64) {
	w := leader.w
	if a.loser == 0 || w.half != safety {
		return
	}
	for _, n := range w.nodes {
		if r := w.check.vote.disk[n.slot]; n == leader || !n.running() || r.term != term || r.vote == 0 || r.vote == leader.id {
			continue
		}
		a.loser--
		w.after(0, func() { n.fallBehind() })
		return
	}
}

// fallBehind keeps a host down until no log reaches back to what it has.
func (n *node) fallBehind() {
	w := n.w
	if !n.running() || w.half != safety {
		return
	}
	n.crash(true)
	life := n.life
	others := func(do func(*node)) func() {
		return func() {
			for _, peer := range w.nodes {
				if peer != n && peer.running() {
					do(peer)
				}
			}
		}
	}
	w.later(200*time.Millisecond, 200*time.Millisecond, others((*node).checkpoint))
	w.later(700*time.Millisecond, 700*time.Millisecond, others(func(peer *node) { peer.prune(true) }))
	w.later(800*time.Millisecond, time.Second, func() {
		if n.life == life && !n.running() {
			w.count(LoserFellBehind)
			n.start()
		}
	})
}

// strikeQuorumCut lets a leader be told a quorum of two and cuts it off with one
// other in the moment in which that is decided: the two commit by it, and the
// others, who have the row, do not know that it is.
func strikeQuorumCut(w *World) {
	leader, with := w.leader(), w.nodes[w.rng.IntN(len(w.nodes))]
	if leader == nil || leader.core == nil || leader == with {
		return
	}
	two := func(n *node) bool { return n == leader || n == with }
	w.tellQuorum(leader, "2", func() {
		if w.half != safety {
			return
		}
		w.count(QuorumCut)
		w.tell(leader, "has its quorum, and is cut off with n%d", with.slot)
		each := func(do func(a, b int)) {
			for _, a := range w.nodes {
				for _, b := range w.nodes {
					if two(a) != two(b) {
						do(a.slot, b.slot)
					}
				}
			}
		}
		each(w.net.sever)
		w.later(2*w.plan.config.DeathTimeout, 2*w.plan.config.DeathTimeout+3*time.Second, func() { each(w.net.heal) })
	})
}

// strikeCutChange lets the next change of who counts reach nobody but its leader's
// disk. Where five vote it is a quorum that is raised again, from the two by which
// the others may commit meanwhile.
func strikeCutChange(w *World) {
	leader := w.leader()
	if who := w.check.config.now(); leader != nil && leader.core != nil && len(w.nodes) == 5 {
		if who.synchro == 2 {
			w.ambush.alone++
			w.tellQuorum(leader, "3", func() {})
			return
		}
		w.tellQuorum(leader, "2", func() {})
		return
	}
	w.ambush.alone++
}

// changes is called when an author hands a change of who counts to its disk.
func (a *ambush) changes(n *node) {
	w := n.w
	if a.alone == 0 || w.half != safety {
		return
	}
	a.alone--
	w.count(ChangeCut)
	w.tell(n, "is cut off with a change of who counts")
	for _, peer := range w.nodes {
		if peer != n {
			w.net.sever(peer.slot, n.slot)
			w.net.sever(n.slot, peer.slot)
		}
	}
	w.returns(n, w.now+8*time.Second)
}

// returns waits until the others have a leader, lets that one lead with one other
// only, and brings a node back to the rest, which an operator promotes.
func (w *World) returns(n *node, until time.Duration) {
	w.later(50*time.Millisecond, 100*time.Millisecond, func() {
		leader := w.inEffect()
		if leader == nil || leader == n {
			if w.now < until {
				w.returns(n, until)
			} else {
				w.net.healAll()
			}
			return
		}
		with := w.otherThan(leader, n)
		if with == nil { // members have left meanwhile
			w.net.healAll()
			return
		}
		two := func(m *node) bool { return m == leader || m == with }
		for _, a := range w.nodes {
			for _, b := range w.nodes {
				switch {
				case two(a) != two(b):
					w.net.sever(a.slot, b.slot)
				case a == n || b == n:
					w.net.heal(a.slot, b.slot)
				}
			}
		}
		for range 3 {
			w.later(20*time.Millisecond, 600*time.Millisecond, func() { w.byHand(n) })
		}
		w.later(w.plan.config.DeathTimeout, 3*time.Second, w.net.healAll)
	})
}

// otherThan draws a member that is none of two; nil: there is nobody else.
func (w *World) otherThan(a, b *node) *node {
	others := slices.DeleteFunc(slices.Clone(w.nodes), func(n *node) bool { return n == a || n == b })
	if len(others) == 0 {
		return nil
	}
	return others[w.rng.IntN(len(others))]
}

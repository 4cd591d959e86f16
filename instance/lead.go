package instance

import (
	"fmt"

	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// becomeLeader makes the winner of an election write its PROMOTE, under the strong rules
// if all members are known to take them. Writes are taken when a quorum has it,
// not before.
func (c *Core) becomeLeader() {
	if newest, _, _ := c.limbo.Newest(); newest >= c.raft.Term() {
		// A Tarantool without elections promotes itself by its own vote, in the
		// term that we won. Its PROMOTE is there, and a term has one.
		c.raft.Resign(c.now.Mono, "somebody else promoted itself in this term")
		return
	}
	if why := c.takeMandate(); why != "" {
		c.raft.Resign(c.now.Mono, why)
		return
	}
	c.members.listenToLearners(c.now.Mono)
	c.members.alignQuorum = true
	if c.members.kinds.tarantools != 0 || c.cfg.Kind == xrow.Tarantool {
		c.leadTarantool()
		return
	}
	// It follows the newest PROMOTE of its own log, in effect or not, up to the
	// last row held of that term.
	prevTerm, prevOwner, prevLSN := c.limbo.Newest()
	p := limbo.Promote{PrevTerm: prevTerm, PrevOwner: prevOwner, PrevLSN: prevLSN, Named: c.limbo.Names(), Rules: terms.Strong}
	c.writePromote(&p)
}

// howWon says how the leadership that begins came about.
func (c *Core) howWon(prevTerm uint64) *terms.Move {
	c.noteCalm()
	asked := c.lead.promotedIn == c.raft.Term()
	m := &terms.Move{Kind: terms.Election, To: c.members.self, Reason: terms.ClipMove(c.raft.Lost())}
	m.Gap, m.Loose = c.lead.calm.gap(c.now)
	switch h := &c.lead.heir; {
	case prevTerm == 0:
		*m = terms.Move{Kind: terms.Bootstrap, To: c.members.self}
	case h.To == c.members.self && c.lead.heirOf == prevTerm && c.raft.Term() == prevTerm+1:
		*m = *h
		m.Gap += micros(c.now.Mono - c.lead.heirAt)
	case asked && c.lead.mandate.token != 0:
		m.Kind, m.By, m.Reason = terms.Supervised, c.lead.promotedBy, fmt.Sprintf("token %d", c.lead.mandate.token)
	case c.lead.realigned == c.raft.Term():
		m.Reason = "the rules of failover follow the members"
	case asked && c.raft.Forced():
		m.Kind, m.By, m.Reason = terms.Forced, c.lead.promotedBy, ""
	case asked:
		m.Kind, m.By = terms.ByHand, c.lead.promotedBy
	}
	m.Token, m.Lease = c.tokenOf(), 0
	return m
}

// leadTarantool does as Tarantool: it waits until a quorum has the last
// synchronous transaction, and confirms by its PROMOTE whatever it has. Until
// then nothing is written, and every ack asks again.
func (c *Core) leadTarantool() {
	prevTerm, prevOwner, last := c.limbo.Newest()
	if c.limbo.Waits() && !c.members.confirmed.commit(c.synced(c.limbo.Current().Owner, c.limbo.LastSync())) {
		return
	}
	pending := c.limbo.Pending()
	if n := len(pending); n > 0 && pending[n-1].Rules == terms.Strong && !c.members.confirmed.commit(c.synced(prevOwner, last)) {
		return
	}
	c.writePromote(&limbo.Promote{PrevTerm: prevTerm, PrevOwner: prevOwner, PrevLSN: c.limbo.Names(), Rules: terms.Tarantool})
}

// writePromote writes the PROMOTE of our term; it is pending until a quorum has it.
func (c *Core) writePromote(p *limbo.Promote) {
	c.abortBuild() // a row of an older term comes behind our PROMOTE now, if at all
	c.lead.leading = true
	p.Term, p.Owner = c.raft.Term(), c.members.self
	chained := len(c.limbo.Pending()) > 0
	if c.cfg.Kind == xrow.Tarantool {
		c.promoteAtOnce(p)
		return
	}
	var how *terms.Move
	if p.Rules == terms.Strong {
		how = c.howWon(p.PrevTerm)
	}
	p.Began = beganBy(how, terms.Micros(c.now.Wall))
	body := promoteBody(p)
	p.LSN = c.out.addSynchro(c.author(), xrow.Promote, &body, p.Term)
	void, err := c.limbo.AddPromote(*p)
	if err != nil || void {
		panic("instance: our own PROMOTE does not fit our log")
	}
	c.limbo.Lead(p.LSN)
	c.trace(FactPromoteWritten, c.members.self, p.LSN, "")
	if c.limbo.Len() > 0 {
		c.trace(FactPromoteMetQueue, p.PrevOwner, p.PrevLSN, "")
	}
	if chained {
		c.trace(FactPromoteChained, p.PrevOwner, p.PrevLSN, "")
	}
}

// promoteBody is the body of a PROMOTE. Of a strong one, LSN is for Tarantools.
func promoteBody(p *limbo.Promote) xrow.Synchro {
	body := xrow.Synchro{ReplicaID: p.PrevOwner, LSN: p.PrevLSN, Term: p.Term, PrevTerm: p.PrevTerm, Rules: xrow.RulesStrong, Move: moveOf(p)}
	if p.Rules == terms.Tarantool {
		body.Rules = 0
	} else if p.Named != p.PrevLSN {
		body.LSN, body.StrongLSN = p.Named, p.PrevLSN
	}
	return body
}

// promoteAtOnce is what a Tarantool does: it asks nobody.
func (c *Core) promoteAtOnce(p *limbo.Promote) {
	body := xrow.Synchro{ReplicaID: p.PrevOwner, LSN: p.PrevLSN, Term: p.Term}
	p.LSN = c.out.addSynchro(c.author(), xrow.Promote, &body, p.Term)
	c.limbo.Lead(p.LSN)
	began := beganBy(nil, terms.Micros(c.now.Wall))
	if err := c.limbo.Take(terms.Tarantool, limbo.Row{Kind: limbo.Promotion, Origin: c.members.self, LSN: p.LSN, Owner: p.PrevOwner, UpTo: p.PrevLSN, Begins: p.Term, Began: &began}); err != nil {
		panic("instance: " + err.Error())
	}
	c.tookEffect(false)
	c.settle()
}

// alignRules moves to the rules that the members can take, by a new term: an
// Tarantool was registered, or the last one is gone.
func (c *Core) alignRules() {
	cur := c.limbo.Current()
	if !c.lead.leading || c.gate.moving || cur.Term != c.raft.Term() || c.gate.barrier && c.limbo.Len() > 0 || c.gate.build != nil || len(c.gate.welcome) > 0 || (cur.Rules == terms.Tarantool) == (c.members.kinds.tarantools != 0) {
		return
	}
	if c.cfg.Kind == xrow.Tarantool {
		return
	}
	c.tellSchema() // a Tarantool takes no PROMOTE that names more than it was told
	if c.raft.Promote(c.now.Mono) {
		c.lead.realigned, c.lead.mandate.term = c.raft.Term(), c.raft.Term()
		c.trace(FactRulesChange, 0, 0, "")
		c.afterRaft()
	}
}

// promoteWaiter is a box.ctl.promote that waits to be writable.
type promoteWaiter struct {
	client
	term uint64
}

func (c *Core) promote(ev PromoteRequest) {
	if err := c.refuseLeading(); err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	leading := c.lead.leading && !c.lead.handed
	standing, err := c.renewed(&ev.Mandate)
	switch {
	case err != nil:
	case leading && c.limbo.Current().Term == c.raft.Term() && (standing || ev.Token == 0):
		if ev.Force {
			c.lead.mandate.until = 0 // the agent may be gone
		}
		c.eff.reply(ev.Conn, ev.Sync, noValues, nil)
		return
	case c.cfg.Mode == raft.Voter:
		err = &xrow.Error{Code: xrow.ErrUnsupported, Message: "election_mode='voter' does not support manual elections"}
	case standing:
	case leading && ev.Token == 0:
		// It waits for a quorum on its PROMOTE and needs no other term: in a mixed set two
		// PROMOTEs at once are a split brain. One that has handed its term over begins
		// another one, and so does one that is given a token: that goes to the log with a
		// PROMOTE.
	case !c.raft.Promote(c.now.Mono):
		err = c.readonly()
	default:
		c.lead.mandate.begin(&ev.Mandate, c.raft.Term(), c.now.Mono)
	}
	if err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	c.lead.promotedBy, c.lead.promotedIn = terms.ClipMove(ev.By), c.raft.Term()
	c.waits.promotes = append(c.waits.promotes, promoteWaiter{client{ev.Conn, ev.Sync, c.now.Mono + c.cfg.PromoteTimeout}, c.raft.Term()})
}

// judgePromote answers a promotion whose outcome is known.
func (c *Core) judgePromote(w *promoteWaiter, late bool) outcome {
	switch term := c.raft.Term(); {
	case c.lead.leading && term == w.term && c.limbo.Current().Term == w.term:
		return succeeds(noValues)
	case term > w.term && c.raft.Leader() != 0:
		return fails(xrow.Errorf(xrow.ErrInterferingPromote, c.raft.Leader()))
	case term > w.term:
		return fails(xrow.Errorf(xrow.ErrInterferingElections))
	case c.lead.mandate.refused == w.term:
		return fails(&xrow.Error{Code: xrow.ErrUnsupported, Message: "This instance may not lead: " + c.lead.mandate.why})
	case late:
		return fails(xrow.Errorf(xrow.ErrQuorumWait, c.members.confirmed.synchroQuorum, "the PROMOTE has no quorum yet"))
	}
	return outcome{}
}

package instance

import (
	"fmt"
	"time"

	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// Where the replica set is supervised, an agent outside of it says who should lead, and
// votes and PROMOTE say whether. Nobody stands for election of its own accord; who is told
// to is given a token and a lease. The winner's PROMOTE carries the token, and is written
// only if that is greater than those of all PROMOTEs in its log: so who was told that it
// leads is never followed by who has an older word. When the lease is over, by the leader's
// own clock, it resigns before it takes one more write. docs/coordinators.md has the rules,
// test/model/token.go tries them.

// Bounds of a lease. More than ten minutes would be no lease, but a leader that nobody
// watches.
const (
	MinLease = 100 * time.Millisecond
	MaxLease = 10 * time.Minute
)

// Mandate is by whose word an instance is to lead.
type Mandate struct {
	Token uint64        // an agent's, greater than any before; 0: there is none
	Lease time.Duration // from when it arrives; with a token
	Force bool          // by hand, although an agent is to say who leads
}

// mandate is what this instance stands for election or leads by, in a supervised set.
//
// Invariant: it counts in its term only.
type mandate struct {
	token   uint64        // 0: by hand
	term    uint64        // that it began, or goes on in; 0: there is none
	until   time.Duration // 0: without an end
	led     bool          // somebody has, when we looked last
	refused uint64        // term that we may not lead in, although we stood in it
	why     string
}

const leaseOver = "its lease is over"

// begin takes down what a candidacy has begun by.
func (m *mandate) begin(by *Mandate, term uint64, now time.Duration) {
	*m = mandate{token: by.Token, term: term, led: m.led}
	m.renew(by, now)
}

// renew lets it end a lease from now; by hand it has no end.
func (m *mandate) renew(by *Mandate, now time.Duration) {
	m.until = 0
	if by.Token != 0 {
		m.until = now + by.Lease
	}
}

// refuse ends it, and keeps the reason for who asked.
func (m *mandate) refuse(term uint64, why string) string {
	*m = mandate{refused: term, why: why, led: m.led}
	return why
}

// checkMandate tells what is wrong with the words of one.
func (c *Core) checkMandate(by *Mandate) *xrow.Error {
	switch {
	case !c.cfg.Supervised && (by.Token != 0 || by.Lease != 0):
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: "Tokens and leases are for a replica set with replication.failover 'supervised', which this is not"}
	case !c.cfg.Supervised || by.Force && by.Token == 0 && by.Lease == 0:
	case by.Force:
		return &xrow.Error{Code: xrow.ErrIllegalParams, Message: "'force' is for a promotion by hand, which has neither token nor lease"}
	case by.Token == 0:
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: "An agent says who leads in this replica set (replication.failover is 'supervised'): a token and a lease are needed, or 'force' to do it by hand"}
	case by.Lease < MinLease || by.Lease > MaxLease:
		return &xrow.Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf("a lease takes %v to %v, not %v", MinLease, MaxLease, by.Lease)}
	}
	return nil
}

// refuseMandate tells why nobody is to lead by one.
func (c *Core) refuseMandate(by *Mandate) *xrow.Error {
	if err := c.checkMandate(by); err != nil {
		return err
	}
	return c.refuseToken(by.Token)
}

// refuseToken tells that a token is not newer than those that this instance knows.
func (c *Core) refuseToken(token uint64) *xrow.Error {
	newest, of := c.newestToken()
	if token == 0 || token > newest {
		return nil
	}
	return xrow.Errorf(xrow.ErrOldToken, token, newest, fmt.Sprintf("%s leads or led by that, in term %d; take a greater one", c.members.nameOfID(of.Owner), of.Term))
}

// newestToken is the greatest of all PROMOTEs in the log, in effect or not, and the first
// term that was led by it; 0: no agent was here. Each PROMOTE of ours repeats the greatest
// before it, so the newest one that has one says it.
func (c *Core) newestToken() (token uint64, of terms.Span) {
	pending := c.limbo.Pending()
	for i := len(pending) - 1; i >= 0 && token == 0; i-- {
		token, of = pending[i].Began.Token, terms.Span{Term: pending[i].Term, Owner: pending[i].Owner}
	}
	history := c.limbo.History()
	for i := len(history) - 1; i >= 0; i-- {
		t := history[i].Began.Token
		if t > token || t == token && t != 0 {
			token, of = t, history[i]
		} else if t != 0 {
			break
		}
	}
	return token, of
}

// renewed lets one that leads or stands for election by a token go on by it. An error says
// why the mandate can do neither that nor begin anything.
func (c *Core) renewed(by *Mandate) (standing bool, err *xrow.Error) {
	if err := c.checkMandate(by); err != nil {
		return false, err
	}
	m := &c.lead.mandate
	if by.Token != 0 && m.token == by.Token && m.term == c.raft.Term() && c.raft.Stands() && !c.lead.handed {
		m.renew(by, c.now.Mono)
		return true, nil
	}
	return false, c.refuseToken(by.Token)
}

// takeMandate tells why who has won an election may not lead; empty: it may. The heir of a
// HANDOVER has the word that came with the row.
func (c *Core) takeMandate() (why string) {
	if !c.cfg.Supervised || c.cfg.Kind == xrow.Tarantool {
		return ""
	}
	m, term, now := &c.lead.mandate, c.raft.Term(), c.now.Mono
	prev, _, _ := c.limbo.Newest()
	if h := &c.lead.heir; m.term != term && h.To == c.members.self && c.lead.heirOf == prev && term == prev+1 {
		m.begin(&Mandate{Token: h.Token, Lease: time.Duration(h.Lease) * time.Millisecond}, term, c.lead.heirAt)
	}
	switch newest, _ := c.newestToken(); {
	case prev == 0: // the founder of the set
	case m.term != term:
		return m.refuse(term, "nobody has told it to lead")
	case m.until != 0 && now >= m.until:
		return m.refuse(term, leaseOver)
	case m.token != 0 && m.token <= newest && c.lead.realigned != term:
		return m.refuse(term, c.refuseToken(m.token).Error())
	}
	return ""
}

// endMandate makes who has had its lease resign. It comes before all requests: a process
// that was paused takes no write by a lease that is over.
func (c *Core) endMandate() {
	m := &c.lead.mandate
	if m.until == 0 || c.now.Mono < m.until {
		return
	}
	m.refuse(m.term, leaseOver)
	c.raft.Resign(c.now.Mono, leaseOver)
	c.afterRaft()
}

// supervisedMode is what becomes of an election mode. Nobody stands for election by itself,
// but for the founder of the set, which is alone: its users come with the first leader, and
// an agent could not log in before.
func (c *Core) supervisedMode(mode raft.Mode) raft.Mode {
	switch {
	case mode != raft.Candidate && mode != raft.Manual:
		return mode
	case c.founds():
		return raft.Candidate
	}
	return raft.Manual
}

// founds tells that nobody has led yet, as far as the log tells.
func (c *Core) founds() bool {
	term, _, _ := c.limbo.Newest()
	return term == 0
}

// stepMandate ends the time of the founder with the first PROMOTE.
func (c *Core) stepMandate() {
	if m := &c.lead.mandate; c.cfg.Supervised && m.led == c.founds() {
		m.led = !m.led
		c.raft.Configure(c.raftConfig(), c.now.Mono)
	}
}

// MandateInfo is by whose word this instance leads.
type MandateInfo struct {
	Supervised bool
	Token      uint64        // the greatest of all PROMOTEs here
	Own        uint64        // by which it leads or stands; 0: it does not, or by hand
	Left       time.Duration // of its lease; 0: it has none
}

func (c *Core) mandateInfo(now time.Duration) (info MandateInfo) {
	if !c.cfg.Supervised {
		return info
	}
	m := &c.lead.mandate
	info.Supervised = true
	info.Token, _ = c.newestToken()
	if m.term == c.raft.Term() {
		info.Own, info.Left = m.token, max(m.until-now, 0)
	}
	return info
}

// tokenOf is what the PROMOTE that is written now says: the greatest token so far.
func (c *Core) tokenOf() uint64 {
	token, _ := c.newestToken()
	if m := &c.lead.mandate; m.term == c.raft.Term() {
		token = max(token, m.token)
	}
	return token
}

// releasedBy tells why a demotion by a token is refused.
func (c *Core) releasedBy(token uint64) *xrow.Error {
	if token == 0 {
		return nil // whatever it leads by
	}
	if err := c.checkMandate(&Mandate{Token: token, Lease: MinLease}); err != nil {
		return err
	}
	if m := &c.lead.mandate; m.token == token && m.term == c.raft.Term() {
		return nil
	}
	newest, _ := c.newestToken()
	return xrow.Errorf(xrow.ErrOldToken, token, newest, "this instance does not lead by it")
}

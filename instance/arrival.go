package instance

import (
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// arrival is a transaction on its way into the log: of a peer's stream or, in
// recovery, of our own log. It is decoded once, when it arrives, and judged once.
type arrival struct {
	rows    []xrow.Row
	dml     []xrow.DML   // of each row, by its place; of those that are no statement nothing
	synchro xrow.Synchro // of a row that acts on the queue: it is alone
	bad     int          // the row that does not decode
	err     error        // why; nil: all do
	empty   bool         // it consists of NOPs
	ddl     bool         // it writes a system space
	copied  bool         // it writes a space whose base copy is not here yet

	logged  bool   // recovery: it is in our log, so it was judged when it came
	frames  []byte // recovery: the rows as they are in the log; nil: they were changed since
	partial bool   // recovery: it was open at a checkpoint, and CONFIRMs between such rows are gone
}

// arrive decodes the first transaction of rows, as far as decoded does not have
// that already. Without rows of its own it lacks the last one. It is valid until
// the next one.
func (c *Core) arrive(rows []xrow.Row, decoded []statement) arrival {
	a := arrival{dml: c.statements[:0], empty: true, logged: c.replay, partial: c.restoring}
	for i := range rows {
		r := &rows[i]
		var s statement
		switch {
		case r.Type.IsSynchro():
			a.synchro, s.err = xrow.DecodeSynchro(r.Body)
		case decoded != nil:
			s = decoded[i]
		case r.Type.IsDML():
			s.dml, s.err = xrow.DecodeDML(r.Type, r.Body)
		}
		a.ddl = a.ddl || r.Type.IsDML() && s.err == nil && c.box.IsDDLSpace(s.dml.SpaceID)
		if s.err != nil && a.err == nil {
			a.bad, a.err = i, s.err
		}
		a.dml = append(a.dml, s.dml)
		a.empty = a.empty && r.Type == xrow.Nop
		if r.Flags&xrow.FlagCommit != 0 {
			a.rows = rows[:i+1]
			break
		}
	}
	c.statements = a.dml
	return a
}

func (a *arrival) last() *xrow.Row { return &a.rows[len(a.rows)-1] }

// stamp gives all rows a term.
func (a *arrival) stamp(term uint64) {
	a.frames = nil
	for i := range a.rows {
		a.rows[i].Term = term
	}
}

// isSync tells whether the transaction is synchronous: it says so, or it writes a
// synchronous space.
func (a *arrival) isSync(tx *box.Txn) bool {
	return a.last().Flags&xrow.FlagWaitAck != 0 || tx.IsSync()
}

// verdict is what becomes of an arrival.
type verdict struct {
	rules terms.Rules // by which it was judged, and is to be taken
	of    limbo.Verdict
	row   limbo.Row // what the limbo was asked
}

// judge says what becomes of an arrival. All that is particular to recovery is here.
func (c *Core) judge(a *arrival) (v verdict, err error) {
	r := &a.rows[0]
	synchro := r.Type.IsSynchro()
	switch {
	case synchro && a.synchro.Rules != xrow.RulesStrong && r.Type == xrow.Promote && c.share.filter != "":
		return v, refuseRules(c.share.filter)
	case synchro && a.err != nil:
		return v, a.err
	case synchro && a.synchro.ReplicaID >= vclock.Max:
		return v, protocolError(fmt.Sprintf("%v of instance %d, which cannot be", r.Type, a.synchro.ReplicaID))
	case r.Term == 0:
		c.restamp(a)
	}
	if a.logged && r.Type != xrow.Promote {
		c.ownWrote(r.ReplicaID)
	}
	v.rules = c.rulesOf(a)
	if synchro && v.rules == terms.Tarantool {
		if r.Type != xrow.Demote && !a.logged && c.strongAlone() {
			return v, protocolError(r.Type.String() + " by Tarantool's rules, where no member is a Tarantool")
		}
		if err := c.checkTerm(a.synchro.Term); err != nil {
			return v, err
		}
	}
	v.row = c.rowOf(a, v.rules)
	if v.of, err = c.limbo.Judge(v.rules, v.row); err != nil {
		err = c.refusal(err)
	}
	return v, err
}

// restamp gives a transaction that came through a Tarantool, which drops stamps, its
// term back, as far as the history of PROMOTEs tells it.
func (c *Core) restamp(a *arrival) {
	r := &a.rows[0]
	switch term := c.limbo.TermOf(r.ReplicaID, r.LSN); {
	case c.cfg.Kind == xrow.Tarantool:
	case r.Type == xrow.Promote && a.synchro.Rules == xrow.RulesStrong:
		a.stamp(a.synchro.Term) // its author may have led before
	case term != 0:
		a.stamp(term)
	}
}

// rulesOf are the rules that an arrival is judged by. A PROMOTE says it itself. A
// stamp says of which term the others are; those without one are Tarantool's,
// where they could be of a time when its rules held.
func (c *Core) rulesOf(a *arrival) terms.Rules {
	r := &a.rows[0]
	switch {
	case c.cfg.Kind == xrow.Tarantool, r.Type == xrow.Demote, r.Type == xrow.Rollback:
		return terms.Tarantool
	case r.Type == xrow.Promote && a.synchro.Rules == xrow.RulesStrong:
		return terms.Strong
	case r.Type == xrow.Promote:
		return terms.Tarantool
	case r.Term != 0:
		return c.limbo.RulesOf(r.Term)
	case r.Type == xrow.Confirm, c.limbo.Current().Term == 0, c.limbo.Mixed(), c.members.kinds.tarantools&(1<<r.ReplicaID) != 0:
		return terms.Tarantool
	}
	return terms.Strong
}

// kinds are the types of rows that act on the queue, as the limbo calls them.
var kindsOf = [...]limbo.Kind{xrow.Confirm: limbo.Confirmation, xrow.Rollback: limbo.Rollback, xrow.Promote: limbo.Promotion, xrow.Demote: limbo.Demotion}

// rowOf is what the limbo needs to know of an arrival.
func (c *Core) rowOf(a *arrival, rules terms.Rules) limbo.Row {
	r, s := &a.rows[0], &a.synchro
	l := limbo.Row{Kind: kindsOf[r.Type], Origin: r.ReplicaID, LSN: r.First(), Term: r.Term, Taken: a.logged, Partial: a.partial,
		WaitSync: a.last().Flags&xrow.FlagWaitSync != 0, Empty: a.empty}
	if l.Kind == limbo.Transaction {
		return l
	}
	l.Owner, l.UpTo, l.Begins, l.PrevTerm, l.Known = s.ReplicaID, s.LSN, s.Term, s.PrevTerm, c.out.vclock[s.ReplicaID]
	l.At = terms.Micros(r.Timestamp)
	if l.Kind == limbo.Promotion || l.Kind == limbo.Demotion {
		began := beganBy(s.Move, l.At)
		l.Began = &began
	}
	if rules == terms.Strong {
		l.UpTo, l.Named = s.Strong(), s.LSN
		return l
	}
	l.Taken = l.Taken || c.members.oldSchema // as in Tarantool, which filters from 2.10.1 on
	if c.cfg.Kind == xrow.Tarantool {
		l.PrevTerm = 0
	} else {
		// A PROMOTE of ours is pending until a quorum has it, or until a later row of
		// ours says that one had.
		l.Pending = a.logged && l.Kind == limbo.Promotion && r.ReplicaID == c.ownID()
	}
	return l
}

// ownWrote: recovery finds a row of ours behind our pending PROMOTE. We wrote it
// because a quorum had that.
func (c *Core) ownWrote(origin uint32) {
	if p, ok := c.limbo.OwnPending(); ok && p.Owner == origin && !c.restoring {
		if err := c.confirm(p.Term, 0); err != nil {
			panic("instance: " + err.Error())
		}
	}
}

// ownID is our replica ID, in recovery too.
func (c *Core) ownID() uint32 {
	if c.members.self != 0 {
		return c.members.self
	}
	for _, m := range c.box.NewestMembers() {
		if m.UUID == c.cfg.UUID {
			return m.ID
		}
	}
	return 0
}

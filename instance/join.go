package instance

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// joinRequest registers a joiner, if that is needed, and gives it the state
// once its registration is committed: it is a learner then, and counts for
// nothing yet. A member that still has its store gets the state at once, from
// anybody: a candidate may need its vote, or a leader its ack, before anything
// can be written.
func (c *Core) joinRequest(ev JoinRequest) {
	err := c.refuseFeature(&ev)
	if err == nil {
		err = c.refuseReplica(&ev)
	}
	if err != nil {
		c.eff.failJoin(&ev, err)
		return
	}
	known := ev.anonymous() && c.knowsReplica(&ev) || !ev.anonymous() && c.members.knows(&ev)
	switch {
	case known && c.gate.awaitsWelcome(&ev):
		return
	case known && ev.Kind == JoinID:
		c.eff.failJoin(&ev, xrow.Errorf(xrow.ErrReplicaNotAnon, ev.UUID))
		return
	case known:
		c.registered(&ev)
		return
	}
	if err := c.refuseRegistration(&ev); err != nil {
		c.eff.failJoin(&ev, err)
		return
	}
	j := ev
	r := Request{Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		if j.anonymous() {
			return nil, c.registerReplica(tx, &j)
		}
		return nil, c.register(tx, &j)
	}}
	if c.gate.barrier || c.limbo.Len() > 0 || c.gate.build != nil || c.gate.moving {
		c.gate.joins = append(c.gate.joins, j)
		return
	}
	c.execute(&r, &j)
}

// refuseRegistration tells why no row can be written for a joiner now.
func (c *Core) refuseRegistration(j *JoinRequest) *xrow.Error {
	switch {
	case j.anonymous():
		if err := c.refuseOwnChange(); err != nil {
			return notRegistered(j, err)
		}
		return nil
	case !c.writable():
		return c.readonly()
	}
	return c.cfg.refuseMember(j, c.box.NewestMembers())
}

// knows tells whether the joiner is a member under its present incarnation and
// name, by a committed row.
func (m *members) knows(j *JoinRequest) bool {
	for _, o := range m.ids {
		if o.UUID == j.UUID {
			return o.Incarnation == j.Incarnation && !renamed(&o, j)
		}
	}
	return false
}

// renamed tells whether a joiner has a name that its row does not have. It
// asks for it by REGISTER: a member that joins anew may need the state before
// anything can be written.
func renamed(m *box.Member, j *JoinRequest) bool {
	return j.Kind == JoinID && j.Name != "" && j.Name != m.Name
}

// register writes the joiner's _cluster row unless it is there: same uuid,
// same incarnation. A joiner with the name of a member that gives no word is
// that member's next life: where the configuration gives no uuid, one that lost
// its disk has a new one, and only its name tells who it was.
func (c *Core) register(tx *box.Txn, j *JoinRequest) error {
	var used uint32
	var old, namesake *box.Member
	members := c.box.NewestMembers()
	for i := range members {
		m := &members[i]
		used |= 1 << m.ID
		if m.UUID == j.UUID {
			old = m
		} else if j.Name != "" && m.Name == j.Name {
			namesake = m
		}
	}
	if namesake != nil {
		if old != nil || namesake.ID == c.members.self || c.raft.Live(c.now.Mono, namesake.ID) {
			return xrow.Errorf(xrow.ErrInstanceNameDuplicate, j.Name, namesake.UUID)
		}
		old = namesake
	}
	if old != nil && old.UUID == j.UUID && old.Incarnation == j.Incarnation {
		if !renamed(old, j) {
			return nil
		}
		m := *old
		m.Name = j.Name
		return putMember(tx, xrow.Replace, m)
	}
	if old != nil && old.UUID == j.UUID && (old.ID == c.members.self || c.raft.Live(c.now.Mono, old.ID)) {
		return xrow.Errorf(xrow.ErrCfg, "instance_uuid", fmt.Sprintf("%s is that of instance %d, which is alive", j.UUID, old.ID))
	}
	if cur := c.limbo.Current(); xrow.KindOf(j.Incarnation) == xrow.Tarantool && cur.Rules == terms.Strong && !c.cfg.AllowTarantool {
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: "This replica set has the strong rules of failover, which a member" +
			" of Tarantool's kind does not know; tarragon.allow_tarantool lets it in and gives them up"}
	}
	if FindReplica(c.replicas, j.UUID) != nil { // it has all, or was dropped
		if _, err := tx.DeleteOwn(&box.OwnReplica, j.UUID); err != nil {
			return err
		}
	}
	if old != nil && c.members.kinds.tarantools&^(1<<old.ID) != 0 {
		return c.renew(tx, old, j)
	}
	id := c.members.freeID(used, readLastID(c.box.NewestSetting(lastIDKey)), &c.out.vclock)
	if id == 0 {
		return xrow.Errorf(xrow.ErrReplicaMax, vclock.Max)
	}
	if old != nil {
		if err := deleteMember(tx, old.ID); err != nil {
			return err
		}
		c.trace(FactNewLife, old.ID, uint64(id), j.UUID)
	}
	m := box.Member{ID: id, UUID: j.UUID, Name: j.Name, Incarnation: j.Incarnation, Learner: xrow.KindOf(j.Incarnation) == xrow.Tarragon && c.underStrong()}
	if err := putMember(tx, xrow.Insert, m); err != nil {
		return err
	}
	c.trace(FactRegistered, id, 0, j.UUID)
	return nil
}

// renew gives a joiner the row of its former life, as Tarantool does. Members
// of that kind take nothing else: they keep a name until the transaction that
// deletes its row is over, so one that also inserts it would stop their stream.
func (c *Core) renew(tx *box.Txn, old *box.Member, j *JoinRequest) error {
	name := j.Name
	if name == "" {
		name = old.Name
	}
	if err := putMember(tx, xrow.Replace, box.Member{ID: old.ID, UUID: j.UUID, Name: name, Incarnation: j.Incarnation}); err != nil {
		return err
	}
	c.trace(FactNewLife, old.ID, uint64(old.ID), j.UUID)
	return nil
}

// registered: the row that registers a joiner is committed, so it may have the
// state, or the word that it is registered.
func (c *Core) registered(j *JoinRequest) {
	s := Snapshot{Tag: j.Tag, State: c.joinState()}
	for _, m := range c.members.ids {
		if m.UUID == j.UUID {
			s.ID = m.ID
		}
	}
	if s.ID == 0 && !j.anonymous() {
		c.eff.failJoin(j, xrow.Errorf(xrow.ErrCannotRegister))
		return
	}
	if s.State.Vote == 0 {
		s.State.Vote = s.ID // no leader is known: it votes for nobody else in this term
	}
	if err := c.narrow(j, &s.State); err != nil {
		c.eff.failJoin(j, err)
		return
	}
	if j.Kind != JoinID && j.Kind != JoinReplica {
		s.View = c.box.OpenView()
		if s.State.Share != nil {
			s.View.Narrow(s.State.Share)
		}
	}
	if l := c.members.learner(s.ID); l != nil {
		l.view, l.heard = s.View, c.now.Mono
	}
	c.eff.Snaps = append(c.eff.Snaps, s)
}

// welcome is a joiner that counts at once, as in a replica set with Tarantool
// members, and whose registration is committed.
type welcome struct {
	join *JoinRequest
	lsn  uint64       // of the row that tells so
	of   limbo.Quorum // of the members before the change
}

// joinState is the state behind what is decided, and the rows that are not:
// the log that had them may be gone. Our own go with it only if they are on
// our disk. The term goes first; the vote is for the leader, so that nobody
// votes in the term in which it is registered.
func (c *Core) joinState() State {
	v := c.Decided()
	s := State{VClock: v, Term: c.raft.Term(), History: slices.Clone(c.limbo.History()), Confirmed: c.limbo.Confirmed(),
		ConfirmedOf: c.limbo.ConfirmedOf()}
	s.Vote = c.raft.Leader() // ourselves, if we lead
	if n := len(s.History); n > 0 {
		s.History[n-1].Last = min(s.History[n-1].Last, v[s.History[n-1].Owner])
	}
	return s
}

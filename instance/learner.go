package instance

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// learner is what a leader knows of a member that does not count yet. It makes a
// voter of one that keeps up: that acked, within a death timeout, all that our
// log had when that time began (Raft thesis, 4.2.1). Counted earlier, it would
// be part of each quorum and could help none.
type learner struct {
	id     uint32
	uuid   string
	mark   vclock.VClock // what our log had at
	markAt time.Duration // this time; 0: nothing is marked
	heard  time.Duration // its last word, or when we began to listen
	view   *box.View     // the state that it takes from us, though the view may be closed by now; nil: none
	due    bool          // the change that makes a voter of it waits for its turn
}

// noteLearners follows the confirmed rows.
func (m *members) noteLearners(at time.Duration) {
	var now []learner
	for _, o := range m.ids {
		if !o.Learner || !isID(o.ID) {
			continue
		}
		l := learner{id: o.ID, uuid: o.UUID, heard: at}
		if old := m.learner(o.ID); old != nil && old.uuid == o.UUID {
			l = *old
		}
		now = append(now, l)
	}
	m.learners = now
}

func (m *members) learner(id uint32) *learner {
	for i := range m.learners {
		if m.learners[i].id == id {
			return &m.learners[i]
		}
	}
	return nil
}

// joinsAsLearner tells whether a joiner whose row is committed does not count.
func (m *members) joinsAsLearner(j *JoinRequest) bool {
	for i := range m.learners {
		if m.learners[i].uuid == j.UUID {
			return true
		}
	}
	return false
}

// listenToLearners begins to measure them: a leadership begins.
func (m *members) listenToLearners(now time.Duration) {
	for i := range m.learners {
		m.learners[i].heard, m.learners[i].markAt, m.learners[i].due = now, 0, false
	}
}

// viewClosed: a transfer of the state has ended.
func (m *members) viewClosed(v *box.View, now time.Duration) {
	for i := range m.learners {
		if l := &m.learners[i]; l.view == v {
			l.view, l.heard = nil, now
		}
	}
}

// heardLearner takes an ack of one. A leader whose PROMOTE is not in effect may
// change nothing yet, however early a learner has that.
func (c *Core) heardLearner(id uint32) {
	l := c.members.learner(id)
	if l == nil || !c.writable() {
		return
	}
	l.heard = c.now.Mono
	if l.due {
		return
	}
	if l.markAt == 0 {
		l.mark, l.markAt = c.out.vclock.Global(), c.now.Mono
	}
	if !c.peers.acked[id].Covers(&l.mark) {
		return
	}
	if l.due = c.now.Mono-l.markAt <= c.cfg.DeathTimeout; l.due {
		c.gate.chores = append(c.gate.chores, Request{Barrier: true, Internal: true, Do: c.promoteLearner(id, l.uuid)})
	}
	l.markAt = 0
}

// promoteLearner makes a voter of it, unless it is one or gone by now.
func (c *Core) promoteLearner(id uint32, uuid string) func(*box.Txn) ([]byte, error) {
	return func(tx *box.Txn) ([]byte, error) {
		for _, m := range c.box.NewestMembers() {
			if m.ID != id || m.UUID != uuid || !m.Learner {
				continue
			}
			c.trace(FactVoter, id, 0, uuid)
			m.Learner = false
			return noValues, putMember(tx, xrow.Replace, m)
		}
		return noValues, nil
	}
}

// expireLearners lets those go that gave no word for too long: whoever asked
// for them has given up, and an ID and the log that they need are held for them.
func (c *Core) expireLearners() {
	for i := range c.members.learners {
		l := &c.members.learners[i]
		if l.view != nil {
			l.heard = c.now.Mono
		}
		if !c.lead.leading || c.now.Mono < l.heard+c.cfg.LearnerTimeout {
			continue
		}
		l.heard = c.now.Mono
		id, uuid := l.id, l.uuid
		c.gate.chores = append(c.gate.chores, Request{Barrier: true, Internal: true, Do: func(tx *box.Txn) ([]byte, error) {
			for _, m := range c.box.NewestMembers() {
				if m.ID == id && m.UUID == uuid && m.Learner {
					c.trace(FactLearnerGone, id, 0, uuid)
					return noValues, deleteMember(tx, id)
				}
			}
			return noValues, nil
		}})
	}
}

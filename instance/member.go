package instance

import (
	"fmt"
	"math/bits"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// spaceCluster is _cluster: [id, uuid, name, incarnation, learner]; the last two
// fields are ours.
const spaceCluster = 320

// bootstrap makes an empty instance the first of a replica set. The rows are
// without a term: decided by this write.
func (c *Core) bootstrap(ev BootstrapRows) {
	c.members.self = ev.ID
	c.seq++
	tx := c.box.Begin(c.seq)
	for i := range ev.Rows {
		if err := tx.ExecuteInternal(&ev.Rows[i]); err != nil {
			panic(fmt.Sprintf("instance: bootstrap row of space %d: %v", ev.Rows[i].SpaceID, err))
		}
	}
	c.submit(c.author(), tx, &Request{}, payload{ddl: true})
}

// joinRequest registers a joiner, if that is needed, and gives it the state
// once its registration is committed: it is a learner then, and counts for
// nothing yet. A member that still has its store gets the state at once, from
// anybody: a candidate may need its vote, or a leader its ack, before anything
// can be written.
func (c *Core) joinRequest(ev JoinRequest) {
	known := ev.Kind == JoinAnon || c.members.knows(&ev)
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
	if !c.writable() {
		c.eff.failJoin(&ev, c.readonly())
		return
	}
	if err := c.cfg.refuseMember(&ev, c.box.NewestMembers()); err != nil {
		c.eff.failJoin(&ev, err)
		return
	}
	j := ev
	r := Request{Barrier: true, Do: func(tx *box.Txn) ([]byte, error) { return nil, c.register(tx, &j) }}
	if c.gate.barrier || c.limbo.Len() > 0 || c.gate.build != nil {
		c.gate.joins = append(c.gate.joins, j)
		return
	}
	c.execute(&r, &j)
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
	if cur := c.limbo.Current(); j.Incarnation == 0 && cur.Rules == limbo.Strong && !c.cfg.AllowTarantool {
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: "This replica set has the strong rules of failover, which a member" +
			" of Tarantool's kind does not know; tarragon.allow_tarantool lets it in and gives them up"}
	}
	if old != nil && c.tarantools()&^(1<<old.ID) != 0 {
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
	m := box.Member{ID: id, UUID: j.UUID, Name: j.Name, Incarnation: j.Incarnation, Learner: j.Incarnation != 0 && c.underStrong()}
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

// forgetLives drops what members said in a former life that had the same ID:
// acks of a disk that is gone, and the rules that another program knew.
func (c *Core) forgetLives(now []box.Member) {
	byID := func(all []box.Member, id uint32) (m box.Member) {
		if i := slices.IndexFunc(all, func(m box.Member) bool { return m.ID == id }); i >= 0 {
			return all[i]
		}
		return m
	}
	for _, was := range c.members.ids {
		if isID(was.ID) && byID(now, was.ID).ID == 0 {
			c.members.givenBack |= 1 << was.ID
		}
	}
	for _, m := range now {
		was := byID(c.members.ids, m.ID)
		if was.UUID == m.UUID && was.Incarnation == m.Incarnation || !isID(m.ID) {
			continue
		}
		c.peers.forget(m.ID)
		if was.ID == 0 {
			continue // what it said of itself before we knew its row holds
		}
		c.members.kinds.saidStrong &^= 1 << m.ID
		c.members.kinds.saidTarantool &^= 1 << m.ID
		if m.Incarnation != 0 && m.Incarnation == was.Incarnation {
			// A Tarantool changed the uuid alone: the mark is of the former
			// life. Until the new one speaks it may be of either kind.
			c.members.kinds.saidTarantool |= 1 << m.ID
		}
	}
}

// lastIDKey is the key in _schema of the greatest replica ID that was given back:
// [key, id]. The transaction that deletes the member with the greatest ID of all
// writes it.
const lastIDKey = "tarragon.last_id"

func lastIDTuple(id uint32) []byte {
	return msgp.AppendUint32(msgp.AppendString([]byte{0x92}, lastIDKey), id)
}

// readLastID is 0 where there is none.
func readLastID(tuple []byte) uint32 {
	fields, rest, err := msgp.ReadArrayHeaderBytes(tuple)
	if err != nil || fields < 2 {
		return 0
	}
	if rest, err = msgp.Skip(rest); err != nil {
		return 0
	}
	id, _, err := msgp.ReadUint32Bytes(rest)
	if err != nil {
		return 0
	}
	return id
}

// keepLastID writes that row if a transaction needs it.
func (c *Core) keepLastID(tx *box.Txn) error {
	if !c.underStrong() || c.members.all == 0 {
		return nil
	}
	left := uint32(0)
	for _, m := range c.box.NewestMembers() {
		left |= 1 << (m.ID % vclock.Max)
	}
	last := uint32(bits.Len32(c.members.all)) - 1
	if left>>last != 0 || readLastID(c.box.NewestSetting(lastIDKey)) >= last {
		return nil
	}
	d := xrow.DML{Type: xrow.Replace, SpaceID: spaceSchema, Tuple: lastIDTuple(last)}
	return tx.ExecuteInternal(&d)
}

// MemberTuple is a tuple of _cluster. That of an instance of Tarantool's kind,
// which has no incarnation, looks as Tarantool would write it.
func MemberTuple(id uint32, uuid, name string, incarnation uint64) []byte {
	b := msgp.AppendUint32([]byte{0x94}, id)
	b = msgp.AppendString(b, uuid)
	if incarnation == 0 {
		if b[0] = 0x92; name != "" {
			b[0]++
			b = msgp.AppendString(b, name)
		}
		return b
	}
	if name == "" {
		b = msgp.AppendNil(b)
	} else {
		b = msgp.AppendString(b, name)
	}
	return msgp.AppendUint64(b, incarnation)
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
	if s.ID == 0 && j.Kind != JoinAnon {
		c.eff.failJoin(j, xrow.Errorf(xrow.ErrCannotRegister))
		return
	}
	if s.State.Vote == 0 {
		s.State.Vote = s.ID // no leader is known: it votes for nobody else in this term
	}
	if j.Kind != JoinID {
		s.View = c.box.OpenView()
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

// releaseWelcome gives such joiners the state once a quorum of the members before
// the change has the CONFIRM of it. Else a majority that counts the joiner
// could be left in which nobody else knows that it is a member: the joiner
// knows, and the others count its vote for nothing.
func (c *Core) releaseWelcome() {
	for len(c.gate.welcome) > 0 {
		w := c.gate.welcome[0]
		switch {
		case c.author().term == 0 && c.writable(): // nobody owns the queue: its own write decided it
			c.registered(w.join)
		case !c.writable():
			c.eff.failJoin(w.join, c.readonly())
		case !c.limbo.Have(w.lsn, w.of):
			return
		default:
			c.registered(w.join)
		}
		c.gate.welcome = c.gate.welcome[1:]
	}
}

// joinState is the state behind what is decided, and the rows that are not:
// the log that had them may be gone. Our own go with it only if they are on
// our disk. The term goes first; the vote is for the leader, so that nobody
// votes in the term in which it is registered.
func (c *Core) joinState() State {
	v := c.Decided()
	s := State{VClock: v, Term: c.raft.Term(), History: toSpans(c.limbo.History()), Confirmed: c.limbo.Confirmed(),
		ConfirmedOf: c.limbo.ConfirmedOf()}
	s.Vote = c.raft.Leader() // ourselves, if we lead
	if n := len(s.History); n > 0 {
		s.History[n-1].Last = min(s.History[n-1].Last, v[s.History[n-1].Owner])
	}
	return s
}

// beforeEntry is the LSN in front of an undecided transaction's first row.
// Rows of local spaces are numbered apart.
func beforeEntry(e *entry) uint64 {
	before := e.LSN
	for _, frame := range splitFrames(e.P.frames) {
		if r, err := xrow.Decode(frame[xrow.FrameHead:]); err == nil && r.ReplicaID != 0 {
			return min(before, r.LSN-1)
		}
	}
	return before
}

// releaseChores runs registrations and other changes of our own that waited for
// a barrier. They go before requests of clients: each is short.
func (c *Core) releaseChores() {
	g := &c.gate
	if g.choresWait() && !c.writable() {
		g.failChores(&c.eff, c.readonly())
		c.members.listenToLearners(c.now.Mono) // what was to make voters of them is among those
	}
	for len(g.joins) > 0 && c.limbo.Len() == 0 && g.build == nil {
		c.joinRequest(g.takeJoin())
	}
	for len(g.chores) > 0 && c.limbo.Len() == 0 && g.build == nil {
		r := g.takeChore()
		c.execute(&r, nil)
	}
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

// freeID is the replica ID of a new member: one above all that were ever given,
// as far as that is known. Who had an ID before may be alive and not know that it
// has gone: its acks and votes would be those of the new member, and rows that
// only it holds would have the same LSNs. Only when there is no room above are
// freed ones taken, those without a known LSN first. held is what this instance has
// of each.
func (m *members) freeID(used, last uint32, held *vclock.VClock) uint32 {
	known := used | m.givenBack
	for id := uint32(1); id < vclock.Max; id++ {
		if held[id] != 0 {
			known |= 1 << id
		}
	}
	if top := max(uint32(bits.Len32(known&^1)), last+1); top < vclock.Max {
		return top
	}
	for _, taken := range [...]uint32{known, used} {
		if id := uint32(bits.TrailingZeros32(^(taken | 1))); id < vclock.Max {
			return id
		}
	}
	return 0
}

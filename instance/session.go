package instance

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// An exactly-once session is a row of _tarragon_session, [session, 0, slots, user, nil],
// and one row for each of its slots that was used (docs/protocol/sessions.md). The first
// session of all makes the space, behind a barrier; its rows are none.

// Bounds of sessions. A slot keeps an answer of at most maxAnswer bytes, so that they take 150 MiB at most.
const (
	MaxSlots          = 1 << 10 // of one session
	maxUserSessions   = 1 << 10 // of one user
	maxSlotsOfAll     = 1 << 15 // of all sessions together
	maxSessionsAtOnce = 16      // idle ones that end at one beat
)

// DefaultSessionIdle is how long a session lives without a request.
const DefaultSessionIdle = 10 * time.Minute

// OpenSession opens an exactly-once session (tarragon.session.open). The answer is its ID.
type OpenSession struct {
	Conn, Sync uint64
	User       box.Credentials
	Slots      uint64
}

// CloseSession ends one (tarragon.session.close). It has no answer.
type CloseSession struct {
	Conn, Sync uint64
	User       box.Credentials
	ID         string
}

func (OpenSession) event()  {}
func (CloseSession) event() {}

// session is one that is open by the newest rows.
type session struct {
	key   string // its ID without the UUID
	user  uint32
	slots int
	used  time.Duration // when it was asked for last, by our clock
}

// sessions are what the leader has beside the rows: when each was used, and how many
// there are. Nobody else changes the rows in its term, and what it has is of this
// term alone, or it would judge idleness by what it did not see.
//
// Invariant: of the term it has each session of the newest rows that was asked for or read, once reading is whole
// so all, and maybe some more whose opening has failed, which end as idle ones do.
type sessions struct {
	term  uint64 // 0: nothing is known
	uuid  string // of the replica set, and the slash behind it
	all   []*session
	byKey map[string]*session
	slots int          // of all
	count SessionCount // what is counted since the start
	key   []byte
	row   []byte

	reading reading
	opening []OpenSession // that wait until all is read: there are only so many
}

// reading is how far the rows were read in a term: in slices, for a Step would take too long for all. What asks
// for a session that is there needs none of that.
type reading struct {
	whole  bool
	behind []byte        // the session that was read last, raw; nil: none was
	at     time.Duration // when the next slice is due
}

const (
	slicePause    = time.Millisecond
	sliceSessions = 256 // in a slice
)

func (s *sessions) add(o *session) {
	s.all = append(s.all, o)
	s.byKey[o.key] = o
	s.slots += o.slots
}

func (s *sessions) remove(o *session) {
	for i := range s.all {
		if s.all[i] == o {
			s.all = append(s.all[:i], s.all[i+1:]...)
			delete(s.byKey, o.key)
			s.slots -= o.slots
			return
		}
	}
}

// ofUser is how many sessions a user has, and how many slots these have.
func (s *sessions) ofUser(user uint32) (n, slots int) {
	for _, o := range s.all {
		if o.user == user {
			n++
			slots += o.slots
		}
	}
	return n, slots
}

// refuse is why a user gets no further session of so many slots; nil: he does. Behind it he has no more slots than are
// left to all others: so however many of them take what they can get, there is some for the next one.
func (s *sessions) refuse(user uint32, slots int) error {
	n, has := s.ofUser(user)
	switch left := maxSlotsOfAll - s.slots - slots; {
	case n >= maxUserSessions:
		return tooMany("user has %d exactly-once sessions", maxUserSessions)
	case left < 0:
		return tooMany("exactly-once sessions have %d of %d slots", s.slots, maxSlotsOfAll)
	case has+slots > left:
		return tooMany("user has %d slots of exactly-once sessions, and of %d more he would leave %d to others", has, slots, left)
	}
	return nil
}

// slotKey is the primary key of a slot's row; it is valid until the next one.
func (s *sessions) slotKey(session string, slot uint64) []byte {
	s.key = msgp.AppendUint64(msgp.AppendString(append(s.key[:0], 0x92), session), slot)
	return s.key
}

// keyOf is an ID without the UUID, which must be ours.
func (s *sessions) keyOf(id string) (key string, ok bool) {
	if len(id) <= len(s.uuid) || id[:len(s.uuid)] != s.uuid {
		return "", false
	}
	return id[len(s.uuid):], true
}

// learnSessions begins to read the rows where we have not in this term. They are used from
// now on: who led before knows when they were, and nobody else.
func (c *Core) learnSessions() {
	s := &c.sessions
	if s.term == c.raft.Term() {
		return
	}
	*s = sessions{term: c.raft.Term(), uuid: c.box.ReplicasetUUID() + "/", byKey: map[string]*session{}, count: s.count, key: s.key, row: s.row, opening: s.opening}
	s.reading = reading{whole: !c.box.HasOwn(&box.OwnSession), at: c.now.Mono}
}

// readSessions reads on, until all is read or so many sessions are.
func (c *Core) readSessions(most int) {
	s := &c.sessions
	for ; most > 0 && !s.reading.whole; most-- {
		tuple := c.box.NewestOwnBehind(&box.OwnSession, s.reading.behind)
		if tuple == nil {
			s.reading.whole = true
			return
		}
		_, at := mp.ArrayOf(tuple)
		s.reading.behind = append(s.reading.behind[:0], mp.First(tuple[at:])...)
		if r := readSlot(tuple); r.slot == 0 && !r.bad {
			c.meetSession(r.session, &r)
		}
	}
}

// meetSession is a session that is there, by its own row.
func (c *Core) meetSession(key string, r *slotRow) *session {
	s := &c.sessions
	o := s.byKey[key]
	if o == nil {
		o = &session{key: key, user: r.user(), slots: int(min(r.number, MaxSlots)), used: c.now.Mono}
		s.add(o)
	}
	return o
}

// stepSessions reads a slice, and answers who waits for all.
func (c *Core) stepSessions() {
	s := &c.sessions
	leads := c.lead.leading && s.term == c.raft.Term()
	if leads && !s.reading.whole && c.now.Mono >= s.reading.at {
		c.readSessions(sliceSessions)
		s.reading.at = c.now.Mono + slicePause
	}
	if len(s.opening) == 0 || leads && !s.reading.whole {
		return
	}
	all := s.opening
	s.opening = nil
	for _, ev := range all {
		c.openSession(ev)
	}
}

// sessionsAt is when the next slice is due; 0: none is.
func (c *Core) sessionsAt() time.Duration {
	if s := &c.sessions; c.lead.leading && s.term == c.raft.Term() && !s.reading.whole {
		return s.reading.at
	}
	return 0
}

// SessionCount is the exactly-once sessions that are open, as the leader knows them, and what became of
// them and of their requests here since the start.
type SessionCount struct {
	Known       bool // we lead, and have read them: Open and Slots are so
	Open, Slots int
	Repeats     uint64 // requests that were given a stored answer
	Idle        uint64 // sessions that were ended because nobody used them
}

func (c *Core) sessionCount() SessionCount {
	s := &c.sessions
	n := s.count
	if n.Known = c.lead.leading && s.term != 0 && s.term == c.raft.Term() && s.reading.whole; n.Known {
		n.Open, n.Slots = len(s.all), s.slots
	}
	return n
}

// slotRow is a row as its tuple tells it. What points into the tuple is not to be kept.
type slotRow struct {
	session        string
	slot, number   uint64
	digest, answer []byte // raw
	bad            bool   // it is not there, or this version cannot read it
}

func readSlot(tuple []byte) (s slotRow) {
	r := filterReader{b: tuple}
	if r.array() < 5 {
		return slotRow{bad: true}
	}
	s.session, s.slot, s.number = r.string(), r.uint(), r.uint()
	if s.bad = r.bad; s.bad {
		return s
	}
	n := mp.Skip(r.b, 0)
	s.digest, s.answer = r.b[:n], mp.First(r.b[n:])
	return s
}

// user of a session's own row.
func (s *slotRow) user() uint32 {
	v, _, _ := mp.ReadUint(s.digest)
	return uint32(v)
}

// refuseSessions tells why there are no sessions here now; nil: there are.
func (c *Core) refuseSessions() error {
	if err := c.refuseOwnSpace(&box.OwnSession); err != nil {
		return err
	}
	if !c.underStrong() {
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: "Exactly-once sessions need the strong rules of failover: an instance of Tarantool is a member of the replica set"}
	}
	return nil
}

// openSession is tarragon.session.open.
func (c *Core) openSession(ev OpenSession) {
	if err := c.refuseOwnChange(); err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	if ev.Slots == 0 || ev.Slots > MaxSlots {
		c.eff.reply(ev.Conn, ev.Sync, nil, &xrow.Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf("a session has 1 to %d slots, not %d", MaxSlots, ev.Slots)})
		return
	}
	if c.box.HasOwn(&box.OwnSession) {
		if c.learnSessions(); !c.sessions.reading.whole {
			c.sessions.opening = append(c.sessions.opening, ev)
			return
		}
	}
	r := Request{Conn: ev.Conn, Sync: ev.Sync, User: ev.User, IsSync: true, Do: func(tx *box.Txn) ([]byte, error) {
		if err := tx.Schema().CheckUser(ev.User); err != nil {
			return nil, err
		}
		if err := c.refuseSessions(); err != nil {
			return nil, err
		}
		c.learnSessions()
		c.readSessions(math.MaxInt) // of a newer term than that in which it began to wait
		s, user := &c.sessions, ev.User.User()
		if err := s.refuse(user, int(ev.Slots)); err != nil {
			return nil, err
		}
		if _, err := tx.MakeOwn(&box.OwnSession); err != nil {
			return nil, err
		}
		o := &session{user: user, slots: int(ev.Slots), used: c.now.Mono}
		lsn := c.out.vclock[c.members.self] + uint64(len(tx.Rows())) + 1 // of the row that follows
		o.key = strconv.FormatUint(uint64(c.members.self), 10) + "/" + strconv.FormatUint(lsn, 10)
		b := msgp.AppendUint64(append(msgp.AppendString([]byte{0x95}, o.key), 0), ev.Slots)
		if err := tx.PutOwn(&box.OwnSession, append(msgp.AppendUint32(b, user), 0xc0)); err != nil {
			return nil, err
		}
		s.add(o)
		return msgp.AppendString([]byte{0xdd, 0, 0, 0, 1}, s.uuid+o.key), nil
	}}
	if !c.box.HasOwn(&box.OwnSession) {
		r.Barrier = true
		c.gate.chores = append(c.gate.chores, r)
		return
	}
	c.write([]Request{r})
}

func tooMany(format string, args ...any) error {
	return &xrow.Error{Code: xrow.ErrUnsupported, Message: "No more sessions: " + fmt.Sprintf(format, args...)}
}

// closeSession is tarragon.session.close.
func (c *Core) closeSession(ev CloseSession) {
	if err := c.refuseOwnChange(); err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	c.write([]Request{{Conn: ev.Conn, Sync: ev.Sync, User: ev.User, IsSync: true, Do: func(tx *box.Txn) ([]byte, error) {
		if err := tx.Schema().CheckUser(ev.User); err != nil {
			return nil, err
		}
		c.learnSessions()
		key, ok := c.sessions.keyOf(ev.ID)
		if ok {
			_, ok = c.sessionRow(tx, key, ev.User)
		}
		if !ok {
			return nil, xrow.Errorf(xrow.ErrNoSession, shortID(ev.ID))
		}
		return noValues, c.endSession(tx, key)
	}}})
}

// sessionRow is the row of a session that a user has open.
func (c *Core) sessionRow(tx *box.Txn, key string, user box.Credentials) (r slotRow, ok bool) {
	tuple := tx.OwnAt(&box.OwnSession, c.sessions.slotKey(key, 0))
	if tuple == nil {
		return r, false
	}
	r = readSlot(tuple)
	return r, !r.bad && r.user() == user.User()
}

// endSession deletes the rows of a session.
func (c *Core) endSession(tx *box.Txn, key string) error {
	s := &c.sessions
	tuple := tx.OwnAt(&box.OwnSession, s.slotKey(key, 0))
	if o := s.byKey[key]; o != nil {
		s.remove(o)
	}
	if tuple == nil {
		return nil
	}
	r := readSlot(tuple)
	for slot := range min(r.number, MaxSlots) + 1 {
		if _, err := tx.DeleteOwnAt(&box.OwnSession, s.slotKey(key, slot)); err != nil {
			s.term = 0 // it is there still
			return err
		}
	}
	return nil
}

// endSessionsOf ends those of a user who is dropped, in the same transaction: the number of a
// user is given again.
func (c *Core) endSessionsOf(tx *box.Txn) error {
	if !c.lead.leading || !c.box.HasOwn(&box.OwnSession) {
		return nil
	}
	for _, row := range tx.Rows() {
		if row.DML.SpaceID != xrow.SpaceUser || row.DML.Type != xrow.Delete {
			continue
		}
		c.learnSessions()
		c.readSessions(math.MaxInt) // a user is hardly ever dropped as soon as somebody leads
		user := keyPart(row.DML.Key, 0)
		for i := len(c.sessions.all) - 1; i >= 0; i-- {
			if o := c.sessions.all[i]; o.user == user {
				if err := c.endSession(tx, o.key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// endIdle ends sessions that nobody has used for long, some at each beat.
func (c *Core) endIdle() {
	if !c.lead.leading || !c.writable() || c.gate.shut() || !c.box.HasOwn(&box.OwnSession) {
		return
	}
	c.learnSessions()
	s := &c.sessions
	if !s.reading.whole {
		return
	}
	var idle []string
	for i := 0; i < len(s.all) && len(idle) < maxSessionsAtOnce; i++ {
		if o := s.all[i]; c.now.Mono-o.used >= c.cfg.SessionIdle {
			idle = append(idle, o.key)
		}
	}
	for _, key := range idle {
		c.trace(FactSessionIdle, 0, 0, key)
		s.count.Idle++
		c.execute(&Request{Internal: true, IsSync: true, Do: func(tx *box.Txn) ([]byte, error) {
			return noValues, c.endSession(tx, key)
		}}, nil)
	}
}

// shortID bounds what is repeated of a foreign ID.
func shortID(id string) string { return id[:min(len(id), 100)] }

// TakesNumbers tells whether requests may have numbers in this replica set. For readers.
func (c *Core) TakesNumbers() bool {
	return readFeature(c.box.Setting(featureKey)) >= box.OwnSession.Level
}

// Package session is a model of exactly-once sessions: a client that repeats what it got
// no answer to, copies that are stuck on their way and come late, and a leader that is
// deposed with rows that nobody else has. It checks every history within small bounds;
// docs/protocol/sessions.md has the rules that it tries.
//
// Two leaders, A and then B, write the rows of one session with one slot. A row of A is
// committed once B holds it, a row of B at any time, in order: what elections and quorums
// are is not this model's (see test/model). B begins with the rows of A that it holds; once its
// PROMOTE is committed these are, and the rest of A's are void. A may go on for a while without knowing it.
//
// A number stands for a request that changes data unless something is in its way, which
// other writes put there and take away. It may be the COMMIT of a transaction, too, which a repeat,
// that comes by another connection, does not find.
package session

// Kinds of rows.
const (
	rowRun   uint8 = iota + 1 // of an execution: the number, and whether it has changed data
	rowOther                  // of another client: it puts something in the way, or takes it away
	rowEnd                    // ends the session
)

type row struct {
	kind, number uint8
	ok           bool
}

// Bounds of what a state can have.
const (
	maxRows   = 6 // of a leader
	maxCopies = 5 // of requests
	maxNumber = 3
)

// Stages of a copy.
const (
	onItsWay uint8 = iota
	waits          // for the fate of a row, of an execution or of the end of the session
	over
)

// copied is a request as it was sent once.
type copied struct {
	number uint8
	repeat bool
	to     uint8 // the leader
	stage  uint8
	row    uint8 // that it waits for
	fate   uint8 // the row whose fate it is given
}

// Answers to a number.
const (
	toldNothing uint8 = iota
	toldDone
	toldFailed // nothing was changed, nor will be
)

const (
	leaderA = 0
	leaderB = 1
	nobody  = 2
)

// idleLimit is after how many ticks without a request a session ends.
const idleLimit = 2

// state of everything. Rows are numbered from 0 by their leader.
type state struct {
	rows    [2][maxRows]row
	n       [2]uint8 // rows written
	c       [2]uint8 // committed
	held    uint8    // rows of A that B holds
	elected bool     // B has written its PROMOTE: it takes no row of A any more
	leads   bool     // that is committed
	deposed bool     // A knows

	copies [maxCopies]copied
	sent   uint8
	number uint8            // the client's newest
	newest uint8            // the copy that it listens to, from 1; 0: none
	open   bool             // it waits for an answer to its number
	ended  bool             // it was told that its session is not there
	told   [maxNumber]uint8 // by number, from 1

	idle    [2]uint8 // ticks without a request, by the clock of each
	reached bool     // a copy has come to who leads since the last tick
	late    bool     // the client did not send anything in time
	ticks   uint8    // left
	others  uint8    // rows of others, left

	fault uint8
}

// Faults that are seen in a step.
const (
	faultNone uint8 = iota
	faultVoid
	faultEnded
)

// Rules are those that may be left out.
type Rules struct {
	NoRowOnFailure bool // a repeat that fails leaves no row
	LastEntry      bool // a repeat that meets its original is given the fate of the queue's last row
	NoSnapshot     bool // who takes the state from a snapshot gets the data without the table
	FollowerClock  bool // idleness counts from before the PROMOTE
	Created        bool // an unknown session is made by who asks for it
	Smaller        bool // a smaller number runs
	HearsOld       bool // a client that has repeated listens to earlier copies as well
	EndedIsCertain bool // a repeat under an ended session is told that nothing was executed
	EndedAtOnce    bool // that a session has ended is told before the row that ends it is decided
}

// Bounds of the histories.
type Bounds struct {
	Numbers, Copies, Rows, Others, Ticks int
	Commit                               bool // a repeat does not find what it is to commit
	Sleeps                               bool // the client may be late with a repeat
}

// view is what a leader has: the rows that it stands on and its own.
type view struct {
	number uint8 // of the slot; 0: it was not used
	ok     bool
	by, at uint8 // whose row, and which
	barred bool  // something is in the way
	ended  bool  // by the same row
}

func (v *view) take(r row, by, at uint8) {
	switch r.kind {
	case rowRun:
		v.number, v.ok, v.by, v.at = r.number, r.ok, by, at
	case rowOther:
		v.barred = !v.barred
	case rowEnd:
		*v = view{barred: v.barred, ended: true, by: by, at: at}
	}
}

// view of a leader. B stands on what it held of A.
func (s *state) view(leader uint8, r *Rules) (v view) {
	of := s.n[leaderA]
	if leader == leaderB {
		of = s.held
	}
	for i := range of {
		v.take(s.rows[leaderA][i], leaderA, i)
	}
	if leader == leaderB {
		if r.NoSnapshot {
			v = view{barred: v.barred, ended: v.ended, by: v.by, at: v.at}
		}
		for i := range s.n[leaderB] {
			v.take(s.rows[leaderB][i], leaderB, i)
		}
	}
	return v
}

// takes tells whether one takes writes: A does until it knows better.
func (s *state) takes(leader uint8) bool {
	if leader == leaderA {
		return !s.deposed
	}
	return s.leads
}

// committed tells what a leader knows of the fate of a row.
func (s *state) committed(leader, by, at uint8) bool {
	if by == leaderB {
		return at < s.c[leaderB]
	}
	if leader == leaderB || s.deposed {
		return s.leads && at < s.held
	}
	return at < s.c[leaderA]
}

// void likewise.
func (s *state) void(leader, by, at uint8) bool {
	return by == leaderA && leader == leaderA && s.deposed && at >= s.held
}

// executed is how often a number has changed data, by what is committed for good.
func (s *state) executed(number uint8) (n int) {
	count := func(rows []row) {
		for _, r := range rows {
			if r.kind == rowRun && r.number == number && r.ok {
				n++
			}
		}
	}
	of := s.c[leaderA]
	if s.leads {
		of = s.held
	}
	count(s.rows[leaderA][:of])
	count(s.rows[leaderB][:s.c[leaderB]])
	return n
}

// wrong says what must not be; empty: nothing is.
func (s *state) wrong(b *Bounds) string {
	for number := uint8(1); int(number) <= b.Numbers; number++ {
		n := s.executed(number)
		switch told := s.told[number-1]; {
		case n > 1:
			return "a number was executed twice"
		case told == toldDone && n == 0:
			return "a number was told to be done, and is not"
		case told == toldFailed && n > 0:
			return "a number was told to have done nothing, and has"
		}
	}
	switch s.fault {
	case faultVoid:
		return "a copy was told that its original is void, which is committed"
	case faultEnded:
		return "the session of a client that repeats in time has ended"
	}
	return ""
}

package numbers

import (
	"slices"
	"sync"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Slots are the exactly-once sessions that are open in the name of a user, for all his writes. The zero
// value has none. Its methods may be called by several goroutines.
type Slots struct {
	mu       sync.Mutex
	sessions []*Session    // that have not ended
	open     int           // their slots
	free     []Place       // of these, those that nobody has
	opening  bool          // another one is asked for
	after    time.Duration // nobody asks for another one before that
	without  bool          // and requests go without numbers until then
}

// Session is one that is open, or was.
type Session struct {
	id    string
	last  []uint64 // the newest number of each slot
	ended bool
}

// Place is a slot of a session; the zero Place is none.
type Place struct {
	of   *Session
	slot int // from 0
}

// Session is whose slot it is.
func (p Place) Session() *Session { return p.of }

// Number is a number in the slot, of a request that was not sent before.
func (p Place) Number(no uint64) xrow.Number {
	return xrow.Number{Session: p.of.id, Slot: uint64(p.slot) + 1, No: no}
}

// Sizes of sessions. Each is as large as those before it together: a user with few requests under way takes little of
// what all users of the cluster may have.
const (
	LeastSlots = 64
	mostSlots  = 1 << 10 // of one session: the instances' bound
	userSlots  = 1 << 12 // of all sessions of a user; requests beyond that wait for a slot
)

// Rests behind a session that could not be had.
const (
	restAfterRefusal = 5 * time.Second       // a user's writes go without numbers after an instance has refused one
	restLeaderless   = 50 * time.Millisecond // until somebody else may lead
)

// Step is what becomes of a request that wants a slot.
type Step uint8

// Steps.
const (
	Taken Step = iota
	Wait       // one is on its way
	Open       // the caller is to ask for a session, of so many slots, and to tell how that has ended
	None       // it goes without
)

// Take takes a slot, and the next number in it.
func (s *Slots) Take(now time.Duration) (p Place, no uint64, step Step, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		p = s.free[n-1]
		s.free = s.free[:n-1]
		p.of.last[p.slot]++
		return p, p.of.last[p.slot], Taken, 0
	}
	switch {
	case now < s.after && s.without:
		return p, 0, None, 0
	case s.opening || s.open >= userSlots || now < s.after:
		return p, 0, Wait, 0
	}
	s.opening = true
	return p, 0, Open, min(max(s.open, LeastSlots), mostSlots)
}

// Give gives a slot back.
func (s *Slots) Give(p Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.of.ended {
		s.free = append(s.free, p)
	}
}

// Gone is the end of a session. Its slots that are out end with their requests.
func (s *Slots) Gone(of *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of.ended {
		return
	}
	of.ended = true
	s.sessions = slices.DeleteFunc(s.sessions, func(o *Session) bool { return o == of })
	s.open -= len(of.last)
	kept := s.free[:0]
	for _, p := range s.free {
		if p.of != of {
			kept = append(kept, p)
		}
	}
	clear(s.free[len(kept):])
	s.free = kept
}

// Opened is a session of so many slots.
func (s *Slots) Opened(id string, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening = false
	s.open += size
	of := &Session{id: id, last: make([]uint64, size)}
	s.sessions = append(s.sessions, of)
	for i := range of.last {
		s.free = append(s.free, Place{of, size - 1 - i})
	}
}

// Sessions are the IDs of the sessions that are open.
func (s *Slots) Sessions() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.sessions {
		ids = append(ids, of.id)
	}
	return ids
}

// NotOpened is a session that could not be had. Nobody asks for another one before a time; without: requests go
// without numbers until then, and do not wait.
func (s *Slots) NotOpened(after time.Duration, without bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening, s.after, s.without = false, after, without
}

// Count is how many sessions are open, their slots, and how many of these are taken.
func (s *Slots) Count() (sessions, slots, taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions), s.open, s.open - len(s.free)
}

// Refused is a session that an instance has answered with an error.
func (s *Slots) Refused(code xrow.Code, message string, now time.Duration) {
	switch verdict, _ := Judge(Copy{}, code, message); verdict {
	case NotTaken, NotKnown: // there is a session when there is a leader
		s.NotOpened(now+restLeaderless, false)
	default:
		s.NotOpened(now+restAfterRefusal, true)
	}
}

// What instances have for sessions.
const (
	OpenCall  = "tarragon.session.open"  // of so many slots; its result is the ID
	CloseCall = "tarragon.session.close" // of an ID
	Feature   = 63                       // whoever announces it takes numbers on the same connection
)

// Grace is how long an instance has to answer what has numbers when another one leads in its place: then
// that one is asked.
const Grace = 100 * time.Millisecond

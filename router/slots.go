package router

import (
	"errors"
	"sync"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// slots are the exactly-once sessions that the router has open in the name of a user, for the
// writes of all his clients (docs/protocol/sessions.md).
//
// Invariant: a slot is with one request at a time, and each one that gets it has a greater number than
// those before. So the router never needs to know what became of an earlier one.
type slots struct {
	mu       sync.Mutex
	sessions int           // that have not ended
	open     int           // slots of sessions that have not ended
	free     []place       // of these, those that nobody has
	opening  bool          // another one is asked for
	after    time.Duration // nobody asks for another one before that
	without  bool          // and requests go without numbers until then
}

// opened is a session.
type opened struct {
	id    string
	last  []uint64 // the newest number of each slot
	ended bool
}

// place is a slot of a session; the zero place is none.
type place struct {
	of   *opened
	slot int // from 0
}

// Sizes of sessions. Each is as large as those before it together: a user with few requests under way takes little of
// what all users of the cluster may have.
const (
	leastSlots = 64
	mostSlots  = 1 << 10 // of one session: the instances' bound
	userSlots  = 1 << 12 // of all sessions of a user; requests beyond that wait for a slot
)

// restAfterRefusal is how long a user's writes go without numbers after an instance has refused a session for
// them.
const restAfterRefusal = 5 * time.Second

// slotStep is what becomes of a request that wants a slot.
type slotStep uint8

const (
	slotTaken slotStep = iota
	slotWait           // one is on its way
	slotOpen           // the caller is to ask for a session, of so many slots
	slotNone           // it goes without
)

// take takes a slot, and the next number in it.
func (s *slots) take(now time.Duration) (p place, no uint64, step slotStep, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		p = s.free[n-1]
		s.free = s.free[:n-1]
		p.of.last[p.slot]++
		return p, p.of.last[p.slot], slotTaken, 0
	}
	switch {
	case now < s.after && s.without:
		return p, 0, slotNone, 0
	case s.opening || s.open >= userSlots || now < s.after:
		return p, 0, slotWait, 0
	}
	s.opening = true
	return p, 0, slotOpen, min(max(s.open, leastSlots), mostSlots)
}

// give gives a slot back.
func (s *slots) give(p place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.of.ended {
		s.free = append(s.free, p)
	}
}

// gone is the end of a session. Its slots that are out end with their requests.
func (s *slots) gone(of *opened) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of.ended {
		return
	}
	of.ended = true
	s.sessions--
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

// hasOpened is a session of so many slots.
func (s *slots) hasOpened(id string, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening = false
	s.sessions++
	s.open += size
	of := &opened{id: id, last: make([]uint64, size)}
	for i := range of.last {
		s.free = append(s.free, place{of, size - 1 - i})
	}
}

// notOpened is a session that could not be had. Nobody asks for another one before a time; without: requests go
// without numbers until then, and do not wait.
func (s *slots) notOpened(after time.Duration, without bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening, s.after, s.without = false, after, without
}

// opening is a request of the router's own: one for a session.
type opening struct {
	of   *slots
	size int
}

const sessionOpenCall = "tarragon.session.open"

// newOpening asks for a session. It runs as the user of the backend that it goes to.
func newOpening(of *slots, size int, until time.Duration) *request {
	q := iproto.NewCarried(xrow.Call, 0)
	q.Body = xrow.AppendCall(nil, sessionOpenCall, msgp.AppendUint64([]byte{0x91}, uint64(size)))
	return &request{Carried: q, class: classCall, until: until, opens: &opening{of, size}}
}

// answered takes the answer: body is that of an instance.
func (o *opening) answered(e *xrow.Error, body []byte, now time.Duration) {
	if e == nil {
		id, err := sessionID(body)
		if err == nil {
			o.of.hasOpened(id, o.size)
			return
		}
		e = xrow.Errorf(xrow.ErrUnknown)
	}
	switch verdict, _ := judgeNumbered(classCall, e.Code, false, e.Message, ""); verdict {
	case notTaken, notKnown: // there is a session when there is a leader
		o.of.notOpened(now+retryRefused, false)
	default:
		o.of.notOpened(now+restAfterRefusal, true)
	}
}

var errNoID = errors.New("router: no ID of a session in the answer")

func sessionID(body []byte) (string, error) {
	data, err := iproto.DataOf(scanned(body))
	if err != nil {
		return "", err
	}
	n, at, ok := mp.ReadArrayHeader(data)
	if !ok || n < 1 {
		return "", errNoID
	}
	id, _, ok := mp.ReadString(data[at:])
	if !ok || len(id) == 0 {
		return "", errNoID
	}
	return string(id), nil
}

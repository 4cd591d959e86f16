package router

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// numbering is what a request has to do with numbers of exactly-once sessions.
type numbering struct {
	takes  bool        // it is of a kind that takes one
	maybe  bool        // a copy of it may be executed: the next one is a repeat
	wrote  bool        // it is a COMMIT, and its transaction may have changed something
	number xrow.Number // where Carried.Number points, if it does
	place  place       // of the number
}

// takesNumber tells whether a request is of a kind that does, at our instances.
func takesNumber(r *request) bool {
	switch r.class {
	case classWrite, classCommit:
		return true
	case classCall:
		if r.Type != xrow.Call && r.Type != xrow.Call16 {
			return false
		}
		name := r.FunctionOf()
		return bytes.HasPrefix(name, []byte("box.space.")) || bytes.HasPrefix(name, []byte("box.schema."))
	}
	return false
}

// wants tells whether a request takes a number where its lane is now.
func (l *lane) wants(r *request) bool {
	if !r.num.takes {
		return false
	}
	if r.class == classCommit {
		return r.Number != nil || l.bound() && l.wrote
	}
	return !l.bound()
}

// judgeNumbered says what the answer to a request with a number means. maybe: an earlier copy may be
// executed; session is its ID. unsure: this copy may be executed.
//
// An answer to the number itself is one for ever. What tells of this copy alone is none while
// an earlier one may be executed.
func judgeNumbered(c class, code xrow.Code, maybe bool, message, session string) (v verdict, unsure bool) {
	switch code {
	case 0:
		return isAnswer, false
	case xrow.ErrSyncTimeout, xrow.ErrSyncQuorumTimeout:
		if session != "" && strings.HasPrefix(message, xrow.Errorf(xrow.ErrNoSession, session).Message) {
			return isGone, true
		}
		return notKnown, true
	case xrow.ErrShutdown:
		return notKnown, true
	case xrow.ErrWALIO:
		if strings.Contains(message, "unknown") {
			return notKnown, true
		}
		return ofThisCopy(maybe, isAnswer), false
	case xrow.ErrReadonly, xrow.ErrLoading, xrow.ErrSyncRollback:
		if c == classCommit && !maybe {
			return isAnswer, false // its transaction is over
		}
		return notTaken, false
	case xrow.ErrSyncQueueFull, xrow.ErrWrongSchemaVersion:
		return ofThisCopy(maybe, isAnswer), false
	case xrow.ErrSyncQueueUnclaimed:
		return ofThisCopy(maybe, noNumber), false
	case xrow.ErrNoNumber:
		if maybe {
			return isUnknown, true
		}
		return noNumber, false
	case xrow.ErrNoSession:
		if maybe {
			return isGone, true
		}
		return noSession, false
	case xrow.ErrNumber: // it is never reused, so an instance errs
		if maybe {
			return isUnknown, true
		}
		return isAnswer, false
	case xrow.ErrNoTransaction:
		if c == classCommit && maybe {
			return isLost, false // the stream is another one's: it was not committed, and never is
		}
	}
	return isAnswer, false
}

// ofThisCopy is what follows where only this copy was refused.
func ofThisCopy(maybe bool, v verdict) verdict {
	if maybe {
		return notTaken
	}
	return v
}

// plainly remembers what takes no number for a while: spaces that are not replicated, above
// all. Only an instance knows them.
type plainly struct {
	some  atomic.Bool
	mu    sync.Mutex
	until map[string]time.Duration
}

// Bounds of what is remembered.
const (
	plainFor  = 10 * time.Second
	mostPlain = 1 << 10
)

// isPlain tells whether a request takes no number, as far as is known.
func (p *plainly) isPlain(r *request, now time.Duration) bool {
	if !p.some.Load() || r.class == classCommit {
		return false
	}
	key := plainKey(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.until[key]
	if ok && now >= until {
		delete(p.until, key)
		p.some.Store(len(p.until) > 0)
	}
	return ok && now < until
}

func (p *plainly) note(r *request, now time.Duration) {
	if r.class == classCommit {
		return
	}
	key := plainKey(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil || len(p.until) >= mostPlain {
		p.until = map[string]time.Duration{}
	}
	p.until[key] = now + plainFor
	p.some.Store(true)
}

// plainKey names what a request is about.
func plainKey(r *request) string {
	if r.class == classCall {
		return "call " + string(r.FunctionOf())
	}
	if id, name := r.SpaceOf(); name == nil {
		return "space " + strconv.FormatUint(uint64(id), 10)
	} else {
		return "space " + string(name)
	}
}

// isNumbered gives a request that takes a number one before it goes to the lane's backend;
// stepWait: it has to wait for that; stepUnknown: it needs one, and cannot have it.
func (s *session) isNumbered(l *lane, r *request, now time.Duration, d *delivery) step {
	if r.num.maybe && !l.wants(r) {
		return stepUnknown // never: nothing that begins a transaction overtakes it
	}
	if !l.wants(r) || s.port.kind != RW || s.r.cfg.NoNumbers {
		return stepHere
	}
	switch takes := l.at.takesNumbers(); {
	case !takes && r.num.maybe:
		return stepUnknown
	case !takes:
		s.unnumber(r)
		return stepHere
	case r.Number != nil:
		if r.num.number.Repeat = r.num.maybe; r.num.maybe {
			s.r.counts.repeated.Add(1)
		}
		return stepHere
	case s.r.plain.isPlain(r, now):
		return stepHere
	}
	of := s.r.slotsOf(r.User)
	p, no, step, size := of.take(now)
	switch step {
	case slotTaken:
		r.num.place = p
		r.num.number = xrow.Number{Session: p.of.id, Slot: uint64(p.slot) + 1, No: no}
		r.Number = &r.num.number
		s.r.counts.numbered.Add(1)
	case slotOpen:
		if l.at.append(newOpening(of, size, r.until)) {
			d.touch(l.at)
		} else {
			of.notOpened(0, false)
		}
		return stepWait
	case slotWait:
		return stepWait
	}
	return stepHere
}

// unnumber takes the number of a request back.
func (s *session) unnumber(r *request) {
	if r.Number != nil {
		r.Number = nil
		s.r.slotsOf(r.User).give(r.num.place)
		r.num.place = place{}
	}
}

// judge says what an answer means that may lead to another copy, and notes what follows from it for
// the number.
func (s *session) judge(l *lane, b *backend, r *request, code xrow.Code, body []byte, now time.Duration) verdict {
	if r.Number == nil {
		if code == 0 || l.bound() {
			return isAnswer
		}
		return judge(r.class, code, s.port.kind, b.key.inst.ours.Load())
	}
	if code == 0 {
		return isAnswer
	}
	v, unsure := judgeNumbered(r.class, code, r.num.maybe, xrow.DecodeErrorBody(scanned(body)).Message, r.Number.Session)
	r.num.maybe = r.num.maybe || unsure
	switch v {
	case noNumber:
		s.r.plain.note(r, now)
		s.unnumber(r)
		r.num.takes = false
	case noSession:
		s.r.slotsOf(r.User).gone(r.num.place.of)
		s.unnumber(r)
	case isGone:
		s.r.slotsOf(r.User).gone(r.num.place.of)
	}
	return v
}

// slotsOf are those of a user.
func (r *Router) slotsOf(user iproto.User) *slots {
	if s, ok := r.slots.Load(user); ok {
		return s.(*slots)
	}
	s, _ := r.slots.LoadOrStore(user, &slots{})
	return s.(*slots)
}

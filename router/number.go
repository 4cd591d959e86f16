package router

import (
	"bytes"
	"strconv"
	"time"

	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// numbering is what a request has to do with numbers of exactly-once sessions.
type numbering struct {
	takes  bool          // it is of a kind that takes one
	maybe  bool          // a copy of it may be executed: the next one is a repeat
	wrote  bool          // it is a COMMIT, and its transaction may have changed something
	number xrow.Number   // where Carried.Number points, if it does
	place  numbers.Place // of the number
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
	case r.class != classCommit && s.r.plain.Any() && s.r.plain.Has(plainKey(r), now):
		return stepHere
	}
	of := s.r.slotsOf(r.User)
	p, no, step, size := of.Take(now)
	switch step {
	case numbers.Taken:
		r.num.place = p
		r.num.number = p.Number(no)
		r.Number = &r.num.number
		s.r.counts.numbered.Add(1)
	case numbers.Open:
		if l.at.append(newOpening(of, size, r.until)) {
			d.touch(l.at)
		} else {
			of.NotOpened(0, false)
		}
		return stepWait
	case numbers.Wait:
		return stepWait
	}
	return stepHere
}

// unnumber takes the number of a request back.
func (s *session) unnumber(r *request) {
	if r.Number != nil {
		r.Number = nil
		s.r.slotsOf(r.User).Give(r.num.place)
		r.num.place = numbers.Place{}
	}
}

// judge says what an answer means that may lead to another copy, and notes what follows from it for
// the number.
func (s *session) judge(l *lane, b *backend, r *request, code xrow.Code, body []byte, now time.Duration) numbers.Verdict {
	if r.Number == nil {
		if code == 0 || l.bound() {
			return numbers.Answer
		}
		return judge(r.class, code, s.port.kind, b.key.inst.ours.Load())
	}
	if code == 0 {
		return numbers.Answer
	}
	v, unsure := numbers.Judge(numbers.Copy{Commit: r.class == classCommit, Maybe: r.num.maybe, Session: r.Number.Session}, code, xrow.DecodeErrorBody(scanned(body)).Message)
	r.num.maybe = r.num.maybe || unsure
	switch v {
	case numbers.NoNumber:
		if r.class != classCommit {
			s.r.plain.Note(plainKey(r), now)
		}
		s.unnumber(r)
		r.num.takes = false
	case numbers.NoSession:
		s.r.slotsOf(r.User).Gone(r.num.place.Session())
		s.unnumber(r)
	case numbers.Gone:
		s.r.slotsOf(r.User).Gone(r.num.place.Session())
	}
	return v
}

// slotsOf are those of a user.
func (r *Router) slotsOf(user iproto.User) *numbers.Slots {
	if s, ok := r.slots.Load(user); ok {
		return s.(*numbers.Slots)
	}
	s, _ := r.slots.LoadOrStore(user, &numbers.Slots{})
	return s.(*numbers.Slots)
}

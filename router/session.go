package router

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"

	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// session is a client's connection. Its lock is over its lanes; what it decides is written
// to sockets when the lock is free.
type session struct {
	r    *Router
	port *port
	conn *iproto.Conn

	mu      sync.Mutex
	plain   lane             // what is in no stream
	streams map[uint64]*lane // those that have something to remember; nil: there was never one
	no      uint64           // of the newest request
	inst    *instance        // that requests go to; nil: there is none
	chosen  *target          // by which it was chosen
	set     [][]byte         // bodies of the changes of settings that were made
	own     bool             // it has changed settings: its backend is its own
	waiting bool             // it is in the port's list of those that wait
	gone    bool
}

// delivery is what one goroutine has done and not written yet.
type delivery struct {
	r       *Router
	rw, ro  *iproto.Answers
	touched []*backend

	// Of who takes many answers from one read.
	locked *session      // its lock is held, for answers that follow; nil: none is
	since  int           // how many it was held for
	read   time.Duration // when the answers were read, at the latest; 0: not asked yet
}

func newDelivery(r *Router) *delivery {
	d := &delivery{r: r}
	if p := r.ports[RW]; p != nil {
		d.rw = p.srv.Answers()
	}
	if p := r.ports[RO]; p != nil {
		d.ro = p.srv.Answers()
	}
	return d
}

func (d *delivery) answers(p *port) *iproto.Answers {
	if p.kind == RW {
		return d.rw
	}
	return d.ro
}

// heldFor is how many answers a session's lock is held for: its client's reader waits for that.
const heldFor = 64

// lock takes the lock of a session until it is let go: neighbours among answers are mostly of the same one.
func (d *delivery) lock(s *session) {
	if d.locked == s && d.since < heldFor {
		d.since++
		return
	}
	d.letGo()
	s.mu.Lock()
	d.locked, d.since = s, 0
}

func (d *delivery) letGo() {
	if d.locked != nil {
		d.locked.mu.Unlock()
		d.locked = nil
	}
}

// now is the router's time at some moment since the last flush: the clock is read once for many answers.
func (d *delivery) now() time.Duration {
	if d.read == 0 {
		d.read = d.r.now()
	}
	return d.read
}

// flush writes answers and requests, and lets a session go. No other session's lock may be held.
func (d *delivery) flush() {
	d.letGo()
	d.read = 0
	for _, a := range [...]*iproto.Answers{d.rw, d.ro} {
		if a != nil {
			a.Send()
		}
	}
	for _, b := range d.touched {
		b.flush()
	}
	d.touched = d.touched[:0]
}

func (d *delivery) touch(b *backend) {
	for _, o := range d.touched {
		if o == b {
			return
		}
	}
	d.touched = append(d.touched, b)
}

// Carry takes requests of the client.
func (s *session) Carry(requests []iproto.Carried) {
	d := s.port.deliveries.Get().(*delivery)
	now := s.r.now()
	s.mu.Lock()
	if requests[0].Stream == 0 {
		s.plain.waits = slices.Grow(s.plain.waits, len(requests))
	}
	for i := range requests {
		s.takeLocked(&requests[i], now, d)
	}
	s.advanceLocked(now, d)
	s.mu.Unlock()
	d.flush()
	s.port.deliveries.Put(d)
}

// requests are some that were answered, for those that come: at a million of them a second they would keep the
// collector busy.
var requests = sync.Pool{New: func() any { return new(request) }}

// forget gives back a request that was answered. Nobody may have it any more.
func (r *request) forget() {
	r.Release()
	*r = request{}
	requests.Put(r)
}

func (s *session) takeLocked(q *iproto.Carried, now time.Duration, d *delivery) {
	s.no++
	r := requests.Get().(*request)
	r.Carried, r.s, r.class, r.no, r.until = *q, s, classOf(q.Type), s.no, now+s.r.cfg.HoldTime
	if e := refused(q, s.port.kind == RO); e != nil {
		s.refuse(r, e, d)
		return
	}
	if setsSession(q) {
		s.own = true
		r.sets, r.class = true, classRead // to do it twice changes nothing
	}
	r.own = s.own
	if s.r.cfg.OwnWrites && s.port.kind == RO {
		r.needs = s.r.wrote.of(q.User)
	}
	r.num.takes = !r.sets && takesNumber(r)
	l := &s.plain
	if q.Stream != 0 {
		if l = s.streams[q.Stream]; l == nil {
			if s.streams == nil {
				s.streams = map[uint64]*lane{}
			}
			l = &lane{s: s, stream: s.r.stream.Add(1)}
			s.streams[q.Stream] = l
		}
	}
	l.take(r)
}

// settings are the changes that a new backend of the client's own begins with.
func (s *session) settings() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set[:len(s.set):len(s.set)]
}

// advanceLocked sends what may go.
func (s *session) advanceLocked(now time.Duration, d *delivery) {
	waits := s.advanceLane(&s.plain, now, d)
	for id, l := range s.streams {
		if s.advanceLane(l, now, d) {
			waits = true
		} else if l.idle() {
			s.leave(l)
			delete(s.streams, id)
		}
	}
	if waits != s.waiting {
		s.waiting = waits
		s.port.waits(s, waits)
	}
}

// advanceLane sends what may go of a lane; true: something waits.
func (s *session) advanceLane(l *lane, now time.Duration, d *delivery) bool {
	for len(l.waits) > 0 {
		if l.at != nil && l.at.ended() && len(l.open) == 0 {
			b := l.at
			l.ended(nil) // nothing is open
			s.r.pool.leave(b)
		}
		t := s.port.target.Load()
		r := l.waits[0]
		key := s.keyOf(r, t)
		if r.needs > 0 && !l.bound() && key.inst != nil && !key.inst.shows(r.needs) {
			return s.hold(l, d)
		}
		switch l.next(key, key.inst != nil, t.version, now) {
		case stepWait:
			return s.hold(l, d)
		case stepLost:
			s.tell(l.dropFirst(), nil, errLost(), d)
			continue
		case stepEmpty:
			s.refuse(l.dropFirst(), nil, d)
			continue
		case stepMove:
			b, why := s.r.pool.bind(key, now)
			if why != nil {
				s.refuse(l.dropFirst(), deniedBy(why), d)
				continue
			}
			if b == nil {
				return s.hold(l, d)
			}
			s.leave(l)
			l.at = b
		}
		switch s.isNumbered(l, r, now, d) {
		case stepWait:
			return s.hold(l, d)
		case stepUnknown:
			s.tell(l.dropFirst(), nil, errNoNumbers(l.at.key.inst.name), d)
			continue
		}
		r.l = l
		stream := r.Stream
		if l.stream != 0 {
			r.Stream = l.stream
		}
		ok := l.at.append(r)
		r.Stream = stream
		if !ok {
			return s.hold(l, d) // it has just ended
		}
		s.unhold(r)
		l.sent()
		d.touch(l.at)
	}
	return false
}

// keyOf says where a request wants to go.
func (s *session) keyOf(r *request, t *target) poolKey {
	key := poolKey{inst: s.at(t), user: r.User, extended: r.Features.Has(iproto.FeatureErrorExtension)}
	if key.inst != nil && (r.own || !key.inst.ours.Load()) { // others let functions change the session
		key.own = s
	}
	return key
}

// at is the instance that the client's requests go to. It stays, as long as it will do; else it
// is the one with the fewest clients.
func (s *session) at(t *target) *instance {
	if s.chosen == t {
		return s.inst
	}
	s.chosen = t
	if s.inst != nil && slices.Contains(t.insts, s.inst) {
		return s.inst
	}
	s.leaveInstance()
	for _, o := range t.insts {
		if s.inst == nil || o.clients.Load() < s.inst.clients.Load() {
			s.inst = o
		}
	}
	if s.inst != nil {
		s.inst.clients.Add(1)
	}
	return s.inst
}

func (s *session) leaveInstance() {
	if s.inst != nil {
		s.inst.clients.Add(-1)
		s.inst = nil
	}
}

// hold counts what waits; what is too much is refused. It is true as long as something waits.
func (s *session) hold(l *lane, d *delivery) bool {
	for i := 0; i < len(l.waits); {
		r := l.waits[i]
		if r.held || s.r.held.add(len(r.Body)+heldCost, s.r.cfg.HoldBytes) {
			if !r.held {
				r.held = true
				s.r.counts.held.Add(1)
				s.r.counts.holding.Add(1)
			}
			i++
			continue
		}
		l.waits = append(l.waits[:i], l.waits[i+1:]...)
		l.lost = l.lost || r.class == classBegin
		s.tell(r, nil, errFull("too many requests wait for an instance that takes them (hold_bytes)"), d)
	}
	return len(l.waits) > 0
}

// heldCost is what a request that waits takes besides its bytes.
const heldCost = 256

func (s *session) unhold(r *request) {
	if r.held {
		r.held = false
		s.r.held.sub(len(r.Body) + heldCost)
		s.r.counts.holding.Add(-1)
	}
}

// tell is refuse with an error that a lost leader is the reason of. of is who was asked last; nil: nobody was.
func (s *session) tell(r *request, of *instance, e *xrow.Error, d *delivery) {
	if s.port.kind == RW {
		s.r.tells(s.port, of)
	}
	s.refuse(r, e, d)
}

// refuse answers a request that no backend has; nil: with an empty body. Of one that may be executed
// by an earlier copy nobody knows.
func (s *session) refuse(r *request, e *xrow.Error, d *delivery) {
	s.unhold(r)
	s.unnumber(r)
	if e != nil && r.num.maybe && e.Code != xrow.ErrSyncTimeout {
		e = errUnknown(e.Message)
	}
	if r.num.maybe {
		s.r.counts.unknown.Add(1)
	}
	d.answers(s.port).Refuse(s.conn, &r.Carried, e)
	r.forget()
}

// leave ends the stay of a lane at its backend.
func (s *session) leave(l *lane) {
	if l.at != nil {
		s.r.pool.leave(l.at)
		l.at = nil
	}
}

// deniedBy is the answer to a request whose user has no session at the instance.
func deniedBy(why *refusal) *xrow.Error {
	var e *xrow.Error
	if errors.As(why.err, &e) {
		return e
	}
	return errFull(why.Error())
}

// answered is told of an answer by the backend's reader. It has the session's lock until d is flushed or has answers
// of another one.
func (s *session) answered(b *backend, r *request, row *xrow.Row, body []byte, d *delivery) {
	d.lock(s)
	if row.Type == xrow.Chunk {
		d.answers(s.port).Carried(s.conn, &r.Carried, row.Type, row.SchemaVersion, body)
		return
	}
	if r.class != classRead && s.r.cfg.OwnWrites {
		s.r.wrote.note(r.User, s.r.now())
	}
	var code xrow.Code
	if row.Type&xrow.ErrorFlag != 0 {
		code = xrow.Code(row.Type &^ xrow.ErrorFlag)
	}
	l, now, streamed := r.l, d.now(), r.Stream != 0
	v := s.judge(l, b, r, code, body, now)
	switch {
	case v == numbers.Answer || v == numbers.Lost || v == numbers.Unknown || v == numbers.Gone || s.gone || now >= r.until:
		s.end(l, r, v, row, body, d)
	case v == numbers.NoNumber || v == numbers.NoSession:
		l.back(r, 0, 0)
	default: // whoever has answered knows better than we who leads
		r.last = xrow.DecodeErrorBody(scanned(body))
		s.r.counts.refused.Add(1)
		l.retry(r, s.port.target.Load().version, now+retryRefused)
		s.r.look()
	}
	if s.gone {
		s.endLane(l, d)
	} else if len(l.waits) > 0 || streamed {
		s.advanceLocked(now, d)
	}
}

// end gives the client the answer of an instance, or what it means where an earlier copy may be executed.
func (s *session) end(l *lane, r *request, v numbers.Verdict, row *xrow.Row, body []byte, d *delivery) {
	failed := row.Type&xrow.ErrorFlag != 0
	l.answered(r, failed)
	if r.sets && !failed {
		s.set = append(s.set, bytes.Clone(r.Body))
	}
	switch {
	case v == numbers.Lost:
		r.num.maybe = false
		s.tell(r, nil, errLost(), d)
		return
	case v != numbers.Answer && r.num.maybe:
		s.tell(r, nil, xrow.DecodeErrorBody(scanned(body)), d)
		return
	}
	s.unnumber(r)
	d.answers(s.port).Carried(s.conn, &r.Carried, row.Type, row.SchemaVersion, body)
	r.forget()
}

// retryRefused is how long a request rests that was refused by whom we still take for the
// leader.
const retryRefused = 50 * time.Millisecond

// backendEnded is told of the end of the backend that a lane has requests with.
func (s *session) backendEnded(l *lane, b *backend, cause error, d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := append([]*request(nil), l.open...)
	fates := l.ended(b.sent)
	s.r.pool.leave(b)
	for i, r := range open {
		switch fates[i] {
		case fateAgain:
			s.r.counts.again.Add(1)
			continue
		case fateUnknown:
			s.r.counts.unknown.Add(1)
			s.tell(r, b.key.inst, errUnknown(b.key.inst.name+": "+cause.Error()), d)
		case fateLost:
			s.tell(r, b.key.inst, errLost(), d)
		case fateEmpty:
			s.refuse(r, nil, d)
		}
	}
	if s.gone {
		s.dropLane(l, d)
		return
	}
	s.advanceLocked(s.r.now(), d)
}

// tick advances what waits, and answers what has waited for too long.
func (s *session) tick(now time.Duration, d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.expire(&s.plain, now, d)
	for _, l := range s.streams {
		s.expire(l, now, d)
	}
	s.advanceLocked(now, d)
}

func (s *session) expire(l *lane, now time.Duration, d *delivery) {
	for _, r := range l.expired(now) {
		s.r.counts.expired.Add(1)
		s.tell(r, nil, errHeld(s.port.kind, s.r.cfg.HoldTime.String(), s.whyHeld(r), r.last), d)
	}
}

// whyHeld is why nobody has taken a request.
func (s *session) whyHeld(r *request) string {
	why := s.port.target.Load().why
	if in := s.inst; in != nil && r.needs > 0 && !in.shows(r.needs) {
		why = in.name + ", which was not seen to have all that user '" + s.r.users.name(r.User) + "' has written (" + why + ")"
	}
	return why
}

// Gone is the end of the client. What was sent goes on; what waits does not.
func (s *session) Gone() {
	d := newDelivery(s.r)
	s.mu.Lock()
	s.gone = true
	s.leaveInstance()
	s.port.left(s)
	if s.waiting {
		s.waiting = false
		s.port.waits(s, false)
	}
	s.dropLane(&s.plain, d)
	for _, l := range s.streams {
		s.dropLane(l, d)
		s.endLane(l, d)
	}
	s.endLane(&s.plain, d)
	s.mu.Unlock()
	d.flush()
}

// dropLane gives up what waits.
func (s *session) dropLane(l *lane, d *delivery) {
	for len(l.waits) > 0 {
		r := l.waits[0]
		l.waits = l.waits[1:]
		s.refuse(r, errLost(), d)
	}
}

// endLane ends the transaction of a client that is gone, and the lane with the last answer.
func (s *session) endLane(l *lane, d *delivery) {
	if len(l.open) > 0 {
		return
	}
	if l.bound() && l.at != nil && !l.at.ended() {
		q := iproto.NewCarried(xrow.RollbackTxn, l.stream)
		r := &request{Carried: q, s: s, l: l, class: classRollback}
		l.begun, l.txn = false, false
		if l.at.append(r) {
			l.open = append(l.open, r)
			d.touch(l.at)
			return
		}
	}
	s.leave(l)
}

// scanned is the body of an answer, if it is whole.
func scanned(body []byte) []byte {
	if n, err := xrow.ScanStrict(body); err != nil || n != len(body) {
		return nil
	}
	return body
}

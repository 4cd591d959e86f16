package session

import "fmt"

// step is a successor of a state, and what led to it.
type step struct {
	what string
	next state
}

const names = "AB"

// steps are all that can come next.
func (s *state) steps(r *Rules, b *Bounds) (all []step) {
	add := func(what string, f func(n *state)) {
		n := *s
		f(&n)
		all = append(all, step{what, n})
	}
	s.leaders(b, add)
	s.client(b, add)
	s.network(r, b, add)
	s.clocks(r, b, add)
	return all
}

func (s *state) write(leader uint8, r row) {
	s.rows[leader][s.n[leader]] = r
	s.n[leader]++
}

func (s *state) full(leader uint8, b *Bounds) bool { return int(s.n[leader]) == b.Rows }

// leaders are steps of A and B among themselves.
func (s *state) leaders(b *Bounds, add func(string, func(*state))) {
	if !s.elected {
		if s.held < s.n[leaderA] {
			add("B gets a row of A", func(n *state) { n.held++ })
		}
		if s.c[leaderA] < s.held {
			add("a row of A is committed", func(n *state) { n.c[leaderA]++ })
		}
		add("B writes PROMOTE", func(n *state) { n.elected = true })
	} else if !s.leads {
		add("the PROMOTE is committed", func(n *state) { n.leads = true })
	}
	if s.leads && !s.deposed {
		add("A hears of B", func(n *state) { n.deposed = true })
	}
	if s.c[leaderB] < s.n[leaderB] {
		add("a row of B is committed", func(n *state) { n.c[leaderB]++ })
	}
	for leader := range uint8(2) {
		if s.takes(leader) && s.others > 0 && !s.full(leader, b) {
			add("another client writes at "+names[leader:leader+1], func(n *state) {
				n.others--
				n.write(leader, row{kind: rowOther})
			})
		}
	}
}

// client are its steps: it sends a request, and the same one again.
func (s *state) client(b *Bounds, add func(string, func(*state))) {
	if s.ended || int(s.sent) == b.Copies || !s.open && int(s.number) == b.Numbers {
		return
	}
	for leader := range uint8(2) {
		if leader == leaderB && !s.elected {
			continue
		}
		to := names[leader : leader+1]
		if s.open {
			add(fmt.Sprintf("%d is repeated at %s", s.number, to), func(n *state) { n.send(leader, true) })
			continue
		}
		add(fmt.Sprintf("%d is sent to %s", s.number+1, to), func(n *state) {
			n.number++
			n.open = true
			n.send(leader, false)
		})
	}
}

func (s *state) send(to uint8, repeat bool) {
	s.copies[s.sent] = copied{number: s.number, repeat: repeat, to: to}
	s.sent++
	s.newest = s.sent
}

// network are steps of copies: they come, and get their answers.
func (s *state) network(r *Rules, b *Bounds, add func(string, func(*state))) {
	for i := range s.sent {
		q := &s.copies[i]
		what := fmt.Sprintf("copy %d of %d", i+1, q.number)
		switch {
		case q.stage == onItsWay && !s.takes(q.to):
			add(what+" is refused", func(n *state) { n.copies[i].stage = over })
		case q.stage == onItsWay:
			if s.full(q.to, b) {
				continue
			}
			add(what+" comes to "+names[q.to:q.to+1], func(n *state) { n.arrive(i, r, b) })
		case q.stage == waits:
			by, at := q.fate/maxRows, q.fate%maxRows
			met := s.rows[q.row/maxRows][q.row%maxRows]
			if s.committed(q.to, by, at) {
				add(what+" is answered", func(n *state) {
					if met.kind == rowEnd {
						n.unknown(i, r)
					} else {
						n.answer(i, met.ok, r)
					}
				})
			}
			if s.void(q.to, by, at) {
				add(what+" is void", func(n *state) {
					n.copies[i].stage = over
					if s.committed(q.to, q.row/maxRows, q.row%maxRows) {
						n.fault = faultVoid
					}
				})
			}
		}
	}
}

// arrive is what a leader does with a copy.
func (s *state) arrive(i uint8, r *Rules, b *Bounds) {
	q := &s.copies[i]
	leader := q.to
	present := s.present() == leader
	s.reached = s.reached || present
	v := s.view(leader, r)
	switch {
	case !v.ended:
		s.idle[leader], s.late = 0, s.late && !present
	case r.EndedAtOnce:
		s.unknown(i, r)
		return
	case !r.Created:
		q.stage, q.row = waits, v.by*maxRows+v.at
		q.fate = q.row
		return
	}
	switch {
	case q.number == v.number:
		q.stage, q.row = waits, v.by*maxRows+v.at
		if q.fate = q.row; r.LastEntry && s.n[leader] > 0 && !s.committed(leader, v.by, v.at) {
			q.fate = leader*maxRows + s.n[leader] - 1
		}
		return
	case q.number < v.number && !r.Smaller:
		q.stage = over // the client has its answer already
		return
	}
	ok := !v.barred && !(b.Commit && q.repeat)
	if !ok && (!q.repeat || r.NoRowOnFailure) {
		s.answer(i, false, r)
		return
	}
	q.stage, q.row = waits, leader*maxRows+s.n[leader]
	q.fate = q.row
	s.write(leader, row{kind: rowRun, number: q.number, ok: ok})
}

// unknown: it is told that there is no such session.
func (s *state) unknown(i uint8, r *Rules) {
	q := &s.copies[i]
	q.stage = over
	if i+1 != s.newest || !s.open {
		return
	}
	s.ended = true
	switch {
	case !q.repeat || r.EndedIsCertain:
		s.told[q.number-1] = toldFailed // it was never sent before, or so it is said
		s.open = false
	case !s.late:
		s.fault = faultEnded
	}
}

// answer ends a copy. A client listens to its newest one alone.
func (s *state) answer(i uint8, ok bool, r *Rules) {
	q := &s.copies[i]
	q.stage = over
	if !s.open || q.number != s.number || i+1 != s.newest && !r.HearsOld {
		return
	}
	s.open = false
	if s.told[q.number-1] = toldFailed; ok {
		s.told[q.number-1] = toldDone
	}
}

// present is who leads.
func (s *state) present() uint8 {
	switch {
	case s.leads:
		return leaderB
	case s.elected:
		return nobody
	}
	return leaderA
}

// clocks are steps of time. A client that waits for an answer is in time: who leads gets its
// request before each tick. Where nobody leads that is nobody's fault.
func (s *state) clocks(r *Rules, b *Bounds, add func(string, func(*state))) {
	inTime := s.reached || s.present() == nobody
	if s.ticks > 0 && (inTime || !s.open || b.Sleeps) {
		add("time passes", func(n *state) {
			n.ticks--
			n.late = n.late || !inTime
			n.reached = false
			for leader := range n.idle {
				if leader == leaderA || n.leads || r.FollowerClock {
					n.idle[leader] = min(n.idle[leader]+1, idleLimit)
				}
			}
		})
	}
	for leader := range uint8(2) {
		if s.idle[leader] == idleLimit && s.takes(leader) && !s.full(leader, b) && !s.view(leader, r).ended {
			add(names[leader:leader+1]+" ends the session", func(n *state) { n.write(leader, row{kind: rowEnd}) })
		}
	}
}

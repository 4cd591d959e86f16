package raft

import "time"

// succession is whom the leader of the term has handed over to, by a row of its log
// (docs/protocol/handover.md). It ends with the term; for who was that leader, when it hears
// of another one, or is one again.
type succession struct {
	heir  uint32        // 0: nobody
	until time.Duration // of its head start
}

// HandOver takes down that the leader of a term has handed over to heir: the row that
// says so is in our log. The leader counts as seen no more, whatever it goes on to say;
// heir campaigns at once, and everybody else leaves it an election timeout, as long as
// it gives word. Who is the leader itself goes on showing so, for messages overtake rows,
// until a greater term comes or the head start is over. A row of another term, or a second
// one, changes nothing.
func (r *Raft) HandOver(now time.Duration, term uint64, heir uint32) {
	if term != r.term || r.next.heir != 0 || heir == 0 {
		return
	}
	r.next = succession{heir, now + r.cfg.ElectionTimeout}
	if r.state == StateLeader {
		r.given, r.givenIn = r.next, term
		return
	}
	if r.seen {
		r.seen, r.show = false, true
	}
	if heir == r.self && r.Promote(now) {
		return
	}
	if r.state == StateFollower {
		r.at = 0
		r.plan(now)
	}
}

// Succeeded tells that a term took effect in our log: who leads or has led in it has what we gave
// away.
func (r *Raft) Succeeded(term uint64) {
	if term > r.givenIn {
		r.given = succession{}
	}
}

// Heir is whom the leader of the term has handed over to, 0 if it has not.
func (r *Raft) Heir() uint32 { return r.next.heir }

// headStart is until when the election is another one's, 0 if it is nobody's. Who gives no
// word loses it.
func (r *Raft) headStart() time.Duration {
	id := r.next.heir
	if id == 0 || id == r.self {
		return 0
	}
	return min(r.next.until, r.peers[id].heard+r.deathOf(id))
}

// heirGone ends the head start.
func (r *Raft) heirGone(now time.Duration) {
	r.next.until = now
	switch r.state {
	case StateLeader:
		r.succeedNobody(now)
	case StateFollower:
		if !r.waiting {
			r.at = 0
			r.plan(now)
		}
	}
}

// succeedNobody ends the leadership of one whose heir does not lead.
func (r *Raft) succeedNobody(now time.Duration) {
	if !r.takeBack(now) {
		r.Resign(now, notSucceeded)
	}
}

const notSucceeded = "the instance that it handed over to does not lead"

// takeBack lets who has handed over ask for the votes itself, once, while elections are
// paused: nobody else would. In the term of the heir it does so where that is gone, or does
// not lead when its head start is over.
func (r *Raft) takeBack(now time.Duration) bool {
	r.given = succession{}
	if led := r.state == StateFollower && (r.leader != 0 || r.witness() != 0); led || r.paused == 0 || !r.Promote(now) {
		return false
	}
	r.lost = notSucceeded
	return true
}

// takeBackAt is when a follower that has handed over has to look who leads; 0: never.
func (r *Raft) takeBackAt() time.Duration {
	if r.given.heir == 0 || r.paused == 0 || r.state != StateFollower || r.waiting {
		return 0
	}
	return r.given.until
}

package router

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// request is a request of a client on its way.
type request struct {
	iproto.Carried
	s     *session
	l     *lane
	class class
	own   bool          // it needs a backend of its client's own
	sets  bool          // it changes a setting of the session
	held  bool          // its bytes count as held
	no    uint64        // its place among those of its client
	until time.Duration // nobody may take it any more then
	begin uint64        // of the backend's output, where it begins
	needs time.Duration // what was answered before must show where it goes; 0: nothing
	last  *xrow.Error   // by which it was refused last; nil: by nobody
	num   numbering
	// errand: it is the router's own, of no client and no lane; nil: it is a client's
	errand errand
}

// lane is what a client asks for that has to keep its order: all that is in no stream, or
// one stream. It is a value: it knows neither sockets nor clocks.
//
// # Invariants
//
//  1. What is in waits is with nobody, and in the order in which it came.
//  2. Requests that are open are with one backend, and nothing goes to another one before
//     they are answered. So no request is overtaken by one behind it over a failover.
//  3. A transaction stays with the backend that has it, and ends with that.
type lane struct {
	s      *session
	stream uint64 // at backends; 0: it is what is in no stream
	waits  []*request
	open   []*request // in the order in which they were sent
	at     *backend   // of those in open, and of the transaction; else where they were last; nil: nowhere yet
	begun  bool       // a BEGIN was sent, and no end of it
	txn    bool       // one was answered with success, and no end of it was answered
	wrote  bool       // something was sent within it that may change something
	lost   bool       // the transaction ended with its backend, and the client has not ended it

	// The first one was refused by who leads by this version of the routes: it waits for
	// another one, or for a while.
	version uint64
	after   time.Duration
}

// idle tells whether there is nothing to remember of a lane.
func (l *lane) idle() bool { return len(l.waits)+len(l.open) == 0 && !l.bound() && !l.lost }

// bound tells whether what comes has to go where the lane is.
func (l *lane) bound() bool { return l.begun || l.txn }

// take appends a request.
func (l *lane) take(r *request) {
	r.l = l
	l.waits = append(l.waits, r)
}

// step is what may happen to the first one that waits.
type step uint8

const (
	stepWait    step = iota
	stepHere         // it goes where the lane is
	stepMove         // it goes to a backend that is looked for
	stepLost         // it is answered with errLost
	stepEmpty        // it is answered as if it were executed: a ROLLBACK of what is gone
	stepUnknown      // it may be executed, and nobody here could tell
)

// next decides about the first one that waits. key is where it wants to go, by the routes
// of that version; there: somebody is there.
func (l *lane) next(key poolKey, there bool, version uint64, now time.Duration) step {
	r := l.waits[0]
	if l.lost {
		if r.class == classRollback {
			return stepEmpty
		}
		return stepLost
	}
	switch {
	case l.commits() || r.class == classBegin && l.hasNumbers():
		return stepWait // what is open may have to be sent once more, in front of that
	case l.at != nil && l.bound():
		return stepHere
	case r.last != nil && version == l.version && now < l.after:
		return stepWait // whoever refused it would again
	case l.at != nil && len(l.open) > 0 && l.at.key == key:
		return stepHere
	case !there, len(l.open) > 0:
		return stepWait
	case l.at != nil && l.at.key == key && !l.at.ended() && !l.at.retired.Load():
		return stepHere
	}
	return stepMove
}

// hasNumbers tells whether something with a number is open. No transaction begins behind it: sent once more
// it would be within that.
func (l *lane) hasNumbers() bool {
	return slices.ContainsFunc(l.open, func(r *request) bool { return r.Number != nil })
}

// commits tells whether a COMMIT with a number is open. Nothing is sent behind it.
func (l *lane) commits() bool {
	n := len(l.open)
	return n > 0 && l.open[n-1].class == classCommit && l.open[n-1].Number != nil
}

// takeFirst takes out the first one that waits.
func (l *lane) takeFirst() *request {
	r := l.waits[0]
	l.waits[0] = nil
	if l.waits = l.waits[1:]; len(l.waits) == 0 {
		l.waits = nil
	}
	return r
}

// sent moves the first one that waits to the open ones.
func (l *lane) sent() *request {
	r := l.takeFirst()
	l.open = append(l.open, r)
	switch r.class {
	case classBegin:
		l.begun, l.wrote = true, false
	case classWrite, classCall:
		l.wrote = true
	case classCommit:
		r.num.wrote = l.wrote
		l.begun = false
	case classRollback:
		l.begun = false
	}
	return r
}

// answered drops an open one: failed, with an error. It is what the transaction follows.
func (l *lane) answered(r *request, failed bool) {
	l.close(r)
	switch r.class {
	case classBegin:
		if !failed {
			l.txn = true
		} else if !l.txn && !l.opens() {
			l.begun = false
		}
	case classCommit, classRollback:
		l.txn = false
	}
}

// opens tells whether a BEGIN is open.
func (l *lane) opens() bool {
	return slices.ContainsFunc(l.open, func(r *request) bool { return r.class == classBegin })
}

func (l *lane) close(r *request) {
	if len(l.open) > 0 && l.open[0] == r { // mostly
		l.open[0] = nil
		l.open = l.open[1:]
		return
	}
	if i := slices.Index(l.open, r); i >= 0 {
		l.open = slices.Delete(l.open, i, i+1)
	}
}

// dropFirst takes out the first one that waits, which is answered without a backend.
func (l *lane) dropFirst() *request {
	r := l.takeFirst()
	if r.class == classCommit || r.class == classRollback {
		l.lost = false
	}
	return r
}

// retry puts an open COMMIT whose transaction is over among those that wait: its number tells what became of it.
func (l *lane) retry(r *request, version uint64, after time.Duration) {
	l.txn = l.txn && r.class != classCommit
	l.back(r, version, after)
}

// back puts an open one, which nobody has executed, among those that wait, in its order.
func (l *lane) back(r *request, version uint64, after time.Duration) {
	l.close(r)
	l.version, l.after = version, after
	l.wait(r)
}

func (l *lane) wait(r *request) {
	i, _ := slices.BinarySearchFunc(l.waits, r.no, func(w *request, no uint64) int {
		switch {
		case w.no < no:
			return -1
		case w.no > no:
			return 1
		}
		return 0
	})
	l.waits = slices.Insert(l.waits, i, r)
}

// fate is what becomes of a request whose backend has ended.
type fate uint8

const (
	fateAgain   fate = iota // it waits for another one
	fateUnknown             // it may have been executed
	fateLost                // it was of a transaction that is gone
	fateEmpty               // a ROLLBACK: it is
)

// ended is the end of the backend that the lane was with: what becomes of the open
// requests, in their order. sent: some of it has left. Those with fateAgain wait from now on.
func (l *lane) ended(sent func(*request) bool) []fate {
	open := l.open
	l.open = nil
	fates := make([]fate, len(open))
	lost := l.txn
	for i, r := range open {
		switch {
		case lost && r.class == classRollback:
			fates[i], lost = fateEmpty, false
		case lost && r.class == classCommit && sent(r) && r.Number != nil:
			r.num.maybe, lost = true, false
			l.wait(r)
		case lost && r.class == classCommit && sent(r) && r.num.wrote:
			fates[i], lost = fateUnknown, false
		case lost && r.class == classCommit:
			fates[i], lost = fateLost, false
		case lost:
			fates[i] = fateLost
		case r.class == classBegin && sent(r):
			fates[i], lost = fateLost, true
		case r.class != classRead && r.class < classBegin && sent(r) && r.Number == nil:
			fates[i] = fateUnknown
		default:
			r.num.maybe = r.num.maybe || r.Number != nil && sent(r)
			l.wait(r)
		}
	}
	l.begun, l.txn, l.lost, l.at = false, false, lost, nil
	return fates
}

// expired takes out those whose time is over.
func (l *lane) expired(now time.Duration) (out []*request) {
	l.waits = slices.DeleteFunc(l.waits, func(r *request) bool {
		if now < r.until {
			return false
		}
		out = append(out, r)
		l.lost = l.lost || r.class == classBegin // what is behind it must not run by itself
		return true
	})
	return out
}

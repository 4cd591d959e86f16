package instance

import (
	"container/heap"
	"slices"
	"sort"
	"time"

	"tarragon.dev/tarragon/vclock"
)

// forwards are the requests of clients that go to another leader, and those that one
// sent here before we could take them.
//
// A Step looks at those only for which something may have changed: they are due. All
// others wait for an answer, for the time in limits or later, for rows, for the one
// before them on their connection, or for a change of what is around them.
//
// Invariant: each is with one leader at most, and goes to another one only when it is
// certain that the one before has not executed it. Those of a connection are executed in
// the order in which they came.
type forwards struct {
	open  int           // how many
	size  int           // their bytes
	last  uint64        // number of the newest
	grace time.Duration // until then what comes is forwarded, for we have handed leadership over

	limits []*forward // by ascending number, and until; with some that are gone among them
	later  []*forward // in the order in which their after comes; with some that do not wait for it any more
	lanes  map[uint64]*lane
	due    forwardHeap             // the oldest first: a Step looks at these
	held   [vclock.Max]forwardHeap // answered, by the origin of what they stand on: the smallest LSN first
	around around                  // at the last Step that looked
	looked uint64                  // how often one was looked at
	ended  Forwarding              // but what is open
}

// begin lets what comes be forwarded for a while: leadership is another's by our own doing.
func (f *forwards) begin(now, grace time.Duration) { f.grace = now + grace }

// around is what all that wait depend on.
type around struct {
	writable bool
	failed   bool // the disk
	expelled bool
	comes    bool   // our PROMOTE is on its way to take effect
	to       uint32 // the leader that we hear; 0: none, or ourselves
	term     uint64
}

// Forwarding counts the writes of clients that go to other leaders, since the start.
type Forwarding struct {
	Open     int    // not answered yet
	Bytes    int    // of these
	Answered uint64 // by a leader, with an error too
	Unknown  uint64 // sent, and nobody knows what became of it
	Refused  uint64 // no leader has executed it: READONLY
}

// count gives them.
func (f *forwards) count() Forwarding {
	n := f.ended
	n.Open, n.Bytes = f.open, f.size
	return n
}

// forward is one of the forwards, until it is gone: answered, or executed here.
type forward struct {
	client
	no    uint64
	req   Request // a copy
	user  string
	stage forwardStage
	term  uint64        // of the leader that it was sent to last
	after time.Duration // it is not sent before that
	why   string        // it could not be forwarded; empty: nothing was tried
	came  ForwardAnswer

	lane       *lane // of its connection, while it may still be executed; else nil
	prev, next *forward
	due, gone  bool
}

type forwardStage uint8

const (
	forwardWaits    forwardStage = iota // for a leader
	forwardSent                         // to the leader of a term
	forwardAnswered                     // by that, and what it did is not decided here yet
)

func (w *forward) size() int { return w.req.heldSize() + len(w.user) }

// lane is those of a connection that may still be executed, in the order in which they
// came. One that waits, or was sent to a leader of an older term, blocks those behind it.
type lane struct {
	conn        uint64
	first, last *forward
	// Up to clear, nil for none, all were sent to the leader of this term.
	clear *forward
	term  uint64
}

// blocking is the first that blocks those behind it; nil: none does.
func (l *lane) blocking(term uint64) *forward {
	if l.term != term {
		l.term, l.clear = term, nil
	}
	w := l.first
	if l.clear != nil {
		w = l.clear.next
	}
	for w != nil && w.stage == forwardSent && w.term == term {
		l.clear, w = w, w.next
	}
	return w
}

// back: one blocks again that was sent.
func (l *lane) back(w *forward) {
	if l.clear != nil && l.clear.no >= w.no {
		l.clear = w.prev
	}
}

// add takes a request in, which has a number behind all others.
func (f *forwards) add(w *forward) {
	f.last++
	f.open++
	f.size += w.size()
	w.no = f.last
	if n := len(f.limits); n > 0 {
		w.until = max(w.until, f.limits[n-1].until) // the limit may have changed
	}
	f.limits = append(f.limits, w)
	l := f.lanes[w.conn]
	if l == nil {
		if f.lanes == nil {
			f.lanes = map[uint64]*lane{}
		}
		l = &lane{conn: w.conn}
		f.lanes[w.conn] = l
	}
	w.lane, w.prev = l, l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	f.look(w)
}

// hasOf tells whether a request of a connection is open, which a later one may not
// overtake.
func (f *forwards) hasOf(conn uint64) bool { return f.lanes[conn] != nil }

// look makes one due.
func (f *forwards) look(w *forward) {
	if w != nil && !w.due && !w.gone {
		w.due = true
		f.due.push(w, w.no)
	}
}

// leaveLane: it is not executed any more, or not by being forwarded.
func (f *forwards) leaveLane(w *forward, term uint64) {
	l := w.lane
	if l == nil {
		return
	}
	l.back(w)
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.lane, w.prev, w.next = nil, nil, nil
	if l.first == nil {
		delete(f.lanes, l.conn)
		return
	}
	f.look(l.blocking(term))
}

// remove: it was answered, or is executed here.
func (f *forwards) remove(w *forward, term uint64) {
	f.leaveLane(w, term)
	f.open--
	f.size -= w.size()
	w.gone, w.req, w.came = true, Request{}, ForwardAnswer{}
	if len(f.limits) > f.mostly() {
		f.limits = slices.DeleteFunc(f.limits, func(w *forward) bool { return w.gone })
	}
}

// mostly is from how many on a list has more that are gone than are open.
func (f *forwards) mostly() int { return 2*f.open + 64 }

// answered takes down what has become of a request. One that was not sent is not before
// later.
func (f *forwards) answered(ev *ForwardAnswer, term uint64, later time.Duration) {
	at := sort.Search(len(f.limits), func(i int) bool { return f.limits[i].no >= ev.No })
	if at == len(f.limits) || f.limits[at].no != ev.No || f.limits[at].gone || f.limits[at].stage != forwardSent {
		return // its client was told already that nobody knows
	}
	w := f.limits[at]
	if ev.Err != nil {
		w.why = ev.Err.Message
	}
	f.look(w)
	switch ev.Fate {
	case ForwardRefused:
		w.stage = forwardWaits
		w.lane.back(w)
	case ForwardUnsent:
		if n := len(f.later); n > 0 {
			later = max(later, f.later[n-1].after) // the time may have changed
		}
		w.stage, w.term, w.after = forwardWaits, 0, later
		w.lane.back(w)
		f.later = append(f.later, w)
	default:
		w.stage, w.came = forwardAnswered, *ev
		f.leaveLane(w, term)
	}
}

// standOn lets one that is answered wait for the rows that its answer stands on.
func (f *forwards) standOn(w *forward) {
	if int(w.came.Origin) >= len(f.held) {
		return // those never come
	}
	h := &f.held[w.came.Origin]
	h.push(w, w.came.LSN)
	if len(*h) > f.mostly() {
		*h = slices.DeleteFunc(*h, func(a forwardAt) bool { return a.w.gone })
		heap.Init(h)
	}
}

// lookAtLate makes those due whose time is over, or has come.
func (f *forwards) lookAtLate(now time.Duration) {
	for _, w := range f.limits {
		if w.until > now {
			break
		}
		f.look(w)
	}
	for f.dropLater() > 0 && f.later[0].after <= now {
		f.look(f.later[0])
		f.later = f.later[1:]
	}
}

// lookAtDecided makes those due whose answers stand on nothing open any more.
func (f *forwards) lookAtDecided(decided func(origin uint32, lsn uint64) bool) {
	for id := range f.held {
		for h := &f.held[id]; len(*h) > 0 && ((*h)[0].w.gone || decided(uint32(id), (*h)[0].at)); {
			f.look(h.pop())
		}
	}
}

// lookAtAll makes all due that something around them, which is new, may concern.
func (f *forwards) lookAtAll(now around) {
	if f.around == now {
		return
	}
	f.around = now
	for _, w := range f.limits {
		if w.stage == forwardWaits || w.stage == forwardAnswered && now.failed {
			f.look(w)
		}
	}
}

// dropLater drops those in front that do not wait for their time any more, and gives how
// many are left.
func (f *forwards) dropLater() int {
	for len(f.later) > 0 && (f.later[0].gone || f.later[0].stage != forwardWaits) {
		f.later = f.later[1:]
	}
	return len(f.later)
}

// dropLimits drops those in front that are gone.
func (f *forwards) dropLimits() {
	for len(f.limits) > 0 && f.limits[0].gone {
		f.limits = f.limits[1:]
	}
}

// deadline is when one has to be looked at although nothing happens; 0: there is none.
func (f *forwards) deadline() (d time.Duration) {
	if f.dropLimits(); len(f.limits) > 0 {
		d = f.limits[0].until
	}
	if f.dropLater() > 0 {
		d = sooner(d, f.later[0].after)
	}
	return d
}

// forwardHeap is a heap of those that wait, by a number.
type forwardHeap []forwardAt

type forwardAt struct {
	at uint64
	w  *forward
}

func (h *forwardHeap) push(w *forward, at uint64) { heap.Push(h, forwardAt{at, w}) }

func (h *forwardHeap) pop() *forward { return heap.Pop(h).(forwardAt).w }

// Len, Less, Swap, Push and Pop are heap.Interface.
func (h forwardHeap) Len() int           { return len(h) }
func (h forwardHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h forwardHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *forwardHeap) Push(x any)        { *h = append(*h, x.(forwardAt)) }
func (h *forwardHeap) Pop() any {
	n := len(*h) - 1
	x := (*h)[n]
	(*h)[n] = forwardAt{}
	*h = (*h)[:n]
	return x
}

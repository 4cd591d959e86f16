package router

import (
	"sync"
	"time"

	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// errand is what a request of the router's own is for, which is no client's and in no lane. It is told once how it has ended.
type errand interface {
	answered(e *xrow.Error, body []byte, now time.Duration) // body is that of an instance
	lost()                                                  // the connection has ended before
}

// closeLimit is how long a router that stops has to end its sessions. Those that it leaves end by themselves, when nobody
// has used them for long.
const closeLimit = time.Second

// closing is an errand: it ends a session.
type closing struct{ left *sync.WaitGroup }

func (c closing) answered(*xrow.Error, []byte, time.Duration) { c.left.Done() }
func (c closing) lost()                                       { c.left.Done() }

func newClosing(id string, until time.Duration, left *sync.WaitGroup) *request {
	q := iproto.NewCarried(xrow.Call, 0)
	q.Body = xrow.AppendCall(nil, numbers.CloseCall, stringArray(id))
	return &request{Carried: q, class: classCall, until: until, errand: closing{left}}
}

// endSessions ends the sessions that the router has open in the name of its clients, whom it has no more: they have a
// share of what all of the cluster may have.
func (r *Router) endSessions() {
	r.mu.Lock()
	at := r.last.leader
	r.mu.Unlock()
	if at < 0 {
		return
	}
	var left sync.WaitGroup
	for user, s := range r.slots.Range {
		r.endSessionsOf(user.(iproto.User), s.(*numbers.Slots).Sessions(), r.insts[at], &left)
	}
	ended := make(chan struct{})
	r.wg.Go(func() { // Close ends what is not answered
		left.Wait()
		close(ended)
	})
	select {
	case <-ended:
	case <-time.After(closeLimit):
		r.cfg.Log.Info().Msg("the leader has not ended all exactly-once sessions in time: they end when nobody has used them for long")
	}
}

func (r *Router) endSessionsOf(user iproto.User, ids []string, leader *instance, left *sync.WaitGroup) {
	if len(ids) == 0 {
		return
	}
	b := r.pool.bindAny(leader, user, r.now())
	if b == nil {
		return
	}
	defer r.pool.leave(b)
	for _, id := range ids {
		left.Add(1)
		if !b.append(newClosing(id, r.now()+closeLimit, left)) {
			left.Done()
		}
	}
	b.flush()
}

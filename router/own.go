package router

import (
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Own writes: what comes in by the port ro waits until its reader has all that clients of the same user
// had answers to before, by this router. What a reader has is found out where somebody waits for it:
//
//  1. the leader is asked how far it is, after that answer;
//  2. the reader has written all of that;
//  3. a linearizable transaction begins there: its core waits until the fate of all that it has
//     written is known.
//
// One round serves all that waits for that reader.

// written is when users had their last answers to what may change something.
type written struct {
	mu sync.Mutex
	at map[iproto.User]time.Duration
}

func (w *written) note(u iproto.User, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at == nil {
		w.at = map[iproto.User]time.Duration{}
	}
	w.at[u] = now
}

// of is when a user had the last answer; 0: never.
func (w *written) of(u iproto.User) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at[u]
}

// sight is up to when an instance shows what was answered. Times are the router's.
type sight struct {
	has    atomic.Int64 // all that was answered before
	wanted atomic.Int64 // somebody waits for that

	mu    sync.Mutex
	begun bool          // a transaction is beginning there
	asked time.Duration // when something was asked for last; 0: never
}

// shows tells whether an instance shows all that was answered before a time; else it is found out,
// and sessions that wait are advanced.
func (in *instance) shows(before time.Duration) bool {
	if in.sight.has.Load() >= int64(before) {
		return true
	}
	for {
		wanted := in.sight.wanted.Load()
		if wanted >= int64(before) {
			return false
		}
		if in.sight.wanted.CompareAndSwap(wanted, int64(before)) {
			in.r.look()
			return false
		}
	}
}

// forget is the end of the connection: who comes back may have less.
func (s *sight) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = false
	s.has.Store(0)
}

// sightPause is how long an instance rests between questions, as it does not tell by itself.
const sightPause = 10 * time.Millisecond

// asks is whether another question is due; it is noted.
func (s *sight) asks(what uint64, now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != 0 && now < s.asked+sightPause || what == askBegin && s.begun {
		return false
	}
	s.asked = now
	s.begun = s.begun || what == askBegin
	return true
}

// observe asks what is missing for those who wait.
func (r *Router) observe() {
	if !r.cfg.OwnWrites {
		return
	}
	now := r.now()
	r.mu.Lock()
	leader, had := r.lags.leader, r.lags.last.at
	steps := make([]sightStep, len(r.insts))
	for i, in := range r.insts {
		wanted := time.Duration(in.sight.wanted.Load())
		if wanted > time.Duration(in.sight.has.Load()) {
			steps[i] = r.lags.stepFor(i, wanted)
		}
	}
	r.mu.Unlock()
	for i, in := range r.insts {
		switch {
		case steps[i] == lookAtLeader && leader >= 0:
			r.insts[leader].question(askVote, now, now)
		case steps[i] == lookAtReader:
			in.question(askVote, now, now)
		case steps[i] == lookDecided:
			in.question(askBegin, had, now)
		}
	}
}

// What an instance is asked for on its connection. The question's time is above it in SYNC, so
// that an answer says how old it is at most.
const (
	askVote  = 1
	askBegin = 3
	askEnd   = 4
	askHello = 5
	askBits  = 3
	askMask  = 1<<askBits - 1
)

func syncOf(asked time.Duration, what uint64) uint64 { return uint64(asked)<<askBits | what }
func askedAt(sync uint64) time.Duration              { return time.Duration(sync >> askBits) }

// question asks without waiting for the socket. of is the time that the answer is about.
func (in *instance) question(what uint64, of, now time.Duration) {
	if !in.sight.asks(what, now) {
		return
	}
	row := &xrow.Row{Type: xrow.Vote, Sync: syncOf(of, askVote)}
	if what == askBegin {
		row = &xrow.Row{Type: xrow.Begin, Sync: syncOf(of, askBegin), StreamID: 1, Body: beginLinearizable}
	}
	in.r.wg.Go(func() {
		in.mu.Lock()
		c := in.link
		in.mu.Unlock()
		if c == nil {
			in.sight.forget()
			return
		}
		_ = in.write(c, row) // else the connection ends
	})
}

// beginLinearizable is the body of such a BEGIN.
var beginLinearizable = []byte{0x81, byte(xrow.KeyTxnIsolation), 4}

// begun takes the answer to a BEGIN.
func (in *instance) begun(c *iproto.Client, row *xrow.Row) error {
	in.sight.mu.Lock()
	in.sight.begun = false
	in.sight.mu.Unlock()
	if e := row.AsError(); e != nil {
		in.r.cfg.Log.Debug().Str("instance", in.name).Err(e).Msg("own writes are not read there")
		return nil
	}
	if at := int64(askedAt(row.Sync)); at > in.sight.has.Load() {
		in.sight.has.Store(at)
	}
	in.r.look()
	return in.write(c, &xrow.Row{Type: xrow.RollbackTxn, Sync: syncOf(0, askEnd), StreamID: 1})
}

// sightStep is what is missing until an instance shows something.
type sightStep uint8

const (
	lookNowhere  sightStep = iota
	lookAtLeader           // how far it was then
	lookAtReader           // whether it has that
	lookDecided            // whether the fate of that is known there
)

// stepFor is what is missing until an instance shows what was answered before a time.
func (l *lags) stepFor(i int, before time.Duration) sightStep {
	switch {
	case l.last.at < before:
		return lookAtLeader
	case !covers(&l.seen[i], &l.last.vclock):
		return lookAtReader
	}
	return lookDecided
}

// tells takes what the leader had when it was asked, or later. It was the leader then.
func (l *lags) tells(v vclock.VClock, asked time.Duration) {
	if asked >= l.since && asked > l.last.at {
		l.last = position{asked, v}
	}
}

package instance

import (
	"bytes"
	"strings"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// A write that this instance cannot take, because another one leads, may go to that one:
// in the name of the client's user, and with its rights there. The answer comes back with
// the LSN of the transaction, and the client gets it once all up to that is held and
// decided here, so that it reads its own writes. docs/protocol/handover.md has the rules.

// DefaultGrace is how long behind a handover of ours writes are forwarded.
const DefaultGrace = 5 * time.Second

// GraceOf is the HandoverGrace of a configuration, in which 0 is none.
func GraceOf(d time.Duration) time.Duration {
	if d <= 0 {
		return -1
	}
	return d
}

// Call is a request as it came, where it is a function's: what Do does can be asked of
// another instance by it.
type Call struct {
	Type xrow.Type // CALL or CALL_16
	Name string
	Args []byte // raw array
}

// Forward is a request for the leader of a term, who takes it as that or not at all.
// What it points to never changes.
type Forward struct {
	No   uint64 // names it in the ForwardAnswer
	To   uint32 // the leader
	Term uint64
	User string // in whose name
	DML  xrow.DML
	Call *Call // nil: it is DML
}

// ForwardFate is what has become of a Forward.
type ForwardFate uint8

// Fates of a Forward. All but ForwardLost are certain.
const (
	ForwardDone    ForwardFate = iota // the leader has answered: DATA or an error
	ForwardRefused                    // not executed: it does not lead any more, or not in that term
	ForwardUnsent                     // not sent: there is no connection
	ForwardNever                      // not executed, and never will be by that leader: it does not let us ask for others
	ForwardLost                       // it was sent, and there is no answer
)

// ForwardAnswer ends a Forward.
type ForwardAnswer struct {
	No   uint64
	Fate ForwardFate
	Data []byte // of the answer, a raw array or nil; the core's from now on
	Err  *xrow.Error
	// Origin and LSN are of the transaction, or of the newest that the leader held; LSN 0:
	// the answer stands on nothing.
	Origin uint32
	LSN    uint64
}

func (ForwardAnswer) event() {}

// ForwardAnswerOf is the leader's answer to a Forward: its body, of which nothing is kept,
// or err. READONLY and LOADING come before anything is executed. So does what is said of
// the call itself: by an instance that does not know it, or does not let us act for others.
func ForwardAnswerOf(no uint64, body []byte, err *xrow.Error) ForwardAnswer {
	a := ForwardAnswer{No: no, Err: err}
	if err == nil {
		data, origin, lsn, bad := xrow.DecodeForwarded(body)
		if bad != nil {
			return ForwardAnswer{No: no, Fate: ForwardLost}
		}
		a.Data, a.Origin, a.LSN = bytes.Clone(data), origin, lsn
		return a
	}
	switch about := strings.Contains(err.Message, xrow.ForwardCall); {
	case err.Code == xrow.ErrReadonly || err.Code == xrow.ErrLoading:
		a.Fate = ForwardRefused
	case about && (err.Code == xrow.ErrAccessDenied || err.Code == xrow.ErrNoSuchProc):
		a.Fate = ForwardNever
	}
	return a
}

// isGlobal tells whether a request is one that followers cannot take.
func (c *Core) isGlobal(r *Request) bool {
	if r.Number != nil {
		return true
	}
	if r.Commit != nil {
		return r.Commit.WritesGlobal()
	}
	return r.Do != nil || c.box.IsGlobalSpace(r.DML.SpaceID)
}

// elsewhere tells whether a request goes among those that are forwarded, and is not
// executed, refused or held here.
func (c *Core) elsewhere(r *Request) bool {
	f := &c.forwards
	switch {
	case !c.isGlobal(r) || c.out.failed != nil:
		return false
	case f.hasOf(r.Conn):
		return true
	case r.Forwarded != 0:
		return c.comesToLead(r.Forwarded)
	}
	return !c.writable() && !c.gate.moving && len(c.gate.held) == 0 && c.mayForward(r)
}

// travels tells whether a request can be asked of another instance at all: it is no other's,
// which makes one hop, and not about this instance alone.
func (r *Request) travels() bool {
	return r.Forwarded == 0 && r.Conn != 0 && !r.Internal && (r.Do == nil || r.Call != nil) && r.Commit == nil && r.Number == nil
}

// mayForward tells whether a request that we cannot take may go to another leader.
func (c *Core) mayForward(r *Request) bool {
	switch {
	case !r.travels():
		return false
	case c.members.self == 0 || c.members.expelled || c.limbo.Current().Rules != terms.Strong:
		return false
	}
	return c.cfg.ForwardWrites || c.now.Mono < c.forwards.grace
}

// comesToLead tells whether our PROMOTE of a term is on its way to take effect.
func (c *Core) comesToLead(term uint64) bool {
	return c.lead.leading && c.raft.Term() == term && c.limbo.Current().Term != term
}

// maxForward bounds a request that is forwarded: what tells the leader of it, the name of a user
// above all, has to fit into a frame as well. One that does not would end the connection that
// the requests of others share.
const maxForward = xrow.MaxFrame - 128<<10

// forward takes a request among those that are forwarded.
func (c *Core) forward(r *Request) {
	f := &c.forwards
	schema := c.box.Schema()
	user, known := schema.User(r.User.User())
	if err := schema.CheckUser(r.User); err != nil || !known {
		c.eff.reply(r.Conn, r.Sync, nil, clientError(err))
		return
	}
	w := &forward{client: client{r.Conn, r.Sync, c.now.Mono + c.cfg.WaitLimit}, user: user.Name}
	if r.heldSize() > maxForward {
		w.why = "it is too large"
		c.refuseForward(w)
		return
	}
	w.req = r.kept()
	if f.size+w.size() > c.cfg.QueueMaxSize {
		c.eff.reply(r.Conn, r.Sync, nil, queueFull())
		return
	}
	f.add(w)
}

// stepForwards goes on with those that are due, oldest first.
func (c *Core) stepForwards() {
	f := &c.forwards
	f.lookAtAll(c.around())
	f.lookAtLate(c.now.Mono)
	f.lookAtDecided(c.decidedUpTo)
	for len(f.due) > 0 {
		w := f.due.pop()
		w.due = false
		f.looked++
		if !w.gone && c.stepForward(w) {
			f.remove(w, c.raft.Term())
		}
	}
}

// around is what requests that are forwarded depend on, as it is now.
func (c *Core) around() around {
	a := around{writable: c.writable(), failed: c.out.failed != nil, expelled: c.members.expelled, term: c.raft.Term()}
	a.comes = c.comesToLead(a.term)
	if c.raft.SeesLeader() && c.raft.Leader() != c.members.self {
		a.to = c.raft.Leader()
	}
	return a
}

// stepForward tells whether a request is none of these any more: it was answered, or is
// executed here.
func (c *Core) stepForward(w *forward) (gone bool) {
	late := c.now.Mono >= w.until
	switch w.stage {
	case forwardAnswered:
		return c.endForward(w, late)
	case forwardSent:
		if late {
			c.forgetForward(w, c.raft.Leader())
		}
		return late
	}
	switch {
	case !late && w.lane.blocking(c.raft.Term()) != w:
		return false
	case w.req.Forwarded != 0 && c.comesToLead(w.req.Forwarded) && !late:
		return false
	case w.req.Forwarded != 0 || c.writable() && !late:
		c.here(&w.req)
		return true
	case late || c.out.failed != nil || c.members.expelled || !w.req.travels():
		c.refuseForward(w)
		return true
	}
	if err := c.box.Schema().CheckUser(w.req.User); err != nil {
		c.eff.reply(w.conn, w.sync, nil, clientError(err)) // its name may be another's by now
		return true
	}
	c.send(w)
	return false
}

// here executes a request as if it had come just now.
func (c *Core) here(r *Request) {
	if c.gate.shut() || c.limbo.Len() > 0 && r.Barrier {
		c.hold(r)
		return
	}
	c.execute(r, nil)
}

// send gives a request to the leader, if we hear one that has not refused it.
func (c *Core) send(w *forward) {
	to, term := c.raft.Leader(), c.raft.Term()
	if to == 0 || to == c.members.self || !c.raft.SeesLeader() || w.term == term || c.now.Mono < w.after {
		return
	}
	w.stage, w.term = forwardSent, term
	c.trace(FactForwarded, to, 0, "")
	c.eff.Forwards = append(c.eff.Forwards, Forward{No: w.no, To: to, Term: term, User: w.user, DML: w.req.DML, Call: w.req.Call})
	c.forwards.look(w.lane.blocking(term))
}

// endForward gives the answer of the leader to the client, once all that it stands on is
// decided here. What a leader has answered is so, whatever becomes of our stream: it is
// given at the limit in any case.
func (c *Core) endForward(w *forward, late bool) bool {
	a := &w.came
	switch {
	case a.Fate == ForwardLost:
		c.forgetForward(w, 0)
	case a.Fate == ForwardNever:
		c.refuseForward(w)
	case a.Err != nil:
		c.forwards.ended.Answered++
		c.eff.reply(w.conn, w.sync, nil, a.Err)
	case late || c.out.failed != nil || c.decidedUpTo(a.Origin, a.LSN):
		c.forwards.ended.Answered++
		c.eff.reply(w.conn, w.sync, a.Data, nil)
	default:
		c.forwards.standOn(w)
		return false
	}
	return true
}

// decidedUpTo tells whether the rows of an instance up to an LSN are held here, and
// their fates are known.
func (c *Core) decidedUpTo(origin uint32, lsn uint64) bool {
	if int(origin) >= len(c.out.vclock) || c.out.vclock[origin] < lsn {
		return lsn == 0
	}
	e := c.limbo.OldestOf(origin)
	return e == nil || e.LSN > lsn
}

// forgetForward answers one of which nobody knows whether it was executed; leader is who
// may still do so, 0 for nobody any more.
func (c *Core) forgetForward(w *forward, leader uint32) {
	c.forwards.ended.Unknown++
	c.trace(FactForwardUnknown, leader, 0, "")
	c.eff.reply(w.conn, w.sync, nil, outcomeUnknown())
}

// refuseForward answers one that nobody has executed.
func (c *Core) refuseForward(w *forward) {
	c.forwards.ended.Refused++
	e := c.unwritable()
	if w.why != "" {
		e.Message += "; it could not be forwarded: " + w.why
	}
	c.eff.reply(w.conn, w.sync, nil, e)
}

// forwardHeld takes those that were held, and that another leader can take, among those
// that go there.
func (c *Core) forwardHeld() {
	held := c.gate.held
	c.gate.held, c.gate.size = held[:0], 0
	for i := range held {
		if r := &held[i]; c.isGlobal(r) && c.mayForward(r) && c.out.failed == nil {
			c.forward(r)
			continue
		}
		c.gate.size += held[i].waits
		c.gate.held = append(c.gate.held, held[i])
	}
	clear(held[len(c.gate.held):])
}

// withOrigin makes the answer to a request that was forwarded to us. Our newest row is of
// its transaction, or all that this met.
func (c *Core) withOrigin(data []byte) []byte {
	return xrow.ForwardedData(data, c.members.self, c.out.vclock[c.members.self])
}

// refuseForwarded is why a transaction that another instance forwarded is not made; nil:
// it is.
func refuseForwarded(tx *box.Txn) error {
	if tx.IsLocal() && len(tx.Rows()) > 0 {
		return xrow.Errorf(xrow.ErrIllegalParams, "only what changes replicated spaces is forwarded")
	}
	return nil
}

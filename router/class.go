package router

import (
	"bytes"
	"strings"

	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// class is what it means to send a request once more.
type class uint8

const (
	classRead  class = iota // it changes nothing
	classWrite              // one transaction: refused, it has done nothing
	classCall               // the same, where the instance is one of ours
	classBegin              // these three are of the transaction of a stream
	classCommit
	classRollback
)

func classOf(t xrow.Type) class {
	switch t {
	case xrow.Select, xrow.Ping, xrow.ID, xrow.WatchOnce, xrow.Vote, xrow.VoteOld:
		return classRead
	case xrow.Insert, xrow.Replace, xrow.Update, xrow.Delete, xrow.Upsert:
		return classWrite
	case xrow.Begin:
		return classBegin
	case xrow.Commit:
		return classCommit
	case xrow.RollbackTxn:
		return classRollback
	}
	return classCall
}

// settingsSpace is the name of [xrow.SpaceSessionSettings].
const settingsSpace = "_session_settings"

// setsSession tells whether a request changes what later ones of its session do.
func setsSession(q *iproto.Carried) bool {
	if q.Type != xrow.Update {
		return false
	}
	id, name := q.SpaceOf()
	return name == nil && id == xrow.SpaceSessionSettings || string(name) == settingsSpace
}

// suCall makes a session that of another user, which no router can let happen to a
// connection that clients share.
const suCall = "box.session.su"

// refused is why a request is not carried at all; nil: it is.
func refused(q *iproto.Carried, readOnly bool) *xrow.Error {
	switch q.Type {
	case xrow.Call, xrow.Call16:
		if name := q.FunctionOf(); string(name) == suCall || string(name) == xrow.ActAsCall || string(name) == xrow.ForwardCall {
			return xrow.Errorf(xrow.ErrUnsupported, "Tarragon's router", string(name)+": log in as that user")
		}
	case xrow.Eval:
		if bytes.Contains(q.Body, []byte("session")) && bytes.Contains(q.Body, []byte("su")) && bytes.Contains(q.Body, []byte(suCall)) {
			return xrow.Errorf(xrow.ErrUnsupported, "Tarragon's router", suCall+": log in as that user")
		}
	case xrow.Prepare:
		return xrow.Errorf(xrow.ErrUnsupported, "Tarragon's router", "prepared statements")
	}
	if readOnly && classOf(q.Type) == classWrite && !setsSession(q) {
		e := xrow.Errorf(xrow.ErrReadonly)
		e.Message += ": this is the router's port for reads"
		return e
	}
	return nil
}

// judge says what the answer to a request means that was in no transaction. ours: the
// instance is one of ours, of which a call is one transaction.
func judge(c class, code xrow.Code, p Port, ours bool) numbers.Verdict {
	if c >= classBegin || p == RO && code == xrow.ErrReadonly {
		return numbers.Answer
	}
	switch code {
	case xrow.ErrLoading:
		return numbers.NotTaken
	case xrow.ErrReadonly:
		if c == classWrite || c == classCall && ours {
			return numbers.NotTaken
		}
	case xrow.ErrSyncRollback:
		if ours && c != classRead { // a Tarantool rolls back by a timer what a new leader may yet confirm
			return numbers.NotTaken
		}
	case xrow.ErrShutdown:
		if c == classRead {
			return numbers.NotTaken
		}
	}
	return numbers.Answer
}

// errUnknown is the answer to what was sent and has none: its connection has ended.
func errUnknown(why string) *xrow.Error {
	e := xrow.Errorf(xrow.ErrSyncTimeout)
	e.Message = "The connection of the router to the instance ended before the answer: the outcome is unknown (" + why + ")"
	return e
}

// errNoNumbers is the answer to a repeat where no numbers are understood.
func errNoNumbers(name string) *xrow.Error {
	return errUnknown(name + " knows nothing of exactly-once sessions")
}

// errLost is the answer to requests of a transaction that ended with its connection.
func errLost() *xrow.Error {
	e := xrow.Errorf(xrow.ErrTransactionConflict)
	e.Message = "Transaction has been aborted: the leader that had it is gone. It has changed nothing: begin it anew"
	return e
}

// errHeld is the answer to what nobody has taken in time. last is what an instance said.
func errHeld(port Port, limit string, why string, last *xrow.Error) *xrow.Error {
	text := "nothing was executed: the router's port " + port.String() + " held the request for " + limit + ", and there was " + why
	if last != nil {
		e := *last
		if !strings.Contains(e.Message, text) {
			e.Message += "; " + text
		}
		return &e
	}
	e := xrow.Errorf(xrow.ErrNoConnection)
	e.Message += ": " + text
	return e
}

// errFull is the answer where too much waits.
func errFull(what string) *xrow.Error {
	e := xrow.Errorf(xrow.ErrNoConnection)
	e.Message += ": nothing was executed: " + what
	return e
}

package client

import (
	"errors"
	"strings"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// ErrNotExecuted is wrapped by the error of a request that nobody has executed, and nobody
// will: no leader took it in time, or its context ended before it was sent. The error wraps
// the cause as well: that of the context, and the last refusal.
var ErrNotExecuted = errors.New("client: the request was not executed")

// ErrClosed is wrapped by the error of a request that the end of the client left undone.
var ErrClosed = errors.New("client: closed")

// UnknownError is the error of a request of which nobody knows whether it was, or will be,
// executed. Only its data can tell.
type UnknownError struct {
	Addr string // the instance that it was sent to
	Err  error  // how the connection ended, what the instance answered, or the cause of the context
}

// Error says so.
func (e *UnknownError) Error() string {
	return "client: the outcome is unknown: " + e.Addr + ": " + e.Err.Error()
}

// Unwrap is the cause.
func (e *UnknownError) Unwrap() error { return e.Err }

// verdict is what the end of an attempt means.
type verdict int

const (
	answered verdict = iota // its answer, or its error, is the request's
	again                   // it was certainly not executed, or changes nothing
	unknown
	atOnce // it was certainly not executed, and goes again as it is now
	noSlot // it was not sent: it wants a slot of a session, and there is none
)

// isRead tells whether a request changes nothing, whoever executes it.
func isRead(t iproto.Type) bool {
	switch t {
	case iproto.IPROTO_SELECT, iproto.IPROTO_PING, iproto.IPROTO_ID, iproto.IPROTO_WATCH_ONCE:
		return true
	}
	return false
}

// isStatement tells whether a request is a single transaction of its own on any server: one that was
// refused has done nothing.
func isStatement(t iproto.Type) bool {
	switch t {
	case iproto.IPROTO_INSERT, iproto.IPROTO_REPLACE, iproto.IPROTO_UPDATE, iproto.IPROTO_DELETE, iproto.IPROTO_UPSERT:
		return true
	}
	return false
}

// judgeAnswer is the verdict on an error that an instance has answered. whole: whatever has such an
// answer has done nothing.
func judgeAnswer(e *tarantool.Error, whole bool) verdict {
	switch e.Code {
	case iproto.ER_LOADING:
		return again
	case iproto.ER_READONLY, iproto.ER_SYNC_ROLLBACK:
		if whole {
			return again
		}
	case erSyncTimeout:
		return unknown
	case iproto.ER_WAL_IO, iproto.ER_SYNC_QUORUM_TIMEOUT, iproto.ER_NO_CONNECTION, iproto.ER_TIMEOUT:
		if strings.Contains(e.Msg, "utcome") { // "the outcome is unknown", "The outcome of the transaction is unknown"
			return unknown
		}
	}
	return answered
}

// erSyncTimeout is ER_SYNC_TIMEOUT of Tarantool 3.8: the transaction goes on without who waited for
// it. go-iproto does not have it yet.
const erSyncTimeout iproto.Error = 295

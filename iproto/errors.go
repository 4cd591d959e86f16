package iproto

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/xrow"
)

// Causes with which a server closes a connection; Trace.Closed is told.
var (
	// ErrSlowClient: the client does not read its answers.
	ErrSlowClient = errors.New("iproto: the client does not read its answers")
	// ErrServerClosed: Server.Close, or the end of a shutdown.
	ErrServerClosed = errors.New("iproto: the server is closed")
	// ErrCrowded: it had been idle for longest without a login when another one came.
	ErrCrowded = errors.New("iproto: idle without a login, and there are too many connections")
	// ErrUserGone: its user was dropped, or may have no session any more.
	ErrUserGone = errors.New("iproto: the user of the session was dropped, or has lost its right")
	// ErrNoRequest: no login and no whole request in time.
	ErrNoRequest = errors.New("iproto: no whole request in time, and no login")
	// ErrHandshake: no TLS came to be.
	ErrHandshake = errors.New("iproto: TLS handshake")
	// ErrHandshakeSilent: the handshake was not over in time, as of a client that waits for a greeting because it speaks no TLS.
	ErrHandshakeSilent = fmt.Errorf("%w: not over in time; a client without TLS waits for a greeting", ErrHandshake)
	// ErrHalfFrame: the client stopped in the midst of a request.
	ErrHalfFrame = errors.New("iproto: the rest of a request did not come")
	// ErrTakenOver: the connection ended as a stream of replication.
	ErrTakenOver = errors.New("iproto: the replication stream has ended")
)

func errMsgpack(details string) *xrow.Error { return xrow.Errorf(xrow.ErrInvalidMsgpack, details) }

func errMissing(key string) *xrow.Error { return xrow.Errorf(xrow.ErrMissingRequestField, key) }

func errUnknownType(t xrow.Type) *xrow.Error {
	return xrow.Errorf(xrow.ErrUnknownRequestType, uint32(t))
}

func errInStream(t xrow.Type) *xrow.Error {
	return xrow.Errorf(xrow.ErrUnableToProcessInStream, t.String())
}

func errOutOfStream(t xrow.Type) *xrow.Error {
	return xrow.Errorf(xrow.ErrUnableToProcessOutOfStream, t.String())
}

// errBody is what a body that cannot be read gets; cause is the second element
// of the stack.
func errBody(cause *xrow.Error) *xrow.Error {
	e := errMsgpack("packet body")
	if cause != nil {
		e.Err = cause
	}
	return e
}

func errUnsupported(what string) *xrow.Error {
	return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", what)
}

// errSchemaVersion prints the two numbers swapped, as Tarantool does.
func errSchemaVersion(current, requested uint64) *xrow.Error {
	return xrow.Errorf(xrow.ErrWrongSchemaVersion, requested, current)
}

// asError is what the client is told of err.
func asError(err error) *xrow.Error {
	var e *xrow.Error
	if errors.As(err, &e) {
		return e
	}
	return &xrow.Error{Code: xrow.ErrUnknown, Message: err.Error(), Err: err}
}

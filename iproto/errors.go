package iproto

import (
	"errors"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
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
	// ErrHalfFrame: the client stopped in the midst of a request.
	ErrHalfFrame = errors.New("iproto: the rest of a request did not come")
	// ErrTakenOver: the connection ended as a stream of replication.
	ErrTakenOver = errors.New("iproto: the replication stream has ended")
)

// withFields gives an error its payload: the symbol of the code as "name",
// then the pairs, as Tarantool does since 3.1.
func withFields(e *xrow.Error, pairs ...any) *xrow.Error {
	f := msgp.AppendMapHeader(nil, uint32(1+len(pairs)/2))
	f = msgp.AppendString(f, "name")
	f = msgp.AppendString(f, e.Code.Error())
	for i := 0; i < len(pairs); i += 2 {
		f = msgp.AppendString(f, pairs[i].(string))
		switch v := pairs[i+1].(type) {
		case string:
			f = msgp.AppendString(f, v)
		case uint64:
			f = msgp.AppendUint64(f, v)
		}
	}
	e.Fields = f
	return e
}

func errMsgpack(details string) *xrow.Error {
	return withFields(xrow.Errorf(xrow.ErrInvalidMsgpack, details), "details", details)
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

func errMissing(key string) *xrow.Error {
	return withFields(xrow.Errorf(xrow.ErrMissingRequestField, key), "value", key)
}

func errUnknownType(t xrow.Type) *xrow.Error {
	return withFields(xrow.Errorf(xrow.ErrUnknownRequestType, uint32(t)), "value", uint64(t))
}

func errInStream(t xrow.Type) *xrow.Error {
	name := t.String()
	return withFields(xrow.Errorf(xrow.ErrUnableToProcessInStream, name), "request", name)
}

func errOutOfStream(t xrow.Type) *xrow.Error {
	name := t.String()
	return withFields(xrow.Errorf(xrow.ErrUnableToProcessOutOfStream, name), "request", name)
}

func errUnsupported(what string) *xrow.Error {
	return withFields(xrow.Errorf(xrow.ErrUnsupported, "Tarragon", what), "object", "Tarragon", "feature", what)
}

// errSchemaVersion prints the two numbers swapped, as Tarantool does.
func errSchemaVersion(current, requested uint64) *xrow.Error {
	return withFields(xrow.Errorf(xrow.ErrWrongSchemaVersion, requested, current),
		"actual", requested, "expected", current)
}

// asError is what the client is told of err.
func asError(err error) *xrow.Error {
	var e *xrow.Error
	if errors.As(err, &e) {
		return e
	}
	return &xrow.Error{Code: xrow.ErrUnknown, Message: err.Error(), Err: err}
}

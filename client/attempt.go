package client

import (
	"errors"
	"io"

	"github.com/tarantool/go-tarantool/v2"
	_ "github.com/tarantool/go-tarantool/v2/uuid" // READONLY has some
	"github.com/vmihailenco/msgpack/v5"
)

// attempt is a request on its way over one connection. It notes what the connection
// does with it.
type attempt struct {
	tarantool.Request
	at  place
	fut *tarantool.Future

	written bool               // the connection has its bytes, and may have sent them; known when Do has returned
	failed  error              // it could not be encoded
	resp    tarantool.Response // known when fut is done
}

// send begins an attempt.
func send(req tarantool.Request, at place) *attempt {
	a := &attempt{Request: req, at: at}
	a.fut = at.conn.Do(a)
	return a
}

// Body is called at most once, within Do; a connection that does not call it sends nothing.
func (a *attempt) Body(r tarantool.SchemaResolver, enc *msgpack.Encoder) error {
	a.failed = a.Request.Body(r, enc)
	a.written = a.failed == nil
	return a.failed
}

// Response keeps the answer of an instance.
func (a *attempt) Response(h tarantool.Header, body io.Reader) (tarantool.Response, error) {
	resp, err := a.Request.Response(h, body)
	a.resp = resp
	return resp, err
}

// judge says what the end of the attempt means, and with which error it ended. For what
// was answered with an error by an instance the answer has that too.
func (a *attempt) judge() (verdict, error) {
	read := isRead(a.Type())
	if _, err := a.fut.GetResponse(); err != nil {
		return a.judgeFailure(err, read), err
	}
	if a.resp.Header().Error == tarantool.ErrorNo {
		return answered, nil
	}
	_, err := a.resp.Decode()
	e := tarantool.Error{Code: a.resp.Header().Error} // known whether the rest can be decoded or not
	errors.As(err, &e)
	v := judgeAnswer(&e, read || isStatement(a.Type()) || a.at.ours)
	if v == unknown && read {
		v = answered
	}
	return v, err
}

// judgeFailure: no instance has answered.
func (a *attempt) judgeFailure(err error, read bool) verdict {
	var e tarantool.ClientError
	switch timedOut := errors.As(err, &e) && e.Code == tarantool.ErrTimeouted; {
	case a.failed != nil, read && timedOut:
		return answered
	case !a.written, read:
		return again
	}
	return unknown
}

package client

import (
	"errors"
	"fmt"
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
	num *numbering // of the request, which may get a number here; nil: it gets none
	of  *sessions

	written bool               // the connection has its bytes, and may have sent them; known when Do has returned
	failed  error              // it could not be encoded
	resp    tarantool.Response // known when fut is done
}

// send begins an attempt.
func (c *Client) send(p *passage, at place) *attempt {
	a := &attempt{Request: p.Request, at: at, of: &c.once}
	if at.numbers && p.num.takes {
		a.num = &p.num
	} else {
		c.once.drop(&p.num)
	}
	a.fut = at.conn.Do(a)
	return a
}

// Body is called at most once, within Do; a connection that does not call it sends nothing. What
// go-tarantool panics at is an error: the connection is locked meanwhile, and would stay so.
func (a *attempt) Body(r tarantool.SchemaResolver, enc *msgpack.Encoder) (err error) {
	defer func() {
		if p := recover(); p != nil {
			a.failed = fmt.Errorf("client: the request cannot be encoded: %v", p)
			err = a.failed
		}
	}()
	r = resolver{r}
	if a.num == nil {
		a.failed = a.Request.Body(r, enc)
	} else {
		a.failed = a.numbered(r, enc)
	}
	a.written = a.failed == nil
	return a.failed
}

// resolver takes no index for the first one, as connections do that have loaded the schema.
type resolver struct{ tarantool.SchemaResolver }

func (r resolver) ResolveIndex(index any, space uint32) (uint32, error) {
	if index == nil {
		return 0, nil
	}
	return r.SchemaResolver.ResolveIndex(index, space)
}

// numbered encodes a request that may have a number, with the pairs of that in front, where splice finds them.
func (a *attempt) numbered(r tarantool.SchemaResolver, enc *msgpack.Encoder) error {
	if err := a.num.encode(a.Request, r); err != nil {
		return err
	}
	if err := a.of.take(a.num); err != nil {
		return err
	}
	if n := a.num.number; n != nil {
		pairs, _ := n.AppendPairs(make([]byte, 0, 128))
		if err := enc.Encode(msgpack.RawMessage(pairs)); err != nil {
			return err
		}
	}
	return enc.Encode(msgpack.RawMessage(a.num.body))
}

// hasNumber tells whether it was sent with one.
func (a *attempt) hasNumber() bool { return a.num != nil && a.num.number != nil }

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
	if a.hasNumber() {
		return a.of.judge(a.num, a.at.addr, &e), err
	}
	v := judgeAnswer(&e, read || isStatement(a.Type()) || a.at.ours)
	if v == unknown && read {
		v = answered
	}
	return v, err
}

// judgeFailure: no instance has answered.
func (a *attempt) judgeFailure(err error, read bool) verdict {
	var e tarantool.ClientError
	var missing *errNoSlot
	switch timedOut := errors.As(err, &e) && e.Code == tarantool.ErrTimeouted; {
	case errors.As(a.failed, &missing):
		return noSlot
	case a.failed != nil, read && timedOut:
		return answered
	case !a.written, read:
		return again
	case a.hasNumber():
		a.num.maybe, a.num.at = true, a.at.addr
		return again
	}
	return unknown
}

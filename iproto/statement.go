package iproto

import (
	"sync"

	"tarragon.dev/tarragon/xrow"
)

var streamRequestPool = sync.Pool{New: func() any { return new([]StreamRequest) }}

// beginAll begins the first request of each of several streams. What the node has to
// see in its order goes there together.
func (c *Conn) beginAll(turn []*waiting) {
	pooled := streamRequestPool.Get().(*[]StreamRequest)
	requests := (*pooled)[:0]
	for _, w := range turn {
		requests = append(requests, StreamRequest{})
		q := &requests[len(requests)-1]
		q.Stream, q.User = w.head.stream, c.User()
		handed, e := c.beginRequest(w, q)
		if e != nil {
			c.ReplyStream(q.Stream, nil, e)
			c.Flush()
		}
		if handed || e != nil {
			requests = requests[:len(requests)-1]
		}
	}
	if len(requests) > 0 {
		c.srv.backend.Stream(c, requests)
	}
	if requests = requests[:cap(requests)]; len(requests) <= keptTurn {
		clear(requests)
		*pooled = requests
		streamRequestPool.Put(pooled)
	}
}

// beginRequest looks at a request of a stream for the first time. It is answered by the
// error, or handed to who answers it; else the node gets q. What is wrong with it is told
// in its turn, and changes nothing about a transaction.
func (c *Conn) beginRequest(w *waiting, q *StreamRequest) (handed bool, e *xrow.Error) {
	b := c.srv.backend
	r := request{head: w.head}
	if e := r.body.decode(w.body); e != nil {
		c.bad(e)
		return false, e
	}
	q.Type = r.head.typ
	if q.Number = r.head.number; q.Number != nil {
		if e := r.head.checkNumber(w.body); e != nil {
			return false, e
		}
	}
	switch q.Type {
	case xrow.Select:
		return false, c.beginSelect(&r, w, q)
	case xrow.Insert, xrow.Replace, xrow.Update, xrow.Delete, xrow.Upsert:
		return c.beginWrite(&r, q)
	case xrow.Begin, xrow.Commit, xrow.RollbackTxn:
		if q.Type != xrow.RollbackTxn { // whose body nobody looks at
			q.Fault, e = q.Txn.decode(&r.body)
		}
		if e == nil {
			e = r.checkNode(b)
		}
		return false, e
	case xrow.Call, xrow.Call16, xrow.Eval:
		if e := r.checkCall(b); e != nil {
			return false, e
		}
		call := r.calls(q.User, w.features)
		call.Stream = q.Stream
		c.later(func() { b.Call(c, call) })
		return true, nil
	case xrow.Ping:
		c.ReplyStream(q.Stream, nil, nil)
		c.Flush()
		return true, nil
	}
	return false, r.refuseInStream()
}

func (c *Conn) beginSelect(r *request, w *waiting, q *StreamRequest) *xrow.Error {
	if e := r.prepare(c.srv.backend, true); e != nil {
		return e
	}
	if r.body.isolation > isolationLinearizable {
		return errIsolation()
	}
	q.Linear = r.body.isolation == isolationLinearizable
	w.sel = r.selects(c)
	w.sel.Conn, w.sel.Stream = c.id, q.Stream
	q.Select = &w.sel
	return nil
}

// beginWrite hands over what changes data. Settings of the session are in no transaction.
func (c *Conn) beginWrite(r *request, q *StreamRequest) (handed bool, e *xrow.Error) {
	if e := r.prepare(c.srv.backend, hasIndex(r.head.typ)); e != nil {
		if q.Number.fails(e) {
			return false, nil
		}
		return false, e
	}
	q.DML = r.writes()
	if !isSetting(&q.DML) {
		return false, nil
	}
	if q.Number != nil {
		return false, errSettingNumber()
	}
	data, e := c.updateSetting(&q.DML)
	if e != nil {
		return false, e
	}
	c.ReplyStream(q.Stream, data, nil)
	c.Flush()
	return true, nil
}

// refuseInStream is the answer to all other types. Tarantool: iproto_msg_prepare lets
// those that it counts and PING into a stream, but for AUTH, and has no use for some of them.
func (r *request) refuseInStream() *xrow.Error {
	switch t := r.head.typ; {
	case t == xrow.Execute || t == xrow.Prepare:
		return errUnsupported("SQL")
	case t == xrow.InsertArrow:
		return r.body.checkArrow()
	case t > xrow.InsertArrow+1 || t == xrow.Auth:
		return errInStream(t)
	default:
		return errUnknownType(t)
	}
}

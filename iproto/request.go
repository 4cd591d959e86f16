package iproto

import (
	"bytes"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// isolationLinearizable is the value of TXN_ISOLATION that asks for a read
// that sees everything acknowledged before it.
const isolationLinearizable = 4

// iteratorEQ is the iterator of a lookup by key.
const iteratorEQ = 0

// request is a request as it was decoded.
type request struct {
	head header
	body body
}

// handle serves one frame. The error ends the connection.
func (c *Conn) handle(frame []byte) error {
	c.open()
	n, ok := c.head.decode(frame)
	if !ok {
		e := errMsgpack("packet header")
		c.bad(e)
		c.fail(e)
		return nil
	}
	c.hears()
	if c.srv.relay != nil {
		return c.relayed(frame, n)
	}
	c.srv.meter.request(c.head.typ)
	if c.head.stream != 0 && c.srv.cfg.Streams {
		return c.handleStream(frame[n:])
	}
	if e := c.body.decode(frame[n:]); e != nil {
		c.bad(e)
		c.fail(e)
		return nil
	}
	if c.head.stream != 0 {
		if e := checkStream(c.head.typ); e != nil {
			c.fail(e)
			return nil
		}
	}
	if c.head.number != nil {
		if e := c.head.checkNumber(frame[n:]); e != nil {
			c.fail(e)
			return nil
		}
	}
	switch c.head.typ {
	case xrow.Select:
		return c.handleSelect()
	case xrow.Insert, xrow.Replace, xrow.Update, xrow.Delete, xrow.Upsert:
		return c.handleWrite()
	}
	c.answerLookups()
	switch t := c.head.typ; t {
	case xrow.Call, xrow.Call16, xrow.Eval:
		return c.handleCall()
	case xrow.Join, xrow.Subscribe, xrow.Register, xrow.FetchSnap:
		return c.handleReplication(frame)
	default:
		if e := c.handleSmall(t); e != nil {
			c.fail(e)
		}
		return nil
	}
}

// checkStream judges a request with a STREAM_ID where no streams are served: a
// client that believes so must not see half of its transaction executed.
func checkStream(t xrow.Type) *xrow.Error {
	switch t {
	case xrow.Ping:
		return nil
	case xrow.Begin, xrow.Commit, xrow.RollbackTxn:
		return errUnsupported("interactive transactions")
	}
	return errInStream(t)
}

// handleSmall serves requests that neither read nor write spaces.
func (c *Conn) handleSmall(t xrow.Type) *xrow.Error {
	switch t {
	case xrow.Ping:
		c.ok()
	case xrow.ID:
		return c.handleID()
	case xrow.Auth:
		e := c.handleAuth()
		if tell := c.srv.cfg.Trace.LoggedIn; tell != nil {
			tell(c, string(c.body.user), e)
		}
		return e
	case xrow.Watch, xrow.Unwatch, xrow.WatchOnce:
		return c.handleWatch(t)
	case xrow.Vote:
		at := c.begin()
		request := c.body.raw
		if c.body.shape == bodyAbsent || c.body.shape == bodyForeign {
			request = nil // whatever it is, a VOTE needs none
		}
		b, e := c.srv.backend.AppendBallot(c.out.B, request)
		if e != nil {
			c.out.B = c.out.B[:at]
			return e
		}
		c.out.B = endFrame(b, at)
	case xrow.VoteOld:
		v := c.srv.backend.VClock()
		at := c.begin()
		c.out.B = append(c.out.B, 0x81, byte(xrow.KeyVClock))
		c.out.B = endFrame(xrow.AppendVClock(c.out.B, &v), at)
	case xrow.Begin, xrow.Commit, xrow.RollbackTxn:
		return errOutOfStream(t)
	case xrow.Execute, xrow.Prepare:
		return errUnsupported("SQL")
	case xrow.InsertArrow:
		return c.body.checkArrow()
	default:
		return errUnknownType(t)
	}
	return nil
}

// begin starts an OK reply in the reader's output.
func (c *Conn) begin() (at int) {
	at = len(c.out.B)
	c.out.B = xrow.AppendReplyHead(c.out.B, xrow.OK, c.head.sync, c.srv.logins.SchemaVersion())
	return at
}

func (c *Conn) ok() {
	c.out.B = AppendEmpty(c.out.B, c.head.sync, c.srv.logins.SchemaVersion())
}

// fail answers the request with an error, behind those that wait for their answers.
func (c *Conn) fail(e *xrow.Error) {
	c.answerLookups()
	c.refused(e)
	c.out.B = xrow.AppendErrorReply(c.out.B, e, c.head.sync, c.srv.logins.SchemaVersion())
}

// refused counts an answer that is an error.
func (c *Conn) refused(e *xrow.Error) {
	c.srv.meter.add(countErrors, 1)
	if tell := c.srv.cfg.Trace.Denied; tell != nil && e.Code == xrow.ErrAccessDenied {
		tell(c, e)
	}
}

// checkBody is what requests that need a body map have in common.
func (q *body) checkBody() *xrow.Error {
	switch q.shape {
	case bodyAbsent:
		return errMsgpack("missing request body")
	case bodyMap:
		return nil
	}
	return errBody(nil)
}

// checkData checks the body of a SELECT or DML request: no body is an empty
// one, and of the missing keys the one with the lowest number is named.
func (q *body) checkData(t xrow.Type) *xrow.Error {
	switch {
	case q.shape == bodyMistyped || q.shape == bodyForeign:
		return errBody(nil)
	case !q.present(xrow.KeySpaceID) && q.spaceName == nil:
		return errMissing("SPACE_ID")
	case t == xrow.Select && !q.present(xrow.KeyLimit):
		return errMissing("LIMIT")
	case q.key == nil && (t == xrow.Select || t == xrow.Update || t == xrow.Delete):
		return errMissing("KEY")
	case q.tuple == nil && t != xrow.Select && t != xrow.Delete:
		return errMissing("TUPLE")
	case q.ops == nil && t == xrow.Upsert:
		return errMissing("OPS")
	}
	return nil
}

// checkArrow answers INSERT_ARROW as the open edition of Tarantool does, which
// knows the request and not the format: while it reads the body, before it has
// looked what is missing.
func (q *body) checkArrow() *xrow.Error {
	switch {
	case q.shape == bodyMistyped || q.shape == bodyForeign || q.arrow != nil && !isArrow(q.arrow):
		return errBody(nil)
	case q.arrow != nil:
		return xrow.Errorf(xrow.ErrUnsupported, "CE version", "arrow format")
	case !q.present(xrow.KeySpaceID) && q.spaceName == nil:
		return errMissing("SPACE_ID")
	}
	return errMissing("ARROW")
}

func isArrow(v []byte) bool {
	t, _, _, ok := mp.ReadExt(v)
	return ok && t == mp.ExtArrow
}

// checkNode is what the node has to say before data is touched.
func (r *request) checkNode(b Backend) *xrow.Error {
	if want := r.head.schemaVersion; want != 0 {
		if have := b.SchemaVersion(); have != want {
			return errSchemaVersion(have, want)
		}
	}
	return b.Ready()
}

// resolve replaces names by numbers; a name wins over a number.
func (r *request) resolve(b Backend, withIndex bool) error {
	q := &r.body
	if q.spaceName != nil {
		id, err := b.ResolveSpace(q.spaceName)
		if err != nil {
			return err
		}
		q.space = id
	}
	if withIndex && q.indexName != nil {
		id, err := b.ResolveIndex(q.space, q.indexName)
		if err != nil {
			return err
		}
		q.index = id
	}
	return nil
}

// prepare makes all checks of a SELECT or DML request that come before the
// space is looked at.
func (r *request) prepare(b Backend, withIndex bool) *xrow.Error {
	if e := r.body.checkData(r.head.typ); e != nil {
		return e
	}
	if e := r.checkNode(b); e != nil {
		return e
	}
	if err := r.resolve(b, withIndex); err != nil {
		return asError(err)
	}
	return nil
}

func (c *Conn) handleSelect() error {
	if e := c.prepare(c.srv.backend, true); e != nil {
		c.fail(e)
		return nil
	}
	q := &c.body
	if q.isLookup() {
		c.addLookup()
		return nil
	}
	c.submit() // writes that came before must not wait for a scan
	c.sel = c.selects(c)
	switch {
	case q.isolation == isolationLinearizable:
		if err := c.reserve(); err != nil {
			return err
		}
		c.srv.backend.Linear(c, c.sel.clone())
		return nil
	case q.isolation > isolationLinearizable:
		c.fail(errIsolation())
		return nil
	}
	if err := c.waitBudget(); err != nil {
		c.out.B = c.gather.fail(c.out.B, c.sel.Sync, err)
		return c.closeCause()
	}
	return c.answerSelect(&c.sel)
}

// answerSelect makes the answer, whatever its size, behind those that were made.
func (c *Conn) answerSelect(q *Select) error {
	var small bool
	if c.out.B, small = c.gather.small(c.out.B, q); small {
		return c.drain()
	}
	c.emitOwn() // what was answered before does not wait for room
	chunks, failed := c.gather.inChunks(q)
	c.mu.Lock()
	c.enqueue(chunks)
	c.mu.Unlock()
	c.open()
	c.out.B = append(c.out.B, failed...)
	c.writeOne()
	return c.waitRoom()
}

// waitBudget waits until answers of others have left, with nothing in hand.
func (c *Conn) waitBudget() error {
	if !c.srv.budget.over() {
		return nil
	}
	c.emitOwn()
	defer c.open()
	return c.srv.budget.wait(c.srv.budget.limit, c.done)
}

// clone returns a copy that does not point into the read buffer.
func (q *Select) clone() *Select {
	own := *q
	own.Key = bytes.Clone(q.Key)
	own.AfterPosition = bytes.Clone(q.AfterPosition)
	own.AfterTuple = bytes.Clone(q.AfterTuple)
	return &own
}

// selects is the SELECT that the request is.
func (r *request) selects(c *Conn) Select {
	q := &r.body
	s := Select{
		Sync: r.head.sync, User: c.User(), Space: q.space, Index: q.index, Iterator: q.iterator, Offset: q.offset,
		Limit: q.limit, Key: q.key, Settings: c.settings.all(),
	}
	if c.srv.cfg.Pagination {
		s.FetchPosition, s.AfterPosition, s.AfterTuple = q.fetchPosition, q.afterPos, q.afterTuple
	}
	return s
}

func (c *Conn) handleWrite() error {
	if e := c.prepare(c.srv.backend, hasIndex(c.head.typ)); e != nil {
		if c.head.number.fails(e) {
			return c.addWrite(&xrow.DML{})
		}
		c.fail(e)
		return nil
	}
	d := c.writes()
	if isSetting(&d) {
		if c.head.number != nil {
			c.fail(errSettingNumber())
			return nil
		}
		own := d // escapes, and d must not
		c.answerLookups()
		if data, e := c.updateSetting(&own); e != nil {
			c.fail(e)
		} else {
			c.out.B = AppendData(c.out.B, c.head.sync, c.srv.logins.SchemaVersion(), data)
		}
		return nil
	}
	return c.addWrite(&d)
}

// hasIndex tells of which requests that change data INDEX_ID is heeded.
func hasIndex(t xrow.Type) bool { return t == xrow.Update || t == xrow.Delete }

// writes is the change that the request is, with what is heeded for its type.
func (r *request) writes() xrow.DML {
	t, q := r.head.typ, &r.body
	d := xrow.DML{Type: t, SpaceID: q.space}
	if hasIndex(t) {
		d.IndexID, d.Key = q.index, q.key
	}
	if t != xrow.Delete {
		d.Tuple = q.tuple
	}
	if t == xrow.Upsert {
		d.Ops = q.ops
	}
	if t == xrow.Update || t == xrow.Upsert {
		d.IndexBase = q.indexBase
	}
	return d
}

// emptyArray is the default of a call's arguments.
var emptyArray = []byte{0x90}

func (c *Conn) handleCall() error {
	if e := c.checkCall(c.srv.backend); e != nil {
		c.fail(e)
		return nil
	}
	call := c.calls(c.User(), c.features)
	if err := c.reserve(); err != nil {
		return err
	}
	c.srv.backend.Call(c, call)
	return nil
}

// checkCall makes all checks of CALL, CALL_16 and EVAL that come before the function is
// looked for.
func (r *request) checkCall(b Backend) *xrow.Error {
	q, t := &r.body, r.head.typ
	if e := q.checkBody(); e != nil {
		return e
	}
	switch {
	case t == xrow.Eval && !q.present(xrow.KeyExpr):
		return errMissing("EXPR")
	case t != xrow.Eval && !q.present(xrow.KeyFunctionName):
		return errMissing("FUNCTION_NAME")
	}
	return r.checkNode(b)
}

// calls is the call that the request is; it does not point into the request.
func (r *request) calls(user User, features Features) *Call {
	q, t := &r.body, r.head.typ
	call := &Call{Sync: r.head.sync, User: user, Type: t, Name: string(q.function), Args: emptyArray, Features: features, Number: r.head.number}
	if t == xrow.Eval {
		call.Name = string(q.expr)
	}
	if q.tuple != nil {
		call.Args = bytes.Clone(q.tuple)
	}
	return call
}

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
	c.srv.meter.request(c.head.typ)
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
	switch t := c.head.typ; t {
	case xrow.Select:
		return c.handleSelect()
	case xrow.Insert, xrow.Replace, xrow.Update, xrow.Delete, xrow.Upsert:
		return c.handleWrite()
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

// checkStream judges a request with a STREAM_ID. We serve no streams, and a
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
		return c.handleAuth()
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
	c.out.B = xrow.AppendReplyHead(c.out.B, xrow.OK, c.head.sync, c.srv.backend.SchemaVersion())
	return at
}

func (c *Conn) ok() {
	c.out.B = AppendEmpty(c.out.B, c.head.sync, c.srv.backend.SchemaVersion())
}

func (c *Conn) fail(e *xrow.Error) {
	c.srv.meter.add(countErrors, 1)
	c.out.B = xrow.AppendErrorReply(c.out.B, e, c.head.sync, c.srv.backend.SchemaVersion())
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
		return withFields(xrow.Errorf(xrow.ErrUnsupported, "CE version", "arrow format"), "object", "CE version", "feature", "arrow format")
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
func (c *Conn) checkNode() *xrow.Error {
	if want := c.head.schemaVersion; want != 0 {
		if have := c.srv.backend.SchemaVersion(); have != want {
			return errSchemaVersion(have, want)
		}
	}
	return c.srv.backend.Ready()
}

// resolve replaces names by numbers; a name wins over a number.
func (c *Conn) resolve(withIndex bool) error {
	q := &c.body
	if q.spaceName != nil {
		id, err := c.srv.backend.ResolveSpace(q.spaceName)
		if err != nil {
			return err
		}
		q.space = id
	}
	if withIndex && q.indexName != nil {
		id, err := c.srv.backend.ResolveIndex(q.space, q.indexName)
		if err != nil {
			return err
		}
		q.index = id
	}
	return nil
}

// prepare makes all checks of a SELECT or DML request that come before the
// space is looked at.
func (c *Conn) prepare(withIndex bool) *xrow.Error {
	if e := c.body.checkData(c.head.typ); e != nil {
		return e
	}
	if e := c.checkNode(); e != nil {
		return e
	}
	if err := c.resolve(withIndex); err != nil {
		return asError(err)
	}
	return nil
}

func (c *Conn) handleSelect() error {
	if e := c.prepare(true); e != nil {
		c.fail(e)
		return nil
	}
	q := &c.body
	c.sel = Select{
		Sync: c.head.sync, User: c.User(), Space: q.space, Index: q.index, Iterator: q.iterator, Offset: q.offset,
		Limit: q.limit, Key: q.key, Settings: c.settings,
	}
	if c.srv.cfg.Pagination {
		c.sel.FetchPosition, c.sel.AfterPosition, c.sel.AfterTuple = q.fetchPosition, q.afterPos, q.afterTuple
	}
	switch {
	case q.isolation == isolationLinearizable:
		if err := c.reserve(); err != nil {
			return err
		}
		c.srv.backend.Linear(c, c.sel.clone())
		return nil
	case q.isolation > isolationLinearizable:
		c.fail(xrow.Errorf(xrow.ErrIllegalParams, "unknown isolation level"))
		return nil
	}
	if q.iterator != iteratorEQ || q.key[0] == 0x90 {
		c.submit() // writes that came before must not wait for a scan
	}
	if c.srv.budget.over() {
		if err := c.waitBudget(); err != nil {
			c.fail(asError(err))
			return c.closeCause()
		}
	}
	var small bool
	if c.out.B, small = c.gather.small(c.out.B, &c.sel); small {
		return nil
	}
	c.submit()
	c.emit() // what was answered before does not wait for room
	chunks, failed := c.gather.inChunks(&c.sel)
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
	c.submit()
	c.emit()
	defer c.open()
	return c.srv.budget.wait(c.srv.budget.limit, c.done)
}

// clone returns a copy that does not point into the read buffer.
func (q *Select) clone() *Select {
	own := *q
	own.Settings = nil // the reader's own
	own.Key = bytes.Clone(q.Key)
	own.AfterPosition = bytes.Clone(q.AfterPosition)
	own.AfterTuple = bytes.Clone(q.AfterTuple)
	return &own
}

func (c *Conn) handleWrite() error {
	t := c.head.typ
	byKey := t == xrow.Update || t == xrow.Delete
	if e := c.prepare(byKey); e != nil {
		c.fail(e)
		return nil
	}
	q := &c.body
	d := xrow.DML{Type: t, SpaceID: q.space}
	if byKey {
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
	if d.SpaceID == xrow.SpaceSessionSettings && t == xrow.Update {
		own := d // escapes, and d must not
		c.updateSetting(&own)
		return nil
	}
	return c.addWrite(&d)
}

func (c *Conn) updateSetting(d *xrow.DML) {
	if c.settings == nil {
		c.settings = map[string][]byte{}
	}
	data, err := c.srv.backend.UpdateSetting(c.User(), d, c.settings)
	if err != nil {
		c.fail(asError(err))
		return
	}
	c.out.B = AppendData(c.out.B, c.head.sync, c.srv.backend.SchemaVersion(), data)
}

// emptyArray is the default of a call's arguments.
var emptyArray = []byte{0x90}

func (c *Conn) handleCall() error {
	q, t := &c.body, c.head.typ
	e := q.checkBody()
	switch {
	case e != nil:
	case t == xrow.Eval && !q.present(xrow.KeyExpr):
		e = errMissing("EXPR")
	case t != xrow.Eval && !q.present(xrow.KeyFunctionName):
		e = errMissing("FUNCTION_NAME")
	default:
		e = c.checkNode()
	}
	if e != nil {
		c.fail(e)
		return nil
	}
	call := &Call{
		Sync: c.head.sync, User: c.User(), Type: t, Name: string(q.function), Args: emptyArray, Features: c.features,
	}
	if t == xrow.Eval {
		call.Name = string(q.expr)
	}
	if q.tuple != nil {
		call.Args = bytes.Clone(q.tuple)
	}
	if err := c.reserve(); err != nil {
		return err
	}
	c.srv.backend.Call(c, call)
	return nil
}

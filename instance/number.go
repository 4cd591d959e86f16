package instance

import (
	"bytes"
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// maxAnswer is how much of an answer a slot keeps.
const maxAnswer = 4 << 10

// meetNumber answers a request that does not run: one like it was executed, or it may
// not be. The answer stands on the rows that say so; tx has done nothing else.
func (c *Core) meetNumber(tx *box.Txn, r *Request, term uint64) (met bool) {
	data, err, runs := c.judgeNumber(tx, r, term)
	if runs {
		return false
	}
	if r.Commit != nil {
		r.Commit.Free()
	}
	if r.Conn != 0 {
		f := c.fateOf(tx, r, term, data, err)
		f.number = true
		c.waits.addFate(&f, &c.eff)
	}
	tx.Abort()
	return true
}

func (c *Core) judgeNumber(tx *box.Txn, r *Request, term uint64) (data []byte, err *xrow.Error, runs bool) {
	n, s := r.Number, &c.sessions
	if term == 0 {
		return nil, xrow.Errorf(xrow.ErrSyncQueueUnclaimed), false
	}
	if !c.box.HasOwn(&box.OwnSession) || !c.underStrong() {
		if e := c.refuseSessions(); e != nil {
			return nil, xrow.Errorf(xrow.ErrNoNumber, clientError(e).Message), false
		}
	}
	if e := tx.Schema().CheckUser(r.User); e != nil {
		return nil, clientError(e), false
	}
	c.learnSessions()
	key, ok := s.keyOf(n.Session)
	var of slotRow
	if ok {
		of, ok = c.sessionRow(tx, key, r.User)
	}
	if !ok {
		return nil, unknownSession(n), false
	}
	c.meetSession(key, &of).used = c.now.Mono
	if n.Slot == 0 || n.Slot > of.number || n.No == 0 {
		return nil, refusedNumber(n, "slots and numbers begin with 1, and the session has %d slots", of.number), false
	}
	tuple := tx.OwnAt(&box.OwnSession, s.slotKey(key, n.Slot))
	if tuple == nil {
		return nil, nil, true
	}
	switch was := readSlot(tuple); {
	case was.bad || was.number > n.No:
		return nil, refusedNumber(n, "the slot is at %d", was.number), false
	case was.number < n.No:
		return nil, nil, true
	case !isDigest(&n.Digest, was.digest):
		return nil, refusedNumber(n, "another request had this number"), false
	default:
		s.count.Repeats++
		data, err = readAnswer(was.answer)
		return data, err, false
	}
}

// unknownSession: who repeats may have been served before the session ended.
func unknownSession(n *xrow.Number) *xrow.Error {
	e := xrow.Errorf(xrow.ErrNoSession, shortID(n.Session))
	if !n.Repeat {
		return e
	}
	u := outcomeUnknown()
	u.Message = e.Message + ": the outcome is unknown"
	return u
}

func refusedNumber(n *xrow.Number, format string, args ...any) *xrow.Error {
	return xrow.Errorf(xrow.ErrNumber, n.No, n.Slot, fmt.Sprintf(format, args...))
}

// leaveNumber adds the row that says what a request has done, or that it failed.
func (c *Core) leaveNumber(tx *box.Txn, n *xrow.Number, data []byte, failed *xrow.Error) error {
	key, _ := c.sessions.keyOf(n.Session)
	b := msgp.AppendString(append(c.sessions.row[:0], 0x95), key)
	b = msgp.AppendUint64(msgp.AppendUint64(b, n.Slot), n.No)
	b = msgp.AppendBytes(b, n.Digest[:])
	c.sessions.row = appendAnswer(b, data, failed)
	return tx.PutOwn(&box.OwnSession, c.sessions.row)
}

// leaveFailure makes a transaction of the row alone, of a repeat that has failed:
// without it an earlier copy, stuck on its way, could still run.
func (c *Core) leaveFailure(by author, r *Request, failed *xrow.Error) {
	c.seq++
	tx := c.box.Begin(c.seq)
	if err := c.leaveNumber(tx, r.Number, nil, failed); err != nil {
		tx.Abort()
		e := outcomeUnknown()
		e.Message += ": " + clientError(err).Message
		c.eff.reply(r.Conn, r.Sync, nil, e)
		return
	}
	c.submit(by, tx, r, payload{conn: r.Conn, sync: r.Sync, waiting: r.Conn != 0, failed: failed,
		since: c.now.Mono, until: c.now.Mono + c.cfg.WaitLimit})
}

// refuseLocal is why a transaction takes no number; nil: it does.
func refuseLocal(tx *box.Txn) error {
	if tx.TouchesLocal() {
		return errLocalNumber()
	}
	return nil
}

func errLocalNumber() *xrow.Error {
	return xrow.Errorf(xrow.ErrNoNumber, "it changes a space that is not replicated")
}

// appendAnswer is what a row keeps of an answer: DATA, nil for none, true for one that
// is too large, {code, message} of an error.
func appendAnswer(b, data []byte, failed *xrow.Error) []byte {
	switch {
	case failed != nil:
		b = msgp.AppendUint32(append(b, 0x82, 0), uint32(failed.Code))
		return msgp.AppendString(append(b, 1), failed.Message[:min(len(failed.Message), maxAnswer)])
	case data == nil:
		return append(b, 0xc0)
	case len(data) > maxAnswer:
		return append(b, 0xc3)
	}
	return append(b, data...)
}

// readAnswer gives it again.
func readAnswer(v []byte) (data []byte, err *xrow.Error) {
	switch mp.KindOf(v[0]) {
	case mp.Array:
		return bytes.Clone(v), nil
	case mp.Nil:
		return nil, nil
	case mp.Map:
		e := &xrow.Error{}
		_, n, _ := mp.ReadMapHeader(v)
		code, used, _ := mp.ReadUint(v[n+1:])
		e.Code = xrow.Code(code)
		text, _, _ := mp.ReadString(v[n+used+2:])
		e.Message = string(text)
		return nil, e
	}
	return nil, xrow.Errorf(xrow.ErrAnswerGone)
}

// isDigest tells whether a raw value is a digest.
func isDigest(d *xrow.Digest, v []byte) bool {
	was, _, err := msgp.ReadBytesZC(v)
	return err == nil && bytes.Equal(was, d[:])
}

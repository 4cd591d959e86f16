package instance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// asker sends requests of streams to a core, and waits for nothing.
type asker struct {
	t    *testing.T
	core *Core
	user box.Credentials
}

func (a asker) ask(conn, stream uint64, op StreamOp) *xrow.Error {
	a.t.Helper()
	before := len(a.core.eff.Replies)
	a.core.streamRequest(&StreamRequest{ID: TxnID{conn, stream}, Conn: conn, Sync: stream, Op: op, User: a.user, Timeout: time.Millisecond,
		DML: xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: []byte{0x91, 7}}})
	if len(a.core.eff.Replies) != before+1 {
		a.t.Fatal("no answer")
	}
	return a.core.eff.Replies[before].Err
}

func (a asker) fine(when string, err *xrow.Error) {
	a.t.Helper()
	if err != nil {
		a.t.Errorf("%s: %v", when, err)
	}
}

func (a asker) full(when, whose string, err *xrow.Error) {
	a.t.Helper()
	if err == nil || !errors.Is(err, xrow.ErrMemoryIssue) || !strings.Contains(err.Message, "in "+whose+" for") {
		a.t.Errorf("%s: %v, want that of %s", when, err, whose)
	}
}

// Open transactions, and those that have ended and whose clients say nothing, take so much
// memory at most: whoever is not even logged in may begin them.
func TestTxnMemory(t *testing.T) {
	c := newWorld(t).member(1, 1, "1").core
	const most = 4
	a := asker{t, c, box.UserAdmin}
	c.cfg.TxnMemory = txnShares * most * txnOverhead
	for conn := range uint64(txnShares) {
		for i := range uint64(most) {
			a.fine("BEGIN", a.ask(conn+1, i+1, StreamBegin))
		}
	}
	const all = "open transactions"
	a.full("one more", all, a.ask(9, 1, StreamBegin))
	a.full("a statement", all, a.ask(1, 1, StreamRead))
	c.txns.expire(1 << 62)
	a.full("one more when they have timed out", all, a.ask(9, 1, StreamBegin))
	a.fine("ROLLBACK", a.ask(1, 2, StreamRollback))
	a.fine("in the place of one that has ended", a.ask(9, 1, StreamBegin))
	c.streamsGone(1)
	a.fine("when the connection is gone", a.ask(2, 9, StreamRollback))
	a.fine("when the connection is gone", a.ask(10, 1, StreamBegin))
	for conn := range uint64(11) {
		c.streamsGone(conn)
	}
	if c.box.DraftSize() != 0 || len(c.txns.shares) != 0 {
		t.Errorf("%d bytes are left, and shares of %d", c.box.DraftSize(), len(c.txns.shares))
	}
}

// One connection takes a share of that, by transactions that do nothing and by what one
// would change, and all who have not logged in take one together.
func TestTxnShares(t *testing.T) {
	c := newWorld(t).set(1, "1")[0].core
	const most = 4
	c.cfg.TxnMemory = txnShares * most * txnOverhead
	const one, strangers = "open transactions of one connection", "open transactions without a login"
	a, guest := asker{t, c, box.UserAdmin}, asker{t, c, box.UserGuest}
	for i := range uint64(most) {
		a.fine("BEGIN", a.ask(1, i+1, StreamBegin))
		guest.fine("BEGIN", guest.ask(100+i, 1, StreamBegin))
	}
	a.full("one more of the connection", one, a.ask(1, 9, StreamBegin))
	a.full("a statement of it", one, a.ask(1, 1, StreamRead))
	guest.full("one more of guests, on another connection", strangers, guest.ask(200, 1, StreamBegin))
	a.fine("another connection", a.ask(2, 1, StreamBegin))
	a.fine("COMMIT", a.ask(1, 1, StreamCommit))
	a.fine("in the place of the one that has ended", a.ask(1, 9, StreamBegin))
	guest.fine("a guest who leaves", guest.ask(100, 1, StreamRollback))
	guest.fine("another guest", guest.ask(200, 1, StreamBegin))

	a.fine("BEGIN", a.ask(3, 1, StreamBegin))
	var err *xrow.Error
	for i := 0; err == nil && i < most*txnOverhead; i++ {
		err = a.ask(3, 1, StreamWrite)
	}
	a.full("writes", one, err)
	if n := c.box.DraftSize(); n > most*txnOverhead+200 {
		t.Errorf("they take %d bytes", n)
	}
	a.fine("writes of others", a.ask(2, 1, StreamWrite))
}

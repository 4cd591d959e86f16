package instance

import (
	"time"

	"tarragon.dev/tarragon/xrow"
)

// TxnState tells of the transaction of a stream until when it may stay open, 0: for ever,
// and why it cannot commit any more, nil: it may. For readers.
func (c *Core) TxnState(id TxnID) (until time.Duration, err *xrow.Error) {
	t := c.txns.open[id]
	switch {
	case t == nil:
		return 0, xrow.Errorf(xrow.ErrNoTransaction)
	case t.draft.Failed() != nil:
		return t.until, clientError(t.draft.Failed())
	case t.draft.WritesGlobal() && !c.writable():
		return t.until, c.readonly()
	}
	return t.until, nil
}

package instance

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// txnOverhead is what a transaction takes that has done nothing yet, or has ended and waits
// for its client.
const txnOverhead = 1 << 10

// txnShares: one of so many parts of [Config.TxnMemory] is the most that one payer may take.
const txnShares = 4

// payer is who pays for a transaction out of its share: a connection, or all of those who
// have not logged in together.
type payer uint64

// guests pay together: whoever may connect is one, as often as he likes. No connection
// has that number.
const guests payer = 0

func payerOf(ev *StreamRequest) payer {
	if ev.User.User() == box.UserGuest {
		return guests
	}
	return payer(ev.ID.Conn)
}

// share is what a payer's open transactions take.
type share struct{ open, size int }

// shares are those of all payers who have a transaction open.
//
// Invariant: a share is the sum of what its transactions were told to take, each at its
// last request.
type shares map[payer]share

func (s *shares) begin(t *openTxn) {
	if *s == nil {
		*s = shares{}
	}
	of := (*s)[t.payer]
	of.open++
	(*s)[t.payer] = of
}

// tell brings a share up to what a transaction takes now.
func (s shares) tell(t *openTxn) {
	of, size := s[t.payer], t.draft.Size()
	of.size += size - t.told
	t.told = size
	s[t.payer] = of
}

func (s shares) end(t *openTxn) {
	of := s[t.payer]
	of.open--
	of.size -= t.told
	if t.told = 0; of.open == 0 {
		delete(s, t.payer)
		return
	}
	s[t.payer] = of
}

// txnRoom is the error when all transactions together, or those of one payer, take what
// they may. Anybody may begin them, without a right.
func (c *Core) txnRoom(p payer) *xrow.Error {
	if n := c.box.DraftSize() + len(c.txns.all)*txnOverhead; n >= c.cfg.TxnMemory {
		return xrow.Errorf(xrow.ErrMemoryIssue, n, "open transactions", "one more request of them")
	}
	if of := c.txns.shares[p]; of.size+of.open*txnOverhead >= c.cfg.TxnMemory/txnShares {
		who := "open transactions of one connection"
		if p == guests {
			who = "open transactions without a login"
		}
		return xrow.Errorf(xrow.ErrMemoryIssue, of.size+of.open*txnOverhead, who, "one more request of them")
	}
	return nil
}

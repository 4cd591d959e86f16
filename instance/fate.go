package instance

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// fate is an answer that changes nothing in replicated spaces and waits: an
// error, or that there was nothing to change. Statements see what is undecided,
// and a client may not, not by an error either: an INSERT whose key somebody
// else has is told so when that one is committed, and that it is rolled back
// when the other one is.
//
// In a strong term whatever looked into a synchronous space also waits for a
// quorum to answer a heartbeat that was sent behind it: an instance that was
// deposed and does not know it would tell what was true once. A write needs no
// such round, it is acked by a quorum anyway.
//
// It is no part of the queue: what it waits for is behind no transaction but the
// one it names.
type fate struct {
	conn, sync uint64
	data       []byte
	err        *xrow.Error
	saw        uint64 // it stands on what this transaction did; 0: on nothing undecided
	group      uint64 // rows of local spaces went with this group; 0: none did
	beat       uint64 // heartbeats from this number on count; 0: no round is needed
	heard      uint32 // members that answered one, a bit each
	term       uint64 // that we must still lead in when the round ends
	until      time.Duration
	size       int
}

// fateOverhead is what a fate takes besides its answer, about.
const fateOverhead = 128

// answerEmpty answers a transaction without rows for the log, at once if nothing
// it stands on is open. tx is about to end.
func (c *Core) answerEmpty(tx *box.Txn, r *Request, data []byte, err *xrow.Error) {
	if r.Conn == 0 {
		return // nobody waits
	}
	f := c.fateOf(tx, r, data, err)
	c.addFate(&f)
}

// fateOf is what an answer stands on. tx is about to end.
func (c *Core) fateOf(tx *box.Txn, r *Request, data []byte, err *xrow.Error) fate {
	f := fate{conn: r.Conn, sync: r.Sync, data: data, err: err, saw: tx.Undecided()}
	if term := c.stampTerm(); term != 0 && !c.limbo.Current().Tarantool {
		any, sync := tx.Looked()
		if sync || any && (r.IsSync || c.cfg.SyncAll) {
			f.beat, f.term, f.heard = c.round(), term, 1<<c.members.self
		}
	}
	return f
}

// addFate keeps an answer until it may be given; checkFates does that in this
// Step where nothing is open.
func (c *Core) addFate(f *fate) {
	if f.saw == 0 && f.beat == 0 && f.group == 0 {
		c.eff.reply(f.conn, f.sync, f.data, f.err)
		return
	}
	f.until = c.now.Mono + c.cfg.WaitLimit
	f.size = fateOverhead + len(f.data)
	if f.err != nil {
		f.size += len(f.err.Message)
	}
	c.waits.fates = append(c.waits.fates, *f)
	c.waits.fateSize += f.size
}

// ackFates lets an ack that answers a late enough heartbeat count, while we are in
// the term of the statements: who answers in a later one may have elected somebody
// who has committed since. Such an ack brings us there by itself, but more of them
// may follow in the same Step, before checkFates.
func (c *Core) ackFates(ev *Ack) {
	for i := range c.waits.fates {
		if f := &c.waits.fates[i]; f.beat != 0 && ev.Sync >= f.beat && c.raft.Term() == f.term {
			f.heard |= 1 << ev.From
		}
	}
}

// checkFates gives the answers that stand on nothing open any more.
func (c *Core) checkFates() {
	c.eachFate(func(f *fate) bool {
		if f.beat != 0 && c.quorumHeard(f.heard) {
			f.beat = 0 // nobody was elected before the statements ran
		}
		switch {
		case f.beat != 0 && (!c.lead.leading || c.raft.Term() != f.term):
			c.eff.reply(f.conn, f.sync, nil, f.undone(c.readonly()))
		case f.beat == 0 && c.box.Seen(f.saw) && f.group <= c.out.written:
			c.eff.reply(f.conn, f.sync, f.data, f.err)
		case c.now.Mono >= f.until:
			c.trace(FactFateUnknown, 0, 0, "")
			c.eff.reply(f.conn, f.sync, nil, f.undone(nothingWritten()))
		default:
			return true
		}
		return false
	})
}

// voidFates: transactions from a number on are void, and what stands on them.
func (c *Core) voidFates(seq uint64) {
	c.eachFate(func(f *fate) bool {
		if f.saw < seq {
			return true
		}
		c.eff.reply(f.conn, f.sync, nil, f.undone(xrow.Errorf(xrow.ErrSyncRollback)))
		return false
	})
}

func (c *Core) failFates(err *xrow.Error) {
	c.eachFate(func(f *fate) bool {
		c.eff.reply(f.conn, f.sync, nil, f.undone(err))
		return false
	})
}

// undone is the error that says why an answer never came. Rows of local spaces
// are not taken back.
func (f *fate) undone(err *xrow.Error) *xrow.Error {
	if f.group != 0 {
		return outcomeUnknown()
	}
	return err
}

// eachFate goes over the answers that wait, oldest first, and keeps those for
// which f says so.
func (c *Core) eachFate(keep func(*fate) bool) {
	if len(c.waits.fates) == 0 {
		return
	}
	n := 0
	for i := range c.waits.fates {
		if f := &c.waits.fates[i]; keep(f) {
			c.waits.fates[n] = *f
			n++
		} else {
			c.waits.fateSize -= f.size
		}
	}
	clear(c.waits.fates[n:])
	c.waits.fates = c.waits.fates[:n]
}

// fateDeadline is when the first of them gives up waiting; 0: there is none. The
// wait limit may have changed between two of them.
func (c *Core) fateDeadline() time.Duration {
	d := time.Duration(0)
	for i := range c.waits.fates {
		d = sooner(d, c.waits.fates[i].until)
	}
	return d
}

package instance

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/terms"
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
	client
	data  []byte
	err   *xrow.Error
	saw   uint64 // it stands on what this transaction did; 0: on nothing undecided
	group uint64 // rows of local spaces went with this group; 0: none did
	beat  uint64 // heartbeats from this number on count; 0: no round is needed
	heard uint32 // members that answered one, a bit each
	term  uint64 // that we must still lead in when the round ends

	number bool // the answer to a number, which somebody else may have executed
}

// fateOverhead is what a fate takes besides its answer, about.
const fateOverhead = 128

// answerEmpty answers a transaction without rows for the log, at once if nothing
// it stands on is open. tx is about to end.
func (c *Core) answerEmpty(tx *box.Txn, r *Request, term uint64, data []byte, err *xrow.Error) {
	if r.Conn == 0 {
		return // nobody waits
	}
	f := c.fateOf(tx, r, term, data, err)
	c.waits.addFate(&f, &c.eff)
}

// fateOf is what an answer stands on. tx is about to end.
func (c *Core) fateOf(tx *box.Txn, r *Request, term uint64, data []byte, err *xrow.Error) fate {
	f := fate{client: client{r.Conn, r.Sync, c.now.Mono + c.cfg.WaitLimit}, data: data, err: err, saw: tx.Undecided()}
	if term != 0 && c.limbo.Current().Rules != terms.Tarantool {
		any, sync := tx.Looked()
		if sync || any && (r.IsSync || c.cfg.SyncAll) {
			f.beat, f.term, f.heard = c.beats.round(&c.eff), term, 1<<c.members.self
		}
	}
	return f
}

// addFate keeps an answer until it may be given; that is in this Step where nothing
// is open.
func (w *waits) addFate(f *fate, eff *Effects) {
	if f.saw == 0 && f.beat == 0 && f.group == 0 {
		eff.reply(f.conn, f.sync, f.data, f.err)
		return
	}
	w.fates = append(w.fates, *f)
	w.fateSize += f.size()
}

// size is the bytes that it takes.
func (f *fate) size() int {
	n := fateOverhead + len(f.data)
	if f.err != nil {
		n += len(f.err.Message)
	}
	return n
}

// acked lets an ack that answers a late enough heartbeat count, while we are in
// the term of the statements: who answers in a later one may have elected somebody
// who has committed since. Such an ack brings us there by itself, but more of them
// may follow in the same Step, before the answers.
func (f *fate) acked(ev *Ack, term uint64) {
	if f.beat != 0 && ev.Sync >= f.beat && term == f.term {
		f.heard |= 1 << ev.From
	}
}

// judgeFate gives an answer that stands on nothing open any more.
func (c *Core) judgeFate(f *fate, late bool) outcome {
	if f.beat != 0 && c.quorumHeard(f.heard) {
		f.beat = 0 // nobody was elected before the statements ran
	}
	switch {
	case f.beat != 0 && (!c.lead.leading || c.raft.Term() != f.term):
		return f.undone(c.readonly())
	case f.beat == 0 && c.box.Seen(f.saw) && f.group <= c.out.written:
		return outcome{known: true, data: f.data, err: f.err}
	case late && f.number:
		return fails(outcomeUnknown())
	case late:
		c.trace(FactFateUnknown, 0, 0, "")
		return f.undone(nothingWritten())
	}
	return outcome{}
}

// undone is how it ends whose answer never came. Rows of local spaces are not
// taken back.
func (f *fate) undone(err *xrow.Error) outcome {
	if f.group != 0 {
		err = outcomeUnknown()
	}
	return fails(err)
}

// sweepFates answers those that may be.
func (w *waits) sweepFates(now time.Duration, eff *Effects, judge func(f *fate, late bool) outcome) {
	if len(w.fates) == 0 {
		return
	}
	w.fates = sweep(w.fates, now, eff, judge)
	w.fateSize = 0
	for i := range w.fates {
		w.fateSize += w.fates[i].size()
	}
}

// voidFates: transactions from a number on are void, and what stands on them.
func (w *waits) voidFates(seq uint64, eff *Effects) {
	w.sweepFates(0, eff, func(f *fate, _ bool) outcome {
		if f.saw < seq {
			return outcome{}
		}
		return f.undone(xrow.Errorf(xrow.ErrSyncRollback))
	})
}

// failFates: the disk has failed, and nothing that is open will be decided here.
func (w *waits) failFates(err *xrow.Error, eff *Effects) {
	w.sweepFates(0, eff, func(f *fate, _ bool) outcome { return f.undone(err) })
}

package limbo

import "tarragon.dev/tarragon/terms"

// tarantool is the limbo by Tarantool's rules, where PROMOTE and DEMOTE take
// effect where they are taken, but for a PROMOTE of ours, and a transaction is of
// the term of the last one that its author wrote: a stamp decides nothing, for
// rows come without it through Tarantools.
type tarantool[P any] struct{ *Limbo[P] }

// judge is Tarantool's filter of transactions and requests
// (applier_synchro_filter_tx, txn_limbo_filter).
func (t tarantool[P]) judge(r Row) (Verdict, error) {
	cur := t.Current()
	switch {
	case r.Taken:
		return Keep, nil
	case r.Kind != Transaction:
		return Keep, t.check(r)
	case cur.Term == 0 || cur.Writer == r.Origin:
		return Keep, nil
	case r.WaitSync:
		return Void, nil
	case cur.Owner != 0 && !r.Empty:
		return Keep, split("got an async transaction from an old term")
	}
	return Keep, nil
}

func (t tarantool[P]) check(r Row) error {
	if r.Owner == 0 && r.Kind != Promotion {
		return nonsense("synchronous requests with zero replica_id")
	}
	switch r.Kind {
	case Confirmation:
		return t.checkConfirm(r)
	case Rollback:
		return t.checkRollback(r)
	}
	return t.checkPromote(r)
}

var (
	errZeroLSN = nonsense("zero LSN for CONFIRM/ROLLBACK")
	errForeign = split("got a request from a foreign synchro queue owner")
)

// Tarantool: txn_limbo_filter_confirm.
func (t tarantool[P]) checkConfirm(r Row) error {
	switch {
	case r.UpTo == 0:
		return errZeroLSN
	case r.UpTo > t.confirmedOf[r.Owner] && r.Owner != t.Current().Owner:
		return errForeign
	}
	return nil // nothing new, whoever says it, or something of the present owner's
}

// Tarantool: txn_limbo_filter_rollback.
func (t tarantool[P]) checkRollback(r Row) error {
	cur := t.Current()
	switch {
	case r.UpTo == 0:
		return errZeroLSN
	case r.Owner == cur.Owner:
		return nil
	case r.UpTo <= t.confirmedOf[r.Owner] || r.Origin == cur.Writer:
		return errForeign
	}
	return nil // an older term's: what it means is void already
}

// Tarantool: txn_limbo_filter_promote_demote.
func (t tarantool[P]) checkPromote(r Row) error {
	newest, _, _ := t.Newest() // our own pending one has taken effect in Tarantool's eyes
	switch {
	case r.Begins == 0:
		return nonsense("PROMOTE/DEMOTE with a zero term")
	case r.Begins <= newest:
		return split("got a PROMOTE/DEMOTE with an obsolete term")
	}
	if i := t.followed(r); i >= 0 {
		// It follows a PROMOTE that is in effect for its writer only: nothing is
		// queued in that term.
		if p := &t.pending[i]; r.UpTo > max(p.Last, t.confirmedOf[p.Owner]) {
			return split("got a request mentioning future lsn")
		}
		return nil
	}
	first, last := t.lsnRange()
	low, told := t.confirmed, t.claimed
	if cur := t.Current(); cur.Rules != terms.Tarantool {
		low, told = t.confirmedOf[cur.Owner], t.confirmed // its writer read a strong term as Tarantools do
	}
	switch {
	case r.UpTo < low:
		return split("got a request with lsn from an already processed range")
	case r.UpTo == low || r.UpTo <= told:
		return nil
	case last == 0:
		return split("got a request mentioning future lsn")
	case r.UpTo < first || r.UpTo > last:
		return split("got a request lsn out of queue range")
	}
	return nil
}

// lsnRange is that of the queue: of what waits for a decision.
func (t tarantool[P]) lsnRange() (first, last uint64) {
	if !t.Waits() {
		return 0, 0
	}
	return t.queue.at(t.settled).LSN, t.queue.at(t.queue.len() - 1).LSN
}

// followed is the place of the pending PROMOTE that a promotion says it
// follows; -1: it follows the term in effect. Without a word on the term the
// named owner tells it.
func (t tarantool[P]) followed(r Row) int {
	for i := len(t.pending) - 1; i >= 0; i-- {
		p := &t.pending[i]
		if p.Term < r.Begins && p.Owner == r.Owner && (r.PrevTerm == p.Term || r.PrevTerm == 0 && p.Owner != t.Current().Owner) {
			return i
		}
	}
	return -1
}

// place says how a transaction waits: one that is synchronous, or that finds
// others waiting, for CONFIRM; any other was decided by its author's write.
func (t tarantool[P]) place(e Entry[P]) Entry[P] {
	cur := t.Current()
	p, behind := t.OwnPending()
	behind = behind && cur.Writer == e.Origin
	e.Term = 0
	if cur.Owner == 0 || !e.Sync && !behind && !t.Waits() {
		e.Sync = false
		return e
	}
	e.Term = cur.Term
	if behind {
		e.Behind = p.Term // not decided here: our PROMOTE may void it
	}
	return e
}

func (t tarantool[P]) take(r Row) error {
	cur := t.Current()
	switch {
	case r.Pending:
		_, err := t.AddPromote(r.promote(terms.Tarantool))
		return err
	case r.Kind == Promotion || r.Kind == Demotion:
		if newest, _, _ := t.Newest(); r.Begins > newest {
			return t.takePromote(r)
		}
	case r.Owner != cur.Owner:
	case r.Kind == Confirmation:
		t.claimed = max(t.claimed, r.UpTo)
		// Tarantool takes an LSN beyond all that was written, and refuses the
		// next PROMOTE for it.
		t.confirmTo(min(r.UpTo, max(r.Known, t.confirmed)))
		t.drain(terms.Tarantool)
	default:
		t.voidFrom(t.firstSync(r.UpTo))
	}
	return nil
}

// takePromote settles the queue and changes its owner, at once.
func (t tarantool[P]) takePromote(r Row) error {
	if i := t.followed(r); i >= 0 {
		if err := t.effect(t.pending[i].Term); err != nil {
			return err
		}
	}
	t.dropPending(func(p Promote) bool { return p.Term < r.Begins })
	p := Promote{Term: r.Begins, Owner: r.Origin, LSN: r.LSN, PrevLSN: r.UpTo, Last: r.LSN, Rules: terms.Tarantool}
	if r.Began != nil {
		p.Began = *r.Began
	}
	t.begin(&p)
	if r.Kind == Demotion {
		t.spans[len(t.spans)-1].Owner = 0
		t.own()
	}
	return nil
}

// confirmTo notes that the owner's rows are committed up to an LSN.
func (t tarantool[P]) confirmTo(lsn uint64) {
	t.confirmed = max(t.confirmed, lsn)
	t.noteConfirmed(t.Current().Owner, t.confirmed)
}

func (t tarantool[P]) settle(p *Promote) {
	t.voidFrom(t.firstSync(t.confirmed + 1))
	t.open(p)
	t.own()
}

// own begins a term of the present owner under Tarantool's rules: what is
// known to be confirmed of it goes on from where it was.
func (t tarantool[P]) own() {
	t.confirmed = 0
	if owner := t.Current().Owner; owner != 0 {
		t.confirmed = t.confirmedOf[owner]
	}
	t.claimed, t.told = t.confirmed, t.confirmed
}

// firstSync is the place of the first synchronous transaction from an LSN on
// whose fate is open.
//
// Synchronous ones are all of the queue's owner, so their LSNs ascend: what is
// looked at from the end is what the caller voids.
func (t tarantool[P]) firstSync(lsn uint64) int {
	first := t.queue.len()
	for i := t.queue.lastSync(); i >= t.settled && t.queue.at(i).LSN >= lsn; i = t.queue.syncUpTo(i - 1) {
		first = i
	}
	if t.queue.behind == 0 {
		return first
	}
	for i := t.settled; i < first; i++ {
		if t.queue.at(i).Behind != 0 {
			return i
		}
	}
	return first
}

// lead: Tarantool's CONFIRM names synchronous transactions only.
func (t tarantool[P]) lead(lsn uint64) uint64 {
	last := uint64(0)
	for i := t.settled; i < t.queue.len(); i++ {
		e := t.queue.at(i)
		if e.LSN > lsn {
			break
		}
		if e.Sync {
			last = e.LSN
		}
	}
	if last != 0 {
		t.confirmTo(last)
		t.drain(terms.Tarantool)
	}
	return last
}

func (t tarantool[P]) tells(lsn uint64) (uint32, uint64) { return t.Current().Owner, lsn }

func (t tarantool[P]) names() uint64 { return t.LastSync() }

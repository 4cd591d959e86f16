package box

import "tarragon.dev/tarragon/xrow"

// Isolation says which transactions of others a draft may see. The numbers are those
// of TXN_ISOLATION; 0 is BestEffort.
type Isolation uint8

// Levels of isolation.
const (
	ReadCommitted Isolation = 1 // prepared ones, which may yet be rolled back
	ReadConfirmed Isolation = 2 // those that default readers see
	BestEffort    Isolation = 3 // as ReadConfirmed before its first change, then as ReadCommitted
	Linearizable  Isolation = 4 // as ReadConfirmed, in spaces that can promise that it is all
)

// ParseIsolation reads the name of a level, in the spelling of database.txn_isolation; 0:
// it is none.
func ParseIsolation(name string) Isolation {
	return map[string]Isolation{"read-committed": ReadCommitted, "read-confirmed": ReadConfirmed, "best-effort": BestEffort, "linearizable": Linearizable}[name]
}

// Draft is an open transaction of several requests: what it has read, and what it
// would change. Nobody else sees it, and it waits for nobody (docs/protocol/transactions.md).
//
// Invariant: all that it has answered is so at its bound, with its own changes over it,
// unless failed says otherwise.
type Draft struct {
	box   *Box
	level Isolation
	tx    Txn // runs the statements; never current

	dict         *Schema
	bound, local uint64 // transactions up to here are seen; local: in spaces decided by their write
	pin          *pin   // nil: it has not begun to read, or has ended
	kept         int    // see Keeps
	stays        bool   // something that it has read is so no more: it keeps its bound

	looks    looks
	asked    int // what looks cost when the bound was brought forward last
	overlays []*overlay
	spare    []*overlay // of the one before that was made of this memory
	calls    []xrow.DML // that have changed something, in order
	size     int        // bytes of calls
	told     int        // Size at the last request: what drafts.size has of it
	freed    []ref      // versions that nobody needs after the present statement
	key      []byte     // the values that a statement looks for
	failed   error
	at       int // in Box.drafts
}

// NewDraft opens a transaction. For the owner only; so is all but Query.
func (b *Box) NewDraft(level Isolation) *Draft {
	if level == 0 {
		level = BestEffort
	}
	d := b.drafts.take()
	*d = Draft{box: b, level: level, looks: looks{all: d.looks.all, buf: d.looks.buf}, overlays: d.overlays, spare: d.spare, calls: d.calls,
		freed: d.freed, key: d.key, tx: Txn{box: b, seq: draftSeq, open: true, draft: d, work: d.tx.work}}
	b.drafts.add(d)
	return d
}

// Forward begins a request: the bound goes to the newest state that the draft may see,
// as long as all that it has read is still so. write: the request changes something.
func (d *Draft) Forward(write bool) error {
	if d.failed != nil {
		return d.failed
	}
	for _, r := range d.freed {
		d.box.mem.freeVersion(r)
	}
	d.freed = d.freed[:0]
	d.box.drafts.tell(d, d.Size())
	if !d.sameSpaces(d.box.dict) {
		return d.Fail(conflict())
	}
	bound, local := d.newest(write || d.Writes())
	switch {
	case d.pin == nil:
	case d.stays || bound < d.bound || bound == d.bound && local == d.local:
		return d.onlyReads(write)
	case d.looks.cost > forwardCost && d.looks.cost < 2*d.asked:
		return nil // the next time, or COMMIT
	case !d.still():
		d.stays = true
		return d.onlyReads(write)
	}
	d.asked = d.looks.cost
	pin := d.box.pins.take(d.box)
	if d.pin != nil {
		d.box.pins.give(d.pin)
	} else {
		d.kept = d.box.garbage.kept
	}
	d.pin, d.bound, d.local = pin, bound, local
	d.dict, d.tx.dict, d.tx.base = d.box.dict, d.box.dict, d.box.dict
	return nil
}

// forwardCost is how many entries are looked at again before each request; a draft
// that has read more looks again when it has read as much once more.
const forwardCost = 128

func conflict() error { return xrow.Errorf(xrow.ErrTransactionConflict) }

// newest is the bound that the draft may go to.
func (d *Draft) newest(writes bool) (bound, local uint64) {
	b := d.box
	bound, local = max(b.confirmed, b.shown), b.last
	if b.current != nil {
		local = b.current.seq - 1
	}
	if d.level == ReadCommitted || d.level == BestEffort && writes {
		bound = max(bound, local)
		if b.head != b.dict { // a change of the schema is undecided: its space is the old one here
			bound = min(bound, b.headBy-1)
		}
	}
	return bound, local
}

// onlyReads ends a draft that cannot win any more once it has to.
func (d *Draft) onlyReads(write bool) error {
	if d.stays && (write || d.Writes()) {
		return d.Fail(conflict())
	}
	return nil
}

// still tells whether all that was read is so in the newest state; of more than
// stillMost entries it does not find out.
func (d *Draft) still() bool {
	left := stillMost
	for i := range d.looks.all {
		k := &d.looks.all[i]
		bound := d.boundOf(k.sp)
		if k.sp.stats.touched <= bound {
			continue // nothing was changed in the space
		}
		if left -= k.n + 1; left < 0 || !k.still(bound) {
			return false
		}
	}
	return true
}

// stillMost is how many entries one Step looks at again, at most, for one draft: it
// answers others only behind that.
const stillMost = 1 << 20

// sameSpaces tells whether the spaces that the draft has used are in a dictionary as
// they were.
func (d *Draft) sameSpaces(dict *Schema) bool {
	if dict == d.dict || d.dict == nil {
		return true
	}
	for _, o := range d.overlays {
		if dict.spaces[o.sp.id] != o.sp {
			return false
		}
	}
	return d.looks.spaces(func(sp *space) bool { return dict.spaces[sp.id] == sp })
}

func (d *Draft) boundOf(sp *space) uint64 {
	if sp.decidedByWrite() {
		return d.local
	}
	return d.bound
}

// Execute runs a client's statement behind Forward, as [Txn.Execute] would; result is
// valid until the next one. After an error the statement is undone.
func (d *Draft) Execute(user Credentials, m *xrow.DML) (result []byte, err error) {
	return d.tx.Execute(user, m)
}

// Txn runs the statements of a procedure in the draft. Only Execute and Query of it may
// be called.
func (d *Draft) Txn() *Txn { return &d.tx }

// note keeps a statement that has changed something.
func (d *Draft) note(m *xrow.DML) {
	own := *m
	own.Key, own.Tuple, own.Ops = d.looks.keep(m.Key), d.looks.keep(m.Tuple), d.looks.keep(m.Ops)
	if d.calls == nil {
		d.calls = make([]xrow.DML, 0, 4)
	}
	d.calls = append(d.calls, own)
	d.size += len(own.Key) + len(own.Tuple) + len(own.Ops) + lookOverhead
}

// Writes tells whether the draft would change something.
func (d *Draft) Writes() bool { return len(d.calls) > 0 }

// WritesGlobal tells whether it would change a replicated space.
func (d *Draft) WritesGlobal() bool {
	for _, o := range d.overlays {
		if !o.sp.decidedByWrite() {
			return true
		}
	}
	return false
}

// WritesLocal tells whether it would change a local or temporary space.
func (d *Draft) WritesLocal() bool {
	for _, o := range d.overlays {
		if o.sp.decidedByWrite() {
			return true
		}
	}
	return false
}

// Size is the bytes that the draft takes beside its tuples. For the owner only.
func (d *Draft) Size() int { return d.size + d.looks.size }

// Keeps is the bytes of tuples that were replaced or deleted since it began to read: they
// stay in memory until it ends. Safe for readers.
func (d *Draft) Keeps() int {
	if d.pin == nil {
		return 0
	}
	return d.box.garbage.kept - d.kept
}

// Undecided is the newest transaction of others, undecided yet, that an answer stands on; 0: none does.
func (d *Draft) Undecided() uint64 {
	if d.box.Seen(d.tx.saw.by) {
		return 0
	}
	return d.tx.saw.by
}

// Failed is why it cannot commit; nil: it may.
func (d *Draft) Failed() error { return d.failed }

// Fail ends the transaction before its client does: each request gets err from now on.
func (d *Draft) Fail(err error) error {
	if d.failed == nil {
		d.failed = err
		d.Close()
	}
	return d.failed
}

// Commit runs the statements again in a transaction that has begun and done nothing, if
// what they stand on is still so; an error leaves t to be aborted. The draft ends.
func (d *Draft) Commit(t *Txn) error {
	defer d.end()
	if d.failed != nil {
		return d.failed
	}
	t.saw.by = max(t.saw.by, d.tx.saw.by)
	if !d.Writes() {
		return nil
	}
	if !d.sameSpaces(t.dict) || !d.still() {
		return conflict()
	}
	for i := range d.calls {
		m := &d.calls[i]
		if _, err := t.run(t.dict.spaces[m.SpaceID], m, actor{log: true}); err != nil {
			return conflict()
		}
	}
	return nil
}

// Close rolls the transaction back, and keeps nothing of it. To close it again does nothing.
func (d *Draft) Close() {
	if d.end() {
		d.freed, d.overlays, d.spare, d.calls, d.looks, d.key, d.tx.work = nil, nil, nil, nil, looks{}, nil, nil
	}
}

// Free is Close for who will never look at the draft again: another one is made of its
// memory.
func (d *Draft) Free() {
	d.end()
	d.box.drafts.give(d)
}

// end rolls the transaction back; false: it was before.
func (d *Draft) end() bool {
	b := d.box
	if !b.drafts.remove(d) {
		return false
	}
	if d.pin != nil {
		b.pins.give(d.pin)
		d.pin = nil
	}
	for _, r := range d.freed {
		b.mem.freeVersion(r)
	}
	for _, o := range d.overlays {
		o.free(b)
	}
	d.size, d.dict = 0, nil
	return true
}

// drafts are the open ones.
type drafts struct {
	open   []*Draft
	size   int      // what they have told of
	unused []*Draft // to make others of
}

// tell takes down what a draft takes.
func (s *drafts) tell(d *Draft, size int) {
	s.size += size - d.told
	d.told = size
}

func (s *drafts) add(d *Draft) {
	d.at = len(s.open)
	s.open = append(s.open, d)
}

func (s *drafts) remove(d *Draft) bool {
	n := len(s.open)
	if d.at >= n || s.open[d.at] != d {
		return false
	}
	s.tell(d, 0)
	last := s.open[n-1]
	s.open[d.at], last.at = last, d.at
	s.open[n-1] = nil
	s.open = s.open[:n-1]
	return true
}

// rolledBack fails those that have seen what transactions from seq on did.
func (s *drafts) rolledBack(seq uint64) {
	for i := len(s.open) - 1; i >= 0; i-- {
		if d := s.open[i]; d.tx.saw.by >= seq {
			_ = d.Fail(conflict())
		}
	}
}

// TrimDrafts fails those that keep more than so many bytes of replaced tuples alive, and
// tells how many these were.
func (b *Box) TrimDrafts(keeps int) (failed int) {
	for i := len(b.drafts.open) - 1; i >= 0; i-- {
		if d := b.drafts.open[i]; d.Keeps() > keeps {
			_ = d.Fail(conflict())
			failed++
		}
	}
	return failed
}

// DraftBytes is what open transactions have read and would change, and the most that one
// of them keeps alive. Safe for readers.
func (b *Box) DraftBytes() (size, keeps int) {
	for _, d := range b.drafts.open {
		keeps = max(keeps, d.Keeps())
	}
	return b.drafts.size, keeps
}

// DraftSize is the first of these alone, and takes no time.
func (b *Box) DraftSize() int { return b.drafts.size }

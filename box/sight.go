package box

// sight is what a transaction's statements looked at in replicated spaces, whether
// they changed something or failed: the answer stands on it. Statements see the
// newest versions, which may be undecided, and so may be that there is none.
//
// Transactions are decided in order, so the newest one tells for all.
type sight struct {
	by   uint64 // the newest transaction that made what was seen
	any  bool   // something was looked for
	sync bool   // in a synchronous space
}

// look takes down that a statement looked for a tuple. by is who made it what
// it is, 0 where nobody is known to have.
func (s *sight) look(t *Txn, sp *space, by uint64) {
	if sp.decidedByWrite() {
		return
	}
	s.any = true
	s.sync = s.sync || sp.sync
	if by > s.by && by != t.seq {
		s.by = by
	}
}

// Undecided is the number of the newest transaction that the statements so far
// stand on, errors too, and that default readers do not see; 0: there is none.
// What the transaction answers holds if that one is confirmed.
func (t *Txn) Undecided() uint64 {
	by := t.saw.by
	if t.base != t.box.dict { // a change of the schema is undecided, and all depends on it
		by = max(by, t.box.headBy)
	}
	if t.box.Seen(by) {
		return 0
	}
	return by
}

// Looked tells whether a statement looked for tuples of replicated spaces, and
// whether any of these is synchronous. Checks of shape and rights do not look.
func (t *Txn) Looked() (any, sync bool) { return t.saw.any, t.saw.sync }

// Seen tells whether default readers see what the transaction seq did.
func (b *Box) Seen(seq uint64) bool { return seq <= max(b.confirmed, b.shown) }

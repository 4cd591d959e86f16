package mutants

var transactions = []Mutant{
	{
		Name: "nothing that was read is looked at again", Area: "transactions", File: "box/looks.go", By: "test/sim TestTxns",
		Old: `if mem.madeBy(r) > bound {`,
		New: `if mem.madeBy(r) > noEnd-bound {`,
	},
	{
		Name: "that there was nothing is not tracked", Area: "transactions", File: "box/looks.go", By: "box TestDrafts",
		Old: `	l.add(look{sp: s.sp,`,
		New: `	if n == 0 {
		return
	}
	l.add(look{sp: s.sp,`,
	},
	{
		Name: "a key that was not there is not tracked", Area: "transactions", File: "box/draft_stmt.go", By: "box TestDrafts",
		Old: `		if len(s.keys) == 0 || ix.oneKey(&walker{b: ix.mem.tuple(r)}, values) {
			return r
		}
	}
	return 0`,
		New: `		if len(s.keys) == 0 || ix.oneKey(&walker{b: ix.mem.tuple(r)}, values) {
			return r
		}
	}
	d.looks.all = d.looks.all[:len(d.looks.all)-1]
	return 0`,
	},
	{
		Name: "a level that may not sees what is undecided", Area: "transactions", File: "box/draft.go", By: "test/sim TestTxns",
		Old: `if d.level == ReadCommitted || d.level == BestEffort && writes {`,
		New: `if d.level != 0 {`,
	},
	{
		Name: "half of a COMMIT", Area: "transactions", File: "box/draft.go", By: "test/sim TestTxns",
		Old: `	for i := range d.calls {`,
		New: `	for i := range d.calls[:(len(d.calls)+1)/2] {`,
	},
	{
		Name: "the bound moves whatever was read", Area: "transactions", File: "box/draft.go", By: "test/sim TestTxns",
		Old: `	case !d.still():
		d.stays = true`,
		New: `	case d.box == nil:
		d.stays = true`,
	},
	{
		Name: "a DELETE is no change of its space", Area: "transactions", File: "box/stmt.go", By: "box TestDraftThatReadMuch",
		Old: `	sp.stats.touched = t.seq
	t.stmts`,
		New: `	t.stmts`,
	},
	{
		Name: "rights are those of the bound", Area: "transactions", File: "box/txn.go", By: "box TestDraftHasLostRights",
		Old: `		return t.box.dict
	}
	return t.dict`,
		New: `		return t.dict
	}
	return t.dict`,
	},
	{
		Name: "the gate gives back what is left of a COMMIT", Area: "transactions", File: "instance/gate.go", By: "instance TestGateForgetsWhatItHeld",
		Old: `g.size -= r.waits`,
		New: `g.size -= r.heldSize()`,
	},
	{
		Name: "one connection takes what all may", Area: "transactions", File: "instance/txnroom.go", By: "instance TestTxnShares",
		Old: `c.cfg.TxnMemory/txnShares {`,
		New: `c.cfg.TxnMemory {`,
	},
	{
		Name: "guests pay by the connection", Area: "transactions", File: "instance/txnroom.go", By: "instance TestTxnShares",
		Old: `		return guests
`,
		New: ``,
	},
	{
		Name: "transactions that do nothing cost nothing", Area: "transactions", File: "instance/txnroom.go", By: "instance TestTxnMemory",
		Old: `n := c.box.DraftSize() + len(c.txns.all)*txnOverhead;`,
		New: `n := c.box.DraftSize();`,
	},
	{
		Name: "what it saw may vanish", Area: "transactions", File: "box/box.go", By: "box TestDrafts",
		Old: `	b.drafts.rolledBack(seq)
`,
		New: ``,
	},
	{
		Name: "versions that it sees are freed", Area: "transactions", File: "box/view.go", By: "box TestDraftKeeps",
		Old: `return b.views.need(seq, byWrite) || b.pins.need(seq, byWrite)`,
		New: `return b.views.need(seq, byWrite)`,
	},
	{
		Name: "a COMMIT that has only read waits for nothing", Area: "transactions", File: "instance/txns.go", By: "instance TestScripts/txn",
		Old: `saw: t.draft.Undecided()}`,
		New: `saw: 0 * t.draft.Undecided()}`,
	},
	{
		Name: "a connection that is gone leaves transactions", Area: "transactions", File: "instance/txns.go", By: "instance TestScripts/txn",
		Old: `	for _, t := range slices.Clone(c.txns.ofConn[conn]) {`,
		New: `	for _, t := range slices.Clone(c.txns.ofConn[conn+1]) {`,
	},
	{
		Name: "a switchover waits for no transaction", Area: "transactions", File: "instance/handover.go", By: "instance TestScripts/txnmove",
		Old: `	if h.txns = c.txns.writing(); h.txns != nil {`,
		New: `	if h.txns != nil {`,
	},
	{
		Name: "a switchover waits for transactions for ever", Area: "transactions", File: "instance/handover.go", By: "instance TestScripts/txnmove",
		Old: `h.txns != nil && now < h.giveUp && c.lead.leading`,
		New: `h.txns != nil && c.lead.leading`,
	},
}

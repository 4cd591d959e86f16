package mutants

var sessions = []Mutant{
	{
		Name: "a repeat that fails leaves no row", Area: "sessions", File: "instance/write.go", By: "test/sim TestSessions",
		Old: `		e := clientError(err)
		if r.Number != nil && r.Number.Repeat {
			tx.Abort()
			c.leaveFailure(by, r, e)
			return
		}
`,
		New: `		e := clientError(err)
`,
	},
	{
		Name: "a repeat is given the fate of the queue's last entry", Area: "sessions", File: "instance/number.go", By: "test/sim TestSessions",
		Old: `f.number = true`,
		New: `f.number, f.saw = true, max(f.saw, c.seq-1)`,
	},
	{
		Name: "checkpoints and joins leave the table out", Area: "sessions", File: "box/view.go", By: "server TestSessionInCheckpoint",
		Old: `	return v.dict.isHere(v.sharing, sp)`,
		New: `	return sp.id != v.dict.session && v.dict.isHere(v.sharing, sp)`,
	},
	{
		Name: "idleness is judged by a follower's clock", Area: "sessions", File: "instance/session.go", By: "test/sim TestSessions",
		Old: `slots: int(min(r.number, MaxSlots)), used: c.now.Mono}`,
		New: `slots: int(min(r.number, MaxSlots))}`,
	},
	{
		Name: "an unknown session is no reason to refuse", Area: "sessions", File: "instance/number.go", By: "test/sim TestSessions",
		Old: `	if !ok {
		return nil, unknownSession(n), false
	}`,
		New: `	if !ok {
		return nil, nil, true
	}`,
	},
	{
		Name: "a smaller number runs", Area: "sessions", File: "instance/number.go", By: "test/sim TestSessions",
		Old: `	case was.bad || was.number > n.No:
		return nil, refusedNumber(n, "the slot is at %d", was.number), false
	case was.number < n.No:`,
		New: `	case was.number != n.No:`,
	},
}

package mutants

var elections = []Mutant{
	{
		Name: "a vote too few elects", Area: "elections", File: "raft/electorate.go",
		Old:     `bits.OnesCount32(votes&e.Voters) >= e.Quorum`,
		New:     `bits.OnesCount32(votes&e.Voters) >= e.Quorum-1`,
		Killers: []string{"one leader", "history", "votes", "pre-vote"},
	},
	{
		Name: "a candidacy keeps its term", Area: "elections", File: "raft/raft.go",
		Old:     `r.newTerm(r.term + 1)`,
		New:     `r.newTerm(r.term)`,
		Killers: []string{"vote", "votes", "one leader", "boot"},
	},
	{
		Name: "shown before it is on disk", Area: "elections", File: "raft/raft.go",
		Old:     `m := Message{Term: r.saved.Term, Vote: r.saved.Vote, State: StateFollower}`,
		New:     `m := Message{Term: r.term, Vote: r.vote, State: StateFollower}`,
		Killers: []string{"promise"},
	},
	{
		// Our relays show a term before its rows, so the simulator has no such row;
		// Tarantools promote themselves by a row alone.
		Name: "a term of a row is not adopted", Area: "elections", File: "instance/apply.go", By: "instance TestScripts/follow",
		Old: `c.adopt(last.Term)`,
		New: ``,
	},
	{
		Name: "a leader is lost while nobody reads its stream", Area: "elections", File: "instance/core.go", By: "instance TestScripts/gather",
		Old: `if c.out.parked && c.vouches() {`,
		New: `if c.out.parked && c.replay {`,
	},
	{
		Name: "who is fenced campaigns", Area: "elections", File: "raft/raft.go", By: "instance TestScripts/fence",
		Old: ` || r.prefer.bars(r.self) ||`,
		New: ` ||`,
	},
	{
		Name: "a leader that is fenced stays", Area: "elections", File: "instance/core.go", By: "instance TestScripts/fence",
		Old: `	c.stepFence()`,
		New: ``,
	},
	{
		Name: "a handover looks at no priority", Area: "elections", File: "instance/fence.go", By: "instance TestScripts/fence",
		Old: `if na.Priority != nb.Priority {`,
		New: `if c.closing {`,
	},
	{
		Name: "the last one is fenced", Area: "elections", File: "instance/fence.go", By: "instance TestScripts/fence",
		Old: `	if !others {`,
		New: `	if !others && c.closing {`,
	},
	{
		Name: "a priority comes before what is held", Area: "elections", File: "raft/preference.go", By: "raft TestBefore",
		Old: `	case aHolds != bHolds:`,
		New: `	case aHolds != bHolds && pa == pb:`,
	},
	{
		Name: "a pause holds nobody back", Area: "elections", File: "raft/raft.go", By: "test/sim TestPauses",
		Old: `if r.paused != 0 || r.self == 0`,
		New: `if r.self == 0`,
	},
	{
		Name: "a fence bars nobody", Area: "elections", File: "instance/fence.go", By: "test/sim TestFences",
		Old: `				p.Barred |= 1 << m.ID`,
		New: `				p.Barred |= 0 << m.ID`,
	},
	{
		Name: "a fenced leader goes on", Area: "elections", File: "instance/fence.go", By: "test/sim TestFences",
		Old: `	if !c.yields() || c.now.Mono`,
		New: `	if true || !c.yields() || c.now.Mono`,
	},
	{
		Name: "a pause counts once it is decided", Area: "elections", File: "instance/pause.go", By: "test/sim TestPauses",
		Old: `	c.raft.Pause(newest.until(), now)`,
		New: `	c.raft.Pause(c.pause.confirmed.until(), now)`,
	},
	{
		Name: "a CONFIRM begins a pause anew", Area: "elections", File: "instance/pause.go", By: "instance TestScripts/pause",
		Old: `if tuple != nil && bytes.Equal(known.tuple, tuple) {`,
		New: `if tuple == nil {`,
	},
	{
		Name: "a space of our name is ours", Area: "elections", File: "box/own.go", By: "box TestOwnSpaceForeign",
		Old: `return id, ok && s.isOwn(id)`,
		New: `return id, ok`,
	},
	{
		Name: "no fencing", Area: "elections", File: "raft/raft.go",
		Old:     `if r.cfg.FencingInterval == 0 {`,
		New:     `if r.cfg.FencingInterval >= 0 {`,
		Killers: []string{"fencing"},
	},
	{
		Name: "requests before deadlines", Area: "elections", File: "instance/core.go",
		Old: `	c.runDeadlines()
	for _, ev := range events {
		c.handle(ev)
	}`,
		New: `	for _, ev := range events {
		c.handle(ev)
	}
	c.runDeadlines()`,
		Killers: []string{"fencing"},
	},
	{
		Name: "no pre-vote", Area: "elections", File: "raft/raft.go",
		Old:     `return r.who.elect(with)`,
		New:     `return with != 0`,
		Killers: []string{"pre-vote"},
	},
	{
		Name: "a leader stays with a stalled disk", Area: "elections", File: "instance/core.go",
		Old:     `c.raft.Resign(now, "the disk stalls")`,
		New:     ``,
		Killers: []string{"sick leader"},
	},
	{
		Name: "a leader stays with a failed disk", Area: "elections", File: "instance/voice.go",
		Old:     `c.raft.Resign(c.now.Mono, "the disk failed")`,
		New:     ``,
		Killers: []string{"sick leader"},
	},
	{
		Name: "a preferred leader that flaps goes on being well", Area: "elections", File: "instance/preferred.go", By: "test/sim TestPreferred",
		Old: `		*p = preferring{why: why}
		return`,
		New: `		p.why = why
		return`,
	},
	{
		Name: "a preferred leader need not be well for long", Area: "elections", File: "instance/preferred.go", By: "test/sim TestPreferred",
		Old: `if now < p.calm+c.cfg.PreferredCalm {`,
		New: `if now < p.calm {`,
	},
	{
		Name: "streams of a preferred leader may come and go", Area: "elections", File: "instance/preferred.go", By: "instance TestScripts/preferred",
		Old: `p.broken&(1<<m.ID) != 0`,
		New: `p.broken&(1<<31) != 0`,
	},
	{
		Name: "a leader that stood still goes on counting", Area: "elections", File: "instance/preferred.go", By: "instance TestScripts/preferred",
		Old: `p.looked != 0 && now >= p.looked+c.cfg.DeathTimeout`,
		New: `p.looked < 0`,
	},
	{
		Name: "a preferred leader may lag", Area: "elections", File: "instance/preferred.go", By: "instance TestScripts/preferred",
		Old: `return now < p.at+death`,
		New: `return true`,
	},
	{
		Name: "a preferred leader is given what an operator has moved away", Area: "elections", File: "instance/preferred.go", By: "instance TestScripts/preferred",
		Old: `c.madeByHand(); who != ""`,
		New: `c.madeByHand(); who == "nobody"`,
	},
}

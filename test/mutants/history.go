package mutants

var history = []Mutant{
	{
		Name: "a term keeps what a void CONFIRM told", Area: "history", File: "limbo/terms.go", By: "instance TestScripts/began",
		Old: `if s := &l.spans[len(l.spans)-1]; s.Last <= s.First {`,
		New: `if s := &l.spans[len(l.spans)-1]; s.Last < s.First {`,
	},
	{
		Name: "a CONFIRM counts from when it is read", Area: "history", File: "instance/arrival.go", Killers: []string{"convergence"},
		Old: `	l.At = terms.Micros(r.Timestamp)
`,
		New: `	l.At = terms.Micros(r.Timestamp)
	if l.Kind == limbo.Confirmation {
		l.At = terms.Micros(c.now.Wall)
	}
`,
	},
	{
		Name: "a checkpoint forgets how a pending term began", Area: "history", File: "instance/lead.go", By: "instance TestBeganSurvivesCheckpoint",
		Old: `Rules: xrow.RulesStrong, Move: moveOf(p)}`,
		New: `Rules: xrow.RulesStrong}`,
	},
	{
		Name: "checkpoints forget how terms began", Area: "history", File: "xlog/moves.go", By: "xlog TestMovesComeBack",
		Old: `if len(value) == 2 {`,
		New: `if len(value) >= 2 {`,
	},
	{
		Name: "a state does not tell how terms began", Area: "history", File: "xrow/joinmeta.go", By: "xrow TestBodiesHaveTarantoolsLayout",
		Old: `moves := AppendMoves(nil, j.History, maxBegan)`,
		New: `moves := AppendMoves(nil, nil, maxBegan)`,
	},
	{
		Name: "clients are told behind the first refusal", Area: "history", File: "instance/handover.go", By: "instance TestScripts/handover",
		Old: `h.told < cur.Term && now < h.until {`,
		New: `h.told < cur.Term && now > h.until {`,
	},
	{
		Name: "a history that knows less judges", Area: "history", File: "instance/line.go", By: "instance TestLine",
		Old: `if newest.Term < ours.Term {`,
		New: `if newest.Term < ours.Term && n == 0 {`,
	},
	{
		Name: "what is not confirmed judges", Area: "history", File: "instance/line.go", By: "instance TestLine",
		Old: `last = l.Confirmed`,
		New: `last = l.Last`,
	},
	{
		Name: "a parted line is followed", Area: "history", File: "replication/line.go", By: "replication TestPartedLine",
		Old: `if cmp.Standing == instance.Parted {`,
		New: `if cmp.Standing == instance.Parted && ctx == nil {`,
	},
}

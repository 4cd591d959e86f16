package mutants

var rejoin = []Mutant{
	{
		Name: "joining anew forgets term and vote", Area: "rejoin", File: "instance/rejoin.go",
		Old:     `s.Term, s.Vote = end.Term, end.Vote`,
		New:     `s.Term, s.Vote = s.Term, s.Vote`,
		Killers: []string{"vote", "votes", "terms"},
	},
	{
		Name: "joining anew drops the rows of the old log", Area: "rejoin", File: "instance/rejoin.go",
		Old:     `for g := range k.old.Log {`,
		New:     "for g := range k.old.Log {\n\t\tif len(g.Table) >= 0 {\n\t\t\tbreak\n\t\t}",
		Killers: []string{"history", "fatal", "stream", "convergence", "log matching", "recovery", "vclock", "rows"},
	},
	{
		Name: "joining anew from one who knows less", Area: "rejoin", File: "instance/rejoin.go", By: "instance TestRejoin",
		Old: `if theirs < ours || theirs == ours && s.Confirmed < o.Confirmed {`,
		New: `if theirs == 0 && ours == 0 {`,
	},
	{
		Name: "a received term ends before its last CONFIRM", Area: "rejoin", File: "instance/rejoin.go", By: "instance TestRejoinTakesWhatWasOpen",
		Old: `span.Last = max(span.Last, last)`,
		New: `_ = last`,
	},
	{
		Name: "joining anew forgets what was voided before", Area: "rejoin", File: "instance/rejoin.go",
		Old:     `Lost: slices.Clone(old.Lost)`,
		New:     `Lost: nil`,
		Killers: []string{"voided rows"},
	},
	{
		Name: "joining anew does not keep what the state voids", Area: "rejoin", File: "instance/rejoin.go",
		Old:     `k.keepLost(last, frames)`,
		New:     `_ = frames`,
		Killers: []string{"voided rows"},
	},
}

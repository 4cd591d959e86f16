package mutants

var rejoin = []Mutant{
	{
		Name: "joining anew forgets term and vote", Area: "rejoin", File: "instance/rejoin.go",
		Old:     `s.Term, s.Vote = old.Term, old.Vote`,
		New:     `s.Term, s.Vote = s.Term, s.Vote`,
		Killers: []string{"vote", "votes", "terms"},
	},
	{
		Name: "joining anew forgets what was held", Area: "rejoin", File: "instance/rejoin.go",
		Old:     `s.VClock.Merge(&old.VClock)`,
		New:     ``,
		Killers: []string{"rows", "vclock", "same row"},
	},
	{
		Name: "joining anew drops the rows of the old log", Area: "rejoin", File: "instance/rejoin.go",
		Old:     `for g := range log {`,
		New:     "for g := range log {\n\t\tif len(g.Table) >= 0 {\n\t\t\tbreak\n\t\t}",
		Killers: []string{"history", "fatal", "convergence", "log matching", "recovery"},
	},
	{
		Name: "joining anew from one who knows less", Area: "rejoin", File: "instance/rejoin.go",
		Old:     `return theirs > ours || theirs == ours && s.Confirmed >= i.Confirmed`,
		New:     `return theirs > 0 || ours > 0`,
		Killers: []string{"read goes back", "recovery", "history", "log matching"},
	},
	{
		Name: "a received term ends before its last CONFIRM", Area: "rejoin", File: "instance/rejoin.go",
		Old:     `span.Last = max(span.Last, last)`,
		New:     `_ = last`,
		Killers: []string{"fatal", "recovery", "log matching"},
	},
}

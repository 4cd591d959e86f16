package mutants

var agents = []Mutant{
	{
		Name: "a token is compared when the agent calls only", Area: "agents", File: "instance/mandate.go", By: "instance TestScripts/mandate",
		Old: `m.token != 0 && m.token <= newest && c.lead.realigned != term`,
		New: `newest > 1<<62`,
	},
	{
		Name: "a token is not kept", Area: "agents", File: "instance/began.go", By: "test/sim TestAgents",
		Old: `Loose: b.Loose, Token: b.Token}`,
		New: `Loose: b.Loose}`,
	},
	{
		Name: "a PROMOTE by hand forgets the tokens before it", Area: "agents", File: "instance/lead.go", By: "instance TestScripts/mandate",
		Old: `m.Token, m.Lease = c.tokenOf(), 0`,
		New: `m.Token, m.Lease = c.lead.mandate.token, 0`,
	},
	{
		Name: "a lease has no end", Area: "agents", File: "instance/mandate.go", By: "test/sim TestAgents",
		Old: `if m.until == 0 || c.now.Mono < m.until {`,
		New: `if true {`,
	},
	{
		Name: "the heir leads without an end", Area: "agents", File: "instance/mandate.go", By: "instance TestScripts/mandate",
		Old: `term, c.lead.heirAt)`,
		New: `term, 1<<50)`,
	},
	{
		Name: "who wins behind the end of its lease leads", Area: "agents", File: "instance/mandate.go", By: "instance TestScripts/mandate",
		Old: `	case m.until != 0 && now >= m.until:`,
		New: `	case m.until < 0 && now >= m.until:`,
	},
	{
		Name: "any token renews a lease", Area: "agents", File: "instance/mandate.go", By: "instance TestScripts/mandate",
		Old: `if by.Token != 0 && m.token == by.Token && m.term`,
		New: `if by.Token != 0 && m.term`,
	},
	{
		Name: "who is supervised campaigns by itself", Area: "agents", File: "instance/mandate.go", By: "instance TestScripts/mandate",
		Old: `	case c.founds():
		return`,
		New: `	default:
		return`,
	},
}

package mutants

var procedures = []Mutant{
	{
		Name: "a row names what a member does not have", Area: "procedures", File: "instance/procedure.go", By: "instance TestScripts/procedure",
		Old: `	case !ok:
		return "has not announced it, since the start of this one"`,
		New: `	case !ok:
		return ""`,
	},
	{
		Name: "a Tarantool gets what it cannot read", Area: "procedures", File: "instance/procedure.go", By: "instance TestScripts/procedure",
		Old: `	if len(named) == 0 {`,
		New: `	if named != nil {`,
	},
	{
		Name: "what has failed is committed", Area: "procedures", File: "server/procedures.go", By: "server TestProcedures",
		Old: `	case err != nil:
		_ = c.txn.Rollback() // it was begun here
`,
		New: ``,
	},
	{
		Name: "a conflict ends the call", Area: "procedures", File: "server/procedures.go", By: "server TestProcedures",
		Old: `try == procedureTries ||`,
		New: `try > 0 ||`,
	},
	{
		Name: "the caller has part of its transaction back too early", Area: "procedures", File: "server/procedures.go", By: "server TestProcedures",
		Old: `	for r.within > 0 {`,
		New: `	for r.within > r.within {`,
	},
	{
		Name: "rights are those of the first attempt", Area: "procedures", File: "proc/procedure.go", By: "server TestAttackProcedureRights",
		Old: `	if err := c.mayCall(); err != nil {
		return 0, err
	}
`,
		New: ``,
	},
	{
		Name: "who cannot write any more is not told", Area: "procedures", File: "server/procedures.go", By: "server TestProcedureEnds",
		Old: `			r.tried(err)`,
		New: `			_ = r.tried`,
	},
}

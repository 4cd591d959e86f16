package mutants

// The audit log.
var auditing = []Mutant{
	{
		Name: "a change of the schema that was voided is done", Area: "audit", File: "instance/settle.go", By: "instance TestScripts/audit",
		Old: `c.tellChange(e, true)`,
		New: `c.tellChange(e, false)`,
	},
	{
		Name: "half a line stays in the audit log", Area: "audit", File: "audit/file.go", By: "audit TestFullDisk",
		Old: `if l.torn {`,
		New: `if l.torn && l.f == nil {`,
	},
	{
		Name: "what the audit log loses is not told", Area: "audit", File: "audit/log.go", By: "audit TestFullDisk",
		Old: `		l.told++
		l.gap++
`,
		New: `		l.told++
`,
	},
	{
		Name: "the audit log has a hash", Area: "audit", File: "server/auditrow.go", By: "server TestAudit",
		Old: `"Change password of user %s", t.text(2))`,
		New: `"Change password of user %s: %v", t.text(2), now.field(4))`,
	},
}

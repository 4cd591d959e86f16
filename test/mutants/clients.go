package mutants

var clients = []Mutant{
	{
		Name: "a write that may have been executed is sent again", Area: "clients", File: "client/attempt.go", By: "client TestUnknown",
		Old: "		return again\n	}\n	return unknown\n",
		New: "		return again\n	}\n	return again\n",
	},
	{
		Name: "a write without a quorum counts as refused", Area: "clients", File: "client/errors.go", By: "client TestUnknown",
		Old: "	case erSyncTimeout:\n		return unknown\n",
		New: "	case erSyncTimeout:\n		return answered\n",
	},
	{
		Name: "a deposed leader gets writes", Area: "clients", File: "client/route.go", By: "client TestDeposed",
		Old: `!m.ro && m.term >= seen && (`,
		New: `!m.ro && (`,
	},
	{
		Name: "a function of a Tarantool is called again", Area: "clients", File: "client/attempt.go", By: "client TestCallOfTarantool",
		Old: `read || isStatement(a.Type()) || a.at.ours)`,
		New: `true)`,
	},
}

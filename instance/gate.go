package instance

// gate is behind what requests, registrations and rows of peers wait: a change of
// the schema, and what may not be let in.
type gate struct {
	barrier  bool          // a transaction on system spaces is undecided
	held     []Request     // behind it, copied
	heldSize int           // their bytes
	joins    []JoinRequest // registrations behind it
	chores   []Request     // other changes of our own behind it
	welcome  []welcome     // joiners that count already, while a quorum has not been told so

	build    *building // a change of the schema that is built in slices; nil: none
	backlog  backlog   // rows of peers behind it
	ddlWaits bool      // the backlog's first transaction waits for our disk

	splits []SplitBrain // peers whose rows contradict ours, until the operator acts
	cut    uint32       // peers whose stream was refused and has not begun anew, a bit each
}

package mutants

var embedding = []Mutant{
	{
		Name: "a request within a transaction that is gone is one by itself", Area: "embedding", File: "instance/txns.go", By: "server TestJoinedTxn",
		Old: `	if t == nil && ev.Within {`,
		New: `	if t == nil && ev.Within && ev.Op == StreamRead {`,
	},
	{
		Name: "a read within a transaction that is gone is one outside", Area: "embedding", File: "instance/scan.go", By: "server TestJoinedTxn",
		Old: `		if !c.InTxn(id) {`,
		New: `		if id.Stream == 0 {`,
	},
	{
		Name: "who waits no more is told that nothing was changed", Area: "embedding", File: "server/local.go", By: "server TestLocalWaitEnds",
		Old: `		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, gone.cause)`,
		New: `		return fmt.Errorf("%w", gone.cause)`,
	},
	{
		Name: "a stop says that what it was handed is undone", Area: "embedding", File: "server/clients.go", By: "server TestLocalStop",
		Old: `	e.Err = errUnanswered`,
		New: `	e.Err = nil`,
	},
	{
		Name: "a stop leaves who waits alone", Area: "embedding", File: "server/close.go", By: "server TestLocalStop",
		Old: `			s.main().endLoop()
			s.port.calls.end()`,
		New: `			s.main().endLoop()`,
	},
	{
		Name: "what is unknown runs again", Area: "embedding", File: "txn.go", By: ". TestFunctionFails",
		Old: `err == nil || errors.Is(err, ErrOutcomeUnknown) || n == o.Attempts`,
		New: `err == nil || errors.Is(err, ErrOutcomeUnknown) && n == 3 || n == o.Attempts`,
	},
	{
		Name: "a conflict is an error of the program", Area: "embedding", File: "txn.go", By: ". TestConflictRunsAgain",
		Old: `			if !pause(ctx, n) {`,
		New: `			if !pause(ctx, n) || n > 1 {`,
	},
	{
		Name: "a panic leaves its transaction open", Area: "embedding", File: "txn.go", By: ". TestFunctionFails",
		Old: `	defer func() { _ = tx.x.Rollback() }()`,
		New: `	defer func() { _ = tx.x }()`,
	},
	{
		Name: "one that follows waits for leadership", Area: "embedding", File: "txn.go", By: ". TestReadOnly",
		Old: `		case led && (errors.Is`,
		New: `		case (led || n == 1) && (errors.Is`,
	},
	{
		Name: "what was read may have changed", Area: "embedding", File: "box/draft.go", By: ". TestBank",
		Old: `	if !d.sameSpaces(t.dict) || !d.still() {`,
		New: `	if !d.sameSpaces(t.dict) {`,
	},
	{
		Name: "triggers run for rows of peers", Area: "embedding", File: "box/txn.go", By: "box TestNoHooks",
		Old: `		if who.client {
			t.hook(sp)`,
		New: `		if !who.client || who.log {
			t.hook(sp)`,
	},
	{
		Name: "a statement is logged as it was before its trigger", Area: "embedding", File: "box/txn.go", By: "box TestHooks",
		Old: `			d = t.hooked.instead`,
		New: `			_ = t.hooked.instead`,
	},
	{
		Name: "what a trigger has seen is not read", Area: "embedding", File: "box/draft_stmt.go", By: "box TestHooksSeeWhatIsTracked",
		Old: ` || d.tx.hooked != nil {
		s.old`,
		New: ` {
		s.old`,
	},
	{
		Name: "a trigger that panics ends the process", Area: "embedding", File: "box/hooks.go", By: "box TestHooks",
		Old: `	defer func() { err = hookError("before_replace", sp, recover(), err) }()`,
		New: `	defer func() { err = hookError("before_replace", sp, nil, err) }()`,
	},
	{
		Name: "a change that a trigger has refused stays in a draft", Area: "embedding", File: "box/draft_stmt.go", By: "box TestOnReplaceFails",
		Old: `		err = d.tx.onReplace(sp, s.old, s.new)`,
		New: `		_ = d.tx.onReplace(sp, s.old, s.new)`,
	},
	{
		Name: "a trigger writes into the data", Area: "embedding", File: "box/hooks.go", By: "box TestHooksInOrder",
		Old: `	return bytes.Clone(t.box.mem.tuple(r))`,
		New: `	return t.box.mem.tuple(r)`,
	},
}

// Package client is a client of a replica set: it sends what it is given to whoever
// leads, and follows the leader when that changes.
//
//	c, err := client.Connect(ctx, []string{"10.0.0.1:3301", "10.0.0.2:3301", "10.0.0.3:3301"},
//		client.Login("app", "secret"))
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	_, err = c.Do(tarantool.NewInsertRequest("bands").Tuple([]any{1, "Roxette"})).Get()
//	var unknown *client.UnknownError
//	switch {
//	case err == nil: // it is there
//	case errors.As(err, &unknown): // it is there or not: look, before you try again
//	default: // it is not there, and will not be
//	}
//
// [Client] is a [tarantool.Doer] and takes the requests of go-tarantool. Answers and errors are
// those of the instance that has executed the request, but for two: [UnknownError] and [ErrNotExecuted].
//
// # Where a request goes
//
// To the leader, unless it is sent by [Client.Via], and what writes by itself (INSERT, REPLACE, UPDATE,
// DELETE, UPSERT) to the leader in any case. The leader is the instance that takes writes in the
// newest term that any instance tells of: each tells who leads by the event tarragon.leader, and about
// itself by box.election, which an instance of Tarantool 2.10 or later has too.
//
// # What becomes of it
//
//  1. What was certainly not executed is held and sent again: there is no leader, its connection ended
//     before the request was written, or the instance answers READONLY, LOADING or that the
//     transaction was rolled back with its term (SYNC_ROLLBACK). That lasts until the context of the
//     request ends, or for [HoldLimit]. Then the error is ErrNotExecuted.
//  2. What changes nothing (SELECT, PING) is sent again whatever has become of it.
//  3. What writes by itself, and a CALL of a method of a space or of box.schema, has a number of an exactly-once
//     session where the leader announces them (docs/protocol/sessions.md; feature level 3): what may have
//     been executed is sent again under that number until somebody knows what became of it, as long as
//     in 1, and is executed once. The error is an UnknownError only when that time is over first, or the session is
//     gone: nobody has used it for ten minutes, or the user was dropped.
//  4. What else may have been executed and may change something is not sent again: its connection ended, or
//     the instance says that it does not know. The error is an UnknownError. [NoNumbers] has this of all writes.
//
// CALL, EVAL and EXECUTE count as what changes something. One that a Tarantool refuses with
// READONLY may have done something before, so that answer is handed on; a procedure of Tarragon's is
// one transaction.
//
// A write with a number is synchronous, whatever its space is, and all copies of it have the bytes of the first one. An
// answer of more than 4 KiB is not kept by the replica set: where it was lost on its way the error is 20005, the write
// was executed. Beyond 4096 writes at a time, and while the replica set has no slots left, they wait, or go without numbers.
// [Client.Close] ends the sessions of a client.
//
// Numbers begin where the leader has announced them on the client's connection: when that was made, or about a second behind a raise of
// the level to 3, for instances of Tarragon that have not announced them are asked each second. A level is never
// lowered, so they end only where a Tarantool or an earlier version comes to lead: what may have been executed under a number is
// an UnknownError then. For ten seconds nothing of a kind gets one that an instance has said to take none, such as
// writes to a space that is not replicated, and no write gets one for five seconds behind a refused session.
//
// Requests may overtake each other, as on a connection of go-tarantool. Each that is held takes a
// goroutine, so who begins many at once has to bound them.
//
// # What it has not
//
// Streams (transactions over several requests), prepared statements and watchers: they belong to one
// connection, as [tarantool.Connect] makes it. Pushes are dropped. The instances are those that
// Connect was given; further ones are not looked for.
package client

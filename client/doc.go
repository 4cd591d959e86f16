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
//  2. What may have been executed and may change something is not sent again: its connection ended, or
//     the instance says that it does not know. The error is an UnknownError.
//  3. What changes nothing (SELECT, PING) is sent again in either case.
//
// CALL, EVAL and EXECUTE count as what changes something. One that a Tarantool refuses with
// READONLY may have done something before, so that answer is handed on; a procedure of Tarragon's is
// one transaction.
//
// Requests may overtake each other, as on a connection of go-tarantool. Each that is held takes a
// goroutine, so who begins many at once has to bound them.
//
// # What it has not
//
// Streams (transactions over several requests), prepared statements and watchers: they belong to one
// connection, as [tarantool.Connect] makes it. Pushes are dropped. The instances are those that
// Connect was given; further ones are not looked for. There is no TLS.
package client

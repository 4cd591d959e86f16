// Package tarragon is a database within a Go program: an instance of a Tarragon replica set,
// or one on its own, whose data the program reads and changes without a socket. Clients reach
// the same data by IPROTO where the instance listens, and other instances may follow it.
//
//	db, err := tarragon.Open(ctx, tarragon.Config{Dir: "/var/lib/app"})
//	if err != nil {
//		return err
//	}
//	defer db.Close()
//	_, err = db.Space("bands").Insert(ctx, Band{1, "Roxette"})
//	bands, err := tarragon.Select[Band](ctx, db.Space("bands"), nil)
//
// docs/embedding.md tells the whole of it.
//
// # Invariants
//
//  1. A request of the program takes the way of a client's: rights, limits, isolation and
//     waits are the same. Nothing here touches the data but by package server.
//  2. An error is certain, nothing was changed, unless it wraps [ErrOutcomeUnknown].
//  3. Nothing is run again whose outcome is unknown.
//  4. Close waits for all that the instance has started, and answers all that waits.
//
// Tuples and keys are MessagePack by github.com/vmihailenco/msgpack. A tuple is an array: a
// slice, or a struct, whose exported fields are those of the tuple, in their order.
package tarragon

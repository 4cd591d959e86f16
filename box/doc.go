// Package box keeps spaces, tuples and indexes in memory, with a version of
// each tuple for everybody who may still see it.
package box

// Box is the state of all spaces.
type Box struct{}

// Txn is a transaction that is being built.
type Txn struct{}

// View is the confirmed state of one moment.
type View struct{}

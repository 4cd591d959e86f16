package box

import "tarragon/xrow"

// View is the confirmed state of one moment. The versions it needs live until
// Close.
type View struct{}

// Cursor is a place in a View; the zero value is its start. It survives writes.
type Cursor struct{}

// OpenView pins the confirmed state of this moment. For the owner only.
func (b *Box) OpenView() *View { return nil }

// Close gives the view back. For the owner only.
func (v *View) Close() {}

// Next calls f for up to limit tuples behind c, in the order of Load: ascending
// space ID, then primary key. Temporary spaces are left out; local ones are
// not, see IsLocal. tuple is valid during the call. Safe for readers.
func (v *View) Next(c *Cursor, limit int, f func(space uint32, tuple []byte) error) (more bool, err error) {
	return false, nil
}

// IsLocal tells whether the space never leaves this instance: a JOIN skips it.
func (v *View) IsLocal(space uint32) bool { return false }

// Load puts a tuple of a checkpoint or a JOIN into a box that has seen no
// transaction yet. Tuples come in the order of [View.Next].
func (b *Box) Load(space uint32, tuple []byte) error { return nil }

// LoadDone builds the secondary indexes. Nothing else may run before it.
func (b *Box) LoadDone() error { return nil }

// BootstrapRows are the rows of a fresh database, as INSERTs in the order in
// which they must be applied. An empty instance or replica set name is left out.
func BootstrapRows(replicasetUUID, instanceUUID, instanceName, replicasetName string) []xrow.DML {
	return nil
}

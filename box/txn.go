package box

import "tarragon/xrow"

// Txn is a transaction of the owner's. It is valid until the box has confirmed
// it, rolled it back, or Abort.
type Txn struct{}

// LogRow is one change to log.
type LogRow struct {
	DML   xrow.DML
	Local bool // of a local space: logged with replica ID 0, never sent
}

// Execute runs a client's statement: existence, rights and shape are checked in
// Tarantool's order. result is the raw tuple of the reply (new for INSERT,
// REPLACE and UPDATE, old for DELETE; nil: none), valid until the next
// statement. After an error the statement is undone and the transaction usable.
// The slices of d passed xrow.Scan and are not kept.
func (t *Txn) Execute(user uint32, d *xrow.DML) (result []byte, err error) { return nil, nil }

// Apply runs the statement of a replicated or recovered row: no rights are
// checked and nothing is added to Rows.
func (t *Txn) Apply(d *xrow.DML) error { return nil }

// Query reads with the transaction's own writes, the newest versions. Rights
// are those of user.
func (t *Txn) Query(user uint32, q *Query, out []byte) (res []byte, n int, err error) {
	return out, 0, nil
}

// Schema is the dictionary with the transaction's own changes.
func (t *Txn) Schema() *Schema { return nil }

// Rows is what to log, local rows first; valid as long as the Txn.
func (t *Txn) Rows() []LogRow { return nil }

// IsSync tells whether a synchronous space was written.
func (t *Txn) IsSync() bool { return false }

// IsDDL tells whether a system space that is logged was written.
func (t *Txn) IsDDL() bool { return false }

// NeedsWork tells whether the owner should call [Box.Work] once it is decided.
func (t *Txn) NeedsWork() bool { return false }

// Prepare ends the statements; the transaction is undecided from now on.
func (t *Txn) Prepare() {}

// Abort undoes all, as if it never had begun.
func (t *Txn) Abort() {}

// IsLocal tells whether all its rows are of local or temporary spaces.
func (t *Txn) IsLocal() bool { return false }

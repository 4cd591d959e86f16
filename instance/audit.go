package instance

import (
	"bytes"

	"tarragon.dev/tarragon/box"
)

// SchemaChange is a transaction of this instance on system spaces whose fate is known:
// what an audit log has of it.
type SchemaChange struct {
	User      box.Credentials // as whom it ran
	Conn      uint64          // of Request; 0: nobody asked for it
	Forwarded bool            // another instance carried it here for its client
	Term, LSN uint64
	Void      bool // it is none: a newer term, or a ROLLBACK, voided it
	Rows      []ChangedTuple
}

// ChangedTuple is a tuple of a system space before and behind a statement; nil: there is none.
type ChangedTuple struct {
	Space    uint32
	Old, New []byte
}

// schemaChange is what is told of a transaction once it is decided.
func schemaChange(tx *box.Txn, r *Request) *SchemaChange {
	s := &SchemaChange{User: r.User, Conn: r.Conn, Forwarded: r.Forwarded != 0}
	tx.Changes(func(space uint32, old, new []byte) {
		s.Rows = append(s.Rows, ChangedTuple{space, bytes.Clone(old), bytes.Clone(new)})
	})
	return s
}

// tellChange gives what is known of a decided transaction to whoever audits.
func (c *Core) tellChange(e *entry, void bool) {
	if s := e.P.change; s != nil {
		s.Term, s.LSN, s.Void = e.Term, e.LSN, void
		c.eff.Changes = append(c.eff.Changes, s)
	}
}

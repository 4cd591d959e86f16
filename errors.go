package tarragon

import (
	"errors"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/server"
	"tarragon.dev/tarragon/xrow"

	"github.com/google/uuid"
)

// Error is what the database answers: Tarantool's number and text. errors.Is(err, code)
// finds a [Code] in what wraps one.
type Error = xrow.Error

// Code is Tarantool's number of an error, which is an error too.
type Code = xrow.Code

// Codes on which programs branch. There are more, in package xrow and in Tarantool's errcode.h.
const (
	ErrTupleFound          = xrow.ErrTupleFound          // a unique key is there already
	ErrTransactionConflict = xrow.ErrTransactionConflict // another transaction has won
	ErrTransactionTimeout  = xrow.ErrTransactionTimeout  // it was open for too long
	ErrReadonly            = xrow.ErrReadonly            // another instance leads, or none
	ErrSyncRollback        = xrow.ErrSyncRollback        // it was rolled back with the term of its leader
	ErrNoSuchSpace         = xrow.ErrNoSuchSpace
	ErrNoSuchProc          = xrow.ErrNoSuchProc
	ErrAccessDenied        = xrow.ErrAccessDenied
	ErrMemoryIssue         = xrow.ErrMemoryIssue // memtx.memory is used up, or another bound
	ErrLoading             = xrow.ErrLoading     // the instance joins anew
	ErrShutdown            = xrow.ErrShutdown    // the DB is closed
)

// ErrOutcomeUnknown is wrapped by the error of a change of which nobody knows whether it was,
// or will be, committed: its context ended, or the instance did, while it was under way; a
// quorum did not answer in time; or the disk failed. Only the data can tell, later.
var ErrOutcomeUnknown = server.ErrOutcomeUnknown

// ErrTxEnded is the error of a request in a transaction that was committed or rolled back.
var ErrTxEnded = server.ErrTxnEnded

// Fields are the further fields of an error of the database: of ErrReadonly "reason" and
// "leader_id", of ErrTupleFound "space" and "index". A UUID is its text. nil: it has none.
func Fields(err error) map[string]any {
	var e *Error
	if !errors.As(err, &e) {
		return nil
	}
	pairs, at, ok := mp.ReadMapHeader(e.Fields)
	if !ok {
		return nil
	}
	out := make(map[string]any, pairs)
	for range pairs {
		value := mp.Skip(e.Fields, at)
		end := mp.Skip(e.Fields, value)
		out[string(mp.TextOf(e.Fields[at:value]))] = fieldOf(e.Fields[value:end])
		at = end
	}
	return out
}

// fieldOf is one value; what has no type of Go stays raw.
func fieldOf(raw []byte) (v any) {
	if mp.KindOf(raw[0]) == mp.Ext {
		if t, payload := mp.ExtOf(raw); t == mp.ExtUUID && len(payload) == len(uuid.UUID{}) {
			return uuid.UUID(payload).String()
		}
	}
	if err := decode(raw, &v); err != nil {
		return raw
	}
	return v
}

package xrow

import "testing"

// What says that the outcome is unknown, and nothing else.
func TestOutcomeUnknown(t *testing.T) {
	wal := func(text string) *Error { return &Error{Code: ErrWALIO, Message: text} }
	for _, test := range []struct {
		err  *Error
		want bool
	}{
		{Errorf(ErrSyncTimeout), true},
		{wal("Failed to write to disk: EIO. The outcome of the transaction is unknown"), true},
		{wal("Failed to write to disk: EIO. Nothing was written by this request"), false},
		{Errorf(ErrSyncQuorumTimeout), false},
		{Errorf(ErrReadonly), false},
	} {
		if got := test.err.OutcomeUnknown(); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
	}
}

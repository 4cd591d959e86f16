package xlog

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/vclock"
)

// What callers branch on.
var (
	// ErrCorrupt is wrapped by what Open, Next and Verify say of damaged bytes;
	// the text names the position.
	ErrCorrupt = errors.New("xlog: damaged")
	// ErrFailed is wrapped by every answer after the first failed operation on a
	// file, and by Append where the disk was too full to open for writing.
	ErrFailed = errors.New("xlog: the store has failed")
	// ErrGap is wrapped when rows that are asked for are no longer in the log.
	ErrGap = errors.New("xlog: gap")
	// ErrLocked is wrapped when another process has the store open.
	ErrLocked = errors.New("xlog: in use by another process")
	// ErrForeign is wrapped when a directory holds something that is no store of ours.
	ErrForeign = errors.New("xlog: not a Tarragon store")
	// ErrNewer is wrapped when a newer release wrote the store.
	ErrNewer = errors.New("xlog: written by a newer release")
	// ErrOlder is wrapped when an older release wrote the store, in a format that
	// Upgrade brings to the present one.
	ErrOlder = errors.New("xlog: of an older format")
	// ErrNotFound is wrapped when there is no such checkpoint or store.
	ErrNotFound = errors.New("xlog: not found")
	// ErrClosed answers what comes after Close.
	ErrClosed = errors.New("xlog: closed")
)

// GapError says which rows are gone: what lies between the peer's vclock and
// that in front of the oldest group that is left.
type GapError struct {
	Peer   vclock.VClock
	Oldest vclock.VClock
}

func (e *GapError) Error() string {
	return fmt.Sprintf("xlog: rows behind %s are asked for, the log begins behind %s", e.Peer, e.Oldest)
}

// Is makes errors.Is(err, ErrGap) true.
func (e *GapError) Is(target error) bool { return target == ErrGap }

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

func newer(what string, version, known uint64) error {
	return fmt.Errorf("%w: %s has format version %d, this release knows %d", ErrNewer, what, version, known)
}

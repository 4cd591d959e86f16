package server

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// storeLog is the log as replication sees it.
type storeLog struct{ *xlog.Slot }

// Seek finds where a relay starts.
func (l storeLog) Seek(v *vclock.VClock) (uint64, error) {
	no, err := l.Slot.Seek(v)
	return no, gap(err)
}

// Read starts a reader.
func (l storeLog) Read(from uint64) replication.LogReader { return storeReader{l.Slot.Read(from)} }

type storeReader struct{ *xlog.Reader }

// Next reads a group.
func (r storeReader) Next() (uint64, *xrow.Group, error) {
	no, g, err := r.Reader.Next()
	return no, g, gap(err)
}

// gap gives the error of one package the name that the other knows.
func gap(err error) error {
	if errors.Is(err, xlog.ErrGap) {
		return fmt.Errorf("%w: %w", replication.ErrGap, err)
	}
	return err
}

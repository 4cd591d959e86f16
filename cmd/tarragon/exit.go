package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/xlog"
)

// Exit codes. They are part of the interface: scripts depend on them.
const (
	exitOK        = 0
	exitFailed    = 1   // the command could not do what it was asked to
	exitUsage     = 2   // wrong arguments or a wrong configuration: nothing was done
	exitUnhealthy = 3   // status: no leader, or an instance did not answer; xlog: damage; verify: instances differ
	exitStopped   = 130 // interrupted before it was done
)

// usageError is a mistake in the arguments.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errUnhealthy is returned by commands that found something sick and have
// printed it already.
var errUnhealthy = errors.New("unhealthy")

// exitCode maps the error of run to the code of the process.
func exitCode(err error) int {
	var usage usageError
	var mistake *config.Mistake
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUnhealthy), errors.Is(err, xlog.ErrCorrupt):
		return exitUnhealthy
	case errors.As(err, &usage), errors.As(err, &mistake):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitStopped
	}
	return exitFailed
}

// complain prints an error for people: one line each when several are joined.
// What others joined and somebody of ours wrapped is one sentence.
func complain(w io.Writer, err error) {
	if err == nil || errors.Is(err, errUnhealthy) {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			fmt.Fprintln(w, "tarragon:", e)
		}
		return
	}
	fmt.Fprintln(w, "tarragon:", err)
}

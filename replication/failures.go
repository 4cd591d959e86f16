package replication

import (
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// failures are those of an upstream since it last ran. A peer that is down
// fails once in a while for days: each kind of failure is told once, and how
// many there were when it is over.
type failures struct {
	n     int
	since time.Duration // of the first
	kinds []string      // that were told
}

// maxKinds bounds what is remembered; more kinds than these are not told.
const maxKinds = 16

// add counts a failure, and tells whether it is the first of its kind.
func (f *failures) add(state State, err error, now time.Duration) (fresh bool) {
	if f.n == 0 {
		f.since = now
	}
	f.n++
	kind := string(state) + " " + kindOf(err)
	if len(f.kinds) >= maxKinds || slices.Contains(f.kinds, kind) {
		return false
	}
	f.kinds = append(f.kinds, kind)
	return true
}

// over forgets them: the upstream runs.
func (f *failures) over() (n int, since time.Duration) {
	n, since = f.n, f.since
	*f = failures{}
	return n, since
}

// kindOf is an error without what differs from one attempt to the next, as
// ports do.
func kindOf(err error) string {
	var e *xrow.Error
	if errors.As(err, &e) {
		return e.Message
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return "timeout"
	}
	return err.Error()
}

// refusals remembers what was told of peers that were turned away: they try
// again every second.
type refusals struct {
	mu   sync.Mutex
	told map[string]struct{} // host and message
}

func (r *refusals) fresh(addr string, err *xrow.Error) bool {
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		host = addr
	}
	key := host + " " + err.Message
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.told[key]; ok {
		return false
	}
	if r.told == nil || len(r.told) >= 64 {
		r.told = make(map[string]struct{})
	}
	r.told[key] = struct{}{}
	return true
}

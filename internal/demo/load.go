package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// load writes a stream of numbered rows and remembers which were acknowledged.
type load struct {
	tracker *cluster.Tracker
	space   string
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	next    uint64
	acked   map[uint64]string
	last    time.Time     // of the newest acknowledgement
	longest time.Duration // between two of them
	unknown int           // answers that never came: written again under the same key
	patient bool          // answers are waited for although another one leads
	ack     chan struct{} // closed and replaced at each acknowledgement
}

// writers is how many rows are on their way at once.
const writers = 8

func startLoad(tracker *cluster.Tracker, space string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{tracker: tracker, space: space, cancel: cancel, acked: map[uint64]string{}, ack: make(chan struct{}), last: time.Now()}
	for range writers {
		l.wg.Go(func() { l.write(ctx) })
	}
	return l
}

func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

// write takes a number and writes it until it is acknowledged: a REPLACE of
// the same row can be repeated when the outcome is unknown.
func (l *load) write(ctx context.Context) {
	for ctx.Err() == nil {
		l.mu.Lock()
		l.next++
		key := l.next
		l.mu.Unlock()
		value := fmt.Sprintf("row %d", key)
		for ctx.Err() == nil {
			if l.once(ctx, key, value) {
				l.note(key, value)
				break
			}
		}
	}
}

func (l *load) once(ctx context.Context, key uint64, value string) bool {
	leader, err := l.tracker.Leader(ctx)
	if err != nil {
		return false
	}
	try, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	l.mu.Lock()
	patient := l.patient
	l.mu.Unlock()
	if !patient {
		defer context.AfterFunc(leader.Lost, cancel)()
	}
	req := tarantool.NewReplaceRequest(l.space).Tuple([]any{key, value}).Context(try)
	if _, err := leader.Conn.Do(req).Get(); err != nil {
		l.mu.Lock()
		l.unknown++
		l.mu.Unlock()
		select { // another answer may follow at once: do not spin
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
		return false
	}
	return true
}

func (l *load) note(key uint64, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[key] = value
	now := time.Now()
	l.longest = max(l.longest, now.Sub(l.last))
	l.last = now
	close(l.ack)
	l.ack = make(chan struct{})
}

// count is how many rows are acknowledged.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// more waits for n acknowledgements from now on.
func (l *load) more(ctx context.Context, n int) error {
	want := l.count() + n
	for {
		l.mu.Lock()
		have, ack := len(l.acked), l.ack
		l.mu.Unlock()
		if have >= want {
			return nil
		}
		select {
		case <-ack:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d writes were acknowledged: %w", have-want+n, n, context.Cause(ctx))
		}
	}
}

// gap begins to measure the longest pause anew.
func (l *load) gap() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.longest, l.last = 0, time.Now()
}

// failed is how many answers never came, or were errors.
func (l *load) failed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unknown
}

// trust has writers wait for the answers of a leader that moves leadership on purpose.
func (l *load) trust(patient bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.patient = patient
}

func (l *load) longestGap() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.longest
}

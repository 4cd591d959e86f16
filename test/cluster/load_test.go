package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// load inserts numbered rows into the space, each once, and remembers what it
// was told of each.
type load struct {
	r       *rig
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	payload string
	known   func(err error) bool // an error by which the row is not there, and will not be

	mu      sync.Mutex
	tried   map[uint64]string
	acked   map[uint64]bool
	refused map[uint64]error
	unknown map[uint64]error
	news    chan struct{} // closed and replaced at each outcome
}

// writers is how many rows are on their way at once.
const writers = 8

// startLoad writes rows with so many bytes until stop or the end of the test.
func (r *rig) startLoad(bytes int) *load {
	return r.startLoadBy(writers, bytes, isRefusal, (*load).once)
}

// startLoadBy has so many goroutines write by once, each row when the one before has
// its outcome.
func (r *rig) startLoadBy(writers, bytes int, known func(err error) bool, once func(l *load, ctx context.Context)) *load {
	ctx, cancel := context.WithCancel(r.ctx)
	l := &load{r: r, cancel: cancel, payload: strings.Repeat("x", bytes), known: known, tried: map[uint64]string{},
		acked: map[uint64]bool{}, refused: map[uint64]error{}, unknown: map[uint64]error{}, news: make(chan struct{})}
	for range writers {
		l.wg.Go(func() {
			for ctx.Err() == nil {
				once(l, ctx)
			}
		})
	}
	r.t.Cleanup(l.stop)
	r.loads = append(r.loads, l)
	return l
}

func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

// once writes one row to whoever leads.
func (l *load) once(ctx context.Context) {
	leader, err := l.r.tracker.Leader(ctx)
	if err != nil {
		return
	}
	key, value := l.take()
	try, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(leader.Lost, cancel)()
	_, err = leader.Conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, value}).Context(try)).Get()
	l.note(key, err)
	if err != nil {
		select { // the next one may fail at once too: do not spin
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}

func (l *load) take() (key uint64, value string) {
	key = l.r.nextKey.Add(1)
	value = fmt.Sprintf("row %d %s", key, l.payload)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried[key] = value
	return key, value
}

func (l *load) note(key uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.acked[key] = true
	case l.known(err):
		l.refused[key] = err
	default:
		l.unknown[key] = err
	}
	close(l.news)
	l.news = make(chan struct{})
}

// isRefusal: the server said that the transaction is not committed, and will
// not be.
func isRefusal(err error) bool {
	var e tarantool.Error
	return errors.As(err, &e) && !strings.Contains(e.Msg, "utcome")
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// more waits for n acknowledgements from now on.
func (l *load) more(n int) {
	l.r.t.Helper()
	ctx, cancel := context.WithTimeout(l.r.ctx, patience)
	defer cancel()
	want := l.count() + n
	for {
		l.mu.Lock()
		have, news, last := len(l.acked), l.news, l.lastError()
		l.mu.Unlock()
		if have >= want {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			l.r.t.Fatalf("%d of %d writes were acknowledged; %s", have-want+n, n, last)
		}
	}
}

// lastError describes what went wrong, for messages.
func (l *load) lastError() string {
	newest, err := uint64(0), error(nil)
	for _, m := range []map[uint64]error{l.refused, l.unknown} {
		for k, e := range m {
			if k > newest {
				newest, err = k, e
			}
		}
	}
	return fmt.Sprintf("%d refused, %d with unknown outcome, the newest: %v", len(l.refused), len(l.unknown), err)
}

// newest is the greatest key that is acknowledged.
func (l *load) newest() (key uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.acked {
		key = max(key, k)
	}
	return key
}

// check compares what the space holds with what the writers were told.
func (l *load) check(have map[uint64]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.acked {
		if have[k] != l.tried[k] {
			return fmt.Errorf("the acknowledged row %d is lost: there is %.20q", k, have[k])
		}
	}
	for k, err := range l.refused {
		if v, ok := have[k]; ok {
			return fmt.Errorf("row %d is there, %.20q, but was refused: %w", k, v, err)
		}
	}
	for k := range l.unknown {
		if v, ok := have[k]; ok && v != l.tried[k] {
			return fmt.Errorf("row %d is %.20q, written was %.20q", k, v, l.tried[k])
		}
	}
	return nil
}

// verify ends the writing and compares all nodes that run with each other and
// with what the writers were told.
func (r *rig) verify(nodes ...*cluster.Node) {
	r.t.Helper()
	for _, l := range r.loads {
		l.stop()
	}
	if len(nodes) == 0 {
		nodes = r.Nodes
	}
	var have map[uint64]string
	r.until("all nodes hold the same", func() (err error) { // what was under way at the end may still be decided
		have, err = r.agree(nodes)
		return err
	})
	r.onlyTried(have)
	r.t.Logf("%d rows on %d nodes", len(have), len(nodes))
}

// agree reads all nodes, and is content when they hold the same and what the
// writers were told.
func (r *rig) agree(nodes []*cluster.Node) (first map[uint64]string, err error) {
	for _, n := range nodes {
		have, err := r.read(n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		if first == nil {
			first = have
		}
		if err := cluster.Same(first, have); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		for _, l := range r.loads {
			if err := l.check(have); err != nil {
				return nil, fmt.Errorf("%s: %w", n.Name, err)
			}
		}
	}
	return first, nil
}

// onlyTried: nobody invents rows.
func (r *rig) onlyTried(have map[uint64]string) {
	r.t.Helper()
	for k := range have {
		tried := false
		for _, l := range r.loads {
			tried = tried || l.tried[k] != ""
		}
		if !tried && !r.byHand[k] {
			r.t.Errorf("row %d was never written: %.20q", k, have[k])
		}
	}
}

// read is the whole space as a node shows it.
func (r *rig) read(n *cluster.Node) (map[uint64]string, error) {
	conn := r.tracker.Conn(n.Addr)
	if conn == nil {
		return nil, errors.New("not connected")
	}
	return cluster.ReadAll(conn, space)
}

// code is that of the server's error, 0 if it is none.
func code(err error) iproto.Error {
	var e tarantool.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

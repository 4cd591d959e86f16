package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// Spaces that writers write to.
const (
	plain  = "plain"  // asynchronous
	orders = "orders" // synchronous
)

// load writes rows of its own range of keys to a node, in all the ways that a
// row can be written, and remembers what it was told of each.
type load struct {
	r      *rig
	space  string
	to     func(ctx context.Context) *node // whom it writes to
	cancel context.CancelFunc
	wg     sync.WaitGroup

	calm   sync.RWMutex // writers have it shared during a write
	mu     sync.Mutex
	id     uint64 // of the space, once it is known
	keys   map[uint64]fate
	acks   int
	failed int           // writes
	last   error         // the newest of those
	news   chan struct{} // closed and replaced at each outcome
}

// fate of a key: what its row must be.
type fate struct {
	text    string // "": no row
	unknown bool   // it may be anything
}

// pace is the pause between two writes of a writer: the point is not speed, and
// what was written is compared at the end.
const pace = time.Millisecond

// perWriter is how many keys a writer has, parallel how many of them write.
const (
	perWriter = 1_000_000
	parallel  = 4
)

// writeTo starts writers on one node.
func (r *rig) writeTo(n *node, space string) *load {
	r.t.Helper()
	return r.write(space, func(context.Context) *node { return n })
}

// write starts writers on whatever node to gives, nil for none.
func (r *rig) write(space string, to func(ctx context.Context) *node) *load {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.ctx)
	l := &load{r: r, space: space, to: to, cancel: cancel, keys: map[uint64]fate{}, news: make(chan struct{})}
	r.loads = append(r.loads, l)
	for w := range parallel {
		base := uint64(len(r.loads)*parallel+w) * perWriter
		l.wg.Go(func() { l.run(ctx, base) })
	}
	r.t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

// hold waits until no write is under way, and keeps the writers from starting
// another before the function it gives is called.
func (l *load) hold() (goOn func()) {
	l.calm.Lock()
	return l.calm.Unlock
}

// run writes one row after the other, of keys that only this goroutine writes.
func (l *load) run(ctx context.Context, base uint64) {
	for i := uint64(1); ctx.Err() == nil; i++ {
		err := errors.New("nobody to write to")
		l.calm.RLock()
		if n := l.to(ctx); n != nil {
			err = l.once(n, base, i)
		}
		l.calm.RUnlock()
		pause := pace
		if err != nil {
			pause = 5 * time.Millisecond // the next one may fail at once too
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// once does the i-th write.
func (l *load) once(n *node, base, i uint64) error {
	id, err := l.spaceID(n)
	if err != nil {
		return err
	}
	key, want, req := l.statement(uint32(id), base, i)
	_, err = n.do(req)
	l.note(key, want, err)
	return err
}

// statement is the i-th write: most insert a row, the others change an older
// one in each way there is.
func (l *load) statement(id uint32, base, i uint64) (key uint64, want fate, req tarantool.Request) {
	key, want = base+i, fate{text: fmt.Sprintf("row %d", i)}
	old, again := base+i/2, fate{text: fmt.Sprintf("row %d, written again by %d", i/2, i)}
	assign := tarantool.NewOperations().Assign(1, again.text)
	switch way := i % 11; {
	case way == 2:
		return key, want, tarantool.NewUpsertRequest(id).Tuple([]any{key, want.text}).Operations(assign)
	case way == 5:
		return old, fate{}, tarantool.NewDeleteRequest(id).Index(uint32(0)).Key([]any{old})
	case way == 7 && l.has(old):
		return old, again, tarantool.NewUpdateRequest(id).Index(uint32(0)).Key([]any{old}).Operations(assign)
	case way == 9 && l.has(old):
		return old, again, tarantool.NewUpsertRequest(id).Tuple([]any{old, "not this"}).Operations(assign)
	case way == 10:
		return old, again, tarantool.NewReplaceRequest(id).Tuple([]any{old, again.text})
	}
	return key, want, tarantool.NewInsertRequest(id).Tuple([]any{key, want.text})
}

// has: a row of the key is there for certain.
func (l *load) has(key uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.keys[key]
	return f.text != "" && !f.unknown
}

// spaceID looks the space up.
func (l *load) spaceID(n *node) (uint64, error) {
	l.mu.Lock()
	id := l.id
	l.mu.Unlock()
	if id != 0 {
		return id, nil
	}
	id, err := n.spaceID(l.space)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id = id
	return id, err
}

// spaceID looks a space up by its name.
func (n *node) spaceID(name string) (uint64, error) {
	data, err := n.do(tarantool.NewSelectRequest(uint32(xrow.SpaceSpace)).Index(uint32(2)).Iterator(tarantool.IterEq).Key([]any{name}))
	if err != nil {
		return 0, err
	}
	if len(data) != 1 {
		return 0, fmt.Errorf("%s has no space %s", n.name, name)
	}
	return value{data[0]}.at(1).num(), nil
}

func (l *load) note(key uint64, want fate, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.keys[key] = want
		l.acks++
	case code(err) == iproto.ER_READONLY:
		l.failed++
		l.last = err
	default:
		l.keys[key] = fate{unknown: true}
		l.failed++
		l.last = err
	}
	close(l.news)
	l.news = make(chan struct{})
}

// code is that of the server's error, 0 if it is none.
func code(err error) iproto.Error {
	var e tarantool.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// more waits for n acknowledgements from now on.
func (l *load) more(n int) {
	l.r.t.Helper()
	ctx, cancel := context.WithTimeout(l.r.ctx, patience)
	defer cancel()
	l.mu.Lock()
	want := l.acks + n
	l.mu.Unlock()
	for {
		l.mu.Lock()
		have, news, failed, last := l.acks, l.news, l.failed, l.last
		l.mu.Unlock()
		if have >= want {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			l.r.t.Fatalf("%d of %d writes to %s were acknowledged; %d failed, the last: %v", have-want+n, n, l.space, failed, last)
		}
	}
}

// check compares what the space holds with what the writers were told.
func (l *load) check(c content) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.IndexFunc(c.tables(), func(t *table) bool { return t.name == l.space })
	if at < 0 {
		return fmt.Errorf("there is no space %s", l.space)
	}
	have := map[uint64]string{}
	for _, row := range c.tables()[at].rows {
		t := decode(row)
		have[t.at(1).num()] = t.at(2).text()
	}
	for key, f := range l.keys {
		if !f.unknown && have[key] != f.text {
			return fmt.Errorf("row %d of %s is %q, acknowledged was %q", key, l.space, have[key], f.text)
		}
	}
	return nil
}

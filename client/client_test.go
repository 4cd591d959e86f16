package client

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// patience is how long anything may take on a busy machine.
const patience = 30 * time.Second

func connect(t *testing.T, fakes []*fake, opts ...Option) *Client {
	t.Helper()
	var addrs []string
	for _, f := range fakes {
		addrs = append(addrs, f.addr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := Connect(ctx, addrs, append([]Option{HoldLimit(patience)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// three are a leader, in term 2, and two followers, all connected.
func three(t *testing.T, opts ...Option) (*Client, []*fake) {
	t.Helper()
	var fakes []*fake
	for i := range 3 {
		f := newFake(t)
		f.tells(1, 2, i != 0)
		fakes = append(fakes, f)
	}
	c := connect(t, fakes, opts...)
	c.until(t, "all are connected", func() bool {
		for _, m := range c.members {
			if !m.ready() {
				return false
			}
		}
		return true
	})
	return c, fakes
}

// until waits for a state of what is known of the set.
func (c *Client) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		c.mu.Lock()
		yes, changed := is(), c.changed
		c.mu.Unlock()
		if yes {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatal(what + ": it does not happen")
		}
	}
}

func insert() tarantool.Request { return tarantool.NewInsertRequest("s").Tuple([]any{1}) }

func sel() tarantool.Request { return tarantool.NewSelectRequest("s").Index(uint32(0)).Key([]any{1}) }

// by is who has answered.
func by(t *testing.T, fut *tarantool.Future) string {
	t.Helper()
	data, err := fut.Get()
	if err != nil {
		t.Fatal(err)
	}
	row, _ := data[0].([]any)
	return fmt.Sprint(row[0])
}

// A write follows the leader by events: nobody is asked for it in vain.
func TestFollows(t *testing.T) {
	c, f := three(t)
	if got := by(t, c.Do(insert())); got != f[0].addr {
		t.Errorf("%s answered, %s leads", got, f[0].addr)
	}
	f[1].tells(2, 3, false)
	c.until(t, "the next one leads", func() bool { l := c.leader(); return l != nil && l.addr == f[1].addr })
	if got := by(t, c.Do(insert())); got != f[1].addr || f[0].count(iproto.IPROTO_INSERT) != 1 {
		t.Errorf("%s answered, %s leads; the former one got %d", got, f[1].addr, f[0].count(iproto.IPROTO_INSERT))
	}
}

// Who takes writes in an older term than others have seen a leader in gets none.
func TestDeposed(t *testing.T) {
	c, f := three(t, HoldLimit(50*time.Millisecond))
	f[1].tells(3, 3, true) // 3 leads, and is not connected
	f[2].stop()
	c.until(t, "the old one is known to be deposed", func() bool { return c.leader() == nil })
	_, err := c.Do(insert()).Get()
	if !errors.Is(err, ErrNotExecuted) || f[0].count(iproto.IPROTO_INSERT) != 0 {
		t.Errorf("%v; the old one got %d", err, f[0].count(iproto.IPROTO_INSERT))
	}
}

// Instances of Tarantool tell by box.election alone; of several that take writes the one of the
// newest term is meant.
func TestTarantools(t *testing.T) {
	f := []*fake{newFake(t), newFake(t)}
	for i := range f {
		f[i].set(eventElection, map[string]any{"term": 4 + i, "role": "leader", "is_ro": false, "leader": 0})
	}
	c := connect(t, f)
	c.until(t, "both are connected", func() bool { return c.members[0].ready() && c.members[1].ready() })
	if got := by(t, c.Do(insert())); got != f[1].addr {
		t.Errorf("%s answered", got)
	}
	if c.members[1].ours {
		t.Error("it is no Tarragon")
	}
}

// Reads go where they are asked to; writes do not.
func TestModes(t *testing.T) {
	c, f := three(t)
	seen := map[string]int{}
	for range 30 {
		seen[by(t, c.Via(Any).Do(sel()))]++
		if got := by(t, c.Via(PreferReplica).Do(sel())); got == f[0].addr {
			t.Error("the leader answered, and there are replicas")
		}
		if got := by(t, c.Via(PreferReplica).Do(insert())); got != f[0].addr {
			t.Error("a replica got a write")
		}
	}
	if len(seen) != 3 {
		t.Errorf("any: %v", seen)
	}
	f[1].stop()
	f[2].stop()
	c.until(t, "only the leader is left", func() bool { return c.members[1].conn == nil && c.members[2].conn == nil })
	if got := by(t, c.Via(PreferReplica).Do(sel())); got != f[0].addr {
		t.Error("nobody else is there, and it was not the leader")
	}
}

// What was refused before it was executed is sent again, to who leads then.
func TestRefused(t *testing.T) {
	for _, code := range []iproto.Error{iproto.ER_READONLY, iproto.ER_LOADING, iproto.ER_SYNC_ROLLBACK} {
		t.Run(code.String(), func(t *testing.T) {
			c, f := three(t)
			for i, req := range []tarantool.Request{insert(), tarantool.NewCallRequest("f")} {
				term := uint64(10 * (i + 1))
				f[0].tells(1, term, false)
				f[1].tells(1, term, true)
				c.until(t, "the first leads", func() bool { l := c.leader(); return l != nil && l.addr == f[0].addr })
				var moves sync.Once // it may be asked again before the client hears of that
				f[0].does(func(r *request) {
					r.fails(code, "not me")
					moves.Do(func() {
						f[0].tells(2, term+1, true)
						f[1].tells(2, term+1, false)
					})
				})
				if got := by(t, c.Do(req)); got != f[1].addr {
					t.Errorf("%s answered", got)
				}
			}
		})
	}
}

// A function of a Tarantool may have done something before it met READONLY.
func TestCallOfTarantool(t *testing.T) {
	f := newFake(t)
	f.set(eventElection, map[string]any{"term": 1, "role": "leader", "is_ro": false, "leader": 1})
	c := connect(t, []*fake{f})
	f.does(func(r *request) { r.fails(iproto.ER_READONLY, "not me") })
	_, err := c.Do(tarantool.NewCallRequest("f")).Get()
	var e tarantool.Error
	if !errors.As(err, &e) || e.Code != iproto.ER_READONLY || f.count(iproto.IPROTO_CALL) != 1 {
		t.Errorf("%v, after %d calls", err, f.count(iproto.IPROTO_CALL))
	}
}

// Other errors are the answer.
func TestAnswerIsAnError(t *testing.T) {
	c, f := three(t)
	f[0].does(func(r *request) { r.fails(iproto.ER_TUPLE_FOUND, "Duplicate key: the outcome is unknown") })
	_, err := c.Do(insert()).Get()
	var e tarantool.Error
	var u *UnknownError
	if !errors.As(err, &e) || e.Code != iproto.ER_TUPLE_FOUND || errors.As(err, &u) || f[0].count(iproto.IPROTO_INSERT) != 1 {
		t.Errorf("%v", err)
	}
}

// A write that was sent and not answered is not sent again: nobody knows.
func TestUnknown(t *testing.T) {
	for name, script := range map[string]func(r *request){
		"the connection ends": func(r *request) { r.hangUp() },
		"no quorum in time":   func(r *request) { r.fails(erSyncTimeout, "Quorum collection is timed out: the outcome is unknown") },
		"the disk failed": func(r *request) {
			r.fails(iproto.ER_WAL_IO, "Failed to write to disk: no space. The outcome of the transaction is unknown")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := three(t, HoldLimit(time.Second)) // one that is sent again is so for long enough
			for _, req := range []tarantool.Request{insert(), tarantool.NewCallRequest("f")} {
				c.until(t, "there is a leader", func() bool { return c.leader() != nil })
				f[0].does(script)
				_, err := c.Do(req).Get()
				var u *UnknownError
				if !errors.As(err, &u) || u.Addr != f[0].addr || errors.Is(err, ErrNotExecuted) {
					t.Errorf("%v", err)
				}
				f[0].does(nil)
				if n := f[0].count(req.Type()) + f[1].count(req.Type()) + f[2].count(req.Type()); n != 1 {
					t.Errorf("it was sent %d times", n)
				}
			}
		})
	}
}

// A refusal by a disk that fails, and not an unknown outcome.
func TestDiskRefuses(t *testing.T) {
	c, f := three(t)
	f[0].does(func(r *request) { r.fails(iproto.ER_WAL_IO, "Failed to write to disk: no space") })
	_, err := c.Do(insert()).Get()
	var u *UnknownError
	if err == nil || errors.As(err, &u) {
		t.Errorf("%v", err)
	}
}

// A read is sent again whatever has become of it.
func TestReadAgain(t *testing.T) {
	c, f := three(t)
	f[0].does(func(r *request) {
		f[0].does(nil)
		r.hangUp()
	})
	if got := by(t, c.Do(sel())); got != f[0].addr || f[0].count(iproto.IPROTO_SELECT) != 2 {
		t.Errorf("%s, after %d requests", got, f[0].count(iproto.IPROTO_SELECT))
	}
}

// Without a leader a write waits for the next one.
func TestHeld(t *testing.T) {
	c, f := three(t)
	f[0].stop()
	c.until(t, "there is no leader", func() bool { return c.leader() == nil })
	fut := c.Do(insert())
	f[2].tells(3, 3, false)
	if got := by(t, fut); got != f[2].addr {
		t.Errorf("%s answered", got)
	}
}

// It waits as long as its context, or for the limit; the error says that nobody has executed
// it, and why.
func TestHeldForTooLong(t *testing.T) {
	c, f := three(t, HoldLimit(50*time.Millisecond))
	f[0].does(func(r *request) { r.fails(iproto.ER_READONLY, "not me") })
	_, err := c.Do(insert()).Get()
	var e tarantool.Error
	if !errors.Is(err, ErrNotExecuted) || !errors.As(err, &e) || e.Code != iproto.ER_READONLY || !strings.Contains(err.Error(), "50ms") {
		t.Errorf("%v", err)
	}
	c, f = three(t)
	f[0].stop()
	c.until(t, "there is no leader", func() bool { return c.leader() == nil })
	ctx, cancel := context.WithCancelCause(context.Background())
	fut := c.Do(tarantool.NewInsertRequest("s").Tuple([]any{1}).Context(ctx))
	enough := errors.New("enough")
	cancel(enough)
	if _, err := fut.Get(); !errors.Is(err, ErrNotExecuted) || !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
}

// The context of a write that is under way ends: nobody knows.
func TestContextEnds(t *testing.T) {
	c, f := three(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	f[0].does(func(*request) { cancel(enough) })
	_, err := c.Do(tarantool.NewInsertRequest("s").Tuple([]any{1}).Context(ctx)).Get()
	var u *UnknownError
	if !errors.As(err, &u) || !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	if _, err := c.Do(tarantool.NewInsertRequest("s").Tuple([]any{1}).Context(ctx)).Get(); !errors.Is(err, ErrNotExecuted) || f[0].count(iproto.IPROTO_INSERT) != 1 {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// What cannot be encoded is an error of the caller's, and nobody waits for it.
func TestNotEncoded(t *testing.T) {
	c, _ := three(t)
	_, err := c.Do(tarantool.NewInsertRequest("s").Tuple(func() {})).Get()
	var u *UnknownError
	if err == nil || errors.As(err, &u) || errors.Is(err, ErrNotExecuted) {
		t.Errorf("%v", err)
	}
}

// What belongs to one connection is refused.
func TestBoundToAConnection(t *testing.T) {
	c, f := three(t)
	for _, req := range []tarantool.Request{tarantool.NewBeginRequest(), tarantool.NewCommitRequest(), tarantool.NewRollbackRequest(), tarantool.NewPrepareRequest("x")} {
		if _, err := c.Do(req).Get(); !errors.Is(err, ErrNotExecuted) || f[0].count(req.Type()) != 0 {
			t.Errorf("%v: %v", req.Type(), err)
		}
	}
}

// The answer is that of the kind of request, as on a connection.
func TestResponse(t *testing.T) {
	c, _ := three(t)
	resp, err := c.Do(sel()).GetResponse()
	if _, ok := resp.(*tarantool.SelectResponse); err != nil || !ok {
		t.Errorf("%T, %v", resp, err)
	}
	var rows [][]string
	if err := c.Do(sel()).GetTyped(&rows); err != nil || len(rows) != 1 {
		t.Errorf("%v, %v", rows, err)
	}
}

// Nobody is there: the error says so of each.
func TestConnectFails(t *testing.T) {
	f := newFake(t)
	f.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := Connect(ctx, []string{f.addr})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), f.addr) {
		t.Errorf("%v", err)
	}
	if _, err := Connect(ctx, nil); err == nil {
		t.Error("no addresses are enough")
	}
}

// Close ends what is under way and what is held, and no goroutine is left.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	c, f := three(t)
	got := make(chan struct{}, 2)
	f[0].does(func(*request) { got <- struct{}{} })
	write, read := c.Do(insert()), c.Do(sel())
	<-got
	<-got
	f[1].tells(2, 3, true) // no leader is connected
	c.until(t, "there is no leader", func() bool { return c.leader() == nil })
	held := c.Do(insert())
	c.Close()
	var u *UnknownError
	if _, err := write.Get(); !errors.As(err, &u) {
		t.Errorf("a write under way: %v", err)
	}
	for what, fut := range map[string]*tarantool.Future{"a read": read, "held": held, "late": c.Do(insert())} {
		if _, err := fut.Get(); !errors.Is(err, ErrNotExecuted) || !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	c.Close() // again: nothing
	for _, f := range f {
		f.stop()
	}
	limit := time.Now().Add(patience)
	for runtime.NumGoroutine() > before { // those of go-tarantool end behind their connection
		if time.Now().After(limit) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// A request without an index is of the first one. What go-tarantool panics at is an error that leaves the
// connection as it was.
func TestWhatCannotBeEncoded(t *testing.T) {
	c, _ := three(t)
	if _, err := c.Do(tarantool.NewSelectRequest("s").Key([]any{1})).Get(); err != nil {
		t.Errorf("without an index: %v", err)
	}
	if _, err := c.Do(tarantool.NewUpdateRequest("s").Key([]any{1})).Get(); err != nil {
		t.Errorf("a write without an index: %v", err)
	}
	for _, req := range []tarantool.Request{tarantool.NewSelectRequest("s").Index(struct{}{}), tarantool.NewDeleteRequest("s").Index(1.5)} {
		var unknown *UnknownError
		if _, err := c.Do(req).Get(); err == nil || errors.As(err, &unknown) || !strings.Contains(err.Error(), "cannot be encoded") {
			t.Errorf("an index that is none: %v", err)
		}
	}
	if _, err := c.Do(sel()).Get(); err != nil {
		t.Error(err)
	}
}

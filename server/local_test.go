package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/tarantool/go-tarantool/v2"
)

// kept is a Sink that keeps all.
type kept struct{ raw []byte }

func (k *kept) Take(b []byte) error {
	k.raw = append(k.raw, b...)
	return nil
}

// local is a session of the administrator at an instance.
func (n *node1) local() *Session {
	n.set.t.Helper()
	l, err := n.server().Session("admin")
	if err != nil {
		n.set.t.Fatal(err)
	}
	n.set.t.Cleanup(l.Close)
	return l
}

// executor is a Session or a Txn.
type executor interface {
	Execute(context.Context, xrow.DML) ([]byte, error)
}

func insertInto(t testing.TB, x executor, space uint32, fields ...any) {
	t.Helper()
	if _, err := x.Execute(t.Context(), xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(fields...)}); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code xrow.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("got %v, want %v", err, code)
	}
}

// all reads a space.
func all(space uint32) *box.Query {
	return &box.Query{Space: space, Iterator: box.ALL, Key: mp.Tuple(), Limit: 1 << 30}
}

func (n *node1) open() int {
	i, _ := n.info()
	return i.Txns.Open
}

// A session without a socket does what one of a client does.
func TestLocalSession(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	n, ctx := s.leader(), t.Context()
	l := n.local()
	space, err := l.ResolveSpace("t")
	if err != nil {
		t.Fatal(err)
	}
	insertInto(t, l, space, 1, "one")
	_, err = l.Execute(ctx, xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(1, "again")})
	wantCode(t, err, xrow.ErrTupleFound)

	x, err := l.Begin(ctx, TxnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	insertInto(t, x, space, 2, "two")
	var inside, outside kept
	if n, err := x.Select(ctx, all(space), &inside); n != 2 || err != nil {
		t.Fatalf("the transaction sees %d: %v", n, err)
	}
	if err := l.Linear(ctx, space); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Select(ctx, all(space), &outside); n != 1 || err != nil {
		t.Fatalf("others see %d: %v", n, err)
	}
	if err := x.Commit(ctx, false); err != nil {
		t.Fatal(err)
	}
	if got := do(t, n.dial(), selected(2)); len(got) != 1 {
		t.Fatalf("a client sees %v", got)
	}
	if err := x.Commit(ctx, false); !errors.Is(err, ErrTxnEnded) {
		t.Fatal(err)
	}

	a, _ := l.Begin(ctx, TxnOptions{})
	b, _ := l.Begin(ctx, TxnOptions{})
	for _, x := range []*Txn{a, b} { // both have read what both change
		if _, err := x.Execute(ctx, xrow.DML{Type: xrow.Update, SpaceID: space, Key: mp.Tuple(1), Tuple: mp.Encode([]any{[]any{"=", 1, "x"}})}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Commit(ctx, false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, b.Commit(ctx, false), xrow.ErrTransactionConflict)

	x, _ = l.Begin(ctx, TxnOptions{})
	insertInto(t, x, space, 3, "never")
	if err := x.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := n.rows(); got != 2 {
		t.Fatalf("%d rows", got)
	}
	x, _ = l.Begin(ctx, TxnOptions{})
	insertInto(t, x, space, 3, "never")
	l.Close()
	_, err = x.Execute(ctx, xrow.DML{Type: xrow.Delete, SpaceID: space, Key: mp.Tuple(1)})
	wantCode(t, err, xrow.ErrNoTransaction)
	if n.open() != 0 {
		t.Fatalf("%d are open", n.open())
	}
	_, err = n.server().Session("nobody")
	wantCode(t, err, xrow.ErrNoSuchUser)
}

// endsAtLook is a context that has ended at the nth look at its error.
type endsAtLook struct {
	context.Context
	left int
}

func (c *endsAtLook) Err() error {
	if c.left--; c.left > 0 {
		return nil
	}
	return context.Canceled
}

// A COMMIT whose context ended before it was handed over leaves the transaction open, whenever
// that is seen.
func TestLocalCommitUnsent(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	n, ctx := s.leader(), t.Context()
	l := n.local()
	space, err := l.ResolveSpace("t")
	if err != nil {
		t.Fatal(err)
	}
	x, err := l.Begin(ctx, TxnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	insertInto(t, x, space, 1, "one")
	for look := 1; ; look++ {
		late := &endsAtLook{ctx, look}
		err := x.Commit(late, false)
		if late.left > 0 { // it was not looked at so often
			if err != nil || look < 3 {
				t.Fatalf("look %d: %v", look, err)
			}
			break
		}
		if err == nil || errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrTxnEnded) {
			t.Fatalf("look %d: %v", look, err)
		}
		if got := n.open(); got != 1 {
			t.Fatalf("look %d: %d transactions are open", look, got)
		}
	}
	if got := n.rows(); got != 1 {
		t.Errorf("%d rows", got)
	}
}

// Rights are those of the session's user, at each request.
func TestLocalRights(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	n, ctx := s.leader(), t.Context()
	n.call("box.schema.user.create", "u", map[string]any{"password": "u"})
	n.call("box.schema.user.grant", "u", "read,write", "space", "t")
	l, err := n.server().Session("u")
	if err != nil {
		t.Fatal(err)
	}
	space, _ := l.ResolveSpace("t")
	x, err := l.Begin(ctx, TxnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	insertInto(t, x, space, 1)
	n.call("box.schema.user.revoke", "u", "read,write", "space", "t")
	_, err = x.Execute(ctx, xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(2)})
	wantCode(t, err, xrow.ErrAccessDenied)
	_, err = x.Select(ctx, all(space), &kept{})
	wantCode(t, err, xrow.ErrAccessDenied)
	_, err = l.Execute(ctx, xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(2)})
	wantCode(t, err, xrow.ErrAccessDenied)
	_, err = l.Call(ctx, "box.space.t:insert", mp.Tuple([]any{3}))
	wantCode(t, err, xrow.ErrAccessDenied)
}

// A CALL, alone and within a transaction.
func TestLocalCall(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	n, ctx := s.leader(), t.Context()
	l := n.local()
	for name, args := range map[string][]byte{"box.schema.space.create": mp.Tuple("u")} {
		if _, err := l.Call(ctx, name, args); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Call(ctx, "box.space.u:create_index", mp.Tuple("pk")); err != nil {
		t.Fatal(err)
	}
	space, err := l.ResolveSpace("u")
	if err != nil {
		t.Fatal(err)
	}
	x, err := l.Begin(ctx, TxnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Call(ctx, "box.space.u:insert", mp.Tuple([]any{1})); err != nil {
		t.Fatal(err)
	}
	if n, _ := l.Select(ctx, all(space), &kept{}); n != 0 {
		t.Fatal("others see what a transaction has called")
	}
	if raw, err := x.Call(ctx, "box.space.u:len", mp.Tuple()); err != nil || string(raw) != "\xdd\x00\x00\x00\x01\x01" {
		t.Fatalf("% x, %v", raw, err)
	}
	if err := x.Commit(ctx, false); err != nil {
		t.Fatal(err)
	}
	if n, _ := l.Select(ctx, all(space), &kept{}); n != 1 {
		t.Fatal("it was not committed")
	}
}

// Who joins a transaction of a client's stream works in it, and cannot end it.
func TestJoinedTxn(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	n, ctx := s.leader(), t.Context()
	conn := n.dial()
	defer conn.Close()
	st := begun(t, conn, tarantool.NewBeginRequest())
	do(t, st, replaced(1, "client"))
	srv := n.server()
	at, err := srv.present()
	if err != nil {
		t.Fatal(err)
	}
	space := s.spaceID("t")
	var id instance.TxnID
	at.e.loop.Read(func(c *instance.Core) {
		for id.Stream = st.Id; !c.InTxn(id); id.Conn++ {
		}
	})
	x := srv.joinTxn(at, n.local().user, id)
	if n, err := x.Select(ctx, all(space), &kept{}); n != 1 || err != nil {
		t.Fatalf("sees %d: %v", n, err)
	}
	insertInto(t, x, space, 2, "joined")
	wantCode(t, x.Commit(ctx, false), xrow.ErrUnsupported)
	wantCode(t, x.Rollback(), xrow.ErrUnsupported)
	x.leave()
	if _, err := x.Execute(ctx, xrow.DML{Type: xrow.Delete, SpaceID: space, Key: mp.Tuple(1)}); !errors.Is(err, ErrTxnEnded) {
		t.Fatal(err)
	}
	if n.rows() != 0 {
		t.Fatal("what is open shows")
	}
	do(t, st, tarantool.NewCommitRequest())
	if n.rows() != 2 {
		t.Fatalf("%d rows", n.rows())
	}

	// Behind the end of the client nothing becomes a transaction of its own.
	x = srv.joinTxn(at, n.local().user, id)
	_, err = x.Execute(ctx, xrow.DML{Type: xrow.Delete, SpaceID: space, Key: mp.Tuple(1)})
	wantCode(t, err, xrow.ErrNoTransaction)
	_, err = x.Select(ctx, all(space), &kept{})
	wantCode(t, err, xrow.ErrNoTransaction)
	_, err = at.e.loop.TxnSelect(id, x.by.user, all(space), &kept{}) // it may go between two slices
	wantCode(t, err, xrow.ErrNoTransaction)
	if n.rows() != 2 {
		t.Fatalf("%d rows", n.rows())
	}
}

// heldDisk is a disk whose syncs wait while it is held.
type heldDisk struct {
	mu   sync.Mutex
	goOn chan struct{} // closed: nobody waits
}

func (h *heldDisk) hold() (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	goOn := make(chan struct{})
	h.goOn = goOn
	return sync.OnceFunc(func() { close(goOn) })
}

func (h *heldDisk) MaybeError(op errorfs.Op) error {
	if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData && op.Kind != errorfs.OpFileSyncTo {
		return nil
	}
	h.mu.Lock()
	goOn := h.goOn
	h.mu.Unlock()
	if goOn != nil {
		<-goOn
	}
	return nil
}

func (h *heldDisk) String() string { return "held" }

// holdable makes the disk of an instance one that can be held.
func (n *node1) holdable() *heldDisk {
	h := &heldDisk{}
	n.openStore = func(o xlog.Options) (*xlog.Store, error) {
		o.FS = errorfs.Wrap(vfs.Default, h)
		return xlog.Open(o)
	}
	return h
}

// A session outlives a run of its node; its transactions do not.
func TestLocalOverRuns(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.fill(0, 10)
	s.level()
	n := s.nodes[slices.IndexFunc(s.nodes, func(n *node1) bool { return n != s.leader() })]
	l, space := n.local(), s.spaceID("t")
	x, err := l.Begin(t.Context(), TxnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	main := n.server().main()
	main.fatal(instance.ErrLostData)
	s.until("it has joined anew", func() bool {
		_, ok := n.info()
		return ok && n.server().main() != main
	})
	_, err = x.Execute(t.Context(), xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(99)})
	wantCode(t, err, xrow.ErrShutdown)
	_, err = x.Select(t.Context(), all(space), &kept{})
	wantCode(t, err, xrow.ErrShutdown)
	wantCode(t, x.Commit(t.Context(), false), xrow.ErrShutdown)
	s.level()
	if rows, err := l.Select(t.Context(), all(space), &kept{}); rows != 10 || err != nil {
		t.Errorf("%d rows: %v", rows, err)
	}
	if x, err = l.Begin(t.Context(), TxnOptions{}); err != nil {
		t.Fatal(err)
	}
	if rows, err := x.Select(t.Context(), all(space), &kept{}); rows != 10 || err != nil {
		t.Errorf("%d rows: %v", rows, err)
	}
}

// queued waits until a transaction is undecided.
func (n *node1) queued() {
	n.set.t.Helper()
	n.set.until("a transaction is on its way", func() bool {
		i, _ := n.info()
		return i.QueueLen > 0
	})
}

// A wait that ends is told apart from an end of what was waited for.
func TestLocalWaitEnds(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	disk := n.holdable()
	s.startAll()
	s.makeSpace()
	l := n.local()
	space := s.spaceID("t")
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := l.Execute(ended, xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(0)})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrOutcomeUnknown) {
		t.Fatalf("nothing was handed over: %v", err)
	}

	// Autocommit, COMMIT: both are on their way to the disk.
	for id, change := range []func(ctx context.Context) error{
		func(ctx context.Context) error {
			_, err := l.Execute(ctx, xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(0)})
			return err
		},
		func(ctx context.Context) error {
			x, err := l.Begin(ctx, TxnOptions{})
			if err != nil {
				t.Error(err)
				return err
			}
			insertInto(t, x, space, 1)
			return x.Commit(ctx, false)
		},
	} {
		release := disk.hold()
		defer release()
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error, 1)
		go func() { got <- change(ctx) }()
		n.queued()
		cancel()
		if err := <-got; !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
			t.Fatalf("%d: %v", id, err)
		}
		release()
		s.until("it is committed after all", func() bool { return n.rows() == id+1 })
	}

	// A statement of a transaction that nobody waits for takes the transaction along.
	x, err := l.Begin(t.Context(), TxnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Execute(ended, xrow.DML{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	insertInto(t, x, space, 7) // nothing was handed over
	if err := x.Commit(ended, false); !errors.Is(err, context.Canceled) || errors.Is(err, ErrOutcomeUnknown) {
		t.Fatalf("COMMIT was not sent: %v", err)
	}
	if err := x.Rollback(); err != nil {
		t.Fatal(err)
	}
	s.until("it is rolled back", func() bool { return n.open() == 0 })
	if n.rows() != 2 {
		t.Fatalf("%d rows", n.rows())
	}
}

// The stop answers all: what is with the disk has an unknown outcome, what comes later is
// refused.
func TestLocalStop(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	disk := n.holdable()
	s.startAll()
	s.makeSpace()
	l := n.local()
	space := s.spaceID("t")
	release := disk.hold()
	defer release()
	got, waits := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := l.Execute(t.Context(), xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(1)})
		got <- err
	}()
	n.queued()
	go func() {
		_, err := l.Call(t.Context(), "box.ctl.wait_ro", mp.Tuple())
		waits <- err
	}()
	x, err := l.Begin(t.Context(), TxnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.stop()
	if err := <-got; !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, xrow.ErrShutdown) {
		t.Errorf("the write: %v", err)
	}
	if err := <-waits; err != nil && !errors.Is(err, xrow.ErrShutdown) { // it may be read-only before
		t.Errorf("the call: %v", err)
	}
	release()
	if err := n.ended(); err != nil {
		t.Fatal(err)
	}
	_, err = x.Execute(t.Context(), xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(2)})
	wantCode(t, err, xrow.ErrShutdown)
	_, err = l.Execute(t.Context(), xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(2)})
	if errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, xrow.ErrShutdown) {
		t.Errorf("behind the end: %v", err)
	}
	_, err = l.Select(t.Context(), all(space), &kept{})
	wantCode(t, err, xrow.ErrShutdown)
	n.start()
	s.leader()
	if n.rows() > 1 { // the first one: nobody can know
		t.Errorf("%d rows", n.rows())
	}
}

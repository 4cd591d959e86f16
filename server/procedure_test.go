package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// testProcedure is one of a test; args is what it was called with.
func testProcedure(name string, run func(ctx context.Context, c *ProcedureCall, args []any) ([]any, error)) Procedure {
	return Procedure{Name: name, Version: 1, Run: func(ctx context.Context, c *ProcedureCall) (out [][]byte, err error) {
		var args []any
		if err := mp.Decode(c.Args, &args); err != nil {
			return nil, err
		}
		values, err := run(ctx, c, args)
		for _, v := range values {
			out = append(out, mp.Encode(v))
		}
		return out, err
	}}
}

// put replaces [id, text] in the space "t".
func put(ctx context.Context, c *ProcedureCall, id, text any) error {
	tx, err := c.Txn(ctx)
	if err != nil {
		return err
	}
	_, err = tx.Execute(ctx, xrow.DML{Type: xrow.Replace, SpaceID: c.run.space(), Tuple: mp.Tuple(id, text)})
	return err
}

func (r *procedureRun) space() (id uint32) {
	r.at.e.loop.Read(func(c *instance.Core) { id, _ = c.Box().ResolveSpace("t") })
	return id
}

// get reads the text under an id; empty: there is none.
func get(ctx context.Context, c *ProcedureCall, id any) (string, error) {
	tx, err := c.Txn(ctx)
	if err != nil {
		return "", err
	}
	var k kept
	n, err := tx.Select(ctx, &box.Query{Space: c.run.space(), Key: mp.Tuple(id), Limit: 1}, &k)
	if err != nil || n == 0 {
		return "", err
	}
	var row []any
	err = mp.Decode(k.raw, &row)
	return fmt.Sprint(row[1]), err
}

// gates lets tests meet procedures that run.
type gates struct {
	in, out chan string
	leave   chan struct{} // out for a procedure while another one waits there
}

func newGates() *gates { return &gates{make(chan string), make(chan string), make(chan struct{})} }

// next is the word of the procedure that comes next.
func (g *gates) next(t testing.TB) string {
	t.Helper()
	select {
	case word := <-g.in:
		return word
	case <-time.After(patience):
		t.Fatal("no procedure comes")
	}
	return ""
}

func (g *gates) arrive(t testing.TB, want string) {
	t.Helper()
	if got := g.next(t); got != want {
		t.Fatalf("%q arrived, and not %q", got, want)
	}
}

func (g *gates) let(t testing.TB, word string) {
	t.Helper()
	select {
	case g.out <- word:
	case <-time.After(patience):
		t.Fatal("nobody waits")
	}
}

// meet writes a row if it is given a second argument, then waits for a word.
func meet(g *gates) Procedure {
	return testProcedure("meet", func(ctx context.Context, c *ProcedureCall, args []any) ([]any, error) {
		if len(args) > 1 {
			if err := put(ctx, c, args[1], "before"); err != nil {
				return nil, err
			}
		}
		g.in <- fmt.Sprint(args[0])
		select {
		case word := <-g.out:
			if len(args) > 1 {
				return []any{word}, put(ctx, c, args[1], word)
			}
			return []any{word}, nil
		case <-ctx.Done():
			g.in <- "over: " + context.Cause(ctx).Error()
			return nil, ctx.Err()
		}
	})
}

// procedureSet is an instance with procedures, a space and a user who may do nothing.
func procedureSet(t *testing.T, g *gates) *set {
	s := newSet(t, 1, "tarragon: {answer_memory: 268435456}\n")
	var attempts atomic.Int32
	s.nodes[0].atOnce = 3
	s.nodes[0].procedures = []Procedure{
		testProcedure("put", func(ctx context.Context, c *ProcedureCall, args []any) ([]any, error) {
			return []any{c.User, args[1]}, put(ctx, c, args[0], args[1])
		}),
		testProcedure("put_fail", func(ctx context.Context, c *ProcedureCall, args []any) ([]any, error) {
			if err := put(ctx, c, args[0], "lost"); err != nil {
				return nil, err
			}
			switch args[1] {
			case "panic":
				panic("oops")
			case "exit":
				runtime.Goexit()
			case "code":
				return nil, fmt.Errorf("told: %w", xrow.Errorf(xrow.ErrNoSuchUser, "joe"))
			}
			return nil, errors.New("no")
		}),
		testProcedure("twice", func(ctx context.Context, c *ProcedureCall, args []any) ([]any, error) {
			was, err := get(ctx, c, args[0])
			if err != nil {
				return nil, err
			}
			n := attempts.Add(1)
			if n == 1 {
				g.in <- "read"
				<-g.out
			}
			return []any{n}, put(ctx, c, args[0], was+"+")
		}),
		meet(g),
		testProcedure("stubborn", func(context.Context, *ProcedureCall, []any) ([]any, error) {
			g.in <- "stubborn"
			<-g.out
			return nil, nil
		}),
		testProcedure("push", func(_ context.Context, c *ProcedureCall, args []any) ([]any, error) {
			return []any{args[0]}, c.Push(mp.Encode(args[0]))
		}),
		testProcedure("large", func(ctx context.Context, c *ProcedureCall, args []any) ([]any, error) {
			return []any{make([]byte, args[1].(uint32))}, put(ctx, c, args[0], "large")
		}),
		testProcedure("nest", func(ctx context.Context, c *ProcedureCall, args []any) ([]any, error) {
			tx, err := c.Txn(ctx)
			if err != nil {
				return nil, err
			}
			_, err = tx.Call(ctx, "put", mp.Tuple(args...))
			return nil, err
		}),
		testProcedure("abandon", func(ctx context.Context, c *ProcedureCall, _ []any) ([]any, error) {
			tx, err := c.Txn(ctx)
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithCancel(ctx)
			go func() {
				<-g.leave
				cancel()
			}()
			_, err = tx.Call(ctx, "stubborn", mp.Tuple())
			g.in <- fmt.Sprint("left: ", err)
			return nil, nil
		}),
		testProcedure("late", func(ctx context.Context, c *ProcedureCall, _ []any) ([]any, error) {
			go func() {
				g.in <- "late"
				<-g.out
				_, err := c.Txn(context.WithoutCancel(ctx))
				g.in <- fmt.Sprint(err)
			}()
			return nil, nil
		}),
	}
	s.startAll()
	s.makeSpace()
	n := s.leader()
	n.call("box.schema.user.create", "joe", map[string]any{"password": "j"})
	return s
}

// as is a connection of a user.
func (n *node1) as(user, password string) *tarantool.Connection {
	n.set.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: n.addr, User: user, Password: password}, tarantool.Opts{Timeout: patience})
	if err != nil {
		n.set.t.Fatal(err)
	}
	return conn
}

func called(name string, args ...any) *tarantool.CallRequest {
	return tarantool.NewCallRequest(name).Args(append([]any{}, args...))
}

func wantText(t testing.TB, d doer, id int, want string) {
	t.Helper()
	out := do(t, d, selected(id))
	got := ""
	if len(out) == 1 {
		got = fmt.Sprint(out[0].([]any)[1])
	}
	if got != want {
		t.Errorf("row %d: %q, want %q", id, got, want)
	}
}

// Procedures over the wire: what they change, how they end, and that they hold nobody up.
func TestProcedures(t *testing.T) {
	g := newGates()
	s := procedureSet(t, g)
	n := s.leader()
	begin, commit, rollback := tarantool.NewBeginRequest, tarantool.NewCommitRequest(), tarantool.NewRollbackRequest()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, conn *tarantool.Connection)
	}{
		{"its own transaction", func(t *testing.T, conn *tarantool.Connection) {
			if out := do(t, conn, called("put", 1, "a")); fmt.Sprint(out) != "[admin1 a]" {
				t.Errorf("returned %v", out)
			}
			wantText(t, conn, 1, "a")
			if out := do(t, conn, tarantool.NewCall16Request("put").Args([]any{1, "b"})); fmt.Sprint(out) != "[[admin1] [b]]" {
				t.Errorf("CALL_16 returned %v", out)
			}
			wantText(t, conn, 1, "b")
			do(t, conn, called("nest", 2, "c"))
			wantText(t, conn, 2, "c")
		}},
		{"errors", func(t *testing.T, conn *tarantool.Connection) {
			for how, want := range map[string]struct {
				code iproto.Error
				text string
			}{
				"error": {iproto.ER_PROC_LUA, "no"},
				"code":  {iproto.ER_NO_SUCH_USER, "User 'joe' is not found"},
				"panic": {iproto.ER_PROC_LUA, "procedure 'put_fail' panicked: oops"},
				"exit":  {iproto.ER_PROC_LUA, "procedure 'put_fail' ended its goroutine"},
			} {
				wantStreamError(t, conn, called("put_fail", 10, how), want.code, want.text)
				wantText(t, conn, 10, "")
			}
			if log := n.log.String(); !strings.Contains(log, "a procedure panicked") || !strings.Contains(log, "procedure_test.go") {
				t.Error("the log has no stack of the panic")
			}
		}},
		{"the transaction of its caller", func(t *testing.T, conn *tarantool.Connection) {
			st := begun(t, conn, begin())
			do(t, st, called("put", 20, "a"))
			do(t, st, called("nest", 21, "b"))
			wantText(t, st, 20, "a")
			wantText(t, conn, 20, "")
			wantStreamError(t, st, called("put_fail", 20, "panic"), iproto.ER_PROC_LUA, "procedure 'put_fail' panicked: oops")
			wantText(t, st, 20, "lost") // as in Tarantool: the client ends its transaction
			do(t, st, rollback)
			wantText(t, conn, 20, "")
			do(t, st, called("put", 22, "c")) // without BEGIN
			wantText(t, conn, 22, "c")
			do(t, st, begin())
			do(t, st, called("put", 20, "d"))
			do(t, st, commit)
			wantText(t, conn, 20, "d")
		}},
		{"a conflict", func(t *testing.T, conn *tarantool.Connection) {
			answer := conn.Do(called("twice", 30))
			g.arrive(t, "read")
			do(t, conn, replaced(30, "other"))
			g.let(t, "go on")
			out, err := answer.Get()
			if err != nil || fmt.Sprint(out) != "[2]" {
				t.Errorf("%v, %v", out, err)
			}
			wantText(t, conn, 30, "other+")
		}},
		{"too many", func(t *testing.T, conn *tarantool.Connection) {
			var answers []*tarantool.Future
			for i := range 3 {
				answers = append(answers, conn.Do(called("meet", i)))
				g.arrive(t, fmt.Sprint(i))
			}
			wantStreamError(t, conn, called("put", 40, "x"), iproto.ER_SYSTEM, "3 calls of procedures run: 'put' has to wait until one has ended")
			do(t, conn, replaced(40, "y")) // nobody else waits
			for range answers {
				g.let(t, "end")
			}
			for _, a := range answers {
				if out, err := a.Get(); err != nil || fmt.Sprint(out) != "[end]" {
					t.Errorf("%v, %v", out, err)
				}
			}
			do(t, conn, called("put", 40, "z"))
		}},
		{"who pays", func(t *testing.T, conn *tarantool.Connection) {
			other := n.dial()
			defer other.Close()
			var answers []*tarantool.Future
			for i, c := range []*tarantool.Connection{conn, conn, other} {
				answers = append(answers, c.Do(called("meet", "paid", 45+i)))
				g.arrive(t, "paid")
			}
			number := map[uint64]int{}
			streams := map[uint64]bool{}
			p := n.server().procs
			p.mu.Lock()
			for r := range p.running {
				number[r.txn.Conn]++
				streams[r.txn.Stream] = true
			}
			p.mu.Unlock()
			if len(number) != 2 || len(streams) != 3 {
				t.Errorf("transactions by connection: %v, streams %v", number, streams)
			}
			for range answers {
				g.let(t, "end")
			}
			for _, a := range answers {
				if _, err := a.Get(); err != nil {
					t.Error(err)
				}
			}
		}},
		{"its time is over", func(t *testing.T, conn *tarantool.Connection) {
			st := begun(t, conn, begin().Timeout(100*time.Millisecond))
			answer := st.Do(called("meet", "timeout", 50))
			g.arrive(t, "timeout")
			g.arrive(t, "over: "+timedOut)
			_, err := answer.Get()
			var e tarantool.Error
			if !errors.As(err, &e) || e.Code != iproto.ER_TRANSACTION_TIMEOUT {
				t.Errorf("got %v", err)
			}
			wantStreamError(t, st, called("put", 50, "x"), iproto.ER_TRANSACTION_TIMEOUT, timedOut)
			do(t, st, rollback)
		}},
		{"its client is gone", func(t *testing.T, _ *tarantool.Connection) {
			conn := n.dial()
			st := begun(t, conn, begin())
			st.Do(called("meet", "joined", 60))
			g.arrive(t, "joined")
			conn.Do(called("meet", "alone", 61))
			g.arrive(t, "alone")
			conn.Close()
			g.arrive(t, "over: "+errClientGone.Error())
			g.let(t, "after") // the one that is a transaction by itself goes on
			s.until("it is committed", func() bool {
				conn := n.dial()
				defer conn.Close()
				out := do(t, conn, selected(61))
				return len(out) == 1 && fmt.Sprint(out[0]) == "[61 after]"
			})
			s.until("the other one is rolled back", func() bool { return s.txns().Open == 0 })
		}},
		{"push", func(t *testing.T, conn *tarantool.Connection) {
			future := conn.Do(called("push", "hello"))
			var got []any
			//lint:ignore SA1019 clients read what is pushed by it, for as long as it is there
			for it := future.GetIterator().WithTimeout(patience); it.Next(); {
				v, err := it.Value().Decode()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
			if fmt.Sprint(got) != "[[hello] [hello]]" {
				t.Errorf("got %v", got)
			}
		}},
		{"calls within it", func(t *testing.T, conn *tarantool.Connection) {
			st := begun(t, conn, begin())
			answer := st.Do(called("abandon"))
			g.arrive(t, "stubborn")
			g.leave <- struct{}{}
			g.arrive(t, "left: context canceled")
			do(t, conn, tarantool.NewPingRequest())
			select {
			case <-answer.WaitChan():
				t.Error("it is answered, and what it has called runs on in the transaction")
			default:
			}
			g.let(t, "end")
			if _, err := answer.Get(); err != nil {
				t.Error(err)
			}
			do(t, st, rollback)
		}},
		{"large answers", func(t *testing.T, conn *tarantool.Connection) {
			if out := do(t, conn, called("large", 70, 3<<20)); len(out[0].([]byte)) != 3<<20 {
				t.Errorf("%d bytes", len(out[0].([]byte)))
			}
			wantText(t, conn, 70, "large")
			_, err := conn.Do(called("large", 71, 129<<20)).Get()
			var e tarantool.Error
			if !errors.As(err, &e) || e.Code != iproto.ER_MEMORY_ISSUE {
				t.Errorf("too large: %v", err)
			}
			wantText(t, conn, 71, "")
		}},
		{"after its end", func(t *testing.T, conn *tarantool.Connection) {
			do(t, conn, called("late"))
			g.arrive(t, "late")
			g.let(t, "go on")
			g.arrive(t, ErrTxnEnded.Error())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := n.dial()
			defer conn.Close()
			c.run(t, conn)
			if i := n.server().procs.Info(); i.Running != 0 {
				t.Errorf("%d procedures run", i.Running)
			}
		})
	}
	for _, p := range n.server().procs.Info().All {
		want := map[string]outcomes{"put_fail": {5, 5, 0}, "twice": {1, 0, 1}, "late": {1, 0, 0}}[p.Name]
		if got := (outcomes{p.Calls, p.Failed, p.Again}); want != (outcomes{}) && got != want {
			t.Errorf("%s: calls, failed, again %v; want %v", p.Name, got, want)
		}
	}
}

type outcomes struct{ calls, failed, again uint64 }

// Who may call a procedure, and as whom it runs.
func TestAttackProcedureRights(t *testing.T) {
	g := newGates()
	s := procedureSet(t, g)
	n := s.leader()
	joe := n.as("joe", "j")
	defer joe.Close()
	noCall := "Execute access to function 'put' is denied for user 'joe'"
	noWrite := "Write access to space 't' is denied for user 'joe'"
	wantStreamError(t, joe, called("put", 1, "a"), iproto.ER_ACCESS_DENIED, noCall)
	n.call("box.schema.func.create", "put", map[string]any{"language": "GO", "version": 1})
	wantStreamError(t, joe, called("put", 1, "a"), iproto.ER_ACCESS_DENIED, noCall)
	n.call("box.schema.user.grant", "joe", "execute", "function", "put")
	wantStreamError(t, joe, called("put", 1, "a"), iproto.ER_ACCESS_DENIED, noWrite)
	n.call("box.schema.user.grant", "joe", "write", "space", "t")
	if out := do(t, joe, called("put", 1, "a")); fmt.Sprint(out) != "[joe a]" {
		t.Errorf("returned %v", out)
	}
	n.call("box.schema.user.revoke", "joe", "write", "space", "t")
	n.call("box.schema.func.drop", "put")
	wantStreamError(t, joe, called("put", 1, "a"), iproto.ER_ACCESS_DENIED, noCall)

	// With the rights of its owner, in a transaction of joe's too, which has them for
	// nothing else.
	n.call("box.schema.func.create", "put", map[string]any{"language": "GO", "setuid": true})
	n.call("box.schema.user.grant", "joe", "execute", "function", "put")
	st := begun(t, joe, tarantool.NewBeginRequest())
	if out := do(t, st, called("put", 2, "b")); fmt.Sprint(out) != "[admin1 b]" {
		t.Errorf("returned %v", out)
	}
	wantStreamError(t, st, replaced(2, "c"), iproto.ER_ACCESS_DENIED, noWrite)
	do(t, st, tarantool.NewCommitRequest())

	// A row of Lua without a body gives rights as well.
	n.call("box.schema.func.create", "nest")
	n.call("box.schema.user.grant", "joe", "execute", "function", "nest")
	do(t, joe, called("nest", 3, "c"))
	n.call("box.schema.user.grant", "joe", "execute", "lua_call", "push")
	do(t, joe, called("push", "x"))

	// Rights that are lost while it runs.
	n.call("box.schema.func.create", "meet", map[string]any{"language": "GO"})
	n.call("box.schema.user.grant", "joe", "execute", "function", "meet")
	n.call("box.schema.user.grant", "joe", "write", "space", "t")
	answer := joe.Do(called("meet", "here", 4))
	g.arrive(t, "here")
	n.call("box.schema.user.revoke", "joe", "write", "space", "t")
	g.let(t, "after")
	_, err := answer.Get()
	var e tarantool.Error
	if !errors.As(err, &e) || e.Msg != noWrite {
		t.Errorf("got %v", err)
	}
	n.call("box.schema.func.create", "twice", map[string]any{"language": "GO", "setuid": true})
	n.call("box.schema.user.grant", "joe", "execute", "function", "twice")
	admin := n.dial()
	defer admin.Close()
	answer = joe.Do(called("twice", 5))
	g.arrive(t, "read")
	do(t, admin, replaced(5, "other"))
	n.call("box.schema.user.revoke", "joe", "execute", "function", "twice")
	g.let(t, "go on")
	if _, err = answer.Get(); !errors.As(err, &e) || e.Msg != "Execute access to function 'twice' is denied for user 'joe'" {
		t.Errorf("another attempt without the right: %v", err)
	}
	for id, want := range []string{1: "a", 2: "b", 3: "c", 4: "", 5: "other"} {
		wantText(t, admin, id, want)
	}
}

// A row of _func of language GO is refused until every member has said that it has the
// procedure. A member that comes back without it serves all else, and says so.
func TestProcedureMembers(t *testing.T) {
	s := newSet(t, 3, "")
	f := testProcedure("f", func(context.Context, *ProcedureCall, []any) ([]any, error) { return []any{"f"}, nil })
	for _, n := range s.nodes[:2] {
		n.procedures = []Procedure{f}
	}
	s.startAll()
	create := func(version int) error {
		conn := s.leader().dial()
		defer conn.Close()
		_, err := conn.Do(called("box.schema.func.create", "f", map[string]any{"language": "go", "version": version})).Get()
		return err
	}
	third := s.nodes[2]
	s.until("the members that have it have said so", func() bool {
		err := create(1)
		if err == nil {
			t.Fatal("created beside a member without it")
		}
		return strings.Count(err.Error(), "instance ") == 1 && strings.Contains(err.Error(), "(i3) has not ")
	})
	again := func(all ...Procedure) {
		t.Helper()
		if err := third.halt(); err != nil {
			t.Fatal(err)
		}
		third.procedures = all
		third.start()
		third.readyInfo()
	}
	again(f)
	s.until("all have said that they have it", func() bool { return create(1) == nil })
	s.level()
	for _, n := range s.nodes {
		if out := n.call("f"); fmt.Sprint(out) != "[f]" {
			t.Errorf("%s: %v", n.name, out)
		}
	}
	again()
	s.level()
	lacks := "functions of language GO for which this program has no procedure: 'f'"
	s.until("it says what it lacks", func() bool { return third.server().lastError() == lacks })
	conn := third.dial()
	defer conn.Close()
	wantStreamError(t, conn, called("f"), iproto.ER_NO_SUCH_PROC, "Procedure 'f' is not defined: the program of instance i3 has not registered it")
	if out := third.call("box.schema.func.exists", "f"); fmt.Sprint(out) != "[true]" {
		t.Errorf("exists: %v", out)
	}
}

// A procedure that cannot write any more is told so, and a stop does not wait for one that
// does not listen.
func TestProcedureEnds(t *testing.T) {
	g := newGates()
	s := procedureSet(t, g)
	n := s.leader()
	conn := n.dial()
	defer conn.Close()
	read, wrote := conn.Do(called("meet", "read")), conn.Do(called("meet", "wrote", 1))
	words := map[string]bool{g.next(t): true, g.next(t): true}
	if !words["read"] || !words["wrote"] {
		t.Fatal(words)
	}
	n.call("box.cfg", map[string]any{"read_only": true})
	if text := g.next(t); !strings.HasPrefix(text, "over: Can't modify data on a read-only instance") {
		t.Error(text)
	}
	_, err := wrote.Get()
	var e tarantool.Error
	if !errors.As(err, &e) || e.Code != iproto.ER_READONLY {
		t.Errorf("got %v", err)
	}
	g.let(t, "still here")
	if out, err := read.Get(); err != nil || fmt.Sprint(out) != "[still here]" {
		t.Errorf("the one that has written nothing: %v, %v", out, err)
	}

	conn.Do(called("stubborn"))
	g.arrive(t, "stubborn")
	conn.Do(called("meet", "polite"))
	g.arrive(t, "polite")
	n.call("box.ctl.set_on_shutdown_timeout", 0.01)
	n.stop()
	if text := g.next(t); text != "over: Server is shutting down" {
		t.Error(text)
	}
	if err := n.ended(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(n.log.String(), "a procedure does not end") {
		t.Error("nobody tells of it")
	}
	g.out <- "end"
	s.until("it ends", func() bool { return n.server().procs.Info().Running == 0 })
}

// A program is told all that is wrong with its procedures before anything is opened.
func TestBadProcedures(t *testing.T) {
	run := func(context.Context, *ProcedureCall) ([][]byte, error) { return nil, nil }
	err := Run(t.Context(), Config{Instance: newSet(t, 1, "").nodes[0].load(), Procedures: []Procedure{{Name: "", Run: run}, {Name: "a\x00", Run: run}, {Name: strings.Repeat("n", 256), Run: run},
		{Name: "box.info", Run: run}, {Name: "string", Run: run}, {Name: "f"}, {Name: "g", Run: run}, {Name: "g", Run: run}}})
	if err == nil || strings.Count(err.Error(), "\n") != 6 {
		t.Errorf("got %v", err)
	}
}

// A switchover waits for a procedure that has changed something no longer than for any other
// transaction, and then tells it.
func TestProcedureSwitchover(t *testing.T) {
	g := newGates()
	s := newSet(t, 3, "")
	for _, n := range s.nodes {
		n.procedures = []Procedure{meet(g)}
	}
	s.startAll()
	s.makeSpace()
	from := s.leader()
	conn := from.dial()
	defer conn.Close()
	wrote := conn.Do(called("meet", "wrote", 1))
	g.arrive(t, "wrote")
	word := make(chan string, 1)
	go func() { word <- <-g.in }()
	s.until("leadership moves", func() bool { // it is refused while no other one gives a word
		_, err := conn.Do(called("box.ctl.switchover")).Get()
		return err == nil
	})
	if text := <-word; !strings.HasPrefix(text, "over: Can't modify data on a read-only instance") {
		t.Error(text)
	}
	_, err := wrote.Get()
	var e tarantool.Error
	if !errors.As(err, &e) || e.Code != iproto.ER_READONLY {
		t.Errorf("got %v", err)
	}
	if s.leader() == from {
		t.Error("it leads still")
	}
	if n := from.rows(); n != 0 {
		t.Errorf("%d rows", n)
	}
}

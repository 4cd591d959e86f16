package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	ours "tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// txns is how the transactions of clients stand at the leader.
func (s *set) txns() instance.TxnCount {
	i, _ := s.leader().info()
	return i.Txns
}

// spaceID is the number of a space.
func (s *set) spaceID(name string) (id uint32) {
	s.t.Helper()
	s.leader().server().main().engine.Load().loop.Read(func(c *instance.Core) {
		var err error
		if id, err = c.Box().Schema().FindSpace(name); err != nil {
			s.t.Error(err)
		}
	})
	return id
}

// lastOf are the rows of the newest transaction in the log that changes a space.
func (n *node1) lastOf(space uint32) (rows []xrow.Row) {
	n.set.t.Helper()
	r := n.server().main().store.Read(1)
	defer r.Close()
	for {
		_, g, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			n.set.t.Fatal(err)
		}
		for from, to := range g.Transactions() {
			if g.Table[from].SpaceID != space {
				continue
			}
			rows = nil
			for i := from; i < to; i++ {
				row, err := g.Row(i)
				if err != nil {
					n.set.t.Fatal(err)
				}
				rows = append(rows, row)
			}
		}
	}
}

// begun is a stream with a transaction.
func begun(t testing.TB, conn *tarantool.Connection, req *tarantool.BeginRequest) *tarantool.Stream {
	t.Helper()
	st, err := conn.NewStream()
	if err == nil {
		_, err = st.Do(req).Get()
	}
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// streamsNow is how many box.stat.net() tells of.
func streamsNow(t testing.TB, d doer) int {
	t.Helper()
	stat := do(t, d, tarantool.NewCallRequest("box.stat.net"))[0].(map[any]any)
	n, err := strconv.Atoi(fmt.Sprint(stat["STREAMS"].(map[any]any)["current"]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// doer is a connection, or a stream of one.
type doer interface {
	Do(tarantool.Request) *tarantool.Future
}

func do(t testing.TB, d doer, req tarantool.Request) []any {
	t.Helper()
	out, err := d.Do(req).Get()
	if err != nil {
		t.Fatalf("%T: %v", req, err)
	}
	return out
}

func wantStreamError(t testing.TB, d doer, req tarantool.Request, code iproto.Error, text string) {
	t.Helper()
	_, err := d.Do(req).Get()
	var e tarantool.Error
	if !errors.As(err, &e) || e.Code != code || e.Msg != text {
		t.Fatalf("%T: got %v, want %d %q", req, err, code, text)
	}
}

func replaced(id int, text string) tarantool.Request {
	return tarantool.NewReplaceRequest("t").Tuple([]any{id, text})
}

func selected(id int) *tarantool.SelectRequest {
	return tarantool.NewSelectRequest("t").Index("pk").Key([]any{id}).Iterator(tarantool.IterEq)
}

const (
	conflict = "Transaction has been aborted by conflict"
	timedOut = "Transaction has been aborted by timeout"
)

// Transactions over streams, as a connector sees them.
func TestStreams(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	s.leader().call("box.schema.space.create", "async")
	s.leader().call("box.space.async:create_index", "pk")
	async := s.spaceID("async")
	begin, commit, rollback := tarantool.NewBeginRequest, tarantool.NewCommitRequest(), tarantool.NewRollbackRequest()
	for name, run := range map[string]func(t *testing.T, conn *tarantool.Connection){
		"features": func(t *testing.T, conn *tarantool.Connection) {
			for _, f := range []iproto.Feature{iproto.IPROTO_FEATURE_STREAMS, iproto.IPROTO_FEATURE_TRANSACTIONS, iproto.IPROTO_FEATURE_IS_SYNC} {
				if !slices.Contains(conn.ProtocolInfo().Features, f) {
					t.Errorf("%v is not announced", f)
				}
			}
		},
		"commit": func(t *testing.T, conn *tarantool.Connection) {
			st := begun(t, conn, begin())
			do(t, st, replaced(100, "a"))
			if in, out := do(t, st, selected(100)), do(t, conn, selected(100)); len(in) != 1 || len(out) != 0 {
				t.Errorf("before COMMIT: %v inside, %v outside", in, out)
			}
			wantStreamError(t, st, begin(), iproto.ER_ACTIVE_TRANSACTION, "Operation is not permitted when there is an active transaction ")
			wantStreamError(t, st, begin().TxnIsolation(9), iproto.ER_ACTIVE_TRANSACTION, "Operation is not permitted when there is an active transaction ")
			wantStreamError(t, st, tarantool.NewInsertRequest("t").Tuple([]any{"x"}), iproto.ER_FIELD_TYPE,
				"Tuple field 1 type does not match one required by operation: expected unsigned, got string")
			do(t, st, replaced(101, "b"))
			do(t, st, commit)
			if out := do(t, conn, tarantool.NewSelectRequest("t").Key([]any{100}).Iterator(tarantool.IterGe).Limit(2)); fmt.Sprint(out) != "[[100 a] [101 b]]" {
				t.Errorf("behind COMMIT: %v", out)
			}
			do(t, st, commit)
			do(t, st, rollback)
		},
		"rollback": func(t *testing.T, conn *tarantool.Connection) {
			st := begun(t, conn, begin())
			do(t, st, replaced(200, "a"))
			do(t, st, rollback)
			if out := do(t, st, selected(200)); len(out) != 0 {
				t.Errorf("behind ROLLBACK: %v", out)
			}
		},
		"autocommit": func(t *testing.T, conn *tarantool.Connection) {
			st, err := conn.NewStream()
			if err != nil {
				t.Fatal(err)
			}
			do(t, st, replaced(300, "a"))
			if in, out := do(t, st, selected(300)), do(t, conn, selected(300)); len(in) != 1 || len(out) != 1 {
				t.Errorf("%v inside, %v outside", in, out)
			}
		},
		"conflict": func(t *testing.T, conn *tarantool.Connection) {
			a, b := begun(t, conn, begin()), begun(t, conn, begin())
			for _, st := range []*tarantool.Stream{a, b} {
				do(t, st, selected(400))
				do(t, st, replaced(400, "x"))
			}
			do(t, a, commit)
			wantStreamError(t, b, selected(400), iproto.ER_TRANSACTION_CONFLICT, conflict)
			wantStreamError(t, b, commit, iproto.ER_TRANSACTION_CONFLICT, conflict)
			do(t, b, rollback)
		},
		"timeout": func(t *testing.T, conn *tarantool.Connection) {
			was := s.txns().TimedOut
			a, b := begun(t, conn, begin().Timeout(time.Millisecond)), begun(t, conn, begin().Timeout(time.Millisecond))
			s.until("their time is over", func() bool { return s.txns().TimedOut == was+2 })
			wantStreamError(t, a, replaced(500, "x"), iproto.ER_TRANSACTION_TIMEOUT, timedOut)
			wantStreamError(t, a, commit, iproto.ER_TRANSACTION_TIMEOUT, timedOut)
			do(t, a, commit)
			wantStreamError(t, b, selected(500), iproto.ER_TRANSACTION_TIMEOUT, timedOut)
			do(t, b, rollback)
			wantStreamError(t, b, begin().TxnIsolation(9), iproto.ER_ILLEGAL_PARAMS, "unknown isolation level")
		},
		"disconnect": func(t *testing.T, conn *tarantool.Connection) {
			was := s.txns()
			begun(t, conn, begin())
			st := begun(t, conn, begin())
			do(t, st, replaced(600, "x"))
			if n := streamsNow(t, conn); n != 2 {
				t.Errorf("%v streams, with a transaction each", n)
			}
			if got := s.txns().Open; got != was.Open+2 {
				t.Errorf("%d transactions are open", got)
			}
			conn.Close()
			s.until("what was open is rolled back", func() bool { got := s.txns(); return got.Open == was.Open && got.Abandoned == was.Abandoned+2 })
			other := s.leader().dial()
			defer other.Close()
			if out := do(t, other, selected(600)); len(out) != 0 {
				t.Errorf("is there: %v", out)
			}
		},
		"order": func(t *testing.T, conn *tarantool.Connection) {
			st := begun(t, conn, begin())
			const n = 200
			var futures []*tarantool.Future
			for range n {
				futures = append(futures, st.Do(tarantool.NewUpsertRequest("t").Tuple([]any{700, "", 0}).Operations(tarantool.NewOperations().Add(2, 1))), st.Do(selected(700)))
			}
			futures = append(futures, st.Do(commit))
			for i, f := range futures {
				out, err := f.Get()
				if err != nil {
					t.Fatal(i, err)
				}
				if i%2 == 1 && fmt.Sprint(out) != fmt.Sprintf("[[700  %d]]", i/2) {
					t.Fatalf("read %d: %v", i/2, out)
				}
			}
		},
		"pages": func(t *testing.T, conn *tarantool.Connection) {
			st := begun(t, conn, begin())
			for i := range 10 {
				do(t, st, replaced(800+i, "p"))
			}
			if out := do(t, conn, tarantool.NewReplaceRequest("async").Tuple([]any{1})); len(out) != 1 {
				t.Fatal(out)
			}
			var got []any
			page := tarantool.NewSelectRequest("t").Index("pk").Key([]any{800}).Iterator(tarantool.IterGe).Limit(3).FetchPos(true)
			for range 3 {
				f := st.Do(page)
				out, err := f.Get()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, out...)
				resp, err := f.GetResponse()
				if err != nil {
					t.Fatal(err)
				}
				pos, err := resp.(*tarantool.SelectResponse).Pos()
				if err != nil {
					t.Fatal(err)
				}
				page = page.After(pos)
			}
			if fmt.Sprint(got) != "[[800 p] [801 p] [802 p] [803 p] [804 p] [805 p] [806 p] [807 p] [808 p]]" {
				t.Errorf("pages: %v", got)
			}
			do(t, st, rollback)
		},
		"synchronous": func(t *testing.T, conn *tarantool.Connection) {
			for i, c := range []struct {
				begin  *tarantool.BeginRequest
				commit *tarantool.CommitRequest
				sync   bool
			}{{begin().IsSync(true), commit, true}, {begin(), tarantool.NewCommitRequest().IsSync(true), true}, {begin(), commit, false}} {
				st := begun(t, conn, c.begin)
				do(t, st, tarantool.NewReplaceRequest("async").Tuple([]any{2}))
				do(t, st, tarantool.NewReplaceRequest("async").Tuple([]any{3}))
				do(t, st, c.commit)
				if rows := s.leader().lastOf(async); len(rows) != 2 || (rows[1].Flags&xrow.FlagWaitAck != 0) != c.sync {
					t.Errorf("case %d: %+v", i, rows)
				}
			}
		},
		"rights": func(t *testing.T, conn *tarantool.Connection) {
			s.leader().call("box.schema.user.create", "poor", map[string]any{"password": "p"})
			s.leader().call("box.schema.user.grant", "poor", "write", "space", "t")
			poor, err := tarantool.Connect(t.Context(), tarantool.NetDialer{Address: s.leader().addr, User: "poor", Password: "p"}, tarantool.Opts{Timeout: patience})
			if err != nil {
				t.Fatal(err)
			}
			defer poor.Close()
			st := begun(t, poor, begin())
			do(t, st, replaced(1000, "r"))
			wantStreamError(t, st, selected(1000), iproto.ER_ACCESS_DENIED, "Read access to space 't' is denied for user 'poor'")
			wantStreamError(t, st, tarantool.NewCallRequest("box.space.t:get").Args([]any{1000}), iproto.ER_ACCESS_DENIED, "Execute access to function 'box.space.t:get' is denied for user 'poor'")
			s.leader().call("box.schema.user.revoke", "poor", "write", "space", "t")
			wantStreamError(t, st, replaced(1001, "r"), iproto.ER_ACCESS_DENIED, "Write access to space 't' is denied for user 'poor'")
			do(t, st, rollback)
		},
		"linearizable": func(t *testing.T, conn *tarantool.Connection) {
			s.leader().call("box.schema.user.create", "none", map[string]any{"password": "p"})
			none, err := tarantool.Connect(t.Context(), tarantool.NetDialer{Address: s.leader().addr, User: "none", Password: "p"}, tarantool.Opts{Timeout: patience})
			if err != nil {
				t.Fatal(err)
			}
			defer none.Close()
			st := begun(t, none, begin().TxnIsolation(4)) // who may not use a space is not told its name
			wantStreamError(t, st, tarantool.NewSelectRequest(async).Key([]any{1}), iproto.ER_ACCESS_DENIED, "Read access to space 'async' is denied for user 'none'")
			wantStreamError(t, st, tarantool.NewSelectRequest(async).Key([]any{1}).After([]any{1}), iproto.ER_ACCESS_DENIED, "Read access to space 'async' is denied for user 'none'")
			wantStreamError(t, st, tarantool.NewReplaceRequest(async).Tuple([]any{1}), iproto.ER_ACCESS_DENIED, "Write access to space 'async' is denied for user 'none'")
			do(t, st, rollback)
			st = begun(t, conn, begin().TxnIsolation(4))
			do(t, st, selected(1))
			wantStreamError(t, st, tarantool.NewSelectRequest("async").Key([]any{1}), iproto.ER_UNSUPPORTED, `space "async" does not support linearizable operations`)
			do(t, st, rollback)
			// Outside of a transaction a SELECT may ask for it, by a key of ours.
			s.leader().call("box.schema.user.grant", "guest", "read", "space", "async")
			nc, err := net.Dial("tcp", s.leader().addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if _, err := io.ReadFull(nc, make([]byte, ours.GreetingSize)); err != nil {
				t.Fatal(err)
			}
			l := ours.NewLink(nc, xrow.MaxFrame)
			body := append([]byte{0x84, byte(xrow.KeySpaceID), 0xcd, byte(async >> 8), byte(async & 0xff), byte(xrow.KeyLimit), 1, byte(xrow.KeyKey), 0x90}, byte(xrow.KeyTxnIsolation), 4)
			if err := l.WriteRow(&xrow.Row{Type: xrow.Select, Sync: 7, StreamID: 5, Body: body}); err != nil {
				t.Fatal(err)
			}
			row, err := l.ReadRow()
			if e := row.AsError(); err != nil || e == nil || e.Message != `space "async" does not support linearizable operations` {
				t.Errorf("got %+v, %v", row, err)
			}
		},
		"calls": func(t *testing.T, conn *tarantool.Connection) {
			st, err := conn.NewStream()
			if err != nil {
				t.Fatal(err)
			}
			call := func(name string, args ...any) tarantool.Request {
				return tarantool.NewCallRequest(name).Args(append([]any{}, args...))
			}
			do(t, st, call("box.space.t:replace", []any{900, "c"}))
			if out := do(t, st, call("box.space.t:get", 900)); fmt.Sprint(out) != "[[900 c]]" {
				t.Errorf("outside of a transaction: %v", out)
			}
			if out := do(t, st, tarantool.NewEvalRequest("return box.info()")); len(out) != 1 {
				t.Error(out)
			}
			do(t, st, begin())
			if out := do(t, st, tarantool.NewEvalRequest("return box.is_in_txn(), not box.is_in_txn()")); fmt.Sprint(out) != "[true false]" {
				t.Errorf("within a transaction: %v", out)
			}
			if out := do(t, conn, tarantool.NewEvalRequest("return box.is_in_txn()")); fmt.Sprint(out) != "[false]" {
				t.Errorf("outside: %v", out)
			}
			if out := do(t, st, call("box.space.t:get", 900)); fmt.Sprint(out) != "[[900 c]]" { // before anything else
				t.Errorf("in a transaction: %v", out)
			}
			do(t, st, call("box.space.t:replace", []any{901, "c"}))
			do(t, st, call("box.space.t:replace", []any{902, "c"}))
			do(t, st, tarantool.NewDeleteRequest("t").Key([]any{900}))
			for name, want := range map[string]string{"get": "[[901 c]]", "select": "[[[901 c]]]", "count": "[1]"} {
				if out := do(t, st, call("box.space.t:"+name, 901)); fmt.Sprint(out) != want {
					t.Errorf("%s: %v, want %s", name, out, want)
				}
			}
			in, out := do(t, st, call("box.space.t:len")), do(t, conn, call("box.space.t:len"))
			if fmt.Sprint(in) != fmt.Sprint([]any{len(do(t, conn, tarantool.NewSelectRequest("t").Limit(1<<20))) + 1}) {
				t.Errorf("length %v inside, %v outside", in, out)
			}
			if out := do(t, conn, call("box.space.t:get", 901)); len(out) != 0 {
				t.Errorf("outside: %v", out)
			}
			for name, arg := range map[string]any{"box.schema.space.create": "x", "box.space.t:auto_increment": []any{"x"}, "box.ctl.promote": nil,
				"box.cfg": map[string]any{"net_msg_max": 700}} {
				wantStreamError(t, st, call(name, arg), iproto.ER_UNSUPPORTED, "Tarragon does not support "+name+" in a transaction of a stream")
			}
			wantStreamError(t, st, call(xrow.ForwardCall, 1, "admin1", int(xrow.Call), map[int]any{0x22: "box.schema.space.create", 0x21: []any{"x"}}),
				iproto.ER_UNSUPPORTED, "Tarragon does not support box.schema.space.create in a transaction of a stream")
			do(t, st, commit)
			if out := do(t, conn, call("box.space.t:select", 899, map[string]any{"iterator": "GT", "limit": 1})); fmt.Sprint(out) != "[[[901 c]]]" {
				t.Errorf("behind COMMIT: %v", out)
			}
		},
		"many": func(t *testing.T, conn *tarantool.Connection) {
			const n = 10_000
			var streams []*tarantool.Stream
			for range n {
				st, err := conn.NewStream()
				if err != nil {
					t.Fatal(err)
				}
				streams = append(streams, st)
			}
			for _, req := range []func(i int) tarantool.Request{
				func(int) tarantool.Request { return begin() },
				func(i int) tarantool.Request { return replaced(10_000+i, "m") },
				func(int) tarantool.Request { return commit },
			} {
				var futures []*tarantool.Future
				for i, st := range streams {
					futures = append(futures, st.Do(req(i)))
				}
				for _, f := range futures {
					if _, err := f.Get(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if out := do(t, conn, tarantool.NewSelectRequest("t").Key([]any{10_000}).Iterator(tarantool.IterGe).Limit(2*n)); len(out) != n {
				t.Errorf("%d rows", len(out))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conn, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: s.leader().addr, User: "admin1", Password: "a"}, tarantool.Opts{Timeout: patience, Concurrency: 1}) // else it sends in any order
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			run(t, conn)
		})
	}
	if got := s.txns().Open; got != 0 {
		s.until("nothing is open", func() bool { return s.txns().Open == 0 })
	}
}

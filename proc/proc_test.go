package proc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

func show(v any) string { return fmt.Sprintf("%+v", v) }

// admin calls a procedure with arguments in JSON.
func (c *caller) admin(name, args string) *answer {
	c.t.Helper()
	raw, err := fromJSON(args)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.call(box.UserAdmin, xrow.Call, name, raw)
}

func (c *caller) expect(name, args, want string) {
	c.t.Helper()
	if got := c.admin(name, args).String(); got != want {
		c.t.Errorf("%s%s\n got %s\nwant %s", name, args, got, want)
	}
}

// Procedures whose process has not what they need are not defined.
func TestNotServed(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	for _, name := range []string{"box.broadcast", "box.snapshot", "box.session.peer", "box.session.su", "box.ctl.set_on_shutdown_timeout",
		"box.stat", "box.stat.net", "box.info.memory", "box.info.gc", "box.runtime.info"} {
		if a := c.admin(name, "[]"); a.err == nil || a.err.Code != xrow.ErrNoSuchProc {
			t.Errorf("%s: %s", name, a)
		}
	}
}

func TestBroadcast(t *testing.T) {
	var got []string
	c := newCaller(t, instance.ModeCandidate, func(e *Env) {
		e.Broadcast = func(key string, v []byte) {
			if v == nil {
				got = append(got, key+" none")
				return
			}
			got = append(got, key+" "+text(v))
		}
	})
	c.expect("box.broadcast", `["k", {"a": 1}]`, "=> []")
	c.expect("box.broadcast", `["k"]`, "=> []")
	c.expect("box.broadcast", `["k", null]`, "=> []")
	if want := `k {"a": 1}, k none, k none`; strings.Join(got, ", ") != want {
		t.Errorf("got %s", got)
	}
	c.expect("box.broadcast", `["box.id", 1]`, "! 32 LuajitError: System event can't be override")
	const usage = "! 32 LuajitError: Usage: box.broadcast(key[, value])"
	c.expect("box.broadcast", `[]`, usage)
	c.expect("box.broadcast", `[1]`, usage)
	c.expect("box.broadcast", `["k", 1, 2]`, usage)
}

func TestSnapshot(t *testing.T) {
	var done func(error)
	c := newCaller(t, instance.ModeCandidate, func(e *Env) { e.Snapshot = func(f func(error)) { done = f } })
	var replies []string
	reply := func(data []byte, err *xrow.Error) { replies = append(replies, (&answer{data, err}).String()) }
	for i, err := range []error{nil, xrow.Errorf(xrow.ErrCheckpointInProgress), errors.New("disk full")} {
		c.p.Call(Call{User: box.UserAdmin, Type: xrow.Call, Name: "box.snapshot", Args: []byte{0x90}, Reply: reply})
		if len(replies) != i {
			t.Fatalf("answered before it was written: %s", replies)
		}
		done(err)
	}
	if got, want := strings.Join(replies, "\n"),
		"=> [\"ok\"]\n! 120: Snapshot is already in progress\n! 0: disk full"; got != want {
		t.Errorf("got %s", got)
	}
}

// timers are those of a test: they fire when it says so.
type timers []*timer

type timer struct {
	after   time.Duration
	f       func()
	stopped bool
}

func (ts *timers) after(d time.Duration, f func()) func() bool {
	tm := &timer{after: d, f: f}
	*ts = append(*ts, tm)
	return func() bool {
		old := tm.stopped
		tm.stopped = true
		return !old
	}
}

func TestWait(t *testing.T) {
	var ts timers
	c := newCaller(t, instance.ModeCandidate, func(e *Env) { e.After = ts.after })
	c.node.onStep = func() { c.p.StatusChanged() }
	c.expect("box.ctl.wait_rw", "[]", "=> []")
	c.expect("box.ctl.wait_rw", "[5]", "=> []")
	c.expect("box.ctl.wait_ro", "[0]", "! 115 TimedOut: timed out")
	c.expect("box.ctl.wait_ro", `["x"]`, "! 1 IllegalParams: timeout should be a number")
	c.expect("box.ctl.wait_ro", `[-1]`, "! 1 IllegalParams: timeout should be a number")

	var got []string
	wait := func(name, args string) {
		raw, _ := fromJSON(args)
		c.p.Call(Call{User: box.UserAdmin, Type: xrow.Call, Name: name, Args: raw,
			Reply: func(data []byte, err *xrow.Error) { got = append(got, name+" "+(&answer{data, err}).String()) }})
	}
	wait("box.ctl.wait_ro", "[]")
	wait("box.ctl.wait_ro", "[10]")
	wait("box.ctl.wait_ro", "[1.5]")
	if len(got) > 0 {
		t.Fatalf("answered while writable: %s", got)
	}
	last := ts[len(ts)-1]
	if last.after != 1500*time.Millisecond {
		t.Errorf("timer of %s", last.after)
	}
	last.f()
	if len(got) != 1 || got[0] != "box.ctl.wait_ro ! 115 TimedOut: timed out" {
		t.Fatalf("after the timeout: %s", got)
	}
	if a := c.cfg(`{"read_only": true}`); a.String() != "=> []" {
		t.Fatal(a)
	}
	if len(got) != 3 || got[1] != "box.ctl.wait_ro => []" || got[2] != got[1] {
		t.Fatalf("once read only: %s", got)
	}
	for _, tm := range ts {
		if tm != last && !tm.stopped {
			t.Error("a timer of an answered call runs on")
		}
		tm.f() // too late: nobody is answered twice
	}
	wait("box.ctl.wait_rw", "[]")
	if len(got) != 3 {
		t.Fatalf("answered while read only: %s", got)
	}
	c.cfg(`{"read_only": false}`)
	if len(got) != 4 || len(c.p.waiters) > 0 {
		t.Errorf("once writable: %s, %d wait", got, len(c.p.waiters))
	}
}

func TestPromote(t *testing.T) {
	c := newCaller(t, instance.ModeManual, nil)
	refused := func(when string) {
		t.Helper()
		if a := c.admin("box.schema.space.create", `["t"]`); a == nil || a.err == nil || a.err.Code != xrow.ErrReadonly {
			t.Errorf("%s: %s", when, a)
		}
	}
	refused("before")
	c.expect("box.ctl.promote", "[]", "=> []")
	c.expect("box.ctl.promote", "[]", "=> []")
	if a := c.admin("box.schema.space.create", `["t"]`); a == nil || a.err != nil {
		t.Errorf("after the promotion: %s", a)
	}
	c.expect("box.ctl.demote", "[]", "=> []")
	refused("after the demotion")
	c.expect("box.ctl.demote", "[]", "=> []")

	v := newCaller(t, instance.ModeVoter, nil)
	v.expect("box.ctl.promote", "[]", "! 5: election_mode='voter' does not support manual elections")
}

func TestExpel(t *testing.T) {
	const other = "22222222-0000-4000-8000-000000000002"
	for _, who := range []string{`"i2"`, `"` + other + `"`, `2`} {
		c := newCaller(t, instance.ModeCandidate, nil)
		row := instance.MemberTuple(2, other, "i2", 1)
		c.node.putMember(row)
		c.node.takeRows()
		c.expect("tarragon.expel", "[]", "! 1 IllegalParams: Usage: tarragon.expel(name, uuid or id)")
		c.expect("tarragon.expel", `["i3"]`, "! 62: Replica i3 is not registered with replica set "+testReplicaset)
		c.expect("tarragon.expel", `[""]`, "! 62: Replica  is not registered with replica set "+testReplicaset)
		c.expect("tarragon.expel", `["i1"]`, "! 128: The local instance id 1 is read-only")
		c.admin("tarragon.expel", "["+who+"]")
		// The second row: no later member gets the greatest ID that was given.
		if rows := c.node.takeRows(); len(rows) != 2 || rowText(&rows[0]) != "delete 320 key=[2]" ||
			rowText(&rows[1]) != `replace 272 tuple=["tarragon.last_id", 2]` {
			t.Errorf("expel(%s): %v", who, rows)
		}
	}
}

func TestSession(t *testing.T) {
	var became []uint32
	c := newCaller(t, instance.ModeCandidate, func(e *Env) {
		e.SessionPeer = func(conn uint64) string { return fmt.Sprint("peer of ", conn) }
		e.Su = func(conn uint64, user box.Credentials) error {
			became = append(became, user.User())
			return nil
		}
	})
	c.expect("box.session.user", "[]", `=> ["admin"]`)
	c.expect("box.session.effective_user", "[]", `=> ["admin"]`)
	c.expect("box.session.uid", "[]", "=> [1]")
	c.expect("box.session.euid", "[]", "=> [1]")
	c.expect("box.session.id", "[]", "=> [5]")
	c.expect("box.session.sync", "[]", "=> [6]")
	c.expect("box.session.type", "[]", `=> ["binary"]`)
	c.expect("box.session.peer", "[]", `=> ["peer of 5"]`)
	c.expect("box.session.su", `["guest"]`, "=> []")
	c.expect("box.session.su", `["nobody"]`, "! 45: User 'nobody' is not found")
	c.expect("box.session.su", `["public"]`, "! 45: User 'public' is not found")
	c.expect("box.session.su", `["guest", "f"]`, "! 5: Tarragon does not support functions as arguments")
	c.admin("box.schema.user.create", `["u"]`)
	c.admin("box.schema.user.grant", `["u", "execute", "universe"]`)
	for name, want := range map[string]string{"admin": "! 42", "u": "=> []"} {
		args, _ := fromJSON(`["` + name + `"]`)
		if a := c.call(32, xrow.Call, "box.session.su", args); !strings.HasPrefix(a.String(), want) {
			t.Errorf("su to %s: %s", name, a)
		}
	}
	c.admin("box.schema.user.grant", `["u", "execute", "lua_call", "box.session.su"]`)
	if a := c.call(32, xrow.Call, "box.session.su", []byte("\x91\xa5admin")); a.err != nil {
		t.Errorf("su to admin, by a grant of its name: %s", a)
	}
	if show(became) != "[0 32 1]" {
		t.Errorf("became %v", became)
	}
}

func TestShutdownTimeout(t *testing.T) {
	var got time.Duration
	c := newCaller(t, instance.ModeCandidate, func(e *Env) { e.ShutdownTimeout = func(d time.Duration) { got = d } })
	c.expect("box.ctl.set_on_shutdown_timeout", "[2.5]", "=> []")
	if got != 2500*time.Millisecond {
		t.Errorf("got %s", got)
	}
	c.expect("box.ctl.set_on_shutdown_timeout", "[]", "! 1 IllegalParams: timeout should be a number")
	c.expect("box.ctl.is_recovery_finished", "[]", "=> [true]")
	c.expect("box.ctl.set_on_shutdown_timeout", "[1e300]", "=> []")
	if got < 0 {
		t.Errorf("overflow: %s", got)
	}
}

// A loop that has ended is told of, not waited for.
func TestShutdown(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	c.p.env.Loop = closedNode{c.node}
	c.expect("box.schema.space.create", `["t"]`, "! 279: Server is shutting down")
	c.expect("box.ctl.promote", `[]`, "! 279: Server is shutting down")
}

type closedNode struct{ *testNode }

func (closedNode) Submit(instance.Event) error { return instance.ErrClosed }

// Foreign arguments cost bounded memory.
func TestTooMany(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	many := append(msgp.AppendArrayHeader(nil, 1<<20), make([]byte, 1<<20)...)
	if a := c.call(box.UserAdmin, xrow.Call, "box.info", many); a.String() != "! 1 IllegalParams: too many elements: 1048576" {
		t.Error(a)
	}
	args := append(msgp.AppendString([]byte{0x92}, "x"), msgp.AppendMapHeader(nil, 1<<19)...)
	args = append(args, make([]byte, 1<<20)...)
	if a := c.call(box.UserAdmin, xrow.Call, "box.schema.space.create", args); a.String() != "! 1 IllegalParams: too many elements: 524288" {
		t.Error(a)
	}
}

// The values of CALL_16 (Tarantool, src/box/call.c).
func TestCall16(t *testing.T) {
	tests := []struct{ in, want string }{
		{`[1, [2, 3], [4, 5], null, "x"]`, `[[1], [2, 3], [4, 5], [nil], ["x"]]`},
		{`[1]`, `[[1]]`},
		{`[null]`, `[[nil]]`},
		{`[]`, `[]`},
		{`[[1, 2]]`, `[[1, 2]]`},
		{`[[[1, 2], [3]]]`, `[[1, 2], [3]]`},
		{`[{"a": 1}]`, `[[{"a": 1}]]`},
		{`[[]]`, `[[]]`},
	}
	for _, test := range tests {
		raw, _ := fromJSON(test.in)
		list, err := value(raw).array()
		if err != nil {
			t.Fatal(err)
		}
		var v values
		for _, e := range list {
			v = append(v, e)
		}
		if got := text(data(xrow.Call16, v)); got != test.want {
			t.Errorf("%s: got %s, want %s", test.in, got, test.want)
		}
	}
}

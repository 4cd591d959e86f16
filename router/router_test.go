package router

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// ask asks and gives the code of the error.
func ask(t *testing.T, c *iproto.Client, typ xrow.Type, body []byte) xrow.Code {
	t.Helper()
	_, err := c.Do(typ, body)
	var e *xrow.Error
	if err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e == nil {
		return 0
	}
	return e.Code
}

// leadsTo waits until a port has come to a word.
func leadsTo(t *testing.T, r *Router, port Port, why string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		changed := r.changes()
		if r.ports[port].target.Load().why == why {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%q, want %q", r.ports[port].target.Load().why, why)
		}
	}
}

func TestFailover(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	r := startTest(t, nil, a, b)
	c := client(t, r, RW)
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	// A write that the old leader refuses waits, and goes to the next one.
	refused := make(chan bool, 100)
	a.does(func(c *fakeConn, row *xrow.Row) { c.fail(row, xrow.ErrReadonly); refused <- true })
	go func() {
		<-refused
		a.says(follows(6, 2))
		b.says(leadsIn(6, 2))
	}()
	if code := ask(t, c, xrow.Insert, insert); code != 0 || !slices.Contains(b.log(), "INSERT") {
		t.Errorf("%v, asked of b: %v", code, b.log())
	}
	// One that has no answer is unknown; a read is read again by who comes back.
	b.does(func(c *fakeConn, row *xrow.Row) { b.cut(func(o *fakeConn) bool { return o == c }) })
	if code := ask(t, c, xrow.Insert, insert); code != xrow.ErrSyncTimeout {
		t.Errorf("a write that is lost: %v", code)
	}
	again := 0
	b.does(func(c *fakeConn, row *xrow.Row) {
		if again++; again == 1 {
			b.cut(func(o *fakeConn) bool { return o == c })
			return
		}
		c.ok(row)
	})
	if code := ask(t, c, xrow.Select, read); code != 0 {
		t.Errorf("a read that is lost: %v", code)
	}
}

// What waits is bounded in time and in bytes, and the error says that nothing was executed.
func TestHeld(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	r := startTest(t, func(c *Config) { c.HoldTime, c.HoldBytes = 100*time.Millisecond, 4*heldCost }, a)
	c := client(t, r, RW)
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	a.does(func(c *fakeConn, row *xrow.Row) { c.fail(row, xrow.ErrReadonly) })
	if code := ask(t, c, xrow.Insert, insert); code != xrow.ErrReadonly {
		t.Errorf("nobody leads: %v", code)
	}
	for sync := range uint64(10) {
		if err := c.WriteRow(&xrow.Row{Type: xrow.Insert, Sync: 1000 + sync, Body: insert}); err != nil {
			t.Fatal(err)
		}
	}
	codes := map[xrow.Code]int{}
	for range 10 {
		row, err := c.ReadRow()
		if err != nil {
			t.Fatal(err)
		}
		codes[row.AsError().Code]++
	}
	if codes[xrow.ErrNoConnection] == 0 || codes[xrow.ErrReadonly] == 0 {
		t.Errorf("%v: some wait, and the others are too many", codes)
	}
	if n := r.held.n.Load(); n != 0 {
		t.Errorf("%d bytes are held behind the last answer", n)
	}
}

func TestReaders(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	r := startTest(t, nil, a, b)
	leadsTo(t, r, RO, "1 readers within the lag")
	c := client(t, r, RO)
	for range 3 {
		if code := ask(t, c, xrow.Select, read); code != 0 {
			t.Fatal(code)
		}
	}
	if code := ask(t, c, xrow.Insert, insert); code != xrow.ErrReadonly {
		t.Errorf("a write by the port for reads: %v", code)
	}
	if n := len(a.log()); n > 0 {
		t.Errorf("the leader was read from %d times", n)
	}
}

// A transaction that was open ends with one error, until its client ends it.
func TestTransactionIsLost(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	r := startTest(t, nil, a)
	c := client(t, r, RW)
	do := func(typ xrow.Type, body []byte) xrow.Code {
		t.Helper()
		q := iproto.NewCarried(typ, 7)
		q.Body = body
		if _, err := c.Write(iproto.AppendCarried(nil, &q, 77)); err != nil {
			t.Fatal(err)
		}
		row, err := c.ReadRow()
		if err != nil || row.Sync != 77 {
			t.Fatal(row.Sync, err)
		}
		if e := row.AsError(); e != nil {
			return e.Code
		}
		return 0
	}
	if code := do(xrow.Begin, nil); code != 0 {
		t.Fatal(code)
	}
	if code := do(xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	a.cut(func(c *fakeConn) bool { return c.user != "" })
	var got []xrow.Code
	for _, typ := range []xrow.Type{xrow.Insert, xrow.Insert, xrow.Commit, xrow.Begin, xrow.Insert, xrow.Commit} {
		got = append(got, do(typ, map[bool][]byte{true: insert}[typ == xrow.Insert]))
	}
	if want := []xrow.Code{97, 97, 97, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
	if want := []string{"BEGIN", "INSERT", "BEGIN", "INSERT", "COMMIT"}; !slices.Equal(a.log(), want) {
		t.Errorf("the leader was asked %v, want %v", a.log(), want)
	}
}

// A client that goes leaves no transaction open at the leader.
func TestClientGoesInATransaction(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	rolled := make(chan bool, 1)
	a.does(func(c *fakeConn, row *xrow.Row) {
		c.ok(row)
		if row.Type == xrow.RollbackTxn {
			rolled <- true
		}
	})
	r := startTest(t, nil, a)
	c := client(t, r, RW)
	q := iproto.NewCarried(xrow.Begin, 7)
	if _, err := c.Write(iproto.AppendCarried(nil, &q, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadRow(); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	select {
	case <-rolled:
	case <-t.Context().Done():
	case <-time.After(time.Minute):
		t.Error("it is open")
	}
}

// An instance that says that it leads, and has nobody who says so, gets nothing; one that
// answers twice, or what nobody has asked, loses its connection, and its clients nothing that
// was answered.
func TestAttackInstances(t *testing.T) {
	a, b, liar := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1)), newFake(t, leadsIn(1<<60, 3))
	r := startTest(t, nil, a, b, liar)
	leadsTo(t, r, RW, "a takes writes in term 5, say 2 of 3")
	c := client(t, r, RW)
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	if got := liar.log(); len(got) > 0 {
		t.Errorf("the one that lies was asked %v", got)
	}
	for name, answer := range map[string]func(c *fakeConn, row *xrow.Row){
		"twice":      func(c *fakeConn, row *xrow.Row) { c.ok(row); c.ok(row) },
		"to nothing": func(c *fakeConn, row *xrow.Row) { c.write(iproto.AppendEmpty(nil, 1<<40, 1)); c.ok(row) },
		"no frame":   func(c *fakeConn, row *xrow.Row) { c.write([]byte{0xa0, 0, 0}) },
		"no header":  func(c *fakeConn, row *xrow.Row) { c.write([]byte{0xce, 0, 0, 0, 1, 0xc1}) },
		"too much":   func(c *fakeConn, row *xrow.Row) { c.write([]byte{0xce, 0xff, 0xff, 0xff, 0xff, 0x80}) },
	} {
		first := true
		a.does(func(c *fakeConn, row *xrow.Row) {
			if first {
				first = false
				answer(c, row)
				return
			}
			c.ok(row)
		})
		for range 3 {
			if code := ask(t, c, xrow.Select, read); code != 0 {
				t.Errorf("%s: %v", name, code)
			}
		}
	}
}

// The answer to a request that was answered is not that of the one that has its place now.
func TestAttackInstanceAnswersTheLastRequest(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	r := startTest(t, nil, a)
	eventually(t, "it is known to be one of ours", r.insts[0].ours.Load) // until then each client has a connection of its own
	c := client(t, r, RW)
	var last uint64
	asked := 0
	a.does(func(c *fakeConn, row *xrow.Row) {
		if asked++; asked == 2 {
			c.write(xrow.AppendErrorReply(nil, xrow.Errorf(xrow.ErrTupleFound, "a", "b", "c", "d"), last, 1))
			return
		}
		last = row.Sync
		c.ok(row)
	})
	for range 2 {
		if code := ask(t, c, xrow.Select, read); code != 0 {
			t.Errorf("it has the answer of another one: %v", code)
		}
	}
	if asked != 3 {
		t.Errorf("the instance was asked %d times", asked)
	}
}

// One that stops reading holds up nobody but those who wait for it, and they are answered.
func TestAttackInstanceStopsReading(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	r := startTest(t, func(c *Config) { c.SlowTimeout, c.HoldTime = 300*time.Millisecond, 4*time.Second }, a, b)
	c := client(t, r, RW)
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	stuck := make(chan bool, 100)
	a.does(func(c *fakeConn, row *xrow.Row) { c.stuck = true; stuck <- true })
	large := append([]byte{0x82, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyTuple), 0x91, 0xc6, 0, 16, 0, 0}, make([]byte, 1<<20)...)
	const n = 12
	for sync := range uint64(n) {
		if err := c.WriteRow(&xrow.Row{Type: xrow.Insert, Sync: 100 + sync, Body: large}); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		<-stuck
		a.says(follows(6, 2))
		b.says(leadsIn(6, 2))
	}()
	unknown := 0
	for range n {
		row, err := c.ReadRow()
		if err != nil {
			t.Fatal(err)
		}
		if e := row.AsError(); e != nil && e.Code == xrow.ErrSyncTimeout {
			unknown++
		} else if e != nil {
			t.Error(e)
		}
	}
	if unknown == 0 {
		t.Error("none is unknown, and some were written to the socket")
	}
}

// Requests that would change the session that clients share are refused.
func TestAttackSharedSession(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	r := startTest(t, nil, a)
	c := client(t, r, RW)
	for _, name := range []string{suCall, xrow.ActAsCall, xrow.ForwardCall} {
		if code := ask(t, c, xrow.Call, xrow.AppendCall(nil, name, []byte{0x91, 0xa5, 'a', 'd', 'm', 'i', 'n'})); code != xrow.ErrUnsupported {
			t.Errorf("%s: %v", name, code)
		}
	}
	for _, typ := range []xrow.Type{xrow.Prepare, xrow.Join, xrow.Subscribe, xrow.Register, xrow.FetchSnap} {
		if code := ask(t, c, typ, []byte{0x80}); code != xrow.ErrUnsupported {
			t.Errorf("%v: %v", typ, code)
		}
	}
	if got := a.log(); len(got) > 0 {
		t.Errorf("the leader was asked %v", got)
	}
}

// A leader that was deposed, lives, and never answers what it was asked is given up, before the time
// of what waits behind that is over.
func TestAttackDeposedLeaderIsSilent(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	r := startTest(t, func(c *Config) { c.HoldTime = 4 * time.Second }, a, b)
	c := client(t, r, RW)
	asked := make(chan bool, 1)
	a.does(func(*fakeConn, *xrow.Row) { asked <- true })
	if err := c.WriteRow(&xrow.Row{Type: xrow.Insert, Sync: 1, Body: insert}); err != nil {
		t.Fatal(err)
	}
	<-asked
	a.says(follows(6, 2))
	b.says(leadsIn(6, 2))
	leadsTo(t, r, RW, "b takes writes in term 6, say 2 of 2")
	if err := c.WriteRow(&xrow.Row{Type: xrow.Insert, Sync: 2, Body: insert}); err != nil {
		t.Fatal(err)
	}
	codes := map[uint64]xrow.Code{}
	for range 2 {
		row, err := c.ReadRow()
		if err != nil {
			t.Fatal(err)
		}
		if e := row.AsError(); e != nil {
			codes[row.Sync] = e.Code
		}
	}
	if codes[1] != xrow.ErrSyncTimeout || codes[2] != 0 {
		t.Errorf("%v: the first is unknown, and the second executed by b", codes)
	}
}

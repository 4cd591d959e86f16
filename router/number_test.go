package router

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// memory is what instances with sessions have in common: what was executed, and what it was
// answered.
type memory struct {
	mu       sync.Mutex
	opened   int
	ended    map[string]bool
	denied   bool // no user may open a session
	answers  map[string]xrow.Code
	executed []string // each with its number, in their order
}

// numbered has instances take numbers, and remember them together.
func numbered(fakes ...*fake) *memory {
	m := &memory{ended: map[string]bool{}, answers: map[string]xrow.Code{}}
	for _, f := range fakes {
		f.announces(iproto.FeatureSessions)
		f.does(m.serve)
	}
	return m
}

// serve is what an instance does that leads and lives.
func (m *memory) serve(c *fakeConn, row *xrow.Row) {
	if !m.opens(c, row) && !m.closes(c, row) {
		c.tell(row, m.execute(c, row))
	}
}

func (c *fakeConn) tell(row *xrow.Row, code xrow.Code) {
	if code == 0 {
		c.ok(row)
		return
	}
	c.fail(row, code)
}

// opens answers what asks for a session.
func (m *memory) opens(c *fakeConn, row *xrow.Row) bool {
	q := iproto.Carried{Body: row.Body}
	if row.Type != xrow.Call || string(q.FunctionOf()) != numbers.OpenCall {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.denied {
		c.fail(row, xrow.ErrAccessDenied)
		return true
	}
	m.opened++
	c.write(iproto.AppendData(nil, row.Sync, 1, mp.Tuple(fmt.Sprintf("set/%d", m.opened))))
	return true
}

// closes answers what asks for the end of a session.
func (m *memory) closes(c *fakeConn, row *xrow.Row) bool {
	q := iproto.Carried{Body: row.Body}
	if row.Type != xrow.Call || string(q.FunctionOf()) != numbers.CloseCall {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := 1; n <= m.opened; n++ {
		if id := fmt.Sprintf("set/%d", n); bytes.Contains(row.Body, mp.Tuple(id)) {
			m.ended[id] = true
		}
	}
	c.write(iproto.AppendData(nil, row.Sync, 1, []byte{0x90}))
	return true
}

// execute is what becomes of a request, by the rules of sessions.
func (m *memory) execute(c *fakeConn, row *xrow.Row) xrow.Code {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := c.num
	if n == nil {
		m.executed = append(m.executed, row.Type.String())
		return 0
	}
	key := fmt.Sprintf("%s:%d:%d", n.Session, n.Slot, n.No)
	code, known := m.answers[key]
	switch {
	case m.ended[n.Session] && n.Repeat:
		return xrow.ErrSyncTimeout
	case m.ended[n.Session]:
		return xrow.ErrNoSession
	case known:
		return code
	case n.Repeat && row.Type == xrow.Commit:
		m.answers[key] = xrow.ErrNoTransaction
		return xrow.ErrNoTransaction
	}
	m.answers[key] = 0
	m.executed = append(m.executed, row.Type.String()+" "+key)
	return 0
}

// end is the end of a session that the router has not asked for.
func (m *memory) end(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended[id] = true
}

func (m *memory) deny() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.denied = true
}

func (m *memory) sessions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opened
}

func (m *memory) log() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.executed)
}

// dies has an instance die at the next request that is no session's: having executed it, or not; the
// next one leads then.
func (m *memory) dies(a, b *fake, term uint64, executes bool) {
	a.does(func(c *fakeConn, row *xrow.Row) {
		if m.opens(c, row) {
			return
		}
		if executes {
			_ = m.execute(c, row)
		}
		a.stop()
		b.says(leadsIn(term, 2))
	})
}

// A write whose leader has died is executed once, whether it was before or not, and its client is told so
// once.
func TestWriteOverAFailover(t *testing.T) {
	for _, executes := range []bool{true, false} {
		a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
		m := numbered(a, b)
		r := startTest(t, nil, a, b)
		c := client(t, r, RW)
		if code := ask(t, c, xrow.Insert, insert); code != 0 {
			t.Fatal(code)
		}
		m.dies(a, b, 6, executes)
		for range 2 {
			if code := ask(t, c, xrow.Insert, insert); code != 0 {
				t.Errorf("executed before: %v; its client is told %v", executes, code)
			}
		}
		if want := []string{"INSERT set/1:1:1", "INSERT set/1:1:2", "INSERT set/1:1:3"}; !slices.Equal(m.log(), want) {
			t.Errorf("executed before: %v; executed are %v, want %v", executes, m.log(), want)
		}
	}
}

// A COMMIT whose leader has died was executed, or never is; both are told.
func TestCommitOverAFailover(t *testing.T) {
	for executes, want := range map[bool]xrow.Code{true: 0, false: xrow.ErrTransactionConflict} {
		a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
		m := numbered(a, b)
		r := startTest(t, nil, a, b)
		c := client(t, r, RW)
		if got := inStream(t, c, xrow.Begin, xrow.Insert); !slices.Equal(got, []xrow.Code{0, 0}) {
			t.Fatal(got)
		}
		m.dies(a, b, 6, executes)
		if got := inStream(t, c, xrow.Commit, xrow.Begin, xrow.Insert, xrow.Commit); !slices.Equal(got, []xrow.Code{want, 0, 0, 0}) {
			t.Errorf("executed before: %v; got %d, want %d first", executes, got, want)
		}
	}
}

// inStream asks for some requests in stream 7, one after the other.
func inStream(t *testing.T, c *iproto.Client, types ...xrow.Type) (got []xrow.Code) {
	t.Helper()
	for _, typ := range types {
		q := iproto.NewCarried(typ, 7)
		if typ == xrow.Insert {
			q.Body = insert
		}
		if _, err := c.Write(iproto.AppendCarried(nil, &q, 77)); err != nil {
			t.Fatal(err)
		}
		row, err := c.ReadRow()
		if err != nil || row.Sync != 77 {
			t.Fatal(row.Sync, err)
		}
		var code xrow.Code
		if e := row.AsError(); e != nil {
			code = e.Code
		}
		got = append(got, code)
	}
	return got
}

// A transaction that has only read is not committed by number, which would be a write; if its leader
// dies it has changed nothing.
func TestCommitOfReads(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	m := numbered(a, b)
	r := startTest(t, nil, a, b)
	c := client(t, r, RW)
	if got := inStream(t, c, xrow.Begin, xrow.Commit, xrow.Begin); !slices.Equal(got, []xrow.Code{0, 0, 0}) {
		t.Fatal(got)
	}
	m.dies(a, b, 6, true)
	if got := inStream(t, c, xrow.Commit); !slices.Equal(got, []xrow.Code{xrow.ErrTransactionConflict}) {
		t.Error(got)
	}
	if n := m.sessions(); n != 0 {
		t.Errorf("%d sessions were opened", n)
	}
}

// Writes under way have a slot each, and sessions are opened as there are more of them.
func TestSlotsAreEnough(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	m := numbered(a, b)
	r := startTest(t, func(c *Config) { c.Backends = 1 }, a, b)
	const n, each = 200, 50 // as many as a new connection may have under way
	var clients []*iproto.Client
	held := make(chan bool, n)
	a.does(func(c *fakeConn, row *xrow.Row) {
		if !m.opens(c, row) {
			held <- true // it has no answer
		}
	})
	for range n / each {
		c := client(t, r, RW)
		clients = append(clients, c)
		for sync := range uint64(each) {
			if err := c.WriteRow(&xrow.Row{Type: xrow.Insert, Sync: 100 + sync, Body: insert}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range n {
		<-held
	}
	a.stop()
	b.says(leadsIn(6, 2))
	for _, c := range clients {
		answered := map[uint64]bool{}
		for range each {
			row, err := c.ReadRow()
			if err != nil || row.AsError() != nil || answered[row.Sync] {
				t.Fatal(row.Sync, row.AsError(), err)
			}
			answered[row.Sync] = true
		}
	}
	slots := map[string]bool{}
	for _, e := range m.log() {
		slots[e[:strings.LastIndexByte(e, ':')]] = true
	}
	if len(m.log()) != n || len(slots) != n {
		t.Errorf("%d were executed, in %d slots", len(m.log()), len(slots))
	}
	if n, want := m.sessions(), 3; n != want { // 64, 64, 128
		t.Errorf("%d sessions, want %d", n, want)
	}
}

// A session that has ended: what was certainly not executed goes on in another one, and of what may
// be nobody knows.
func TestSessionHasEnded(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	m := numbered(a, b)
	r := startTest(t, nil, a, b)
	c := client(t, r, RW)
	for _, id := range []string{"set/1", "set/2"} {
		if code := ask(t, c, xrow.Insert, insert); code != 0 {
			t.Fatal(code)
		}
		m.end(id)
	}
	if code := ask(t, c, xrow.Insert, insert); code != 0 || m.sessions() != 3 {
		t.Fatal(code, m.sessions())
	}
	b.does(func(c *fakeConn, row *xrow.Row) {
		switch code := m.execute(c, row); {
		case code == xrow.ErrSyncTimeout:
			e := xrow.Errorf(code)
			e.Message = xrow.Errorf(xrow.ErrNoSession, c.num.Session).Message + ": the outcome is unknown"
			c.write(xrow.AppendErrorReply(nil, e, row.Sync, 1))
		default:
			c.tell(row, code)
		}
	})
	m.dies(a, b, 6, true)
	m.end("set/3")
	if code := ask(t, c, xrow.Insert, insert); code != xrow.ErrSyncTimeout {
		t.Errorf("a repeat under an ended session: %v", code)
	}
	if n := len(b.log()); n != 1 {
		t.Errorf("it was asked for %d times: nobody would ever know more", n)
	}
}

// Where nobody knows numbers, or the user may have none, a write is sent once.
func TestWithoutNumbers(t *testing.T) {
	for name, change := range map[string]func(m *memory, a, b *fake){
		"neither announces them":  func(_ *memory, a, b *fake) { a.announces(); b.announces() },
		"the next one does not":   func(_ *memory, _, b *fake) { b.announces() },
		"the user may have none":  func(m *memory, _, _ *fake) { m.deny() },
		"the session cannot tell": func(m *memory, _, _ *fake) { m.end("set/1"); m.end("set/2") },
	} {
		a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
		m := numbered(a, b)
		change(m, a, b)
		r := startTest(t, func(c *Config) { c.HoldTime = 2 * time.Second }, a, b)
		c := client(t, r, RW)
		m.dies(a, b, 6, true)
		if code := ask(t, c, xrow.Insert, insert); code != xrow.ErrSyncTimeout {
			t.Errorf("%s: %v", name, code)
		}
	}
}

// What an instance says of one copy is no answer to a number that an earlier copy may have had: the
// write waits until the number is answered, and is unknown if it never is.
func TestCopiesThatTellNothing(t *testing.T) {
	for _, code := range []xrow.Code{xrow.ErrReadonly, xrow.ErrLoading, xrow.ErrSyncRollback, xrow.ErrSyncQueueFull, xrow.ErrWALIO, xrow.ErrShutdown, xrow.ErrSyncTimeout} {
		for _, ever := range []bool{true, false} {
			a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
			m := numbered(a, b)
			limit := time.Minute
			if !ever {
				limit = 300 * time.Millisecond
			}
			r := startTest(t, func(c *Config) { c.HoldTime = limit }, a, b)
			c := client(t, r, RW)
			leadsTo(t, r, RW, "a takes writes in term 5, say 2 of 2")
			m.dies(a, b, 6, true)
			copies := 0
			b.does(func(c *fakeConn, row *xrow.Row) {
				if copies++; copies < 3 || !ever {
					c.fail(row, code)
					return
				}
				m.serve(c, row)
			})
			want := map[bool]xrow.Code{false: xrow.ErrSyncTimeout}[ever]
			if got := ask(t, c, xrow.Insert, insert); got != want {
				t.Errorf("%v for ever, %v: its client is told %v", code, !ever, got)
			}
		}
	}
}

// What takes no number is sent without one, and from then on at once.
func TestTakesNoNumber(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	m := numbered(a)
	a.does(func(c *fakeConn, row *xrow.Row) {
		if c.num != nil {
			c.fail(row, xrow.ErrNoNumber)
			return
		}
		m.serve(c, row)
	})
	r := startTest(t, nil, a)
	c := client(t, r, RW)
	for range 3 {
		if code := ask(t, c, xrow.Insert, insert); code != 0 {
			t.Error(code)
		}
	}
	if want := []string{"CALL", "INSERT", "INSERT", "INSERT", "INSERT"}; !slices.Equal(a.log(), want) {
		t.Errorf("asked %v, want %v", a.log(), want)
	}
	if got := inStream(t, c, xrow.Begin, xrow.Insert, xrow.Commit, xrow.Begin); !slices.Equal(got, make([]xrow.Code, 4)) {
		t.Errorf("a transaction: %v", got)
	}
}

// Nobody waits for a leader that was deposed and does not answer: the next one is asked.
func TestDeposedLeaderIsNotWaitedFor(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	m := numbered(a, b)
	r := startTest(t, func(c *Config) { c.HoldTime = time.Hour }, a, b)
	c := client(t, r, RW)
	asked := make(chan bool, 1)
	a.does(func(c *fakeConn, row *xrow.Row) {
		if !m.opens(c, row) {
			asked <- true
		}
	})
	if err := c.WriteRow(&xrow.Row{Type: xrow.Insert, Sync: 1, Body: insert}); err != nil {
		t.Fatal(err)
	}
	<-asked
	a.says(follows(6, 2))
	b.says(leadsIn(6, 2))
	if row, err := c.ReadRow(); err != nil || row.AsError() != nil {
		t.Fatal(err, row.AsError())
	}
}

// But for what cannot be sent once more.
func TestOnlyNumbered(t *testing.T) {
	write, read, call := &request{class: classWrite}, &request{class: classRead}, &request{class: classCall}
	numbered, opening := &request{class: classWrite}, &request{class: classCall, errand: &opening{}}
	numbered.Number = &numbered.num.number
	for _, c := range []struct {
		under []*request
		want  bool
	}{
		{nil, false}, {[]*request{nil, read}, false}, {[]*request{numbered}, true}, {[]*request{read, numbered, opening}, true},
		{[]*request{numbered, call}, false}, {[]*request{write, numbered}, false},
	} {
		b := &backend{}
		for _, r := range c.under {
			b.slots = append(b.slots, slot{r: r})
		}
		if got := b.onlyNumbered(); got != c.want {
			t.Errorf("%v: %v", c.under, got)
		}
	}
}

// A leader that was deposed, sleeps, and wakes is not listened to: its late answer is nobody's.
func TestAttackLateAnswer(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	m := numbered(a, b)
	r := startTest(t, func(c *Config) { c.HoldTime = time.Hour }, a, b)
	c := client(t, r, RW)
	var late func()
	asked := make(chan bool, 1)
	a.does(func(c *fakeConn, row *xrow.Row) {
		if !m.opens(c, row) {
			sync := row.Sync
			late = func() { c.fail(&xrow.Row{Sync: sync}, xrow.ErrTupleFound) }
			asked <- true
		}
	})
	if err := c.WriteRow(&xrow.Row{Type: xrow.Insert, Sync: 1, Body: insert}); err != nil {
		t.Fatal(err)
	}
	<-asked
	b.does(func(c *fakeConn, row *xrow.Row) {
		late()
		m.serve(c, row)
	})
	a.says(follows(6, 2))
	b.says(leadsIn(6, 2))
	row, err := c.ReadRow()
	if err != nil || row.AsError() != nil {
		t.Fatal(err, row.AsError())
	}
	if code := ask(t, c, xrow.Insert, insert); code != 0 || len(m.log()) != 2 {
		t.Errorf("%v, executed are %v", code, m.log())
	}
}

// An instance that announces numbers on one connection and not on the next one is not sent any there, also
// when what waits for the connection has one already.
func TestAttackFeatureIsGone(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	numbered(a)
	r := startTest(t, func(c *Config) { c.PollInterval = time.Hour }, a)
	c := client(t, r, RW)
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	for _, announced := range []bool{true, false} {
		if !announced {
			a.announces()
		}
		b := &backend{key: poolKey{inst: r.insts[0]}, p: &r.pool}
		b.append(&request{Carried: iproto.Carried{Type: xrow.Insert, Body: insert, Number: &xrow.Number{Session: "set/1", Slot: 1, No: 9}}})
		link, err := b.connect(t.Context())
		if announced == errors.Is(err, errNoFeature) {
			t.Errorf("announced: %v; %v", announced, err)
		}
		if announced {
			if _, err := link.ReadFrame(); err != nil {
				t.Error(err)
			}
			_ = link.Close()
		}
	}
	if r.insts[0].numbers.Load() {
		t.Error("the next requests would have numbers as well")
	}
	if want := []string{"CALL", "INSERT", "INSERT"}; !slices.Equal(a.log(), want) {
		t.Errorf("asked %v, want %v", a.log(), want)
	}
}

// A replica set whose instances learn what numbers are, under a router that runs.
func TestNumbersAreLearned(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	r := startTest(t, func(c *Config) { c.PollInterval = time.Millisecond }, a)
	c := client(t, r, RW)
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	m := &memory{ended: map[string]bool{}, answers: map[string]xrow.Code{}}
	a.announces(iproto.FeatureSessions)
	a.does(m.serve)
	for limit := time.Now().Add(time.Minute); len(m.log()) == 0 || !strings.Contains(m.log()[len(m.log())-1], "set/1"); {
		if code := ask(t, c, xrow.Insert, insert); code != 0 || time.Now().After(limit) {
			t.Fatal(code, m.log()[len(m.log())-1])
		}
	}
}

// The feature has two names, for package client is to know nothing of the server.
func TestFeature(t *testing.T) {
	if numbers.Feature != iproto.FeatureSessions {
		t.Error(numbers.Feature)
	}
}

// The body is what it was, byte for byte, and keys of the header that the client has sent stay.
func TestNumberIsSpliced(t *testing.T) {
	n := &xrow.Number{Session: "set/1/2", Slot: 3, No: 4, Repeat: true}
	q := iproto.Carried{Type: xrow.Insert, Stream: 5, SchemaVersion: 6, Body: insert, Number: n}
	frame := iproto.AppendCarried(nil, &q, 1<<40)[xrow.FrameHead:]
	row, err := xrow.Decode(frame)
	if err != nil || row.Sync != 1<<40 || !bytes.Equal(row.Body, insert) {
		t.Errorf("%+v, %v", row, err)
	}
	if got := numberOf(frame); got == nil || *got != *n {
		t.Errorf("%+v, want %+v", got, n)
	}
}

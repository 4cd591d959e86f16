package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// memory is what instances with sessions have in common: what was executed, and what it was answered.
type memory struct {
	mu       sync.Mutex
	opened   int
	ended    map[string]bool
	denied   bool // no user may open a session
	answers  map[string]xrow.Code
	bodies   map[string][]byte
	executed []string // each with its number, in their order
	repeats  []string // numbers that came as repeats
}

// numbered has instances take numbers, and remember them together.
func numbered(fakes ...*fake) *memory {
	m := &memory{ended: map[string]bool{}, answers: map[string]xrow.Code{}, bodies: map[string][]byte{}}
	for _, f := range fakes {
		f.announces(numbers.Feature)
		f.does(m.serve)
	}
	return m
}

// serve is what an instance does that leads and lives.
func (m *memory) serve(r *request) {
	if !m.sessions(r) {
		r.tell(m.execute(r))
	}
}

func (r *request) tell(code xrow.Code) {
	if code == 0 {
		r.ok()
		return
	}
	r.fails(iproto.Error(code), xrow.Errorf(code).Message)
}

// sessions answers what opens and ends sessions.
func (m *memory) sessions(r *request) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch r.call {
	case numbers.OpenCall:
		if m.denied {
			r.fails(iproto.ER_ACCESS_DENIED, "not you")
			return true
		}
		m.opened++
		r.answer(map[int]any{int(iproto.IPROTO_DATA): []any{fmt.Sprintf("set/%d", m.opened)}})
		return true
	case numbers.CloseCall:
		i := bytes.Index(r.body, []byte("set/"))
		m.ended[string(r.body[i:])] = true
		r.ok()
		return true
	}
	return false
}

// execute is what becomes of a request, by the rules of sessions.
func (m *memory) execute(r *request) xrow.Code {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := r.num
	if n == nil {
		m.executed = append(m.executed, r.typ.String())
		return 0
	}
	key := fmt.Sprintf("%s:%d:%d", n.Session, n.Slot, n.No)
	code, known := m.answers[key]
	if n.Repeat {
		m.repeats = append(m.repeats, key)
	}
	switch {
	case m.ended[n.Session] && n.Repeat:
		return xrow.ErrSyncTimeout
	case m.ended[n.Session]:
		return xrow.ErrNoSession
	case known && !bytes.Equal(m.bodies[key], r.body):
		return xrow.ErrNumber
	case known:
		return code
	}
	m.answers[key], m.bodies[key] = 0, r.body
	m.executed = append(m.executed, r.typ.String()+" "+key)
	return 0
}

func (m *memory) end(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended[id] = true
}

func (m *memory) hasEnded(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended[id]
}

func (m *memory) deny() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.denied = true
}

func (m *memory) log() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.executed)
}

func (m *memory) repeated() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.repeats)
}

func (m *memory) sessionsOpened() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opened
}

// dies has the leader die at the next write, having executed it or not; the next one leads then.
func (m *memory) dies(f []*fake, executes bool) {
	f[0].does(func(r *request) {
		if m.sessions(r) {
			return
		}
		if executes {
			_ = m.execute(r)
		}
		r.hangUp()
		f[0].tells(2, 3, true)
		f[1].tells(2, 3, false)
	})
}

// numberedThree are a leader and two followers that take numbers, all known to the client.
func numberedThree(t *testing.T, opts ...Option) (*Client, []*fake, *memory) {
	t.Helper()
	var fakes []*fake
	for i := range 3 {
		f := newFake(t)
		f.tells(1, 2, i != 0)
		fakes = append(fakes, f)
	}
	m := numbered(fakes...)
	c := connect(t, fakes, opts...)
	c.until(t, "all are connected", func() bool {
		return !slices.ContainsFunc(c.members, func(m *member) bool { return !m.ready() })
	})
	return c, fakes, m
}

func isUnknown(err error) bool {
	var u *UnknownError
	return errors.As(err, &u) && !errors.Is(err, ErrNotExecuted)
}

// A write whose leader has died is executed once, whether it was before or not, and whoever has asked for
// it is told so.
func TestWriteOverAFailover(t *testing.T) {
	for _, req := range []func() tarantool.Request{insert, func() tarantool.Request { return tarantool.NewCallRequest("box.space.s:insert").Args([]any{[]any{1}}) }} {
		for _, executes := range []bool{true, false} {
			c, f, m := numberedThree(t)
			for i := range 3 {
				if i == 1 {
					m.dies(f, executes)
				}
				if _, err := c.Do(req()).Get(); err != nil {
					t.Errorf("executed before: %v; %v", executes, err)
				}
			}
			typ := req().Type().String()
			if want := []string{typ + " set/1:1:1", typ + " set/1:1:2", typ + " set/1:1:3"}; !slices.Equal(m.log(), want) {
				t.Errorf("executed before: %v; executed are %v, want %v", executes, m.log(), want)
			}
			if want := []string{"set/1:1:2"}; !slices.Equal(m.repeated(), want) {
				t.Errorf("executed before: %v; repeats are %v, want %v", executes, m.repeated(), want)
			}
		}
	}
}

// A copy has the bytes of the first one, though Go has maps in any order.
func TestCopiesAreEqual(t *testing.T) {
	c, f, m := numberedThree(t)
	m.dies(f, true)
	v := map[string]int{}
	for i := range 100 {
		v[fmt.Sprint(i)] = i
	}
	if _, err := c.Do(tarantool.NewInsertRequest("s").Tuple([]any{1, v})).Get(); err != nil {
		t.Error(err)
	}
}

// What is no single transaction of the instance's own has no number, and is not sent twice.
func TestCallsWithoutNumbers(t *testing.T) {
	for _, req := range []tarantool.Request{tarantool.NewCallRequest("f"), tarantool.NewEvalRequest("f()")} {
		c, f, m := numberedThree(t)
		m.dies(f, true)
		if _, err := c.Do(req).Get(); !isUnknown(err) || !slices.Equal(m.log(), []string{req.Type().String()}) {
			t.Errorf("%v: %v, executed are %v", req.Type(), err, m.log())
		}
	}
}

// Writes under way have a slot each, sessions are opened as there are more of them, and all of them outlive
// the leader.
func TestSlotsAreEnough(t *testing.T) {
	const n = 200
	c, f, m := numberedThree(t)
	held := make(chan bool, n)
	f[0].does(func(r *request) {
		if !m.sessions(r) {
			held <- true // it has no answer
		}
	})
	var all []*tarantool.Future
	for range n {
		all = append(all, c.Do(insert()))
	}
	for range n {
		<-held
	}
	f[1].tells(2, 3, false)
	f[0].stop()
	for _, fut := range all {
		if _, err := fut.Get(); err != nil {
			t.Fatal(err)
		}
	}
	slots := map[string]bool{}
	for _, e := range m.log() {
		slots[e[:strings.LastIndexByte(e, ':')]] = true
	}
	if len(m.log()) != n || len(slots) != n {
		t.Errorf("%d were executed, in %d slots", len(m.log()), len(slots))
	}
	if n, want := m.sessionsOpened(), 3; n != want { // 64, 64, 128
		t.Errorf("%d sessions, want %d", n, want)
	}
}

// More writes than slots: they wait for each other, and none is forgotten.
func TestWaitForSlots(t *testing.T) {
	const n = 300
	c, f, m := numberedThree(t)
	f[0].does(func(r *request) {
		if r.call == numbers.OpenCall && m.sessionsOpened() > 0 {
			r.fails(iproto.ER_READONLY, "not now") // a session is had when there is a leader
			return
		}
		m.serve(r)
	})
	var all []*tarantool.Future
	for range n {
		all = append(all, c.Do(insert()))
	}
	for _, fut := range all {
		if _, err := fut.Get(); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.log()) != n || m.sessionsOpened() != 1 {
		t.Errorf("%d were executed, in %d sessions", len(m.log()), m.sessionsOpened())
	}
}

// A session that has ended: what was certainly not executed goes on in another one, and of what may be nobody
// knows.
func TestSessionHasEnded(t *testing.T) {
	c, f, m := numberedThree(t)
	for _, id := range []string{"set/1", "set/2"} {
		if _, err := c.Do(insert()).Get(); err != nil {
			t.Fatal(err)
		}
		m.end(id)
	}
	if _, err := c.Do(insert()).Get(); err != nil || m.sessionsOpened() != 3 {
		t.Fatal(err, m.sessionsOpened())
	}
	f[1].does(func(r *request) {
		switch code := m.execute(r); code {
		case xrow.ErrSyncTimeout:
			r.fails(iproto.Error(code), xrow.Errorf(xrow.ErrNoSession, r.num.Session).Message+": the outcome is unknown")
		default:
			r.tell(code)
		}
	})
	m.dies(f, true)
	m.end("set/3")
	if _, err := c.Do(insert()).Get(); !isUnknown(err) {
		t.Errorf("a repeat under an ended session: %v", err)
	}
	if n := f[1].count(iproto.IPROTO_INSERT); n != 1 {
		t.Errorf("it was asked for %d times: nobody would ever know more", n)
	}
}

// Where nobody knows numbers, or the user may have none, or wants none, a write is sent once.
func TestWithoutNumbers(t *testing.T) {
	for name, change := range map[string]func(m *memory, f []*fake) []Option{
		"nobody announces them":  func(_ *memory, f []*fake) []Option { f[0].announces(); f[1].announces(); return nil },
		"the next one does not":  func(_ *memory, f []*fake) []Option { f[1].announces(); return nil },
		"the user may have none": func(m *memory, _ []*fake) []Option { m.deny(); return nil },
		"the user wants none":    func(*memory, []*fake) []Option { return []Option{NoNumbers()} },
	} {
		f := []*fake{newFake(t), newFake(t)}
		f[0].tells(1, 2, false)
		f[1].tells(1, 2, true)
		m := numbered(f...)
		opts := change(m, f)
		c := connect(t, f, opts...)
		c.until(t, "both are connected", func() bool { return c.members[0].ready() && c.members[1].ready() })
		m.dies(f, true)
		if _, err := c.Do(insert()).Get(); !isUnknown(err) {
			t.Errorf("%s: %v", name, err)
		}
		if len(m.log()) != 1 {
			t.Errorf("%s: executed are %v", name, m.log())
		}
	}
}

// What an instance says of one copy is no answer to a number that an earlier copy may have had: the write waits
// until the number is answered, and is unknown if it never is.
func TestCopiesThatTellNothing(t *testing.T) {
	for _, code := range []xrow.Code{xrow.ErrReadonly, xrow.ErrLoading, xrow.ErrSyncRollback, xrow.ErrSyncQueueFull, xrow.ErrWALIO, xrow.ErrShutdown, xrow.ErrSyncTimeout} {
		for _, ever := range []bool{true, false} {
			limit := patience
			if !ever {
				limit = 300 * time.Millisecond
			}
			c, f, m := numberedThree(t, HoldLimit(limit))
			if _, err := c.Do(insert()).Get(); err != nil { // there is a session from here on
				t.Fatal(err)
			}
			m.dies(f, true)
			var mu sync.Mutex
			copies := 0
			f[1].does(func(r *request) {
				mu.Lock()
				copies++
				tells := ever && copies >= 3
				mu.Unlock()
				if !tells {
					r.tell(code)
					return
				}
				m.serve(r)
			})
			_, err := c.Do(insert()).Get()
			if ever && err != nil || !ever && !isUnknown(err) {
				t.Errorf("%v for ever, %v: %v", code, !ever, err)
			}
			if len(m.log()) != 2 {
				t.Errorf("%v: executed are %v", code, m.log())
			}
		}
	}
}

// What takes no number is sent without one, and from then on at once.
func TestTakesNoNumber(t *testing.T) {
	c, f, m := numberedThree(t)
	f[0].does(func(r *request) {
		if r.num != nil {
			r.tell(xrow.ErrNoNumber)
			return
		}
		m.serve(r)
	})
	for range 3 {
		if _, err := c.Do(insert()).Get(); err != nil {
			t.Error(err)
		}
	}
	if n := f[0].count(iproto.IPROTO_INSERT); n != 4 || len(m.log()) != 3 {
		t.Errorf("%d were sent, executed are %v", n, m.log())
	}
}

// Nobody waits for a leader that was deposed and does not answer; what it says in the end is nobody's.
func TestDeposedLeaderIsNotWaitedFor(t *testing.T) {
	c, f, m := numberedThree(t)
	late := make(chan *request, 1)
	f[0].does(func(r *request) {
		if !m.sessions(r) {
			late <- r
		}
	})
	fut := c.Do(insert())
	r := <-late
	f[1].does(func(next *request) {
		r.tell(xrow.ErrTupleFound)
		m.serve(next)
	})
	f[0].tells(2, 3, true)
	f[1].tells(2, 3, false)
	if _, err := fut.Get(); err != nil {
		t.Error(err)
	}
	if want := []string{"IPROTO_INSERT set/1:1:1"}; !slices.Equal(m.log(), want) {
		t.Errorf("executed are %v, want %v", m.log(), want)
	}
}

// The context of a write with a number ends while it is under way: nobody knows. So does one whose copy nobody
// answers.
func TestNumberedContextEnds(t *testing.T) {
	c, f, m := numberedThree(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	f[0].does(func(r *request) {
		if !m.sessions(r) {
			cancel(enough)
		}
	})
	if _, err := c.Do(tarantool.NewInsertRequest("s").Tuple([]any{1}).Context(ctx)).Get(); !isUnknown(err) || !errors.Is(err, enough) {
		t.Error(err)
	}
	c, f, m = numberedThree(t, HoldLimit(50*time.Millisecond))
	f[0].does(func(r *request) {
		if !m.sessions(r) {
			f[0].tells(nil, 3, true)
			r.hangUp()
		}
	})
	_, err := c.Do(insert()).Get()
	var u *UnknownError
	if !isUnknown(err) || !errors.As(err, &u) || u.Addr != f[0].addr || !strings.Contains(err.Error(), "50ms") {
		t.Error(err)
	}
}

// A replica set whose level is raised under a client that is connected.
func TestNumbersAreLearned(t *testing.T) {
	f := newFake(t)
	f.tells(1, 2, false)
	c := connect(t, []*fake{f})
	if _, err := c.Do(insert()).Get(); err != nil {
		t.Fatal(err)
	}
	m := numbered(f)
	c.until(t, "it is known to take numbers", func() bool { return c.members[0].numbers })
	if _, err := c.Do(insert()).Get(); err != nil || !slices.Equal(m.log(), []string{"IPROTO_INSERT set/1:1:1"}) {
		t.Error(err, m.log())
	}
}

// An instance that was connected before it knew of the level leads: what may be executed waits for its word.
func TestNextLeaderHasLearned(t *testing.T) {
	f := []*fake{newFake(t), newFake(t)}
	f[0].tells(1, 2, false)
	f[1].tells(1, 2, true)
	m := numbered(f...)
	f[1].announces()
	c := connect(t, f)
	c.until(t, "both are connected", func() bool { return c.members[0].ready() && c.members[1].ready() })
	f[0].does(func(r *request) {
		if !m.sessions(r) {
			f[1].announces(numbers.Feature)
			_ = m.execute(r)
			r.hangUp()
			f[0].tells(2, 3, true)
			f[1].tells(2, 3, false)
		}
	})
	if _, err := c.Do(insert()).Get(); err != nil || !slices.Equal(m.log(), []string{"IPROTO_INSERT set/1:1:1"}) {
		t.Error(err, m.log())
	}
}

// Close ends the sessions, so that others can have their slots.
func TestCloseEndsSessions(t *testing.T) {
	c, _, m := numberedThree(t)
	if _, err := c.Do(insert()).Get(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if !m.hasEnded("set/1") {
		t.Error("it is open still")
	}
}

// record is a connection that keeps what is written to it.
type record struct {
	tarantool.Conn
	got bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) { return r.got.Write(b) }

// Pairs of a number become part of the header, whatever is written around them.
func TestSplice(t *testing.T) {
	n := xrow.Number{Session: strings.Repeat("s", 60), Slot: 300, No: 1 << 40, Repeat: true}
	frame := func(header, pairs, body string) string {
		b := header + pairs + body
		return string([]byte{0xce, 0, 0, byte(len(b) >> 8), byte(len(b))}) + b
	}
	four, _ := n.AppendPairs(nil)
	n.Repeat = false
	three, _ := n.AppendPairs(nil)
	const body, rest = "\x82\x10\xcd\x02\x00\x21\x91\x01", "\x00\x02\x01\xce\x00\x00\x00\x07"
	plain := frame("\x82"+rest, "", body)
	bare := frame("\x82"+rest, "", "")
	stream := "\x0a\xcf\x00\x00\x00\x00\x00\x00\x00\x01"
	var r record
	s := spliced{&r}
	in := plain + frame("\x82"+rest, string(four), body) + frame("\x83"+rest+stream, string(three), body) + bare + frame("\x82"+rest, string(three), body)
	kept := []byte(in)
	if got, err := s.Write(kept); err != nil || got != len(in) || string(kept) != in {
		t.Errorf("%d of %d, %v", got, len(in), err)
	}
	if want := plain + frame("\x86"+rest, string(four), body) + frame("\x86"+rest+stream, string(three), body) + bare + frame("\x85"+rest, string(three), body); r.got.String() != want {
		t.Errorf("%q\nwant %q", r.got.String(), want)
	}
}

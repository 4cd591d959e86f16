package router

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// logged is a log that a test looks into.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// has looks for a line with all of that; values of fields too.
func (l *logged) has(want ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for line := range strings.Lines(l.b.String()) {
		if !json.Valid([]byte(line)) {
			continue
		}
		for _, w := range want {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		return true
	}
	return false
}

// A client that asks for much and reads nothing is ended when there is no room for its answers, and the log says so. What the
// router asks for it meanwhile is bounded, and others are served.
func TestAttackClientReadsNothing(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	log := &logged{}
	r := startTest(t, func(c *Config) { c.AnswerMemory, c.Log = 8<<20, zerolog.New(log) }, a)
	other, greedy := client(t, r, RW), client(t, r, RW)
	if code := ask(t, other, xrow.Select, read); code != 0 {
		t.Fatal(code)
	}
	var asked atomic.Int64
	large := make([]byte, 1<<20)
	answer := append([]byte{0xdd, 0, 0, 0, 1, 0xc6, 0, 16, 0, 0}, large...)
	a.does(func(c *fakeConn, row *xrow.Row) {
		if row.Type == xrow.Select {
			asked.Add(1)
			c.write(iproto.AppendData(nil, row.Sync, 1, answer))
			return
		}
		c.ok(row)
	})
	go func() {
		for sync := range uint64(10_000) {
			if greedy.WriteRow(&xrow.Row{Type: xrow.Select, Sync: sync, Body: read}) != nil {
				return // it is ended
			}
		}
	}()
	eventually(t, "the log says that it is ended", func() bool {
		return log.has("clients were sent away", iproto.ErrSlowClient.Error())
	})
	if code := ask(t, other, xrow.Insert, insert); code != 0 {
		t.Errorf("another one: %v", code)
	}
	if n := asked.Load(); n > 64 { // iproto: 16 MiB, by 256 KiB each at first
		t.Errorf("the instance was asked for %d MiB", n)
	}
	eventually(t, "its session is gone", func() bool { return r.Stats().Ports[RW].Clients == 1 })
}

// Numbers are the router's to give: requests that come with one are refused, whatever it is, and reach no
// instance.
func TestAttackClientNumbers(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	m := numbered(a)
	r := startTest(t, nil, a)
	c := client(t, r, RW)
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	before := len(m.log())
	for sync, n := range []xrow.Number{
		{Session: "set/1", Slot: 1, No: 1},               // the router's own, once more
		{Session: "set/1", Slot: 1, No: 1, Repeat: true}, // to be told its answer
		{Session: "set/1", Slot: 1, No: 1 << 60},         // so that all of the router's are lower
		{Session: "set/1", Slot: 64, No: 7},              // in a slot that the router has not used yet
		{Session: "set/2", Slot: 1, No: 1},               // of a session that is yet to come
		{Session: "nobody's", Slot: 1 << 60, No: 0, Repeat: true},
	} {
		q := iproto.Carried{Type: xrow.Insert, Body: insert, Number: &n}
		if _, err := c.Write(iproto.AppendCarried(nil, &q, uint64(1000+sync))); err != nil {
			t.Fatal(err)
		}
		row, err := c.ReadRow()
		if err != nil {
			t.Fatal(err)
		}
		if e := row.AsError(); e == nil || e.Code != xrow.ErrUnsupported || row.Sync != uint64(1000+sync) {
			t.Errorf("%+v: %v", n, e)
		}
	}
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Errorf("behind them: %v", code)
	}
	if got := m.log(); len(got) != before+1 || got[before] != "INSERT set/1:1:2" {
		t.Errorf("executed are %v", got)
	}
}

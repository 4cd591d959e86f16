package router

import (
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// A router that stops ends the sessions that it has opened, all of them, whether their connection is there or not.
func TestSessionsEndWithTheRouter(t *testing.T) {
	for _, cut := range []bool{false, true} {
		a := newFake(t, leadsIn(5, 1))
		m := numbered(a)
		r := startTest(t, nil, a)
		c := []*iproto.Client{client(t, r, RW), client(t, r, RW), client(t, r, RW), client(t, r, RW)}
		held := make(chan *fakeConn, 2*numbers.LeastSlots)
		a.does(func(c *fakeConn, row *xrow.Row) {
			if !m.opens(c, row) {
				held <- c
			}
		})
		for i := range uint64(2 * numbers.LeastSlots) { // of two sessions
			if err := c[i%4].WriteRow(&xrow.Row{Type: xrow.Insert, Sync: i, Body: insert}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 * numbers.LeastSlots {
			<-held
		}
		a.does(m.serve)
		if cut {
			a.cut(func(c *fakeConn) bool { return c.user != "" })
			eventually(t, "they are executed by another connection", func() bool { return m.executedAny() })
		}
		r.Close()
		m.mu.Lock()
		opened, ended := m.opened, len(m.ended)
		m.mu.Unlock()
		if opened != 2 || ended != 2 {
			t.Errorf("cut %v: %d sessions were opened, %d ended", cut, opened, ended)
		}
	}
}

func (m *memory) executedAny() bool { return len(m.log()) > 0 }

// A leader that does not answer, or refuses, does not keep a router from its end; nor does nobody that leads.
func TestAttackSessionsEndAtNobody(t *testing.T) {
	for name, prepare := range map[string]func(m *memory, a *fake, r *Router){
		"it says nothing": func(m *memory, a *fake, _ *Router) {
			a.does(func(c *fakeConn, row *xrow.Row) { _ = m.opens(c, row) })
		},
		"it refuses": func(_ *memory, a *fake, _ *Router) {
			a.does(func(c *fakeConn, row *xrow.Row) { c.fail(row, xrow.ErrReadonly) })
		},
		"it is gone": func(_ *memory, a *fake, _ *Router) { a.stop() },
		"nobody leads": func(_ *memory, a *fake, r *Router) {
			a.says(follows(6, 0))
			leadsTo(t, r, RW, "none that takes writes among the 1 instances that answer")
		},
		"it answers a chunk first": func(m *memory, a *fake, _ *Router) {
			a.does(func(c *fakeConn, row *xrow.Row) {
				b := xrow.AppendReplyHead(nil, xrow.Chunk, row.Sync, 1)
				b = append(b, 0x81, byte(xrow.KeyData))
				b = append(b, mp.Tuple("x")...)
				xrow.EndFrame(b, 0)
				c.write(b)
				_ = m.closes(c, row)
				c.write(iproto.AppendData(nil, row.Sync, 1, []byte{0x90})) // once more
			})
		},
	} {
		a := newFake(t, leadsIn(5, 1))
		m := numbered(a)
		r := startTest(t, nil, a)
		if code := ask(t, client(t, r, RW), xrow.Insert, insert); code != 0 {
			t.Fatal(name, code)
		}
		prepare(m, a, r)
		r.Close()
	}
}

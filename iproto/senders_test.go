package iproto

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Clients that read nothing hold up nobody else's answers, however many they are,
// and get their own whole when they read, in whatever parts the sockets took them.
func TestFullSocketsHoldNobody(t *testing.T) {
	t.Run("senders", func(t *testing.T) {
		fullSockets(t, 4*runtime.GOMAXPROCS(0), func(c *Conn, sync uint64, data []byte) {
			c.Reply(sync, data, nil)
			c.Flush()
		})
	})
	t.Run("whoever answers", func(t *testing.T) {
		made := make(chan func(), 1)
		t.Cleanup(func() { close(made) })
		go func() { // one for all, as a backend of a router is
			for f := range made {
				f()
			}
		}()
		fullSockets(t, 2, func(c *Conn, sync uint64, data []byte) {
			made <- func() {
				a := c.srv.Answers()
				a.Reply(c.id, sync, data, nil)
				a.Send()
			}
		})
	})
}

func fullSockets(t *testing.T, deafs int, answer func(c *Conn, sync uint64, data []byte)) {
	const large = 16 << 20                                            // more than a socket takes
	f := newFixture(t, func(c *Config) { c.SlowTimeout = time.Hour }) // it is no matter of who is slow
	data := append([]byte{0x91, 0xc6, 1, 0, 0, 0}, make([]byte, large)...)
	for i := range large {
		data[6+i] = byte(i >> 8)
	}
	f.node.onCall = func(c *Conn, q *Call) {
		out := []byte{0x90}
		if len(q.Args) > 1 {
			out = data
		}
		answer(c, q.Sync, out)
	}
	call := func(p *peer, sync uint64, args ...byte) {
		p.request(xrow.Call, sync, append([]byte{0x82, 0x22, 0xa1, 'f', 0x21}, args...))
	}
	var deaf []*peer
	for range deafs {
		p := f.connect()
		call(p, 1, 0x91, 1)
		deaf = append(deaf, p)
	}
	heard := f.connect()
	for i := range uint64(100) {
		call(heard, i, 0x90)
		heard.wantOK(i)
	}
	want := append([]byte{0x81, 0x30, 0xdd, 0, 0, 0, 1}, data[1:]...)
	for i, p := range deaf {
		if got := p.wantOK(1); !bytes.Equal(got[len(got)-large:], want[len(want)-large:]) || len(got) != len(want) {
			t.Fatalf("client %d: %d bytes, want %d, or others", i, len(got), len(want))
		}
		p.ping(2) // nothing is behind them
	}
}

// A connection at rest costs one goroutine.
func TestIdleConnectionsHaveOneGoroutine(t *testing.T) {
	f := newFixture(t, nil)
	first := f.connect()
	first.ping(1)
	before := runtime.NumGoroutine()
	const n = 40
	for i := range uint64(n) {
		p := f.connect()
		p.request(xrow.Call, i, []byte{0x81, 0x22, 0xa1, 'f'}) // answered by a sender
		p.wantOK(i)
	}
	for until := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+n; runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatalf("%d goroutines for %d connections", runtime.NumGoroutine()-before, n)
		}
	}
}

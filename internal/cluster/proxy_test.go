package cluster

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// rig is a proxy between two ends of pipes, in virtual time.
type rig struct {
	*Proxy
	left, right net.Conn // who connected; whom the proxy connects to
}

func newRig(t *testing.T) *rig {
	t.Helper()
	right, behind := net.Pipe()
	p := newProxy(func() (net.Conn, error) { return behind, nil })
	left, before := net.Pipe()
	p.wg.Go(func() { p.serve(before) })
	t.Cleanup(func() {
		left.Close()
		right.Close()
		p.Close()
	})
	return &rig{p, left, right}
}

// send writes without waiting for the other end.
func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	go func() {
		if _, err := c.Write([]byte(text)); err != nil {
			t.Errorf("write %q: %v", text, err)
		}
	}()
	synctest.Wait()
}

// arrived reads what is there within d; empty: nothing.
func arrived(t *testing.T, c net.Conn, d time.Duration) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
	var b [64]byte
	n, _ := c.Read(b[:])
	return string(b[:n])
}

func TestProxyForwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		send(t, r.left, "ping")
		if got := arrived(t, r.right, time.Second); got != "ping" {
			t.Errorf("forth: %q", got)
		}
		send(t, r.right, "pong")
		if got := arrived(t, r.left, time.Second); got != "pong" {
			t.Errorf("back: %q", got)
		}
	})
}

// A cut holds what is sent during it, and Heal delivers it in order.
func TestProxyHoldsWhatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		synctest.Wait()
		r.Cut(Forth, Back)
		send(t, r.left, "one ")
		send(t, r.left, "two")
		if got := arrived(t, r.right, time.Hour); got != "" {
			t.Errorf("during the cut: %q", got)
		}
		r.Heal()
		if err := r.right.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len("one two"))
		if _, err := io.ReadFull(r.right, b); err != nil || string(b) != "one two" {
			t.Errorf("after the cut: %q, %v", b, err)
		}
	})
}

func TestProxyCutsOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		synctest.Wait()
		r.Cut(Forth)
		send(t, r.right, "pong")
		if got := arrived(t, r.left, time.Second); got != "pong" {
			t.Errorf("back: %q", got)
		}
		send(t, r.left, "ping")
		if got := arrived(t, r.right, time.Hour); got != "" {
			t.Errorf("forth: %q", got)
		}
	})
}

// A connection that is made during a cut reaches nobody before it is healed.
func TestProxyConnectsAfterTheCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled := make(chan struct{})
		p := newProxy(func() (net.Conn, error) {
			close(dialled)
			return nil, io.EOF
		})
		p.Cut(Forth)
		left, before := net.Pipe()
		defer left.Close()
		p.wg.Go(func() { p.serve(before) })
		synctest.Wait()
		select {
		case <-dialled:
			t.Error("connected during the cut")
		default:
		}
		p.Heal()
		<-dialled
		p.Close()
	})
}

func TestProxyDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const way = 30 * time.Millisecond
		r := newRig(t)
		r.Delay(way)
		start := time.Now()
		send(t, r.left, "ping")
		if got := arrived(t, r.right, time.Hour); got != "ping" || time.Since(start) != way {
			t.Errorf("%q after %s", got, time.Since(start)) // the bubble's time: exact
		}
	})
}

func TestProxyReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		synctest.Wait()
		r.Reset()
		for name, c := range map[string]net.Conn{"left": r.left, "right": r.right} {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s is still open", name)
			}
		}
	})
}

// The end of one side is the end of the other one.
func TestProxyCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.left.Close()
		if _, err := r.right.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("right: %v", err)
		}
	})
}

// Each ordered pair of nodes has a proxy, over real sockets here.
func TestMesh(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := NewMesh()
	defer m.Close()
	own := l.Addr().String()
	if got := m.Peer(1, 1, own); got != own {
		t.Errorf("a node reaches itself at %s", got)
	}
	addr := m.Peer(0, 1, own)
	m.Peer(1, 0, own)
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	m.Cut(0, 1)
	if p := m.proxies[pair{0, 1}]; !p.cut[Forth] || p.cut[Back] {
		t.Errorf("0 to 1: %v", p.cut)
	}
	if p := m.proxies[pair{1, 0}]; p.cut[Forth] || !p.cut[Back] {
		t.Errorf("1 to 0: %v", p.cut)
	}
	m.Heal()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(far, b); err != nil || string(b) != "ping" {
		t.Errorf("%q, %v", b, err)
	}
	m.Isolate(0)
	for k, p := range m.proxies {
		if !p.cut[Forth] || !p.cut[Back] {
			t.Errorf("%v is not cut: %v", k, p.cut)
		}
	}
}

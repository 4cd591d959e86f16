package router

import (
	"net"
	"testing"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// hookedConn tells of a write before that returns.
type hookedConn struct {
	net.Conn
	wrote func()
}

func (c *hookedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.wrote()
	return n, err
}

// An instance may have executed a request, and died, before the write of it has returned here. It was
// sent by then, or it would be sent once more as one that nobody has.
func TestSentBeforeTheWriteReturns(t *testing.T) {
	r := startTest(t, nil, newFake(t, leadsIn(5, 1)))
	here, there := net.Pipe()
	defer there.Close()
	var b *backend
	first, second := newPlain(), newPlain()
	told := make(chan bool)
	conn := &hookedConn{here, func() { told <- b.sent(first); told <- b.sent(second) }}
	b = &backend{p: &r.pool, link: iproto.NewLink(conn, xrow.MaxFrame), close: func() {}}
	b.append(first)
	go b.flush()
	link := iproto.NewLink(there, xrow.MaxFrame)
	if _, err := link.ReadFrame(); err != nil { // the instance has it
		t.Fatal(err)
	}
	b.append(second) // and this one nobody has, as long as the first write stands
	if sent, more := <-told, <-told; !sent || more {
		t.Errorf("sent: %v, and what came behind it: %v", sent, more)
	}
	if _, err := link.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	if sent, more := <-told, <-told; !sent || !more {
		t.Errorf("sent: %v, and what came behind it: %v", sent, more)
	}
	_ = here.Close() // what is written behind that is nobody's
}

func newPlain() *request { return &request{Carried: iproto.NewCarried(xrow.Ping, 0)} }

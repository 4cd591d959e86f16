package iproto

import (
	"io"
	"runtime"
	"testing"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Cut ends sessions, whatever they wait for, and nothing of them is under way behind it.
// Streams go on, and end where they would be clients again. Whoever comes then is served.
func TestCut(t *testing.T) {
	f := newFixture(t, nil)
	begun, goOn := make(chan struct{}, 2), make(chan struct{})
	f.node.replicate = func(l *Link, _ User, row *xrow.Row) error {
		begun <- struct{}{}
		<-goOn
		return l.WriteRow(&xrow.Row{Type: xrow.OK, Sync: 5})
	}
	idle, waiting, stream, join := f.connect(), f.connect(), f.connect(), f.connect()
	idle.ping(1)
	f.node.hold = true
	waiting.request(xrow.Insert, 7, insertBody(1))
	<-f.node.arrived // what nobody has read would make a reset of the end
	stream.request(xrow.Subscribe, 2, []byte{0x80})
	join.request(xrow.Join, 3, []byte{0x80})
	<-begun
	<-begun
	f.srv.Cut(time.Minute)
	if n := f.srv.Connections(); n != 2 {
		t.Errorf("%d connections behind it", n)
	}
	for _, p := range []*peer{idle, waiting} {
		if _, err := p.link.ReadFrame(); err != io.EOF {
			t.Errorf("got %v, want EOF", err)
		}
		if cause := <-f.closed; cause != ErrServerClosed {
			t.Errorf("closed by %v", cause)
		}
	}
	late := f.connect()
	late.ping(4)
	close(goOn)
	for _, p := range []*peer{stream, join} {
		p.wantOK(5)
		if _, err := p.link.ReadFrame(); err != io.EOF {
			t.Errorf("got %v, want EOF", err)
		}
	}
	late.ping(5)
}

// Who is cut off gets what was answered before, and has not for ever to read it.
func TestCutWritesWhatWasAnswered(t *testing.T) {
	f := newFixture(t, nil)
	answered := make(chan *Conn, 1)
	f.node.onCall = func(c *Conn, q *Call) {
		c.Reply(q.Sync, largeArray(16<<20), nil) // more than a socket takes
		c.Flush()
		answered <- c
	}
	client := func() (*peer, *Conn) {
		p := f.connect()
		p.request(xrow.Call, 1, []byte{0x81, 0x22, 0xa1, 'f'})
		return p, <-answered
	}
	reads, c := client()
	go func() {
		defer close(answered)
		parting := false
		for !parting {
			runtime.Gosched()
			c.mu.Lock()
			parting = c.parting || c.cause != nil
			c.mu.Unlock()
		}
		reads.wantOK(1)
		if _, err := reads.link.ReadFrame(); err != io.EOF {
			t.Errorf("got %v, want EOF", err)
		}
	}()
	f.srv.Cut(time.Minute)
	<-answered

	answered = make(chan *Conn, 1)
	client() // reads nothing
	f.srv.Cut(time.Millisecond)
	if n := f.srv.Connections(); n != 0 {
		t.Errorf("%d connections behind it", n)
	}
}

package iproto

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// crowd is a listener to which as many have come as it is asked for.
type crowd struct {
	came   atomic.Int32
	closed chan struct{}
}

func (l *crowd) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	l.came.Add(1)
	client, server := net.Pipe()
	go func() { // a client that reads its greeting and no more
		_, _ = client.Read(make([]byte, 256))
		<-l.closed
		client.Close()
	}()
	return server, nil
}

func (l *crowd) Close() error   { close(l.closed); return nil }
func (l *crowd) Addr() net.Addr { return &net.TCPAddr{} }

// A burst of clients that sit idle takes no more descriptors than there are seats,
// and a few that are being closed: the others wait in front of the door, until those
// that were turned away are gone.
func TestBurstWaitsAtTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seats = 4
		going := make(chan struct{})
		f := newFixture(t, func(c *Config) {
			c.Limits = Limits{Connections: seats, BeforeLogin: seats}
			c.Trace.Closed = func(*Conn, error) { <-going } // its descriptor may be there still
		})
		l := &crowd{closed: make(chan struct{})}
		f.srv.mu.Lock()
		f.srv.listeners = append(f.srv.listeners, l)
		f.srv.mu.Unlock()
		f.srv.wg.Go(func() { f.srv.accept(l) })
		synctest.Wait()
		for gone := range int32(5) {
			if n := l.came.Load(); n != seats+beingClosed+gone {
				t.Fatalf("%d were let in, %d are gone, with %d seats", n, gone, seats)
			}
			going <- struct{}{}
			synctest.Wait()
		}
		close(going)
		f.srv.StopListening()
	})
}

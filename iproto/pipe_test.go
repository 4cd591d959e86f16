package iproto

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// What is written comes out in order, however it is cut, and no more than pipeRoom lies between.
func TestPipeCarriesBytes(t *testing.T) {
	a, b := newPipe("here")
	rnd := rand.New(rand.NewPCG(1, 2))
	sent := make([]byte, 3<<20)
	for i := range sent {
		sent[i] = byte(rnd.Uint32())
	}
	wrote := make(chan error, 1)
	go func() {
		cuts := rand.New(rand.NewPCG(3, 4))
		for left := sent; len(left) > 0; {
			n := min(len(left), 1+cuts.IntN(100_000))
			if _, err := a.Write(left[:n]); err != nil {
				wrote <- err
				return
			}
			left = left[n:]
		}
		wrote <- a.Close()
	}()
	var got bytes.Buffer
	for piece := make([]byte, 90_000); ; {
		n, err := b.Read(piece[:1+rnd.IntN(len(piece)-1)])
		got.Write(piece[:n])
		if lies := b.in.lies(); lies > pipeRoom {
			t.Fatalf("%d bytes lie in a pipe", lies)
		}
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-wrote; err != nil || !bytes.Equal(got.Bytes(), sent) {
		t.Errorf("%d bytes of %d came: %v", got.Len(), len(sent), err)
	}
}

func (f *flow) lies() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.buf) - f.r
}

// Who writes waits for room, or takes what there is.
func TestPipeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe("here")
		large := make([]byte, pipeRoom+1)
		if n, err := a.WriteSome(large); n != pipeRoom || err != nil {
			t.Fatalf("%d bytes of %d were taken: %v", n, len(large), err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := a.Write([]byte{1})
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("there was room: %v", err)
		default:
		}
		if _, err := b.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// A deadline ends what waits, and what comes behind it until it is moved.
func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe("here")
		began := time.Now()
		late := func(what string, err error, after time.Duration) {
			t.Helper()
			var ne net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() || time.Since(began) != after {
				t.Errorf("%s: %v in %v, want the deadline in %v", what, err, time.Since(began), after)
			}
		}
		set := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		set(b.SetReadDeadline(began.Add(time.Second)))
		_, err := b.Read(make([]byte, 1))
		late("a read", err, time.Second)
		_, err = b.Read(make([]byte, 1))
		late("the next one", err, time.Second)
		set(b.SetReadDeadline(time.Time{}))
		if _, err := a.Write([]byte{7}); err != nil {
			t.Error(err)
		}
		if n, err := b.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("without a deadline: %d, %v", n, err)
		}
		set(a.SetWriteDeadline(began.Add(time.Minute)))
		set(a.SetWriteDeadline(began.Add(2 * time.Second))) // the first one is not heeded any more
		n, err := a.Write(make([]byte, pipeRoom+9))
		late("a write", err, 2*time.Second)
		if n != pipeRoom {
			t.Errorf("%d bytes were written", n)
		}
		go func() {
			time.Sleep(time.Second)
			set(a.SetReadDeadline(time.Unix(1, 0))) // while it is read
		}()
		_, err = a.Read(make([]byte, 1))
		late("a read that waits", err, 3*time.Second)
		set(a.Close())
		time.Sleep(time.Hour) // a timer that fires late has nothing to end
	})
}

// Either end may close: what was written is still there for the other one, and nobody waits on.
func TestPipeCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe("here")
		if _, err := a.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		reader := make(chan error, 1)
		go func() {
			_, err := a.Read(make([]byte, 1))
			reader <- err
		}()
		synctest.Wait()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-reader; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read of who has closed: %v", err)
		}
		if _, err := a.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write of who has closed: %v", err)
		}
		if _, err := b.Write([]byte{1}); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("a write to who has closed: %v", err)
		}
		words, err := io.ReadAll(b)
		if string(words) != "last words" || err != nil {
			t.Errorf("read %q: %v", words, err)
		}
		a, b = newPipe("here")
		if err := a.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write([]byte("x")); err != nil {
			t.Errorf("a write to who reads on: %v", err)
		}
		if n, err := a.Read(make([]byte, 2)); n != 1 || err != nil {
			t.Errorf("who has closed his writes read %d: %v", n, err)
		}
	})
}

// A connection within the process is served like any other, and is where a member may be.
func TestDialInside(t *testing.T) {
	f := newFixture(t, nil)
	c, err := f.srv.DialInside(t.Context(), "10.0.0.1:3301")
	if err != nil {
		t.Fatal(err)
	}
	var conn uint64
	f.node.onCall = func(c *Conn, q *Call) {
		conn = c.ID()
		c.Reply(q.Sync, emptyArray, nil)
		c.Flush()
	}
	if err := c.Login("test", "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call("f", nil); err != nil {
		t.Fatal(err)
	}
	if _, inside := f.srv.From(conn); !inside || f.srv.Peer(conn) != "10.0.0.1:3301" {
		t.Errorf("its peer is %s, inside %v", f.srv.Peer(conn), inside)
	}
	f.srv.StopListening()
	if _, err := f.srv.DialInside(t.Context(), ""); !errors.Is(err, ErrServerClosed) {
		t.Errorf("a server that listens no more let one in: %v", err)
	}
	if _, err := c.Do(xrow.Ping, nil); err != nil {
		t.Errorf("who was there was sent away: %v", err)
	}
	f.srv.Close()
	if _, err := c.Do(xrow.Ping, nil); err == nil {
		t.Error("a server that is closed answers")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newFixture(t, nil).srv.DialInside(dead, ""); err == nil {
		t.Error("a dial that was given up went on")
	}
}

// How long a byte and its answer take, to compare with BenchmarkSocketRoundTrip.
func BenchmarkPipeRoundTrip(b *testing.B) {
	ours, theirs := newPipe("")
	benchmarkRoundTrip(b, ours, theirs)
}

func BenchmarkSocketRoundTrip(b *testing.B) {
	ours, theirs := loopback(b)
	benchmarkRoundTrip(b, ours, theirs)
}

func benchmarkRoundTrip(b *testing.B, ours, theirs net.Conn) {
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(struct{ io.Writer }{theirs}, struct{ io.Reader }{theirs})
		ended <- err
	}()
	one := make([]byte, 64)
	for b.Loop() {
		if _, err := ours.Write(one); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(ours, one); err != nil {
			b.Fatal(err)
		}
	}
	_ = ours.Close()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	_ = theirs.Close()
}

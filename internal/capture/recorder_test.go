package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// file is a recording in memory.
type file struct {
	mu   sync.Mutex
	b    bytes.Buffer
	fail error
}

func (f *file) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return 0, f.fail
	}
	return f.b.Write(b)
}

func (f *file) lines(t *testing.T) []Line {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	lines, err := ReadAll(bytes.NewReader(f.b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// stream puts one direction together.
func stream(lines []Line, conn string, from Side) (b []byte) {
	for _, l := range lines {
		if l.Conn == conn && l.From == from {
			b = append(b, l.Data...)
		}
	}
	return b
}

// rig is a recorder between clients and a server that handles each connection
// by serve.
type rig struct {
	t    *testing.T
	out  *file
	addr string
	stop context.CancelFunc
	done chan error
}

func newRig(t *testing.T, serve func(net.Conn)) *rig {
	t.Helper()
	target := listen(t)
	go func() {
		for {
			c, err := target.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{t: t, out: &file{}, addr: l.Addr().String(), stop: cancel, done: make(chan error, 1)}
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", target.Addr().String())
	}
	go func() { r.done <- Record(ctx, l, dial, NewWriter(r.out)) }()
	t.Cleanup(cancel)
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func (r *rig) connect() *net.TCPConn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// end stops the recording and returns it.
func (r *rig) end() []Line {
	r.t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Fatal(err)
	}
	return r.out.lines(r.t)
}

// echo answers each connection with a greeting and then with what it was sent.
func echo(c net.Conn) {
	defer c.Close()
	if _, err := c.Write(greeting()); err == nil {
		_, _ = io.Copy(c, c)
	}
}

// TestRecord: many connections at once; every byte of every direction is in
// the file, in order, and each answer behind what it answers.
func TestRecord(t *testing.T) {
	r := newRig(t, echo)
	const conns, frames = 12, 30
	var wg sync.WaitGroup
	sent := make(map[string]bool)
	var mu sync.Mutex
	for k := range conns {
		c := r.connect()
		wg.Go(func() {
			var all []byte
			for n := range frames {
				all = append(all, frameOf(k*1000+n)...)
			}
			all = append(all, 0xce, 0, byte(k)) // half a length
			mu.Lock()
			sent[string(all)] = true
			mu.Unlock()
			go func() {
				for b := all; len(b) > 0; {
					n := min(1+k*777, len(b))
					if _, err := c.Write(b[:n]); err != nil {
						t.Error(err)
						return
					}
					b = b[n:]
				}
				c.CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, append(greeting(), all...)) {
				t.Errorf("connection %d: %d bytes, %v", k, len(got), err)
			}
		})
	}
	wg.Wait()
	lines := r.end()
	last := 0.0
	half := make(map[string]int)
	for i, l := range lines {
		if l.T < last {
			t.Errorf("line %d: time goes back", i+1)
		}
		last = l.T
		half[l.Conn] += map[Side]int{Client: 1, Server: -1}[l.From] * len(l.Data)
		if half[l.Conn] < -len(greeting()) {
			t.Errorf("line %d: answered before it was asked", i+1)
		}
		if l.Kind == Raw && len(l.Data) != 3 {
			t.Errorf("line %d: %s", i+1, l.Kind)
		}
	}
	for k := range conns {
		name := fmt.Sprint(k + 1)
		client, server := stream(lines, name, Client), stream(lines, name, Server)
		if !sent[string(client)] || !bytes.Equal(server, append(greeting(), client...)) {
			t.Errorf("connection %s: %d and %d bytes", name, len(client), len(server))
		}
	}
	if text := fmt.Sprint(count(lines, EOF), count(lines, Greeting), count(lines, Frame)); text != fmt.Sprint(2*conns, conns, 2*conns*frames) {
		t.Error(text)
	}
}

func count(lines []Line, k Kind) (n int) {
	for _, l := range lines {
		if l.Kind == k {
			n++
		}
	}
	return n
}

// TestRecordStopped: an interrupt keeps half a frame, and ends connections.
func TestRecordStopped(t *testing.T) {
	r := newRig(t, echo)
	c := r.connect()
	ping := frameOf(5)
	if _, err := c.Write(append(bytes.Clone(ping), ping[:9]...)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 128+len(ping)+9)); err != nil {
		t.Fatal(err)
	}
	lines := r.end()
	if got := stream(lines, "1", Client); !bytes.Equal(got, append(bytes.Clone(ping), ping[:9]...)) {
		t.Errorf("%x", got)
	}
	if count(lines, EOF) != 0 || count(lines, Raw) != 2 {
		t.Errorf("%+v", lines)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
}

// TestRecordNobody: a target that does not answer is told in the file.
func TestRecordNobody(t *testing.T) {
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, done := &file{}, make(chan error, 1)
	dial := func(context.Context) (net.Conn, error) { return nil, errors.New("refused") }
	go func() { done <- Record(ctx, l, dial, NewWriter(out)) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want a closed connection", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if lines := out.lines(t); len(lines) != 2 || !strings.Contains(lines[0].Note, "connection 1 reaches nobody: refused") {
		t.Errorf("%+v", lines)
	}
}

// TestRecordDiskFull: without a recording there is no connection.
func TestRecordDiskFull(t *testing.T) {
	r := newRig(t, echo)
	r.out.mu.Lock()
	r.out.fail = errors.New("disk full")
	r.out.mu.Unlock()
	c := r.connect()
	if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	if err := <-r.done; err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("%v", err)
	}
}

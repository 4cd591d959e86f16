package iproto

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

func (f *fixture) dial() *Client {
	f.Helper()
	if len(f.srv.Addrs()) == 0 {
		if err := f.srv.Listen("127.0.0.1:0"); err != nil {
			f.Fatal(err)
		}
	}
	c, err := Dial(f.Context(), f.srv.Addrs()[0].String())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { c.Close() })
	return c
}

func TestClient(t *testing.T) {
	f := newFixture(t, nil)
	f.node.ballot = ballotOf(t, "connect")
	f.hub.Set(EventBallot, f.node.ballot)
	c := f.dial()
	if err := c.Hello(Features(0).With(FeatureWatchers)); err != nil {
		t.Fatal(err)
	}
	if c.Protocol != ProtocolVersion || !c.Features.Has(FeatureWatchers) || c.Features.Has(FeatureStreams) {
		t.Fatalf("protocol %d, features %b", c.Protocol, c.Features)
	}
	if err := c.Login("test", "wrong"); !errors.Is(err, xrow.ErrCredsMismatch) {
		t.Fatalf("wrong password: %v", err)
	}
	if err := c.Login("test", "test"); err != nil {
		t.Fatal(err)
	}
	ballot, err := c.Vote()
	if err != nil || !bytes.Equal(ballot, f.node.ballot) {
		t.Fatalf("ballot %x, %v", ballot, err)
	}
	data, err := c.Call("f", []byte{0x92, 1, 2})
	if err != nil || !bytes.Equal(data, []byte{0xdd, 0, 0, 0, 2, 1, 2}) {
		t.Fatalf("call: %x, %v", data, err)
	}
	if err := c.Watch(EventBallot); err != nil {
		t.Fatal(err)
	}
	key, value, err := c.ReadEvent()
	if err != nil || key != EventBallot || !bytes.Equal(value, f.node.ballot) {
		t.Fatalf("event %s %x, %v", key, value, err)
	}
	// The acknowledgement is held until the value changes.
	if err := c.Watch(EventBallot); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(xrow.Ping, nil); err != nil {
		t.Fatal(err)
	}
	f.hub.Update(EventBallot, []byte{0x80})
	if key, value, err = c.ReadEvent(); err != nil || key != EventBallot || !bytes.Equal(value, []byte{0x80}) {
		t.Fatalf("event %s %x, %v", key, value, err)
	}
}

func TestClientEndsWithItsContext(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newClient(ctx, client); err == nil {
		t.Fatal("read a greeting that nobody sent")
	}
}

func TestGreeting(t *testing.T) {
	l := readCapture(t, "connect")[0]
	g, err := ParseGreeting(l.data)
	if err != nil || g.Version != "3.8.0" || g.UUID != testUUID {
		t.Fatalf("%+v, %v", g, err)
	}
	var salt [saltSize]byte
	copy(salt[:], g.Salt[:])
	ours := AppendGreeting(nil, g.Version, g.UUID, &salt)
	if !bytes.Equal(ours[:90], l.data[:90]) || !bytes.Equal(ours[108:], l.data[108:]) { // the salt's tail is not used
		t.Fatalf("got %q, want %q", ours, l.data)
	}
	if n, ok := VersionNumber("2.11.0-entrypoint-113-g803baaffe"); !ok || n != 2<<16|11<<8 {
		t.Fatalf("version %x", n)
	}
	for name, bad := range map[string][]byte{
		"short":   l.data[:127],
		"line":    slices.Replace(slices.Clone(l.data), 63, 64, ' '),
		"end":     slices.Replace(slices.Clone(l.data), 127, 128, ' '),
		"name":    slices.Replace(slices.Clone(l.data), 0, 1, 'X'),
		"version": slices.Replace(slices.Clone(l.data), 10, 11, 'X'),
		"console": bytes.Replace(l.data, []byte("(Binary)"), []byte("(Lua)   "), 1),
		"salt":    slices.Replace(slices.Clone(l.data), 70, 71, '!'),
	} {
		if _, err := ParseGreeting(bad); !errors.Is(err, ErrGreeting) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLinkReadRows(t *testing.T) {
	client, server := loopback(t)
	defer client.Close()
	var b []byte
	body := append([]byte{0x81, 0x21, 0xc6, 0, 1, 0, 0}, make([]byte, 1<<16)...)
	for i := uint64(1); i <= 20; i++ {
		b = (&xrow.Row{Type: xrow.Insert, ReplicaID: 1, LSN: i, TSN: i, Flags: xrow.FlagCommit, Body: body}).Append(b)
	}
	go func() {
		_, _ = server.Write(b)
		_, _ = server.Write([]byte{0xce, 0, 0})
		server.Close()
	}()
	l := NewLink(client, xrow.MaxFrame)
	var lsn uint64
	for lsn < 20 {
		rows, _, err := l.ReadRows(nil, nil)
		if err != nil || len(rows) == 0 {
			t.Fatal(err)
		}
		for _, r := range rows {
			if lsn++; r.LSN != lsn || !bytes.Equal(r.Body, body) {
				t.Fatalf("row %d, want %d", r.LSN, lsn)
			}
		}
	}
	if _, _, err := l.ReadRows(nil, nil); err != io.ErrUnexpectedEOF {
		t.Fatalf("the end inside a frame: %v", err)
	}
}

func TestLinkRefusesLargeFrames(t *testing.T) {
	client, server := loopback(t)
	defer client.Close()
	defer server.Close()
	_, _ = server.Write([]byte{0xce, 0, 0, 1, 1, 0x80})
	if _, err := NewLink(client, 256).ReadFrame(); !errors.Is(err, ErrFrame) {
		t.Fatalf("got %v", err)
	}
}

func TestFrameHead(t *testing.T) {
	for _, c := range []struct {
		in         []byte
		head, size int
	}{
		{[]byte{}, 0, 0},
		{[]byte{0xce, 0, 0, 0}, 0, 0},
		{[]byte{0xce, 0, 0, 0, 0}, 0, 0}, // looked at only when a byte follows
		{[]byte{0xce, 0, 0, 0, 0, 1}, 5, 0},
		{[]byte{0}, 0, 0},
		{[]byte{0, 1}, 1, 0},
		{[]byte{5, 1}, 1, 5},
		{[]byte{0xcc, 5, 1}, 2, 5},
		{[]byte{0xcd, 1, 0, 1}, 3, 256},
	} {
		if head, size, err := frameHead(c.in, xrow.MaxFrame); head != c.head || size != c.size || err != nil {
			t.Errorf("%x: %d, %d, %v; want %d, %d", c.in, head, size, err, c.head, c.size)
		}
	}
	if _, _, err := frameHead([]byte{0xce, 0xff, 0xff, 0xff, 0xff}, xrow.MaxFrame); err != nil {
		t.Errorf("a length with nothing behind it: %v", err)
	}
}

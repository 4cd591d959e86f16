package router

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// bare is a client's end that takes next to no memory of this process.
func bare(t *testing.T, addr string, requests ...*xrow.Row) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	greeting := make([]byte, iproto.GreetingSize)
	if _, err := io.ReadFull(nc, greeting); err != nil {
		t.Fatal(err)
	}
	g, err := iproto.ParseGreeting(greeting)
	if err != nil {
		t.Fatal(err)
	}
	scramble := iproto.Scramble(testPassword, &g.Salt)
	auth := msgp.AppendString([]byte{0x82, byte(xrow.KeyUserName)}, testUser)
	auth = msgp.AppendString(append(auth, byte(xrow.KeyTuple), 0x92), iproto.MethodChapSHA1)
	auth = msgp.AppendStringFromBytes(auth, scramble[:])
	l := iproto.NewLink(nc, xrow.MaxFrame)
	for _, row := range append([]*xrow.Row{{Type: xrow.Auth, Sync: 1, Body: auth}, iproto.HelloRow(2, clientFeatures)}, requests...) {
		if err := l.WriteRow(row); err != nil {
			t.Fatal(err)
		}
		answer, err := l.ReadRow()
		if err != nil {
			t.Fatal(err)
		}
		if e := answer.AsError(); e != nil {
			t.Fatal(e)
		}
	}
	return nc
}

// A client that has logged in, has read, written, had a transaction, and is idle, takes 10 kB of the router at most, the client's
// end in this process included.
func TestIdleClientIsSmall(t *testing.T) {
	if raceDetector {
		t.Skip("it takes memory of its own for each object")
	}
	a := newFake(t, leadsIn(5, 1))
	numbered(a)
	r := startTest(t, func(c *Config) { c.PollInterval = time.Minute }, a)
	requests := []*xrow.Row{
		{Type: xrow.Select, Sync: 3, Body: read}, {Type: xrow.Insert, Sync: 4, Body: insert},
		{Type: xrow.Begin, Sync: 5, StreamID: 1}, {Type: xrow.Insert, Sync: 6, StreamID: 1, Body: insert}, {Type: xrow.RollbackTxn, Sync: 7, StreamID: 1},
	}
	inUse := func() int {
		runtime.GC()
		runtime.GC() // what pools had
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int(s.HeapAlloc + s.StackInuse)
	}
	for range 20 { // what there is once
		bare(t, r.Addrs(RW)[0], requests...)
	}
	const clients, most = 400, 10_000
	before := inUse()
	for range clients {
		bare(t, r.Addrs(RW)[0], requests...)
	}
	each := 0
	eventually(t, "idle clients are small", func() bool {
		each = (inUse() - before) / clients
		return each <= most
	})
	t.Logf("an idle client takes %d bytes", each)
	if each < 1<<10 {
		t.Errorf("an idle client takes %d bytes: they are not there", each)
	}
	var backends int
	for _, in := range r.Stats().Instances {
		backends += in.Backends
	}
	if backends > r.cfg.Backends {
		t.Errorf("%d connections to the instance", backends)
	}
}

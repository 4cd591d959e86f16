package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
)

// frameCutter stands in front of a member. It cuts the connection of the first base copy that is asked for in front of
// the first frame of the answer, that of the second one behind it, and so on; other connections it leaves alone.
type frameCutter struct {
	to   string
	next atomic.Int64 // frames of the next answer that pass
	cuts chan int     // after how many frames
}

func cutFrames(t *testing.T, to string) (c *frameCutter, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c = &frameCutter{to: to, cuts: make(chan int, 100)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return c, l.Addr().String()
}

// serve carries one connection until an end of it goes, or it is cut.
func (c *frameCutter) serve(client net.Conn) {
	defer client.Close()
	member, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer member.Close()
	passes := new(atomic.Int64) // frames of the answer and one; 0: it is no base copy
	go func() {
		defer member.Close()
		for {
			frame, err := readFrame(client)
			if err != nil {
				return
			}
			if row, err := xrow.Decode(frame[xrow.FrameHead:]); err == nil && row.Type == xrow.FetchSnap {
				if req, err := xrow.DecodeJoin(row.Body); err == nil && req.Copy != nil {
					passes.Store(c.next.Add(1))
				}
			}
			if _, err := member.Write(frame); err != nil {
				return
			}
		}
	}()
	if _, err := io.CopyN(client, member, iproto.GreetingSize); err != nil {
		return
	}
	for passed := 0; ; {
		frame, err := readFrame(member)
		if err != nil {
			return
		}
		if n := int(passes.Load()); n > 0 {
			if passed == n-1 {
				c.cuts <- passed
				return
			}
			passed++
		}
		if _, err := client.Write(frame); err != nil {
			return
		}
	}
}

// readFrame reads a frame with its length.
func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, xrow.FrameHead)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame[1:]))...)
	_, err := io.ReadFull(r, frame[xrow.FrameHead:])
	return frame, err
}

// The connection of a base copy is cut at each of its frames, while the leader writes to the space. Nothing of a copy that
// was cut is shown, and in the end the replica has what the leader has, also when it is started anew.
func TestCopyIsCutAtEachFrame(t *testing.T) {
	const orders = 3
	const frames = orders + 3 // OK, JOIN_META, tuples, OK
	s, lead, reader, conn := withOrders(t, orders, 10)
	cutter, addr := cutFrames(t, lead.addr)
	reader.flags = []config.Flag{{Name: "test", Path: "replication.peers", Value: "replicator:r@" + addr}}
	reader.copyPause = time.Millisecond
	reader.start()
	s.until("it has people", reader.has("people", 20))
	if n := cutter.next.Load(); n != 0 {
		t.Fatalf("%d base copies for its first state", n)
	}
	write := func(n int) {
		t.Helper()
		if _, err := conn.Do(tarantool.NewReplaceRequest("orders").Tuple([]any{n % orders, fmt.Sprint("written behind cut ", n)})).Get(); err != nil {
			t.Fatal(err)
		}
	}
	s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("space", "orders")})
	late := time.After(patience)
	for want := range frames {
		select {
		case at := <-cutter.cuts:
			if at != want {
				t.Fatalf("cut behind %d frames, not %d", at, want)
			}
		case <-late:
			t.Fatalf("nobody has asked for the copy that is cut behind %d frames", want)
		}
		write(want)
		if want == frames-1 {
			break // the next one is whole
		}
		if n, err := reader.count("orders"); !errors.Is(codeOf(err), xrow.ErrBeingCopied) {
			t.Errorf("cut behind %d frames: %d orders, %v", want, n, err)
		}
	}
	all := func(n *node1) string {
		at := n.dial()
		defer at.Close()
		data, err := at.Do(tarantool.NewSelectRequest("orders").Iterator(tarantool.IterAll).Limit(100)).Get()
		return fmt.Sprint(data, err)
	}
	same := func() bool { return all(reader) == all(lead) }
	s.until("it has what the leader has", same)
	if n := cutter.next.Load(); n != frames+1 {
		t.Errorf("%d base copies were asked for", n)
	}
	if err := reader.halt(); err != nil {
		t.Fatal(err)
	}
	write(frames)
	reader.start()
	s.until("it has what the leader has, started anew", same)
}

package load

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// What is refused because the queue is full is written again, all else once.
func TestFillWritesAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const keys = 2000
	taken := make(chan map[uint64]int, 1)
	go func() {
		got := map[uint64]int{}
		defer func() { taken <- got }()
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		nc.Write(iproto.AppendGreeting(nil, "3.0.0", "7170b4e4-4eb8-4a4b-9c0e-3b0e5b6f0d7a", &[32]byte{}))
		var head [xrow.FrameHead]byte
		for n := 0; len(got) < keys; n++ {
			if _, err := io.ReadFull(nc, head[:]); err != nil {
				return
			}
			body := make([]byte, binary.BigEndian.Uint32(head[1:]))
			if _, err := io.ReadFull(nc, body); err != nil {
				return
			}
			row, err := xrow.Decode(body)
			if err != nil {
				return
			}
			if n%7 == 0 {
				nc.Write(xrow.AppendErrorReply(nil, xrow.Errorf(xrow.ErrSyncQueueFull), row.Sync, 1))
				continue
			}
			got[binary.BigEndian.Uint64(row.Body[10:])]++
			nc.Write(reply(row.Sync, "\x81\x30\xdd\x00\x00\x00\x00"))
		}
	}()
	if err := Fill(context.Background(), Workload{Keys: keys, ValueSize: 3}, Plan{Addr: l.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	got := <-taken
	for key := uint64(1); key <= keys; key++ {
		if got[key] != 1 {
			t.Fatalf("key %d was written %d times", key, got[key])
		}
	}
}

package load

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// serveScans answers requests until the connection ends, and returns the keys.
func serveScans(nc net.Conn, answer []byte, keys chan<- uint64) {
	defer close(keys)
	var head [xrow.FrameHead]byte
	for {
		if _, err := io.ReadFull(nc, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(nc, body); err != nil {
			return
		}
		keys <- binary.BigEndian.Uint64(body[len(body)-8:])
		if _, err := nc.Write(answer); err != nil {
			return
		}
	}
}

func TestScanPage(t *testing.T) {
	row := xrow.Row{Type: xrow.OK, Body: append([]byte{0x81, 0x30, 0xc6, 0, 3, 0, 0}, make([]byte, 3<<16)...)}
	for _, test := range []struct {
		name   string
		answer []byte
		err    string
	}{
		{"answers", row.Append(nil), ""},
		{"an error", xrow.AppendErrorReply(nil, xrow.Errorf(xrow.ErrNoSuchSpace, "t"), 0, 1), "error 36"},
		{"no answer", []byte{0xce, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}, "error 65535"},
	} {
		client, server := net.Pipe()
		keys := make(chan uint64, 2)
		go serveScans(server, test.answer, keys)
		n, err := scanPage(client, newScanReader(client), 512, 7, 100)
		if key := <-keys; key != 7 {
			t.Errorf("%s: asked from %d on", test.name, key)
		}
		if test.err == "" && (err != nil || n != int64(len(test.answer)-xrow.FrameHead)) || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%s: %d bytes, %v", test.name, n, err)
		}
		server.Close()
		if _, err := scanPage(client, newScanReader(client), 512, 7, 100); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: behind the end %v", test.name, err)
		}
	}
}

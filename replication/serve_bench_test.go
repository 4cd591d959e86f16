package replication

import (
	"io"
	"net"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// fullBox holds n tuples of about 75 bytes in space 512.
func fullBox(b testing.TB, n int) *box.Box {
	b.Helper()
	full := box.New(box.Config{})
	load := func(space uint32, tuple []byte) {
		if err := full.Load(space, tuple); err != nil {
			b.Fatal(err)
		}
	}
	for _, d := range box.BootstrapRows(box.Profile3_8_0, testSet, testUUID(1), "", "") {
		load(d.SpaceID, d.Tuple)
		switch {
		case d.SpaceID == 280 && string(d.Tuple[1:4]) == "\xcd\x01\x8c": // behind the last system space
			load(280, []byte("\x97\xcd\x02\x00\x01\xa1t\xa5memtx\x00\x80\x90"))
		case d.SpaceID == 288 && string(d.Tuple[1:4]) == "\xcd\x01\x8c":
			load(288, []byte("\x96\xcd\x02\x00\x00\xa2pk\xa4tree\x81\xa6unique\xc3\x91\x92\x00\xa8unsigned"))
		}
	}
	value := make([]byte, 64)
	for i := range n {
		load(512, msgp.AppendStringFromBytes(msgp.AppendUint64([]byte{0x92}, uint64(i)), value))
	}
	if err := full.LoadDone(); err != nil {
		b.Fatal(err)
	}
	return full
}

// BenchmarkServeJoin sends a state to a peer that reads and forgets.
func BenchmarkServeJoin(b *testing.B) {
	const rows = 200_000
	full := fullBox(b, rows)
	h := newTestHub(b, 1, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	b.ReportAllocs()
	var sent uint64
	for b.Loop() {
		j := joinStream{hub: h.Hub, link: iproto.NewLink(conn, xrow.MaxFrame), version: 1}
		if err := j.send(&instance.Snapshot{View: full.OpenView()}); err != nil {
			b.Fatal(err)
		}
		sent += rows
	}
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "rows/s")
}

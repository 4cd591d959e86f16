package server

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// elsewise are requests of the recording that have another answer here, by their notes: ID
// announces other features, there is no Lua, and the queue has an owner.
var elsewise = []string{"-- ID", "EVAL in the stream", "CALL in the stream", "stream=9"}

// What a Tarantool 3.8 with memtx_use_mvcc_engine has answered in streams, to the byte but
// for schema versions and where in its sources an error is from.
func TestStreamsAsRecorded(t *testing.T) {
	f, err := os.Open("testdata/client-stream-3.8.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines, err := capture.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	s := newSet(t, 1, "")
	s.startAll()
	lead := s.leader()
	lead.call("box.schema.user.grant", "guest", "super")
	lead.call("box.schema.space.create", "test", map[string]any{"id": 512})
	lead.call("box.space.test:create_index", "pk")
	lead.call("box.space.test:insert", []any{1, "a", 1.5})
	conns := map[string]*iproto.Link{}
	skip := map[uint64]bool{} // answers to what was left out, by sync
	compared := 0
	for i, l := range lines {
		switch {
		case l.Kind == capture.Greeting:
			nc, err := net.Dial("tcp", lead.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if _, err := io.ReadFull(nc, make([]byte, iproto.GreetingSize)); err != nil {
				t.Fatal(err)
			}
			conns[l.Conn] = iproto.NewLink(nc, xrow.MaxFrame)
		case l.Kind == capture.EOF && l.From == capture.Client:
			conns[l.Conn].Close()
			s.until("nothing is open", func() bool { return s.txns().Open == 0 })
		case l.Kind != capture.Frame:
		case l.From == capture.Client:
			r, err := xrow.Decode(l.Data[xrow.FrameHead:])
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range elsewise {
				skip[r.Sync] = skip[r.Sync] || l.Conn == "1" && strings.Contains(l.Note, part)
			}
			if l.Conn == "1" && skip[r.Sync] {
				continue
			}
			if strings.Contains(l.Note, "error: timeout") {
				s.until("its time is over", func() bool { return s.txns().TimedOut == 1 })
			}
			if _, err := conns[l.Conn].Write(l.Data); err != nil {
				t.Fatal(err)
			}
		default:
			want, err := xrow.Decode(l.Data[xrow.FrameHead:])
			if err != nil {
				t.Fatal(err)
			}
			if l.Conn == "1" && skip[want.Sync] {
				continue
			}
			got, err := conns[l.Conn].ReadRow()
			if err != nil {
				t.Fatalf("line %d, %s: %v", i+1, l.Note, err)
			}
			if !sameAnswer(&got, &want) {
				t.Errorf("line %d: %s\n got %v %d %x\nwant %v %d %x", i+1, l.Note, got.Type, got.Sync, got.Body, want.Type, want.Sync, want.Body)
			}
			compared++
		}
	}
	if compared < 45 {
		t.Errorf("%d answers were compared", compared)
	}
}

func sameAnswer(got, want *xrow.Row) bool {
	if got.Type != want.Type || got.Sync != want.Sync {
		return false
	}
	g, w := got.AsError(), want.AsError()
	if g == nil || w == nil {
		return bytes.Equal(got.Body, want.Body)
	}
	return g.Message == w.Message && g.Class() == w.Class() && bytes.Equal(g.Fields, w.Fields)
}

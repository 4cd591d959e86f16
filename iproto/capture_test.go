package iproto

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// line is one line of a recorded conversation.
type line struct {
	Conn, From, Kind, Hex, Note string

	data []byte
	no   int
}

func (l *line) sync() uint64 { return binary.BigEndian.Uint64(l.data[14:]) }

func readCapture(t testing.TB, name string) []line {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var lines []line
	for sc := bufio.NewScanner(f); sc.Scan(); {
		l := line{no: len(lines) + 1}
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.data, err = hex.DecodeString(l.Hex); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// replay plays the client's part of a recording and compares what the server
// answers. before is called in front of each line.
func replay(t *testing.T, f *fixture, name string, before func(l, next line)) {
	lines := readCapture(t, name)
	peers := map[string]*peer{}
	last := "" // the connection that sent before
	for i, l := range lines {
		if before != nil && i+1 < len(lines) {
			before(l, lines[i+1])
		}
		switch {
		case l.Kind == "greeting":
			salt, err := base64.StdEncoding.DecodeString(string(l.data[64:108]))
			if err != nil {
				t.Fatal(err)
			}
			f.srv.salt = func(b []byte) error { copy(b, salt); return nil }
			p := f.connect()
			if p.greeting.UUID != testUUID || p.greeting.Version != "3.8.0" {
				t.Fatalf("greeting %+v", p.greeting)
			}
			peers[l.Conn] = p
		case l.Kind == "eof" && l.From == "client":
			peers[l.Conn].nc.Close()
		case l.Kind == "eof":
			if _, err := peers[l.Conn].link.ReadFrame(); err != io.EOF {
				t.Fatalf("line %d: got %v, want a closed connection", l.no, err)
			}
		case l.From == "client":
			if other := peers[last]; f.interleaved && other != nil && last != l.Conn {
				other.ping(0) // what it sent has been handled
			}
			last = l.Conn
			f.node.schema.Store(schemaOf(lines[i+1:], l.Conn, f.node.SchemaVersion()))
			if !f.inPieces {
				peers[l.Conn].send(l.data)
				continue
			}
			for _, b := range l.data {
				_, _ = peers[l.Conn].nc.Write([]byte{b}) // may be refused before its end
			}
		default:
			got, err := peers[l.Conn].link.ReadFrame()
			if err != nil {
				t.Fatalf("line %d (%s): %v", l.no, l.Note, err)
			}
			compare(t, l, got)
		}
	}
}

// schemaOf is the schema version that the next reply of a connection tells.
func schemaOf(lines []line, conn string, now uint64) uint64 {
	for _, l := range lines {
		if l.Conn == conn && l.From == "server" && l.Kind == "frame" && l.data[5] == 0x83 {
			return binary.BigEndian.Uint64(l.data[24:])
		}
	}
	return now
}

// compare checks a reply to the byte, but for what the source file of an error
// is called and for the causes behind the newest error.
func compare(t *testing.T, l line, got []byte) {
	t.Helper()
	want := l.data[xrow.FrameHead:]
	if bytes.Equal(got, want) {
		return
	}
	if strings.Contains(l.Note, "auth_type=") { // the answer to ID: our features are fewer
		if want := xrow.AppendReplyHead(nil, xrow.OK, l.sync(), 111)[xrow.FrameHead:]; !bytes.HasPrefix(got, want) {
			t.Fatalf("line %d: got %x", l.no, got)
		}
		return
	}
	w, err := xrow.Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	g, err := xrow.Decode(got)
	if err != nil {
		t.Fatal(err)
	}
	we, ge := w.AsError(), g.AsError()
	if we != nil && ge != nil && we.Message == "Unknown authentication method 'pap-sha256'" && ge.Code == xrow.ErrUnsupported {
		return // here it is known, and refused without TLS
	}
	if we == nil || ge == nil || !bytes.Equal(got[:27], want[:27]) ||
		we.Message != ge.Message || we.Class() != ge.Class() || !bytes.Equal(we.Fields, ge.Fields) {
		t.Fatalf("line %d: %s\n got %x\nwant %x", l.no, l.Note, got, want)
	}
}

func TestCaptureConnect(t *testing.T) {
	f := newFixture(t, nil)
	f.node.ballot = ballotOf(t, "connect")
	replay(t, f, "connect", nil)
}

func TestCaptureMalformed(t *testing.T) {
	replay(t, newFixture(t, nil), "malformed", nil)
}

// TestCaptureMalformedInPieces sends the same bytes one by one: a frame is the
// same frame however it arrives.
func TestCaptureMalformedInPieces(t *testing.T) {
	f := newFixture(t, nil)
	f.inPieces = true
	replay(t, f, "malformed", nil)
}

// broadcasts are what the EVALs of the recording do to keys that are watched.
var broadcasts = map[string][]string{
	"box.broadcast('my.key',{a=1}) box.broadcast('my.key','two')": {"my.key", "\x81\xa1a\x01", "my.key", "\xa3two"},
	"box.broadcast('my.key',3)":                                   {"my.key", "\x03"},
	"box.broadcast('my.key',4)":                                   {"my.key", "\x04"},
}

func TestCaptureWatch(t *testing.T) {
	f := newFixture(t, nil)
	f.interleaved = true
	f.node.onCall = func(c *Conn, q *Call) {
		set := broadcasts[q.Name]
		for i := 0; i < len(set); i += 2 {
			f.hub.Set(set[i], []byte(set[i+1]))
		}
		c.Reply(q.Sync, []byte{0x90}, nil)
		c.Flush()
	}
	replay(t, f, "watch", func(_, next line) {
		if next.Kind != "frame" || next.From != "server" || next.data[7] != byte(xrow.Event) {
			return
		}
		// The node's own keys take the value that was recorded next.
		row, err := xrow.Decode(next.data[xrow.FrameHead:])
		if err != nil {
			t.Fatal(err)
		}
		key, value, err := DecodeEvent(row.Body)
		if err != nil {
			t.Fatal(err)
		}
		if key != "my.key" && value != nil {
			f.hub.Update(key, value)
		}
	})
}

func ballotOf(t *testing.T, name string) []byte {
	for _, l := range readCapture(t, name) {
		if i := bytes.Index(l.data, []byte{0x81, byte(xrow.KeyBallot)}); l.From == "server" && l.Kind == "frame" && i > 0 {
			return l.data[i+2:]
		}
	}
	t.Fatal("no ballot recorded")
	return nil
}

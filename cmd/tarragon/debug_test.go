package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tarragon.dev/tarragon/internal/capture"
)

const talk = `{"t": 0.432, "conn": "1", "from": "client", "kind": "frame", "hex": "ce0000000481004182", "note": ""}
{"t": 0.433, "conn": "1", "from": "client", "kind": "frame", "hex": "ce000000038100", "no
{"t": 0.434, "conn": "2", "from": "server", "kind": "frame", "hex": "ce000000088100008126810126", "note": ""}
{"t": 0.500, "conn": "", "from": "recorder", "kind": "note", "hex": "", "note": "something is done"}
`

func TestDebugDecode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk.jsonl")
	if err := os.WriteFile(file, []byte(talk), 0o600); err != nil {
		t.Fatal(err)
	}
	out, complaints, err := runWith(t, nil, "debug", "decode", file)
	if want := "    0.432 1 -> JOIN BAD (body: xrow: malformed MessagePack: truncated input)\n" +
		"    0.434 2 <- OK {\"vclock\": {\"1\": 38}}\n    0.500 # something is done\n"; out != want {
		t.Errorf("\n got %s\nwant %s", out, want)
	}
	if exitCode(err) != exitUnhealthy || !strings.HasPrefix(complaints, "tarragon: line 2: ") {
		t.Errorf("%v, %s", err, complaints)
	}
	out, _, err = runWith(t, nil, "debug", "decode", file, "--conn", "2", "--json", "--raw")
	var m capture.Message
	if jerr := json.Unmarshal([]byte(out), &m); exitCode(err) != exitUnhealthy || jerr == nil && m.Type != "OK" || strings.Count(out, "\n") != 1 ||
		!strings.Contains(out, `"body":{"vclock":{"1":38}}`) || !strings.Contains(out, `"hex":"ce000000088100008126810126"`) {
		t.Errorf("%v\n%s", err, out)
	}
	for _, words := range [][]string{{"decode"}, {"decode", "a", "b"}, {"record", "x"}, {"record", "--listen", "a:1", "--to", "a:2"}, {"x"}} {
		if _, _, err := runWith(t, nil, append([]string{"debug"}, words...)...); exitCode(err) != exitUsage {
			t.Errorf("%v: %v", words, err)
		}
	}
}

// firstLine tells when something was written.
type firstLine struct {
	once sync.Once
	said chan struct{}
}

func (f *firstLine) Write(b []byte) (int, error) {
	f.once.Do(func() { close(f.said) })
	return len(b), nil
}

// TestDebugRecord records a connection between Unix sockets until it is
// interrupted, and does not overwrite the file.
func TestDebugRecord(t *testing.T) {
	dir := t.TempDir()
	target, err := net.Listen("unix", filepath.Join(dir, "to"))
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		if c, err := target.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	ctx, interrupt := context.WithCancel(t.Context())
	words := []string{"debug", "record", "--listen", filepath.Join(dir, "from"), "--to", filepath.Join(dir, "to"), filepath.Join(dir, "talk")}
	ready, done := &firstLine{said: make(chan struct{})}, make(chan error, 1)
	go func() { done <- run(ctx, words, process{in: strings.NewReader(""), out: io.Discard, err: ready}) }()
	<-ready.said
	c, err := net.Dial("unix", filepath.Join(dir, "from"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ping := []byte{0xce, 0, 0, 0, 3, 0x81, 0, 0x40}
	if _, err := c.Write(ping); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len(ping))); err != nil {
		t.Fatal(err)
	}
	interrupt()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	out, _, err := runWith(t, nil, "debug", "decode", filepath.Join(dir, "talk"))
	if err != nil || !strings.Contains(out, " 1 -> PING\n") || !strings.Contains(out, " 1 <- PING\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := run(t.Context(), words, process{in: strings.NewReader(""), out: io.Discard, err: io.Discard}); exitCode(err) != exitFailed {
		t.Errorf("the file was overwritten: %v", err)
	}
}

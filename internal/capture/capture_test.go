package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// frameOf is a PING with a body of n bytes of text.
func frameOf(n int) []byte {
	body := append([]byte{0x81, 0x30, 0xc6, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, n)...)
	return (&xrow.Row{Type: xrow.Ping, Sync: 7, Body: body}).Append(nil)
}

func greeting() []byte {
	b := bytes.Repeat([]byte{' '}, 128)
	copy(b, "Tarantool 3.8.0 (Binary) 11111111-0000-4000-8000-000000000001")
	copy(b[64:], "hxuPSYJzrA4lXm94yXjnN1T2ipVoX9bpbhIADDtyaVZ=")
	b[63], b[127] = '\n', '\n'
	return b
}

// pieces cuts a stream that arrives step bytes at a time.
func pieces(t *testing.T, from Side, stream []byte, step int) (kinds []Kind, all [][]byte) {
	t.Helper()
	c := NewCutter(from)
	emit := func(k Kind, b []byte) error {
		kinds, all = append(kinds, k), append(all, bytes.Clone(b))
		return nil
	}
	for len(stream) > 0 {
		n := min(step, len(stream))
		if err := c.Add(bytes.Clone(stream[:n]), emit); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
	}
	if err := c.Rest(emit); err != nil {
		t.Fatal(err)
	}
	return kinds, all
}

func kindsText(kinds []Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, " ")
}

// TestCutter: the same pieces however the bytes arrive, and never another byte.
func TestCutter(t *testing.T) {
	ping, odd := frameOf(3), []byte{0x05, 0x82, 0x00, 0x40, 0x01, 0x01}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, test := range []struct {
		name   string
		from   Side
		stream []byte
		want   string
	}{
		{"server", Server, join(greeting(), ping, ping), "greeting frame frame"},
		{"client", Client, join(ping, odd, ping), "frame raw frame"},
		{"server of another kind", Server, ping, "frame"},
		{"half a greeting", Server, greeting()[:100], "raw"},
		{"half a frame", Client, join(ping, ping[:len(ping)-1]), "frame raw"},
		{"half a length", Client, join(ping, []byte{0xce, 0, 0}), "frame raw"},
		{"empty frame", Client, join([]byte{0xce, 0, 0, 0, 0}, ping), "frame frame"},
	} {
		for _, step := range []int{1, 2, 7, 64, 129, 1 << 20} {
			kinds, all := pieces(t, test.from, test.stream, step)
			if got := kindsText(kinds); got != test.want {
				t.Errorf("%s, %d at a time: got %s, want %s", test.name, step, got, test.want)
			}
			if !bytes.Equal(join(all...), test.stream) {
				t.Errorf("%s, %d at a time: other bytes", test.name, step)
			}
		}
	}
}

// TestCutterOutOfStep: once no frame begins, nothing is held back or guessed.
func TestCutterOutOfStep(t *testing.T) {
	ping := frameOf(3)
	stream := bytes.Join([][]byte{ping, []byte("\xa3abc"), ping, ping}, nil)
	kinds, all := pieces(t, Client, stream, 16)
	if kinds[0] != Frame || strings.Contains(kindsText(kinds[1:]), "frame") || !bytes.Equal(bytes.Join(all, nil), stream) {
		t.Errorf("%v", kinds)
	}
}

// TestCutterLongFrame: a frame beyond the limit passes in pieces, at once, and
// the next one is a frame again.
func TestCutterLongFrame(t *testing.T) {
	long, ping := frameOf(MaxFrame), frameOf(1)
	stream := append(bytes.Clone(long), ping...)
	kinds, all := pieces(t, Client, stream, 1<<20)
	if n := len(kinds); n < 16 || kinds[0] != Raw || kinds[n-1] != Frame || !bytes.Equal(all[n-1], ping) || !bytes.Equal(bytes.Join(all, nil), stream) {
		t.Errorf("%v", kinds)
	}
	c := NewCutter(Client)
	held := 0
	if err := c.Add([]byte{0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2}, func(_ Kind, b []byte) error {
		held -= len(b)
		return nil
	}); err != nil || held+11 != 0 || len(c.pending) != 0 {
		t.Errorf("%v, %d bytes held", err, held+11)
	}
}

func TestLineForm(t *testing.T) {
	l := Line{T: 1.23449, Conn: "2", From: Client, Kind: Frame, Data: []byte{0xce, 0xff}, Note: `a "b" <c> & d`}
	b, err := l.append(nil)
	want := `{"t":1.234,"conn":"2","from":"client","kind":"frame","hex":"ceff","note":"a \"b\" <c> & d"}` + "\n"
	if err != nil || string(b) != want {
		t.Fatalf("%v\n got %swant %s", err, b, want)
	}
	lines, err := ReadAll(bytes.NewReader(append(b, b...)))
	l.T = 1.234
	if err != nil || len(lines) != 2 || !bytes.Equal(lines[1].Data, l.Data) || lines[1].Note != l.Note || lines[1].T != l.T {
		t.Errorf("%v, %+v", err, lines)
	}
}

// TestReaderDamage: a damaged line costs that line.
func TestReaderDamage(t *testing.T) {
	good := `{"t": 1, "conn": "1", "from": "client", "kind": "eof", "hex": "", "note": ""}`
	file := strings.Join([]string{good, `{"t": 1, "conn"`, `{"t": 1, "kind": "frame", "hex": "c"}`, `{"t": 1}`, `[]`, "",
		strings.Repeat("x", maxLine+1), good, good[:20]}, "\n")
	r := NewReader(strings.NewReader(file))
	var got []string
	for {
		l, err := r.Next()
		var bad *DamagedError
		switch {
		case errors.Is(err, io.EOF):
			if text := strings.Join(got, "; "); text != "eof; 2; 3; 4; 5; 7; eof; 9" {
				t.Error(text)
			}
			return
		case errors.As(err, &bad):
			line, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "line "), ":")
			got = append(got, line)
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, string(l.Kind))
		}
	}
}

// TestRecordedFiles: all that is in testdata is read, cut into the very frames
// that it is made of, and decoded without a complaint that is not meant.
func TestRecordedFiles(t *testing.T) {
	names, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := ReadAll(f)
		_ = f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, l := range lines {
			if l.Kind != Frame && l.Kind != Greeting {
				continue
			}
			kinds, all := pieces(t, l.From, l.Data, len(l.Data))
			if len(kinds) != 1 || kinds[0] != l.Kind || !bytes.Equal(all[0], l.Data) {
				t.Errorf("%s:%d: cut into %v", name, i+1, kinds)
			}
			if m := Decode(&l); m.Problem != "" {
				t.Errorf("%s:%d: %s", name, i+1, &m)
			}
		}
	}
}

func TestDecode(t *testing.T) {
	e := xrow.Errorf(xrow.ErrCfg, "replication", "duplicate").Row(3, 0)
	row := xrow.Row{Type: xrow.Insert, ReplicaID: 1, LSN: 64, TSN: 63, Timestamp: 1795294268.5, Flags: 7, Term: 2,
		Body: []byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x91, 10}}
	for _, test := range []struct {
		line Line
		want string
	}{
		{Line{T: 1, Conn: "3", From: Server, Kind: Frame, Data: row.Append(nil)},
			`    1.000 3 <- INSERT replica_id=1 lsn=64 timestamp=1795294268.500000 tsn=1 flags=commit|wait_sync|wait_ack term=2 {"space_id": 512, "tuple": [10]}`},
		{Line{T: 1, Conn: "3", From: Client, Kind: Frame, Data: e.Append(nil)},
			`    1.000 3 -> ERROR 59 CFG ClientError "Incorrect value for option 'replication': duplicate" sync=3`},
		{Line{T: 1, Conn: "3", From: Server, Kind: Greeting, Data: greeting()},
			`    1.000 3 <- GREETING {"uuid":"11111111-0000-4000-8000-000000000001","version":"3.8.0"}`},
		{Line{T: 1, Conn: "3", From: Server, Kind: EOF, Note: "server closed"}, `    1.000 3 <- EOF -- server closed`},
		{Line{T: 1, From: Observer, Kind: Note, Note: "now"}, `    1.000 # now`},
		{Line{Conn: "1", From: Client, Kind: Raw, Data: []byte{5, 0x82, 0, 0x40, 1, 1}, Note: "PING -- short length"},
			`    0.000 1 -> PING RAW 6 bytes sync=1 -- short length`},
		{Line{Conn: "1", From: Client, Kind: Raw, Data: []byte("\xa3abc")}, `    0.000 1 -> RAW 4 bytes BAD (no frame)`},
		{Line{Conn: "1", From: Client, Kind: Frame, Data: []byte{0xce, 0, 0, 0, 4, 0x81, 0, 2, 0xc1}},
			`    0.000 1 -> INSERT BAD (body: ` + mp.ErrMsgpack.Error() + `: reserved byte 0xc1)`},
		{Line{Conn: "1", From: Client, Kind: Frame, Data: []byte{0xce, 0, 0, 0, 1, 0x90}}, `    0.000 1 -> BAD (the header is no map)`},
		{Line{Conn: "1", From: Client, Kind: Frame, Data: []byte{0xce, 0, 0, 0, 9, 0x80}}, `    0.000 1 -> BAD (the length does not fit)`},
		{Line{Conn: "1", From: Client, Kind: Frame, Data: []byte{0xce, 0, 0, 0, 5, 0x81, 0, 0x7b, 0x80, 0}},
			`    0.000 1 -> TYPE(123) {} BAD (1 bytes behind the body)`},
		{Line{Conn: "1", From: Client, Kind: Frame}, `    0.000 1 -> BAD (no bytes)`},
		{Line{Conn: "1", From: Client, Kind: "new"}, `    0.000 1 -> NEW`},
	} {
		m := Decode(&test.line)
		if got := m.String(); got != test.want {
			t.Errorf("\n got %s\nwant %s", got, test.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(frameOf(2), true)
	f.Add(greeting(), false)
	f.Fuzz(func(t *testing.T, b []byte, client bool) {
		from := Server
		if client {
			from = Client
		}
		kinds, all := pieces(t, from, b, 5)
		if !bytes.Equal(bytes.Join(all, nil), b) {
			t.Fatal("other bytes")
		}
		for i, k := range kinds {
			m := Decode(&Line{Conn: "1", From: from, Kind: k, Data: all[i]})
			if text := m.String(); strings.Contains(text, "\n") {
				t.Fatalf("two lines: %q", text)
			}
		}
	})
}

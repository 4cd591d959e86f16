package replay

import (
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/xrow"
)

// talk is a recording.
type talk struct {
	name  string
	lines []capture.Line
}

func readTalk(t *testing.T, name string) *talk {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines, err := capture.ReadAll(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return &talk{name, lines}
}

// row decodes a recorded frame.
func row(t *testing.T, l *capture.Line) xrow.Row {
	t.Helper()
	r, err := xrow.Decode(l.Data[xrow.FrameHead:])
	if err != nil {
		t.Fatalf("%s: %v", say(l), err)
	}
	return r
}

// say describes a line for people.
func say(l *capture.Line) string {
	m := capture.Decode(l)
	return strings.TrimSpace(m.String())
}

// greeting is the first one of the recording.
func (k *talk) greeting() []byte {
	for _, l := range k.lines {
		if l.Kind == capture.Greeting {
			return l.Data
		}
	}
	return nil
}

// answerTo finds the first frame of the server behind a request of a type on
// the same connection; nil: there is none.
func (k *talk) answerTo(t *testing.T, want xrow.Type) *xrow.Row {
	t.Helper()
	asked := ""
	for i := range k.lines {
		l := &k.lines[i]
		if l.Kind != capture.Frame {
			continue
		}
		r := row(t, l)
		switch {
		case asked == "" && l.From == capture.Client && r.Type == want:
			asked = l.Conn
		case asked == l.Conn && l.From == capture.Server:
			return &r
		}
	}
	return nil
}

// snapshot are the rows of the first JOIN or FETCH_SNAPSHOT: all INSERTs of a
// server that have no LSN.
func (k *talk) snapshot(t *testing.T, conn string) (tuples []tuple) {
	t.Helper()
	for i := range k.lines {
		l := &k.lines[i]
		if l.Kind != capture.Frame || l.From != capture.Server || l.Conn != conn {
			continue
		}
		r := row(t, l)
		if r.Type != xrow.Insert || r.LSN != 0 {
			continue
		}
		d, err := xrow.DecodeDML(r.Type, r.Body)
		if err != nil {
			t.Fatal(err)
		}
		tuples = append(tuples, tuple{d.SpaceID, d.Tuple})
	}
	return tuples
}

type tuple struct {
	space uint32
	data  []byte
}

// logRows are all rows with an LSN that the server sent, each once, by LSN: the
// masters of these recordings are the only authors.
func (k *talk) logRows(t *testing.T) (rows []loggedRow) {
	t.Helper()
	seen := map[uint64]bool{}
	for i := range k.lines {
		l := &k.lines[i]
		if l.Kind != capture.Frame || l.From != capture.Server {
			continue
		}
		if r := row(t, l); r.LSN != 0 && !seen[r.LSN] {
			seen[r.LSN] = true
			rows = append(rows, loggedRow{r, l.Data})
		}
	}
	slices.SortFunc(rows, func(a, b loggedRow) int { return cmp.Compare(a.LSN, b.LSN) })
	return rows
}

type loggedRow struct {
	xrow.Row
	frame []byte
}

// fields are a body or header in readable form.
func fields(t *testing.T, text []byte) map[string]any {
	t.Helper()
	if text == nil {
		return nil
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// message decodes a row as it is on the wire.
func message(r *xrow.Row) capture.Message {
	return capture.Decode(&capture.Line{Kind: capture.Frame, Data: r.Append(nil)})
}

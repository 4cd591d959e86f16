package proc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/datadriven"
	"github.com/tinylib/msgp/msgp"
	"github.com/vmihailenco/msgpack/v5"
)

// TestScripts runs testdata: each line of a command is a call, its name and its
// arguments in JSON. The output has the rows that the call left in the log and
// its answer: => the DATA array, or ! code and text.
//
//	call [user=name] [16]
//	box.schema.space.create ["t"]
func TestScripts(t *testing.T) { runScripts(t, "testdata") }

// TestAttackProcedures runs scripts of what procedures must not do or tell.
func TestAttackProcedures(t *testing.T) { runScripts(t, "attacks") }

func runScripts(t *testing.T, dir string) {
	datadriven.Walk(t, dir, func(t *testing.T, path string) {
		c := newCaller(t, instance.ModeCandidate, func(e *Env) {
			e.Broadcast = func(string, []byte) {}
			e.Snapshot = func(done func(error)) { done(nil) }
			e.Su = func(uint64, box.Credentials) error { return nil }
			e.ShutdownTimeout = func(time.Duration) {}
			e.Procedures = programOf{"f": 2, "fails": 1}
		})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "call" && d.Cmd != "eval" {
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			return c.script(t, d)
		})
	})
}

func (c *caller) script(t *testing.T, d *datadriven.TestData) string {
	typ, user := xrow.Call, uint32(box.UserAdmin)
	if d.Cmd == "eval" {
		typ = xrow.Eval
	}
	if d.HasArg("16") {
		typ = xrow.Call16
	}
	if d.HasArg("user") {
		var name string
		d.ScanArgs(t, "user", &name)
		u, ok := c.node.core.Box().UserByName(name)
		if !ok {
			d.Fatalf(t, "no user %s", name)
		}
		user = u.ID
	}
	var out strings.Builder
	for _, line := range strings.Split(d.Input, "\n") {
		name, args := line, "[]"
		if at := strings.Index(line, " ["); at >= 0 && typ != xrow.Eval {
			name, args = line[:at], line[at+1:]
		}
		raw, err := fromJSON(args)
		if err != nil {
			d.Fatalf(t, "%s: %v", line, err)
		}
		if len(strings.Split(d.Input, "\n")) > 1 {
			fmt.Fprintln(&out, line)
		}
		a := c.call(user, typ, name, raw)
		c.node.settle()
		for _, row := range c.node.takeRows() {
			fmt.Fprintf(&out, "  %s\n", rowText(&row))
		}
		fmt.Fprintf(&out, "%s\n", a)
	}
	return out.String()
}

func (a *answer) String() string {
	switch {
	case a == nil:
		return "no answer"
	case a.err != nil:
		class := ""
		if c := a.err.Class(); c != "ClientError" {
			class = " " + c
		}
		s := fmt.Sprintf("! %d%s: %s", a.err.Code, class, a.err.Message)
		if a.err.Fields != nil && !repeats(a.err) {
			s += " " + text(a.err.Fields)
		}
		return s
	}
	return "=> " + text(a.data)
}

// repeats tells whether the fields of an error are its name, and words of its text.
func repeats(e *xrow.Error) bool {
	var fields map[string]any
	if err := msgpack.Unmarshal(e.Fields, &fields); err != nil || fields["name"] != e.Code.Error() {
		return false
	}
	delete(fields, "name")
	for _, v := range fields {
		if !strings.Contains(e.Message, fmt.Sprint(v)) {
			return false
		}
	}
	return true
}

// TestTextOfJSON keeps the tests' own tools honest.
func TestTextOfJSON(t *testing.T) {
	raw, err := fromJSON(`[1, -2, 1.5, "s", null, {"a": [true], "#3": {}}]`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := text(raw), `[1, -2, 1.5f, "s", nil, {"a": [true], 3: {}}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := text(msgp.AppendBytes(nil, []byte{1})); got != "0xc40101" {
		t.Errorf("binary: %s", got)
	}
}

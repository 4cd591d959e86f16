package proc

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// EVAL answers as Tarantool does, to the byte, or refuses by name.
func TestEvalAsRecorded(t *testing.T) {
	data, err := os.ReadFile("golden/eval-3.8.txt")
	if err != nil {
		t.Fatal(err)
	}
	args, err := fromJSON(`[null, 7, "seven"]`)
	if err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, instance.ModeCandidate, nil)
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		chunk, want := cells[0], cells[1]
		a := c.call(box.UserAdmin, xrow.Eval, chunk, args)
		got, refused := "", false
		switch {
		case a == nil:
			got = "no answer"
		case a.err == nil:
			got = hex.EncodeToString(a.data)
		case a.err.Code == xrow.ErrUnsupported && strings.HasPrefix(a.err.Message, "Tarragon does not support Lua: "):
			got, refused = want, true
		default:
			got = "! " + a.err.Message
		}
		if got != want || refused != (len(cells) > 2) {
			t.Errorf("%s: %s (refused: %v), want %s", chunk, got, refused, want)
		}
	}
}

// A text costs what is read of it, and what it returns is bounded like any answer.
func TestEvalBounds(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, func(e *Env) { e.MaxAnswer = 1000 })
	args, err := fromJSON(`["` + strings.Repeat("x", 400) + `"]`)
	if err != nil {
		t.Fatal(err)
	}
	const tooLarge, refused = "! 2 OutOfMemory: Failed to allocate", "! 5: Tarragon does not support Lua: a text of more than 64 KiB"
	for chunk, want := range map[string]string{
		"return (...), (...)":                         "=> ",
		"return (...), (...), (...)":                  tooLarge,
		"return #((...) .. (...))":                    "=> [800]",
		"return #((...) .. (...) .. (...))":           tooLarge,
		"return 1" + strings.Repeat(" ", maxChunk-8):  "=> [1]",
		"return 1 --" + strings.Repeat("-", maxChunk): refused,
	} {
		if a := c.call(box.UserAdmin, xrow.Eval, chunk, args).String(); !strings.HasPrefix(a, want) {
			t.Errorf("%.40s: %.100s, want %s", chunk, a, want)
		}
	}
}

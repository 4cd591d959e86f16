package proc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// FuzzCall: whatever is called with whatever arguments, nothing panics inside
// the core, and every call has one answer.
func FuzzCall(f *testing.F) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		f.Fatal("no scripts", err)
	}
	seen := map[string]int{} // a few calls of each are enough: every seed boots a core
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			name, args, ok := strings.Cut(strings.TrimSpace(line), " [")
			if !ok || strings.HasPrefix(name, "=>") || strings.HasPrefix(name, "!") {
				continue
			}
			if seen[name]++; seen[name] > 3 {
				continue
			}
			if raw, err := fromJSON("[" + args); err == nil {
				f.Add(name, raw)
			}
		}
	}
	f.Fuzz(func(t *testing.T, name string, args []byte) {
		if n, err := mp.Scan(args); err != nil || n != len(args) || value(args).kind() != kindArray {
			t.Skip()
		}
		if strings.HasPrefix(name, "box.ctl.wait_") {
			t.Skip()
		}
		c := newCaller(t, instance.ModeCandidate, func(e *Env) {
			e.Broadcast = func(string, []byte) {}
			e.Su = func(uint64, box.Credentials) error { return nil }
			e.SessionPeer = func(uint64) string { return "" }
		})
		c.admin("box.schema.space.create", `["t", {"format": [["id", "unsigned"], ["v", "string"]]}]`)
		c.admin("box.space.t:create_index", `["pk"]`)
		c.admin("box.space.t:create_index", `["v", {"parts": [["v"]], "unique": false}]`)
		c.admin("box.schema.user.create", `["u1"]`)
		a := c.call(box.UserAdmin, xrow.Call, name, args)
		c.node.settle()
		if _, ok := c.node.replies[c.sync]; a == nil && !ok {
			t.Fatalf("%q was not answered", name)
		}
	})
}

package proc

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// box.info tells of what is kept for peers and not served: to who sees the space,
// and functions to who reads _func.
func TestAttackInfoOfForeignObjects(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	for _, line := range []string{
		`box.space._func:insert [[70, 1, "payroll", 0, "LUA", "", "function", [], "any", "none", "none", false, false, true, ["LUA"], {}, "", "2025-01-01 00:00:00", "2025-01-01 00:00:00", []]]`,
		`box.schema.user.create ["caller"]`,
		`box.schema.user.grant ["caller", "execute", "universe"]`,
		`box.schema.user.create ["reader"]`,
		`box.schema.user.grant ["reader", "read,execute", "universe"]`,
	} {
		name, args, _ := strings.Cut(line, " ")
		if a := c.admin(name, args); a == nil || a.err != nil {
			t.Fatalf("%s: %v", line, a)
		}
		c.node.settle()
	}
	for user, sees := range map[string]bool{"caller": false, "reader": true} {
		u, _ := c.node.core.Box().UserByName(user)
		a := c.call(u.ID, xrow.Call, "box.info", []byte{0x90})
		if a.err != nil {
			t.Fatal(a.err)
		}
		if got := strings.Contains(string(a.data), "payroll"); got != sees {
			t.Errorf("%s is told of the function: %v", user, got)
		}
	}
}

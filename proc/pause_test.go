package proc

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"
)

// tarragon.pause and tarragon.resume: what they take, and what box.info shows then.
func TestPause(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	if a := c.admin("tarragon.pause", `[]`); a.err == nil || !strings.Contains(a.err.Message, "needs feature level 2, the replica set has 1") {
		t.Errorf("below its level: %s", a)
	}
	c.expect("tarragon.feature_raise", `[]`, "=> []")
	for _, bad := range []string{`[5]`, `["10m"]`, `[{"seconds": 0}]`, `[{"seconds": 0.5}]`, `[{"seconds": -1}]`, `[{"seconds": 86401}]`, `[{"seconds": "5"}]`,
		`[{"seconds": 1e300}]`, `[{"until": 5}]`, `[{"reason": 5}]`, `[{"reason": "` + strings.Repeat("x", 201) + `"}]`, `[{}, {}]`} {
		if a := c.admin("tarragon.pause", bad); a.err == nil || !strings.Contains(a.String(), "IllegalParams") {
			t.Errorf("%s: %s", bad, a)
		}
	}
	c.expect("tarragon.resume", `[]`, "=> [false]")
	c.node.takeRows()
	c.expect("tarragon.pause", `[{"seconds": 90, "reason": "new switch"}]`, "=> []")
	rows := c.node.takeRows()
	if want := `["pause", {"seconds": 90, "by": "admin", "reason": "new switch", "at": 1.7000000005e+09f}]`; text(value(rows[len(rows)-1].Tuple)) != want {
		t.Errorf("the row is %s", text(value(rows[len(rows)-1].Tuple)))
	}
	c.node.now.Mono += 30e9
	if got := c.admin("box.info", `[]`).String(); !strings.Contains(got, `"pause": {"left": 60f, "seconds": 90f, "by": "admin", "reason": "new switch"}`) {
		t.Errorf("box.info: %s", got)
	}
	c.expect("tarragon.pause", `[]`, "=> []")
	if got := c.admin("box.info", `[]`).String(); !strings.Contains(got, `"pause": {"left": 600f, "seconds": 600f, "by": "admin", "reason": ""}`) {
		t.Errorf("box.info: %s", got)
	}
	c.expect("tarragon.resume", `[]`, "=> [true]")
	c.expect("tarragon.resume", `[]`, "=> [false]")
	if got := c.admin("box.info", `[]`).String(); strings.Contains(got, `"pause"`) {
		t.Errorf("box.info behind resume: %s", got)
	}
}

package proc

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"
)

// box.ctl.switchover: what it takes. Alone in its set nobody can take over.
func TestSwitchover(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	for _, bad := range []string{`[5]`, `["i2"]`, `[{"mode": "slow"}]`, `[{"mode": 5}]`, `[{"to": {}}]`, `[{"max_lag": 0}]`, `[{"max_lag": -1}]`, `[{"max_lag": 1e300}]`,
		`[{"timeout": 0}]`, `[{"timeout": 61}]`, `[{"timeout": "5"}]`, `[{"reason": 5}]`, `[{"reason": "` + strings.Repeat("x", 201) + `"}]`, `[{"until": 5}]`, `[{}, {}]`} {
		if a := c.admin("box.ctl.switchover", bad); a.err == nil || !strings.Contains(a.String(), "IllegalParams") {
			t.Errorf("%s: %s", bad, a)
		}
	}
	for args, want := range map[string]string{`[]`: "nobody can take over", `[{"to": "i9"}]`: "'i9' is no member", `[{"to": 9}]`: "'9' is no member", `[{"to": 1, "mode": "fast"}]`: "leads already"} {
		if a := c.admin("box.ctl.switchover", args); a.err == nil || !strings.Contains(a.err.Message, "Switchover is refused: ") || !strings.Contains(a.err.Message, want) {
			t.Errorf("%s: %s", args, a)
		}
	}
	if got := c.admin("box.info", `[]`).String(); strings.Contains(got, `"moving"`) {
		t.Errorf("box.info: %s", got)
	}
}

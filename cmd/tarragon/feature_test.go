package main

import (
	"errors"
	"strings"
	"testing"
)

// feature show and raise ask the leader; status has a line.
func TestFeature(t *testing.T) {
	at := func(id int, name, state string, ro bool, level, reads int) map[string]any {
		m := info(id, name, state, ro)
		m["tarragon"] = map[string]any{"rules": "strong", "feature": map[string]any{"level": level, "reads": 3, "members": map[int]any{1: 3, 2: reads, 3: 0}}}
		return m
	}
	for _, test := range []struct {
		name   string
		level  int
		reads  int
		third  bool // has said what it reads
		answer any
		words  []string
		raise  string // empty: it fails
	}{
		{"not all have said", 1, 2, false, errors.New("refused"), []string{"feature level: 1\n", "i1        up to 3\n", "i2        up to 2\n", "i3        has not said\n"}, ""},
		{"all read more", 1, 2, true, true, []string{"feature level: 1, all members read 2: tarragon feature raise\n"}, "the feature level is 1, by i1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := at(1, "i1", "leader", false, test.level, test.reads)
			if test.third {
				m["tarragon"].(map[string]any)["feature"].(map[string]any)["members"].(map[int]any)[3] = 2
			}
			leader := serveFake(t, map[string]any{"box.info": m, "tarragon.feature_raise": test.answer})
			follower := serveFake(t, map[string]any{"box.info": at(2, "i2", "follower", true, 7, 7)})
			both := []string{"--addr", follower.address, "--addr", leader.address}
			out, _, err := runWith(t, nil, append([]string{"feature", "show"}, both...)...)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.words {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
			if out, _, _ := runWith(t, nil, append([]string{"status"}, both...)...); !strings.Contains(out, "feature level of") || !strings.Contains(out, ": "+test.words[0][len("feature level: "):]) {
				t.Errorf("status has no such line:\n%s", out)
			}
			out, _, err = runWith(t, nil, append([]string{"feature", "raise", "--level", "2"}, both...)...)
			if (err == nil) != (test.raise != "") || !strings.Contains(out, test.raise) {
				t.Errorf("raise: %v\n%s", err, out)
			}
			if got := strings.Join(leader.calls, " "); !strings.Contains(got, "tarragon.feature_raise[2]") {
				t.Errorf("calls of the leader: %s", got)
			}
		})
	}
	follower := serveFake(t, map[string]any{"box.info": at(2, "i2", "follower", true, 1, 1)})
	if _, _, err := runWith(t, nil, "feature", "raise", "--addr", follower.address); exitCode(err) != exitFailed {
		t.Errorf("raised without a leader: %v", err)
	}
}

package main

import (
	"strings"
	"testing"
)

// status has a line at a leader that another one is preferred to: when it hands over, or why not.
func TestStatusPreferred(t *testing.T) {
	for _, c := range []struct {
		name string
		told map[string]any
		want string
	}{
		{"it is well", map[string]any{"name": "i2", "calm": 60.0, "left": 41.25}, "\npreferred leader: i2 gets leadership back from i1 in 41.25s, if it is well for so long\n"},
		{"it is not", map[string]any{"name": "i2", "calm": 60.0, "why": "gives no word"}, "\npreferred leader: i2 gets nothing from i1: gives no word\n"},
		{"it leads", map[string]any{"name": "i1", "calm": 60.0, "why": "it leads"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			leads, follows := info(1, "i1", "leader", false), info(2, "i2", "follower", true)
			leads["tarragon"] = map[string]any{"rules": "strong", "preferred": c.told}
			follows["tarragon"] = map[string]any{"rules": "strong", "preferred": map[string]any{"name": "i2", "why": "this instance does not lead"}}
			out, _, _ := runWith(t, nil, "status", "--addr", serveFake(t, map[string]any{"box.info": leads}).address, "--addr", serveFake(t, map[string]any{"box.info": follows}).address)
			if c.want == "" && strings.Contains(out, "preferred leader") || !strings.Contains(out, c.want) || strings.Count(out, "preferred leader") > 1 {
				t.Errorf("%s", out)
			}
		})
	}
}

package main

import (
	"strings"
	"testing"
)

// pause and resume ask the leader; pause says who is not known to be paused, and
// status says loudly who is.
func TestPause(t *testing.T) {
	at := func(id int, name, state string, ro bool, pause any) map[string]any {
		m := info(id, name, state, ro)
		m["tarragon"] = map[string]any{"rules": "strong", "pause": pause}
		return m
	}
	counted := map[string]any{"left": 552.4, "seconds": 600, "by": "admin", "reason": "new\nswitch"}
	leader := serveFake(t, map[string]any{"box.info": at(1, "i1", "leader", false, counted), "tarragon.pause": true, "tarragon.resume": true})
	follower := serveFake(t, map[string]any{"box.info": at(2, "i2", "follower", true, nil)})
	both := []string{"--addr", follower.address, "--addr", leader.address}

	out, _, err := runWith(t, nil, append([]string{"pause", "--for", "90s", "--reason", "x"}, both...)...)
	if !strings.HasPrefix(out, "paused: no automatic elections for 1m30s, by i1") || !strings.HasSuffix(out, "\nnot known to be paused: i2 (has not heard of it yet)\n") || err != nil {
		t.Errorf("pause: %v\n%s", err, out)
	}
	if got := strings.Join(leader.calls, " "); !strings.Contains(got, "tarragon.pause[map[reason:x seconds:90]]") {
		t.Errorf("calls of the leader: %s", got)
	}
	if out, _, _ := runWith(t, nil, append([]string{"status"}, both...)...); !strings.Contains(out, `PAUSED at i1: no automatic elections for another 9m12s, by admin: "new\nswitch"`) ||
		strings.Contains(out, "PAUSED at i2") {
		t.Errorf("status:\n%s", out)
	}
	if out, _, err := runWith(t, nil, append([]string{"resume"}, both...)...); err != nil || !strings.HasPrefix(out, "resumed: instances elect a leader by themselves again, by i1") {
		t.Errorf("resume: %v\n%s", err, out)
	}
	idle := serveFake(t, map[string]any{"box.info": at(1, "i1", "leader", false, nil), "tarragon.resume": false})
	if out, _, err := runWith(t, nil, "resume", "--addr", idle.address); err != nil || !strings.HasPrefix(out, "it was not paused, by i1") {
		t.Errorf("resume of nothing: %v\n%s", err, out)
	}
	for _, verb := range []string{"pause", "resume"} {
		if _, _, err := runWith(t, nil, verb, "--addr", follower.address); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "no leader") {
			t.Errorf("%s without a leader: %v", verb, err)
		}
		if _, _, err := runWith(t, nil, verb, "i1", "--addr", leader.address); exitCode(err) != exitUsage {
			t.Errorf("%s of an instance: %v", verb, err)
		}
	}
}

package main

import (
	"strings"
	"testing"
)

// switchover asks the leader, says what came of it, and passes its options on; status
// shows a move that is under way.
func TestSwitchover(t *testing.T) {
	move := map[string]any{"name": "i2", "seconds": 0.25, "written": false, "lacks": 12, "by": "admin", "reason": "new\nkernel"}
	leads := info(1, "i1", "leader", false)
	leads["tarragon"] = map[string]any{"rules": "strong", "moving": move, "forwards": map[string]any{"open": 3, "bytes": 384, "answered": 12, "unknown": 1, "refused": 2}}
	answer := map[string]any{"to": 2, "name": "i2", "term": 9, "lsn": 4711, "held": 0.0063}
	leader := serveFake(t, map[string]any{"box.info": leads, "box.ctl.switchover": answer})
	follower := serveFake(t, map[string]any{"box.info": info(2, "i2", "follower", true)})
	both := []string{"--addr", follower.address, "--addr", leader.address}

	out, _, err := runWith(t, nil, append([]string{"switchover", "--to", "i2", "--fast", "--max-lag", "1000", "--reason", "x", "--timeout", "2s"}, both...)...)
	if want := "i2 leads in term 9; it took over from i1 at LSN 4711, writes waited for 6.3ms\n"; out != want || err != nil {
		t.Errorf("switchover: %v\n%s", err, out)
	}
	if _, _, err := runWith(t, nil, append([]string{"switchover", "--from", "i1"}, both...)...); err != nil {
		t.Error(err)
	}
	calls := len(leader.calls)
	out, _, err = runWith(t, nil, append([]string{"switchover", "--from", "i2"}, both...)...)
	if want := "i1 leads and not i2: nothing has to move\n"; out != want || err != nil || strings.Contains(strings.Join(leader.calls[calls:], " "), "box.ctl.switchover") {
		t.Errorf("from who does not lead: %v\n%s", err, out)
	}
	got := strings.Join(leader.calls, " ")
	for _, want := range []string{"box.ctl.switchover[map[max_lag:1000 mode:fast reason:x timeout:2 to:i2]]", "box.ctl.switchover[map[mode:strict timeout:5]]"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not among the calls of the leader: %s", want, got)
		}
	}
	if out, _, _ := runWith(t, nil, append([]string{"status"}, both...)...); !strings.Contains(out, `MOVING at i1: leadership to i2, which lacks 12 rows, for 250ms, by admin: "new\nkernel"; writes wait`) ||
		!strings.Contains(out, "\ni1: of the writes that it forwarded to leaders 12 were answered, 3 are open, the outcome of 1 is unknown, 2 were refused\n") || strings.Contains(out, "i2: of the writes") {
		t.Errorf("status:\n%s", out)
	}
	if _, _, err := runWith(t, nil, "switchover", "--addr", follower.address); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "no leader") {
		t.Errorf("without a leader: %v", err)
	}
	theirs := info(3, "i3", "leader", false)
	theirs["package"] = "Tarantool"
	tarantool := serveFake(t, map[string]any{"box.info": theirs})
	if _, _, err := runWith(t, nil, "switchover", "--addr", tarantool.address); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "i3 leads and is a Tarantool") {
		t.Errorf("of a Tarantool: %v", err)
	}
	for _, bad := range [][]string{{"--strict", "--fast"}, {"--from", "self"}, {"i2"}, {"--max-lag", "much"}} {
		if _, _, err := runWith(t, nil, append(append([]string{"switchover"}, bad...), both...)...); exitCode(err) != exitUsage {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

package server

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/replication"
)

// What each condition comes to: whether it is ready for reads and for writes, whether it is well, and what is said.
func TestHealthOfConditions(t *testing.T) {
	leads := func(change func(c *condition)) condition {
		c := condition{name: "a", ready: true, info: instance.Info{ID: 1, Mode: instance.ModeCandidate, State: raft.StateLeader, Leader: 1, LeaderSeen: true, QueueOwner: 1, QueueTerm: 3, Term: 3}}
		change(&c)
		return c
	}
	follows := func(status replication.State, text string) condition {
		return leads(func(c *condition) {
			c.info.ID, c.info.State, c.info.RO, c.info.ROReason = 2, raft.StateFollower, true, "election"
			c.peers = []replication.PeerStatus{{Upstream: &replication.UpstreamStatus{Status: status, Peer: "h:1", Message: text}}, {Downstream: &replication.DownstreamStatus{}}}
		})
	}
	for name, c := range map[string]struct {
		of                    condition
		reads, writes, health bool
		says                  string // in a reason or a warning
	}{
		"a leader":                {leads(func(*condition) {}), true, true, true, ""},
		"it stops":                {leads(func(c *condition) { c.stopping = true }), false, false, false, "it is stopping"},
		"it starts":               {condition{}, false, false, false, "it is starting"},
		"it hangs":                {condition{hangs: true}, false, false, false, "no step for 1s"},
		"a follower":              {follows(replication.StateFollow, ""), true, false, true, ""},
		"one that connects":       {follows(replication.StateConnect, ""), true, false, true, ""},
		"one whose stream broke":  {follows(replication.StateDisconnected, "refused"), true, false, true, "the stream from h:1 is disconnected: refused"},
		"one that does not know":  {follows(replication.StateStopped, ""), true, false, true, "the stream from h:1 is stopped"},
		"nobody leads":            {leads(func(c *condition) { c.info.Leader, c.info.LeaderSeen, c.info.RO = 0, false, true }), true, false, false, "it hears no leader"},
		"no elections":            {leads(func(c *condition) { c.info.Mode, c.info.Leader, c.info.LeaderSeen = instance.ModeOff, 0, false }), true, true, true, ""},
		"a broken disk":           {leads(func(c *condition) { c.info.Failed, c.info.RO = errors.New("no space"), true }), true, false, false, "the disk: no space"},
		"a slow disk":             {leads(func(c *condition) { c.info.Stalled = true }), true, true, true, "the disk stalls"},
		"a disk that is doubted":  {leads(func(c *condition) { c.info.Doubted = "b saw more of it" }), true, true, true, "b saw more of it"},
		"one that was expelled":   {leads(func(c *condition) { c.info.Expelled = true }), false, false, false, "expelled"},
		"split brain":             {leads(func(c *condition) { c.info.SplitBrains = []instance.SplitBrain{{Peer: 3, Text: "x"}} }), true, true, false, "split brain with instance 3: x"},
		"a fence":                 {leads(func(c *condition) { c.info.Node.Fence = true }), false, false, false, "administrators keep clients away"},
		"no leader by order":      {leads(func(c *condition) { c.info.Node.NoWrites = true }), true, true, true, "want it not to lead"},
		"a pause":                 {leads(func(c *condition) { c.info.Pause = instance.Pause{Left: time.Minute, Reason: "disks"} }), true, true, true, "paused for 1m0s more: disks"},
		"a founder":               {leads(func(c *condition) { c.info.Founding, c.info.RO = instance.Founding{Need: 2, Have: 1}, true }), true, false, true, "it has 1 of 2 voters"},
		"a filter that is gone":   {leads(func(c *condition) { c.info.Share = instance.ShareInfo{Filter: "f", Gone: true} }), true, true, true, "no filter f"},
		"something else is wrong": {leads(func(c *condition) { c.troubles = []string{"a checkpoint failed: x"} }), true, true, true, "a checkpoint failed: x"},
	} {
		ready, writes, health := c.of.judgeReady(false), c.of.judgeReady(true), c.of.judgeHealth()
		if ready.OK != c.reads || ready.Reads != c.reads || ready.Writes != c.writes || writes.OK != c.writes || health.OK != c.health {
			t.Errorf("%s: reads %+v, writes %+v, health %+v", name, ready, writes, health)
		}
		if writes.OK == (len(writes.Reasons) > 0) {
			t.Errorf("%s: %+v", name, writes)
		}
		all := slices.Concat(health.Reasons, health.Warnings)
		if len(all) != min(len(c.says), 1) || c.says != "" && !strings.Contains(all[0], c.says) {
			t.Errorf("%s: %q, want %q", name, all, c.says)
		}
	}
}

package proc

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
)

// TestStatistics: what monitoring asks for has the keys of Tarantool, and
// the numbers of the process.
func TestStatistics(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, func(e *Env) {
		e.Stats = func() Stats {
			return Stats{Requests: map[string]Counter{"SELECT": {7, 2}, "ERROR": {1, 0}}, All: Counter{9, 3}, Sent: Counter{100, 10}, Open: 2, InProgress: 1}
		}
		e.Heap = func() Heap { return Heap{Used: 5, Taken: 6} }
		e.Checkpoints = func() []vclock.VClock { return []vclock.VClock{{0: 1, 1: 4}} }
		e.Peers = func() []PeerStatus {
			return []PeerStatus{{UUID: "u", Downstream: &Downstream{VClock: []uint64{0, 3}}}, {UUID: "v"}}
		}
	})
	zero := `{"total": 0, "rps": 0}`
	var all []string
	for _, name := range StatNames {
		v := zero
		switch name {
		case "SELECT":
			v = `{"total": 7, "rps": 2}`
		case "ERROR":
			v = `{"total": 1, "rps": 0}`
		}
		all = append(all, `"`+name+`": `+v)
	}
	c.expect("box.stat", "[]", "=> [{"+strings.Join(all, ", ")+"}]")
	for name, parts := range map[string][]string{
		"box.stat.net":     {`"CONNECTIONS": {"total": 0, "rps": 0, "current": 2}`, `"REQUESTS": {"total": 9, "rps": 3, "current": 1}`, `"SENT": {"total": 100, "rps": 10}`, `"STREAMS"`},
		"box.slab.info":    {`"items_size"`, `"items_used"`, `"items_used_ratio": "`, `"quota_size"`, `"quota_used"`, `"quota_used_ratio": "`, `"arena_size"`, `"arena_used"`, `%"`},
		"box.info.memory":  {`"cache": 0, "data": `, `"lua": 5`, `"tx": 0`},
		"box.info.gc":      {`"checkpoints": [{"references": [], "vclock": {0: 1, 1: 4}, "signature": 5}]`, `"consumers": [{"name": "replica u", "vclock": {1: 3}, "signature": 3}]`, `"checkpoint_is_in_progress": false`},
		"box.runtime.info": {`"used": 6`, `"lua": 5`, `"tuple": `},
	} {
		got := c.admin(name, "[]").String()
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%s has no %s: %s", name, part, got)
			}
		}
	}
	if got := c.cfg(`{"memtx_memory": 1073741824}`).String(); got != "=> []" {
		t.Error(got)
	}
	c.showsOption(t, `"memtx_memory": 1073741824`)
	if got := c.admin("box.slab.info", "[]").String(); !strings.Contains(got, `"quota_size": 1073741824, "quota_used": 33554432, "quota_used_ratio": "3.12%"`) {
		t.Errorf("more memory: %s", got)
	}
	if got := c.admin("box.info", "[]").String(); !strings.Contains(got, `"memory": {"taken": 33554432, "limit": 1073741824}`) {
		t.Errorf("box.info: %s", got)
	}
	if m := c.p.memory(); m.Tuples <= 0 || m.Pages < m.Tuples || m.Indexes <= 0 || m.Nodes < m.Indexes {
		t.Errorf("memory: %+v", m)
	}
}

package replay

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/xrow"
)

const (
	filterSet     = "11111111-aaaa-4000-8000-00000000000a"
	filterMaster  = "11111111-0000-4000-8000-000000000001"
	filterReplica = "22222222-0000-4000-8000-000000000002"
	filterThird   = "33333333-0000-4000-8000-000000000003"
)

// otherwise are the cases in which our node says something else, and why.
var otherwise = map[string]string{
	// Our own words, and a state that is tried again (docs/protocol/divergence.md).
	"VCLOCK_SYNC that goes back":       "VCLOCK_SYNC goes back from 5 to 4",
	"candidate that votes for another": "A candidate without a vote for itself or without a vclock",
	"candidate without a vclock":       "A candidate without a vote for itself or without a vclock",
	"row of replica ID 32":             "Replica 32 is not registered with replica set",
	// Tarantool takes it, and no Tarantool sends it.
	"row without an LSN": "Unknown request type 3",
}

// TestFilter sends our node what a master made by hand had sent to a replica of
// 3.8.0, and checks that each row is judged as it was there: by the rules for
// late rows, by the order of transactions, by what a RAFT row must hold.
func TestFilter(t *testing.T) {
	all := readTalk(t, "filter-3.8")
	model := withMember(filterModel(t, readTalk(t, "anon-3.8")), 3, filterThird)
	cases := 0
	for i := range all.lines {
		name, ok := strings.CutPrefix(all.lines[i].Note, "case: ")
		if !ok || all.lines[i].Kind != capture.Note {
			continue
		}
		n := slices.IndexFunc(all.lines[i:], func(l capture.Line) bool { return strings.HasPrefix(l.Note, "judged: ") })
		lines := all.lines[i : i+n]
		verdict := strings.TrimPrefix(all.lines[i+n].Note, "judged: ")
		cases++
		t.Run(name, func(t *testing.T) { judge(t, &talk{"filter-3.8", lines}, model, verdict) })
	}
	if cases < 45 {
		t.Errorf("%d cases", cases)
	}
}

// judge plays one case and compares the verdict.
func judge(t *testing.T, k *talk, model []tuple, verdict string) {
	s := newScriptOf(t, k, `replication: {timeout: 30, reconnect_timeout: 10, peers: ['MASTER']}
database: {mode: ro, instance_uuid: `+filterReplica+`}
wal: {mode: write}
`)
	s.model = model
	s.m.setBallot([]byte{0x81, 0x29, 0x82, 0x06, 0xc3, 0x02, 0x81, 0x01, 0x0a})
	why, refused := strings.CutPrefix(verdict, "stopped: ")
	if ours := otherwise[strings.TrimPrefix(k.lines[0].Note, "case: ")]; ours != "" {
		why, refused = ours, true
	}
	if refused { // what was acked meanwhile need not be any more
		last := 0
		for i := range k.lines {
			if l := &k.lines[i]; l.Kind == capture.Frame && l.From == capture.Server {
				last = i
			}
		}
		k.lines = k.lines[:last+1]
	}
	s.n.start()
	s.play()
	if refused {
		s.live.ended()
		s.n.waitLog("upstream failed", why)
	}
}

// filterModel is the snapshot of the master: a recorded one with other UUIDs,
// and its spaces 512 and 513.
func filterModel(t *testing.T, k *talk) []tuple {
	all := k.snapshot(t, "1")
	model := freshOf(all, filterMaster, filterSet)
	for _, tp := range all {
		if (tp.space == xrow.SpaceSpace || tp.space == xrow.SpaceIndex) && number(tp.data, 0) >= xrow.FirstUserSpace {
			model = append(model, tp)
		}
	}
	slices.SortStableFunc(model, func(a, b tuple) int { return cmp.Compare(a.space, b.space) })
	return model
}

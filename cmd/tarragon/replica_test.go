package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// replicaServers are a leader and a follower that know replicas, and one of these.
func replicaServers(t *testing.T) (leader, follower, reader *fakeServer) {
	line := func(name, uuid, filter, state string, stream map[string]any) map[string]any {
		m := map[string]any{"name": name, "uuid": uuid, "filter": filter, "state": state}
		if stream != nil {
			m["stream"] = stream
		}
		return m
	}
	stream := func(version int, lag float64) map[string]any {
		return map[string]any{"status": "follow", "address": "10.0.0.7:40000", "acked_version": version, "lag": lag, "idle": 0.5, "memory": map[string]any{"taken": version << 20, "limit": 1 << 30}}
	}
	of := func(version int, lag float64) []any {
		return []any{line("old", "u8", "hr", "dropped", nil), line("r\n7", "u7", "hr", "registered", stream(version, lag)), line("r9", "u9", "", "registered", nil)}
	}
	leader = serveFake(t, map[string]any{"box.info": info(1, "i1", "leader", false), "tarragon.replica.alter": true, "tarragon.replica.drop": true,
		"tarragon.replica.list": of(6, 2), "tarragon.filter.list": []any{map[string]any{"name": "hr", "version": 7}}})
	follower = serveFake(t, map[string]any{"box.info": info(2, "i2", "follower", true), "tarragon.replica.list": of(7, 0.25)})
	own := info(0, "r7", "follower", true)
	own["uuid"] = "u7"
	own["tarragon"] = map[string]any{"memory": map[string]any{"taken": 5 << 20, "limit": 1 << 30},
		"filter": map[string]any{"name": "hr", "version": 7, "being_copied": []any{map[string]any{"space": "orders"}}, "copy": map[string]any{"percent": 61}}}
	reader = serveFake(t, map[string]any{"box.info": own, "tarragon.replica.list": of(0, 0)})
	return leader, follower, reader
}

// The leader makes changes, and is told them as they were given.
func TestReplicaChanges(t *testing.T) {
	leader, follower, _ := replicaServers(t)
	for _, test := range []struct{ words, call, out string }{
		{"alter r7 --filter sales", "tarragon.replica.alter[r7 map[filter:sales]]", "replica r7 is registered with filter sales, by i1"},
		{"alter r7 --filter=", "tarragon.replica.alter[r7 map[filter:]]", "replica r7 is registered with no filter, by i1"},
		{"drop r7", "tarragon.replica.drop[r7]", "replica r7 is dropped, by i1"},
	} {
		leader.calls = nil
		words := append(append([]string{"replica"}, strings.Fields(test.words)...), "--addr", follower.address, "--addr", leader.address)
		out, _, err := runWith(t, nil, words...)
		if err != nil || !strings.HasPrefix(out, test.out) {
			t.Errorf("%s: %v\n%s", test.words, err, out)
		}
		if got := strings.Join(leader.calls, " "); !strings.Contains(got, test.call) {
			t.Errorf("%s: calls of the leader: %s", test.words, got)
		}
	}
	for _, words := range []string{"alter", "alter r7", "alter r7 x --filter hr", "drop", "drop a b", "list x", "forget r7"} {
		if _, _, err := runWith(t, nil, append([]string{"replica"}, strings.Fields(words)...)...); exitCode(err) != exitUsage {
			t.Errorf("replica %s: %v", words, err)
		}
	}
	refused := errors.New("Replica 'r7' does not exist")
	bad := serveFake(t, map[string]any{"box.info": info(1, "i1", "leader", false), "tarragon.replica.alter": refused, "tarragon.replica.drop": refused, "tarragon.replica.list": refused})
	for _, words := range []string{"alter r7 --filter hr", "drop r7", "list"} {
		verb := "replica " + strings.Fields(words)[0]
		if _, _, err := runWith(t, nil, append([]string{"replica"}, append(strings.Fields(words), "--addr", bad.address)...)...); exitCode(err) != exitFailed ||
			!strings.Contains(err.Error(), verb+": i1") || !strings.Contains(err.Error(), refused.Error()+" (error 1)") {
			t.Errorf("%s: %v", words, err)
		}
		if _, _, err := runWith(t, nil, append([]string{"replica"}, append(strings.Fields(words), "--addr", follower.address)...)...); exitCode(err) != exitFailed ||
			!strings.Contains(err.Error(), verb+": no leader") {
			t.Errorf("%s without a leader: %v", words, err)
		}
	}
}

// List merges what all say: the leader the rows, members their streams, a replica itself.
func TestReplicaList(t *testing.T) {
	leader, follower, reader := replicaServers(t)
	addrs := []string{"--addr", follower.address, "--addr", reader.address, "--addr", leader.address}
	out, _, err := runWith(t, nil, append([]string{"replica", "list"}, addrs...)...)
	if want := `REPLICA  KIND      FILTER  VERSION  ACKED  LAG    COPYING      MEMORY     CONNECTED TO
"r\n7"   filtered  hr      7        7      0.2 s  orders 61 %  5 MiB      i2, i1
r9       full      -       -        -      -      -            not asked  -
old      dropped   hr      -        -      -      -            not asked  -
`; err != nil || out != want {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = runWith(t, nil, append([]string{"replica", "list", "--json"}, addrs...)...)
	var got struct {
		Replicas []map[string]any `json:"replicas"`
	}
	if jerr := json.Unmarshal([]byte(out), &got); err != nil || jerr != nil || len(got.Replicas) != 3 {
		t.Fatalf("%v, %v\n%s", err, jerr, out)
	}
	if r := got.Replicas[0]; r["name"] != "r\n7" || r["uuid"] != "u7" || r["kind"] != "filtered" || r["acked_version"] != 7.0 || r["filter_version"] != 7.0 || len(r["streams"].([]any)) != 2 ||
		r["memory"].(map[string]any)["taken"] != float64(5<<20) {
		t.Errorf("%v", r)
	}
	out, _, err = runWith(t, nil, "replica", "list", "--addr", follower.address, "--addr", leader.address)
	if want := "\"r\\n7\"   filtered  hr      7        7      0.2 s  -        7 MiB      i2, i1\n"; err != nil || !strings.Contains(out, want) {
		t.Errorf("where the replica is not asked: %v\n%s", err, out)
	}
	none := serveFake(t, map[string]any{"box.info": info(1, "i1", "leader", false), "tarragon.replica.list": []any{}, "tarragon.filter.list": []any{}})
	if out, _, err := runWith(t, nil, "replica", "list", "--addr", none.address); err != nil || out != "no replicas are registered\n" {
		t.Errorf("list of none: %v\n%s", err, out)
	}
}

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/router"

	"github.com/tarantool/go-tarantool/v2/datetime"
)

// info is the box.info of a Tarantool 3, for one of three.
func info(id int, name, state string, ro bool) map[string]any {
	return infoOf("r1", id, name, state, ro)
}

func infoOf(set string, id int, name, state string, ro bool) map[string]any {
	m := map[string]any{
		"version": "3.8.0", "id": id, "name": name, "uuid": "856d80e3-0000-4000-8000-000000000001", "status": "running",
		"replicaset": map[string]any{"uuid": "2d095c12-0000-4000-8000-000000000001", "name": set},
		"ro":         ro, "signature": 17, "vclock": map[int]any{0: 2, 1: 15}, "uptime": 13,
		"election": map[string]any{"state": state, "term": 2, "vote": 1, "leader": 1, "leader_name": "i1", "leader_idle": 0.67},
		"synchro":  map[string]any{"quorum": 2, "queue": map[string]any{"owner": 1, "term": 2, "len": 3, "age": 0.25}},
		"replication": map[int]any{
			1: map[string]any{"id": 1, "name": "i1", "lsn": 15,
				"upstream":   map[string]any{"status": "follow", "idle": 0.67, "peer": "repl@127.0.0.1:3961", "lag": 9e-05},
				"downstream": map[string]any{"status": "stopped", "message": "unexpected EOF", "system_message": "Broken pipe"}},
			2: map[string]any{"id": 2, "name": "i2", "lsn": 0},
			3: map[string]any{"id": 3, "name": "i3"},
		},
	}
	if ro {
		m["ro_reason"] = "election"
	}
	return m
}

func TestStatusTable(t *testing.T) {
	leader := serveFake(t, map[string]any{"box.info": info(1, "i1", "leader", false)})
	follower := serveFake(t, map[string]any{"box.info": info(2, "i2", "follower", true)})
	out, errOut, err := runWith(t, nil, "status", "--addr", leader.address, "--addr", follower.address)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errOut)
	}
	out = strings.NewReplacer(leader.address, "LEADER", follower.address, "FOLLOWER").Replace(out)
	for _, want := range []string{"INSTANCE", "i1", "i2", "leader", "{0: 2, 1: 15}", "90µs", "3 of i1, oldest 250ms", "election", "1/1", "0/1",
		"i1: last error: i1: unexpected EOF (Broken pipe)", "i2: downstream i1 is stopped: unexpected EOF (Broken pipe)"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

// A mixed set: of which kind each is, the rules and why, split brain with what to
// do, and what is kept without being served; nothing is wider than a terminal.
func TestStatusMixed(t *testing.T) {
	ours := info(2, "i2", "follower", true)
	ours["package"], ours["version"] = "Tarragon", "3.8.0-tarragon"
	ours["replication"].(map[int]any)[1].(map[string]any)["upstream"] = map[string]any{"status": "stopped", "peer": "repl@127.0.0.1:3961",
		"message": "Split-Brain discovered: got an async transaction from an old term"}
	ours["tarragon"] = map[string]any{"rules": "tarantool", "kinds": map[int]any{1: "Tarantool", 2: "Tarragon", 3: "Tarantool"},
		"not_served":  []any{"engine 'vinyl' of space 'orders'"},
		"split_brain": []any{map[string]any{"peer": 1, "message": "x"}, map[string]any{"peer": 3, "message": "Split-Brain discovered: y"}}}
	ours["replication"].(map[int]any)[3].(map[string]any)["downstream"] = map[string]any{"status": "sync", "message": "sent 5 of about 10 rows of the state"}
	theirs := info(1, "i1", "leader", false)
	theirs["package"], theirs["version"] = "Tarantool", "3.8.0-0-gdce7be8a79"
	at, err := datetime.MakeDatetime(time.Unix(1700000000, 0).UTC())
	if err != nil {
		t.Fatal(err)
	}
	theirs["config"] = map[string]any{"alerts": []any{map[string]any{"timestamp": at}}}
	one := serveFake(t, map[string]any{"box.info": theirs})
	two := serveFake(t, map[string]any{"box.info": ours})
	out, _, err := runWith(t, nil, "status", "--addr", one.address, "--addr", two.address)
	if exitCode(err) != exitUnhealthy {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
	for _, want := range []string{"Tarantool 3.8.0  leader", "Tarragon         follower", "rules of r1: Tarantool's: i1, i3 are of that kind",
		"not kept: ", "i3 are of that kind",
		"i2: upstream i1 is stopped: Split-Brain discovered: got an async transaction from an old term", "To go on without the rows", "it joins anew",
		"kept and replicated, but not served by i2:\n  engine 'vinyl' of space 'orders'\n",
		"SPLIT BRAIN: i2 does not follow i1, i3 any more", "i2: downstream i3 is sync: sent 5 of about 10 rows of the state"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		if len(line) > 100 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	js, _, _ := runWith(t, nil, "status", "--json", "--addr", one.address, "--addr", two.address)
	for _, want := range []string{`"kind": "Tarragon"`, `"rules": "tarantool"`, `"split_brain": [`, `"tarantools": [`, `"not_served": [`} {
		if !strings.Contains(js, want) {
			t.Errorf("%q is missing in\n%s", want, js)
		}
	}
}

func TestStatusUnhealthy(t *testing.T) {
	follower := serveFake(t, map[string]any{"box.info": info(2, "i2", "follower", true)})
	denied := serveFake(t, map[string]any{"box.info": errors.New("Execute access to function 'box.info' is denied for user 'guest'")})
	out, _, err := runWith(t, nil, "status", "--json", "--addr", follower.address, "--addr", denied.address, "--addr", freeAddress(t))
	if exitCode(err) != exitUnhealthy {
		t.Errorf("exit code %d, %v", exitCode(err), err)
	}
	var got struct {
		Instances []instanceInfo
		Problems  []string
		Healthy   bool
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got.Healthy || len(got.Instances) != 3 || len(got.Problems) != 3 || got.Instances[0].Error != "" ||
		!strings.Contains(got.Instances[1].Error, "denied") || got.Instances[2].Error == "" {
		t.Errorf("%s", out)
	}
	out, _, err = runWith(t, nil, "status", "--addr", follower.address)
	if exitCode(err) != exitUnhealthy || !strings.Contains(out, "no leader") {
		t.Errorf("no leader: %v\n%s", err, out)
	}
}

// TestTwoLeaders: two instances that lead the same term are the worst news.
func TestTwoLeaders(t *testing.T) {
	one := serveFake(t, map[string]any{"box.info": info(1, "i1", "leader", false)})
	two := serveFake(t, map[string]any{"box.info": info(2, "i2", "leader", false)})
	out, _, err := runWith(t, nil, "status", "--addr", one.address, "--addr", two.address)
	if exitCode(err) != exitUnhealthy || !strings.Contains(out, "i1 and i2 both lead term 2") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReplicasets: each replica set needs a leader of its own, and two of them
// may lead the same term.
func TestReplicasets(t *testing.T) {
	one := serveFake(t, map[string]any{"box.info": infoOf("r1", 1, "i1", "leader", false)})
	two := serveFake(t, map[string]any{"box.info": infoOf("r2", 2, "i2", "leader", false)})
	three := serveFake(t, map[string]any{"box.info": infoOf("r3", 3, "i3", "follower", true)})
	if out, _, err := runWith(t, nil, "status", "--addr", one.address, "--addr", two.address); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err := runWith(t, nil, "status", "--addr", one.address, "--addr", three.address)
	if exitCode(err) != exitUnhealthy || !strings.Contains(out, "may write in replica set r3") {
		t.Errorf("%v\n%s", err, out)
	}
}

// freeAddress is one where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	addr, err := cluster.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func TestControl(t *testing.T) {
	functions := func(m map[string]any) map[string]any {
		return map[string]any{"box.info": m, "box.ctl.promote": true, "box.ctl.demote": errors.New("no"), "tarragon.expel": true}
	}
	leader := serveFake(t, functions(info(1, "i1", "leader", false)))
	follower := serveFake(t, functions(info(2, "i2", "follower", true)))
	both := []string{"--addr", leader.address, "--addr", follower.address, "--addr", freeAddress(t)}
	with := func(words ...string) []string { return append(words, both...) }

	if out, _, err := runWith(t, nil, with("promote", "i2")...); err != nil || !strings.Contains(out, "is the leader") {
		t.Errorf("promote: %v %s", err, out)
	}
	if _, _, err := runWith(t, nil, with("demote", "i1")...); exitCode(err) != exitFailed {
		t.Errorf("demote: %v", err)
	}
	if _, _, err := runWith(t, nil, with("promote")...); exitCode(err) != exitUsage {
		t.Errorf("no name: %v", err)
	}
	if _, _, err := runWith(t, nil, with("promote", "i9")...); exitCode(err) != exitFailed {
		t.Errorf("unknown name, one does not answer: %v", err)
	}
	if _, _, err := runWith(t, nil, "promote", "i9", "--addr", leader.address); exitCode(err) != exitUsage {
		t.Errorf("unknown name: %v", err)
	}
	if out, _, err := runWith(t, nil, with("expel", "i3")...); err != nil || !strings.Contains(out, "i3 is expelled, by i1") {
		t.Errorf("expel: %v %s", err, out)
	}
	if _, _, err := runWith(t, nil, with("expel", "i4")...); exitCode(err) != exitFailed {
		t.Errorf("expel a stranger: %v", err)
	}
	if _, _, err := runWith(t, nil, "expel", "i3", "--addr", follower.address); exitCode(err) != exitFailed {
		t.Errorf("expel without a leader: %v", err)
	}
	if got := strings.Join(follower.calls, " "); !strings.Contains(got, "box.ctl.promote[]") || strings.Contains(got, "expel") {
		t.Errorf("calls of the follower: %s", got)
	}
	if got := strings.Join(leader.calls, " "); !strings.Contains(got, "tarragon.expel[i3]") {
		t.Errorf("calls of the leader: %s", got)
	}
}

func TestTargets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := `
credentials: {users: {repl: {password: a, roles: [replication]}, root: {password: b, roles: [super]}}}
iproto: {advertise: {peer: {login: repl}}}
groups: {g: {replicasets: {r: {instances: {
  i1: {iproto: {listen: [{uri: '127.0.0.1:1'}]}}, i2: {iproto: {listen: [{uri: '127.0.0.1:2'}], advertise: {client: 'host:9'}}}, i3: {}}}}}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := connectFlags{file: file}
	got, err := f.targets(process{})
	if err != nil || len(got) != 3 || got[0].login != "root" || got[0].password != "b" || got[1].uri.Address() != "host:9" || !got[2].uri.IsZero() {
		t.Errorf("%v %+v", err, got)
	}
	got, err = f.targets(process{environ: []string{"TT_CLI_USERNAME=u", "TT_CLI_PASSWORD=p"}})
	if err != nil || got[0].login != "u" || got[0].password != "p" {
		t.Errorf("%v %+v", err, got)
	}
	if _, err := (&connectFlags{file: file, addrs: []string{"x:1"}}).targets(process{}); exitCode(err) != exitUsage {
		t.Errorf("both: %v", err)
	}
	t.Chdir(t.TempDir())
	if _, err := (&connectFlags{}).targets(process{}); exitCode(err) != exitUsage {
		t.Errorf("nothing: %v", err)
	}
}

// Who does not count yet, and whose file asks for another quorum than the replica
// set has.
func TestStatusOfWhoCounts(t *testing.T) {
	leader, follower := info(1, "i1", "leader", false), info(2, "i2", "follower", true)
	leader["tarragon"] = map[string]any{"rules": "strong", "learners": []any{3}, "quorum": map[string]any{"value": "N / 2 + 1", "file": "N/2+1"}}
	follower["tarragon"] = map[string]any{"rules": "strong", "learners": []any{3}, "quorum": map[string]any{"value": "N / 2 + 1", "file": "3"}}
	out, errOut, err := runWith(t, nil, "status", "--addr", serveFake(t, map[string]any{"box.info": leader}).address,
		"--addr", serveFake(t, map[string]any{"box.info": follower}).address)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errOut)
	}
	for _, want := range []string{"i1: not counted before they have caught up: i3\n",
		"i2: its file asks for replication.synchro_quorum 3, the replica set has N / 2 + 1\n"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, out)
		}
	}
	if strings.Contains(out, "i1: its file") {
		t.Errorf("spaces make no difference:\n%s", out)
	}
}

// What administrators said of instances is told once for each replica set, and routers in instances tell where
// they lead to.
func TestStatusOfRouters(t *testing.T) {
	lead, follow := info(1, "i1", "leader", false), info(2, "i2", "follower", true)
	nodes := []any{
		map[string]any{"name": "i2", "uuid": "u2", "route_fence": true, "route_writes": true, "route_priority": -3},
		map[string]any{"name": "i3", "uuid": "u3", "route_fence": false, "route_writes": false, "route_priority": 0},
		map[string]any{"name": "i1", "uuid": "u1", "route_fence": false, "route_writes": true, "route_priority": 0},
	}
	lead["tarragon"] = map[string]any{"rules": "strong", "nodes": nodes}
	follow["tarragon"] = map[string]any{"rules": "strong", "nodes": nodes, "router": &router.Stats{
		Leader: "i1", Failovers: 2, Hidden: 1,
		Ports:     []router.PortStats{{Port: "rw", LeadsTo: []string{"i1"}, Why: "i1 takes writes", Clients: 12, Refused: 3}, {Port: "ro", Why: "no reader"}},
		Instances: []router.InstanceStats{{Name: "i1", Answers: true, Backends: 8, UnderWay: 1}, {Name: "i2", Why: "refused"}},
		Held:      router.HeldStats{Now: 4, Bytes: 1028, Total: 5, Expired: 6, Again: 7, Unknown: 9},
		Writes:    router.WriteStats{Numbered: 100, Repeated: 10, Sessions: 1},
	}}
	one, two := serveFake(t, map[string]any{"box.info": lead}), serveFake(t, map[string]any{"box.info": follow})
	out, _, err := runWith(t, nil, "status", "--addr", one.address, "--addr", two.address)
	if err != nil {
		t.Fatal(err, out)
	}
	flat := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"by 'tarragon node set' i2 is FENCED (no clients by routers, no leadership), i2 has priority -3, i3 shall not lead",
		"router at i2: rw leads to i1 (i1 takes writes): 12 clients; 3 refused, there was no room ro leads nowhere (no reader): 0 clients",
		"connections: i1 8 with 1 request under way, i2 does not answer (refused)",
		"since its start: 2 failovers, 1 hidden from all clients; 5 requests held, 6 in vain; 7 requests sent again, 10 of 100 writes under numbers; the outcome of 9 is unknown",
		"now: 4 requests held (1028 bytes), 1 exactly-once session open",
	} {
		if strings.Count(flat, want) != 1 {
			t.Errorf("%q is missing, or there twice, in\n%s", want, out)
		}
	}
	js, _, _ := runWith(t, nil, "status", "--json", "--addr", two.address)
	for _, want := range []string{`"route_fence": true`, `"router": {`, `"failovers": 2`} {
		if !strings.Contains(js, want) {
			t.Errorf("%q is missing in\n%s", want, js)
		}
	}
}

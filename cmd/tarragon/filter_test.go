package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// filterServers are a leader that answers the verbs of filters, and a follower.
func filterServers(t *testing.T) (leader, follower *fakeServer) {
	object := func(id int, name string) map[string]any { return map[string]any{"id": id, "name": name} }
	leader = serveFake(t, map[string]any{
		"box.info": info(1, "i1", "leader", false), "tarragon.filter.create": 1, "tarragon.filter.alter": 7, "tarragon.filter.drop": []any{"r1", "r2"},
		"tarragon.filter.list": []any{map[string]any{"name": "hr", "version": 7, "include_new": false, "spaces": 2, "absent": 1, "indexes": 1, "sequences": 0, "replicas": []any{"r1", "r2"}},
			map[string]any{"name": "rest", "version": 3, "include_new": true, "spaces": 1, "absent": 2, "indexes": 0, "sequences": 4}},
		"tarragon.filter.show": map[string]any{"name": "hr", "version": 7, "include_new": false, "spaces": []any{object(513, "staff"), object(514, "wages\n")},
			"absent": []any{object(512, "orders")}, "indexes": []any{map[string]any{"space": "staff", "space_id": 513, "name": "by_name", "id": 1}},
			"sequences": []any{object(7, "bills")}, "former": []any{6, 1}, "replicas": []any{"r1"}},
	})
	return leader, serveFake(t, map[string]any{"box.info": info(2, "i2", "follower", true)})
}

// The leader makes changes, and is told them as they were given; what was done is said.
func TestFilterChanges(t *testing.T) {
	leader, follower := filterServers(t)
	for _, test := range []struct{ words, call, out string }{
		{"create hr --empty", "tarragon.filter.create[hr map[empty:true]]", "filter hr is made (version 1), by i1"},
		{"create hr --full --exclude-new", "tarragon.filter.create[hr map[exclude_new:true full:true]]", "filter hr is made (version 1), by i1"},
		{"create hr --empty --include-new", "tarragon.filter.create[hr map[empty:true include_new:true]]", "filter hr is made (version 1), by i1"},
		{"alter hr --rename people", "tarragon.filter.alter[hr map[rename:people]]", "filter hr is people now (version 7), by i1"},
		{"alter hr --add space staff 514", "tarragon.filter.alter[hr map[add:map[space:[staff 514]]]]", "filter hr has space staff, 514 (version 7), by i1"},
		{"alter hr --remove index staff.by_name", "tarragon.filter.alter[hr map[remove:map[index:[staff.by_name]]]]", "filter hr leaves out index staff.by_name (version 7), by i1"},
		{"alter hr --remove sequence bills", "tarragon.filter.alter[hr map[remove:map[sequence:[bills]]]]", "filter hr leaves out sequence bills (version 7), by i1"},
		{"drop hr", "tarragon.filter.drop[hr map[force:false]]", "filter hr is dropped, with the replicas r1, r2, by i1"},
		{"drop hr --force", "tarragon.filter.drop[hr map[force:true]]", "filter hr is dropped, with the replicas r1, r2, by i1"},
	} {
		leader.calls = nil
		words := append(append([]string{"filter"}, strings.Fields(test.words)...), "--addr", follower.address, "--addr", leader.address)
		out, _, err := runWith(t, nil, words...)
		if err != nil || !strings.HasPrefix(out, test.out) {
			t.Errorf("%s: %v\n%s", test.words, err, out)
		}
		if got := strings.Join(leader.calls, " "); !strings.Contains(got, test.call) {
			t.Errorf("%s: calls of the leader: %s", test.words, got)
		}
	}
}

// What is no command is a mistake in the arguments, and asks nobody.
func TestFilterUsage(t *testing.T) {
	for _, words := range []string{"create", "create hr", "create hr --empty --full", "create hr --full --include-new --exclude-new", "create hr x --full", "alter", "alter hr",
		"alter hr --add space", "alter hr --add table orders", "alter hr --add space orders --remove space staff", "alter hr --rename people orders", "alter hr --rename x --add space y",
		"drop", "drop hr x", "list hr", "show", "show hr x", "forget hr"} {
		if _, _, err := runWith(t, nil, append([]string{"filter"}, strings.Fields(words)...)...); exitCode(err) != exitUsage {
			t.Errorf("filter %s: %v", words, err)
		}
	}
}

// An error of the leader, and no leader, end with the code of failure.
func TestFilterFails(t *testing.T) {
	refused := errors.New("Filter 'hr' does not exist")
	leader := serveFake(t, map[string]any{"box.info": info(1, "i1", "leader", false), "tarragon.filter.create": refused, "tarragon.filter.alter": refused,
		"tarragon.filter.drop": refused, "tarragon.filter.list": refused, "tarragon.filter.show": refused})
	_, follower := filterServers(t)
	for _, words := range []string{"create hr --full", "alter hr --rename x", "drop hr", "list", "show hr"} {
		noLeader := "no leader"
		if words == "show hr" {
			noLeader = "i2" // it is asked then, and has no such procedure
		}
		verb := "filter " + strings.Fields(words)[0]
		if _, _, err := runWith(t, nil, append([]string{"filter"}, append(strings.Fields(words), "--addr", leader.address)...)...); exitCode(err) != exitFailed ||
			!strings.Contains(err.Error(), verb+": i1") || !strings.Contains(err.Error(), refused.Error()+" (error 1)") {
			t.Errorf("%s: %v", words, err)
		}
		if _, _, err := runWith(t, nil, append([]string{"filter"}, append(strings.Fields(words), "--addr", follower.address)...)...); exitCode(err) != exitFailed ||
			!strings.Contains(err.Error(), verb+": "+noLeader) {
			t.Errorf("%s without a leader: %v", words, err)
		}
	}
}

func TestFilterTables(t *testing.T) {
	leader, _ := filterServers(t)
	out, _, err := runWith(t, nil, "filter", "list", "--addr", leader.address)
	if want := `FILTER  VERSION  SPACES  LEFT OUT  MADE LATER  INDEXES LEFT OUT  SEQUENCES LEFT OUT  REPLICAS
hr      7        2       1         left out    1                 0                   r1, r2
rest    3        1       2         had         0                 4                   -
`; err != nil || out != want {
		t.Errorf("list: %v\n%s", err, out)
	}
	out, _, err = runWith(t, nil, "filter", "show", "hr", "--addr", leader.address)
	if want := `filter hr, version 7; spaces that are made later: left out
replicas with it: r1

KIND      NAME           ID     HAD
space     staff          513    yes
space     "wages\n"      514    yes
space     orders         512    no
index     staff.by_name  513.1  no
sequence  bills          7      no
`; err != nil || out != want {
		t.Errorf("show: %v\n%s", err, out)
	}
	none := serveFake(t, map[string]any{"box.info": info(1, "i1", "leader", false), "tarragon.filter.list": []any{}})
	if out, _, err := runWith(t, nil, "filter", "list", "--addr", none.address); err != nil || out != "there are no filters\n" {
		t.Errorf("list of none: %v\n%s", err, out)
	}
}

// Replicas with the filter that are asked too tell what is there; one answers what the filter says where nobody leads.
func TestFilterShownByReplicas(t *testing.T) {
	leader, _ := filterServers(t)
	reader := func(name string, own map[string]any) string {
		m := ofOurs(0, name, map[string]any{"filter": own})
		return serveFake(t, map[string]any{"box.info": m, "tarragon.filter.show": map[string]any{"name": "hr", "version": 7}}).address
	}
	busy := reader("r1", map[string]any{"name": "hr", "version": 7, "absent": []any{"orders"}, "indexes_left_out": []any{"staff.by_age"}, "sequences_left_out": []any{"bills"},
		"being_copied": []any{map[string]any{"space": "wages\n", "percent": 61}}, "indexes_being_built": []any{map[string]any{"index": "staff.by_name", "percent": 40}},
		"copy": map[string]any{"stage": "takes", "from": "i1", "percent": 61, "rows": 10, "total": 20, "seconds": 4.0}})
	late, whole := reader("r2", map[string]any{"name": "hr", "version": 6}), reader("r3", map[string]any{"name": "hr", "version": 7})
	gone, other := reader("r4", map[string]any{"name": "hr", "version": 5, "gone": true}), reader("r5", map[string]any{"name": "rest", "version": 3})
	out, _, err := runWith(t, nil, "filter", "show", "hr", "--addr", busy, "--addr", late, "--addr", whole, "--addr", gone, "--addr", other, "--addr", leader.address, "--addr", freeAddress(t))
	_, there, _ := strings.Cut(out, "sequence  bills          7      no\n")
	if want := `
r1 has version 7: not all is there yet
  being copied: "wages\n" 61 %
  being built: staff.by_name 40 %
  the copy: 61 %, 0 rows/s, 10 of about 20 rows, for 4s from i1
  absent spaces: orders
  indexes left out: staff.by_age
  sequences left out: bills

r2 has version 6: it has not taken up version 7

r3 has version 7: all is there

r4 has version 5: it knows no such filter any more, and keeps what that gave
`; err != nil || there != want {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = runWith(t, nil, "filter", "show", "hr", "--json", "--addr", busy)
	var shown filterNames
	if bad := json.Unmarshal([]byte(out), &shown); err != nil || bad != nil || shown.By != "r1 ("+busy+")" || len(shown.There) != 1 || shown.There[0].Built[0] != (thereObject{"staff.by_name", 40}) {
		t.Errorf("by a replica alone: %v, %v\n%s", err, bad, out)
	}
	if _, _, err := runWith(t, nil, "filter", "show", "hr", "--addr", freeAddress(t)); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "no instance of Tarragon answers") {
		t.Errorf("nobody: %v", err)
	}
}

func TestFilterJSON(t *testing.T) {
	leader, _ := filterServers(t)
	for _, test := range []struct{ words, want string }{
		{"list", `{"filters":[{"name":"hr","version":7,"include_new":false,"spaces":2,"absent":1,"indexes_left_out":1,"sequences_left_out":0,"replicas":["r1","r2"]},` +
			`{"name":"rest","version":3,"include_new":true,"spaces":1,"absent":2,"indexes_left_out":0,"sequences_left_out":4,"replicas":null}]}`},
		{"show hr", `{"name":"hr","version":7,"include_new":false,"spaces":[{"id":513,"name":"staff"},{"id":514,"name":"wages\n"}],"absent":[{"id":512,"name":"orders"}],` +
			`"indexes_left_out":[{"space":"staff","space_id":513,"name":"by_name","id":1}],"sequences_left_out":[{"id":7,"name":"bills"}],"former_versions":[6,1],"replicas":["r1"],"by":"i1 (` + leader.address + `)","there":[]}`},
	} {
		out, _, err := runWith(t, nil, append([]string{"filter"}, append(strings.Fields(test.words), "--json", "--addr", leader.address)...)...)
		var got any
		if err == nil {
			err = json.Unmarshal([]byte(out), &got)
		}
		var want any
		if bad := json.Unmarshal([]byte(test.want), &want); bad != nil {
			t.Fatal(bad)
		}
		a, _ := json.Marshal(got)
		if b, _ := json.Marshal(want); err != nil || string(a) != string(b) {
			t.Errorf("%s: %v\n%s", test.words, err, out)
		}
	}
}

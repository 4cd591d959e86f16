package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// upgradeInfo is the box.info of one of three members, i1 of which leads, or of a reader, with id 0.
func upgradeInfo(id int, ofVersion string) map[string]any {
	state, ro := "follower", true
	if id == 1 {
		state, ro = "leader", false
	}
	m := info(id, fmt.Sprintf("i%d", id), state, ro)
	m["package"], m["pid"] = "Tarragon", 1
	follows := map[string]any{"status": "follow"}
	m["replication"] = map[int]any{1: map[string]any{"name": "i1", "downstream": follows}, 2: map[string]any{"name": "i2", "downstream": follows}, 3: map[string]any{"name": "i3", "downstream": follows}}
	runs := map[string]any{"version": ofVersion, "started": 1.7e9}
	if p := program(); ofVersion == p.Version {
		runs["commit"], runs["changed"] = p.Commit, p.Changed
	}
	own := map[string]any{"rules": "strong", "program": runs,
		"feature": map[string]any{"level": 2, "reads": 3, "members": map[int]any{1: 3, 2: 3, 3: 3}}}
	m["tarragon"] = own
	return m
}

// upgradeFile writes the file of a set whose instances have these addresses.
func upgradeFile(t *testing.T, addrs ...string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("credentials: {users: {admin: {password: x, roles: [super]}}}\nreplication: {failover: election}\ngroups:\n  g:\n    replicasets:\n      r:\n        instances:\n")
	for i, addr := range addrs {
		fmt.Fprintf(&b, "          i%d: {iproto: {listen: [{uri: '%s'}]}}\n", i+1, addr)
	}
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakeSet serves infos and is the file of their set.
func fakeSet(t *testing.T, infos ...map[string]any) string {
	t.Helper()
	var addrs []string
	for _, m := range infos {
		addrs = append(addrs, serveFake(t, map[string]any{"box.info": m}).address)
	}
	return upgradeFile(t, addrs...)
}

// A plan has readers first, then followers, the leader last behind a switchover; who runs the build
// already is left out. It is printed, or JSON, and nothing is called but box.info.
func TestUpgradePlan(t *testing.T) {
	reader := upgradeInfo(0, "0.0.1")
	reader["name"] = "i4"
	delete(reader, "id")
	file := fakeSet(t, upgradeInfo(1, "0.0.1"), upgradeInfo(2, version), upgradeInfo(3, "0.0.1"), reader)
	out, _, err := runWith(t, nil, "upgrade", "--config", file, "--plan", "--restart", "restart 100%% of %s, %s")
	p := program()
	ours := boxProgram{Version: p.Version, Commit: p.Commit, Changed: p.Changed}
	want := `replica set r: 3 members, 2 needed; 1 instances run ` + ours.text() + `, 4 steps are left
  1. restart i4, reader, which runs 0.0.1: restart 100% of i4, i4
  2. restart i3, follower, which runs 0.0.1: restart 100% of i3, i3
  3. switchover: i1 hands leadership over to the member that holds most
  4. restart i1, leader, which runs 0.0.1: restart 100% of i1, i1
`
	if out != want || err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = runWith(t, nil, "upgrade", "--config", file, "--plan", "--json")
	var told struct {
		Build       string
		Replicasets []upgradePlan
	}
	if err := errors.Join(err, json.Unmarshal([]byte(out), &told)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(told.Replicasets) != 1 || len(told.Replicasets[0].Steps) != 4 || told.Replicasets[0].Steps[2] != (upgradeStep{Do: "switchover", Instance: "i1", Role: "leader", Runs: "0.0.1"}) {
		t.Errorf("%s", out)
	}
	out, _, err = runWith(t, nil, "upgrade", "--config", file, "--plan", "--started-before", "2024-01-01T00:00:00Z")
	if err != nil || strings.Count(out, ". restart i") != 4 {
		t.Errorf("with --started-before: %v\n%s", err, out)
	}
}

// Whatever is in the way is said, with what to do, all of it at once.
func TestUpgradeRefusals(t *testing.T) {
	const old = "0.0.1"
	with := func(change func(all []map[string]any)) []map[string]any {
		all := []map[string]any{upgradeInfo(1, old), upgradeInfo(2, old), upgradeInfo(3, old)}
		change(all)
		return all
	}
	own := func(m map[string]any) map[string]any { return m["tarragon"].(map[string]any) }
	for _, c := range []struct {
		name  string
		words []string // of the command line
		set   []map[string]any
		want  []string
	}{
		{"a newer build runs", nil, with(func(all []map[string]any) { own(all[1])["program"] = map[string]any{"version": "99.0.0"} }), []string{"i2", "it runs 99.0.0, and this program is older", "--allow-older"}},
		{"a feature level that we do not read", nil, with(func(all []map[string]any) { own(all[0])["feature"] = map[string]any{"level": 99, "reads": 99} }), []string{"the feature level of the replica set is 99, and this program reads levels up to 3"}},
		{"nobody leads", nil, with(func(all []map[string]any) { all[0]["ro"] = true }), []string{"no instance of replica set r that answers leads"}},
		{"elections are off", nil, with(func(all []map[string]any) { all[0]["election"] = map[string]any{"state": "follower"} }), []string{"elections are off", "i1"}},
		{"an agent leads", nil, with(func(all []map[string]any) {
			own(all[0])["mandate"] = map[string]any{"newest": 7, "token": 7, "left": 3.5}
		}), []string{"an agent says who leads", "--token"}},
		{"an agent's token is given", []string{"--token", "8", "--lease", "10s"}, with(func(all []map[string]any) {
			own(all[0])["mandate"] = map[string]any{"newest": 7, "token": 7, "left": 3.5}
		}), nil},
		{"elections are paused", nil, with(func(all []map[string]any) { own(all[0])["pause"] = map[string]any{"left": 9.5, "by": "admin"} }), []string{"elections are paused", "tarragon resume"}},
		{"leadership is about to move", nil, with(func(all []map[string]any) { own(all[0])["moving"] = map[string]any{"name": "i2"} }), []string{"about to move to i2"}},
		{"a learner", nil, with(func(all []map[string]any) { own(all[0])["learners"] = []int{3} }), []string{"i3 has joined and does not count yet", "2 of 2 members are there"}},
		{"a member that is not in the file", nil, with(func(all []map[string]any) { all[0]["replication"].(map[int]any)[9] = map[string]any{"name": "i9"} }), []string{"i9 is a member, and none of the instances that were asked"}},
		{"a Tarantool, and another name at an address", nil, with(func(all []map[string]any) { all[1]["package"], all[2]["name"] = "Tarantool", "i7" }), []string{"i2", "it is a Tarantool", "i7 answers at its address"}},
		{"a quorum of all", nil, with(func(all []map[string]any) { all[0]["synchro"] = map[string]any{"quorum": 3} }), []string{"3 of 3 members are there, and 3 are needed: while one of them restarts no write is decided"}},
		{"a quorum of all, and an outage may be", []string{"--allow-outage"}, with(func(all []map[string]any) { all[0]["synchro"] = map[string]any{"quorum": 3} }), nil},
		{"the leader is left out", []string{"--without", "i1", "--allow-outage"}, with(func([]map[string]any) {}), []string{"i1", "leads, and cannot be left out"}},
		{"a follower that is there is left out", []string{"--without", "i3"}, with(func([]map[string]any) {}), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, err := runWith(t, nil, append([]string{"upgrade", "--config", fakeSet(t, c.set...), "--plan"}, c.words...)...)
			if c.want == nil {
				if err != nil || !strings.Contains(out, "steps are left") {
					t.Errorf("%v\n%s", err, out)
				}
				return
			}
			if exitCode(err) != exitFailed || out != "" {
				t.Fatalf("exit %d, %v\n%s", exitCode(err), err, out)
			}
			for _, want := range append(c.want, "nothing was touched") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in: %v", want, err)
				}
			}
		})
	}
}

// The next step waits until all answer, follow the leader and have what it had, but for --max-lag.
func TestUpgradeSettled(t *testing.T) {
	member := func(name string, lsn number) *upgradee {
		u := &upgradee{target: target{name: name}}
		u.info.Name, u.info.Status, u.info.RO, u.info.VClock = name, "running", true, table[number]{0: 9, 1: 100, 2: lsn}
		return u
	}
	set := func(change func(lead, two, reader *upgradee)) *upgradeSet {
		lead, two, reader := member("i1", 50), member("i2", 50), member("r", 50)
		follows := &boxStream{Status: "follow"}
		lead.info.RO, lead.info.Replication = false, table[boxMember]{1: {Name: "i1"}, 2: {Name: "i2", Downstream: follows}, 3: {Name: "i3", Downstream: &boxStream{Status: "stopped"}}}
		change(lead, two, reader)
		w := &upgradeWish{maxLag: 3, without: []string{"i3"}}
		return w.set([]*upgradee{lead, two, reader, {target: target{name: "i3"}, err: errors.New("down")}})
	}
	goal := table[number]{0: 1000, 1: 100, 2: 50}
	for _, c := range []struct {
		name   string
		change func(lead, two, reader *upgradee)
		want   string
	}{
		{"all is well", func(lead, two, reader *upgradee) {}, ""},
		{"as many rows as may be", func(lead, two, reader *upgradee) { two.info.VClock[2] = 47 }, ""},
		{"a follower lacks rows", func(lead, two, reader *upgradee) { two.info.VClock[2] = 46 }, "i2 lacks 4 rows"},
		{"a reader does, of two members", func(lead, two, reader *upgradee) { reader.info.VClock[1], reader.info.VClock[2] = 98, 48 }, "r lacks 4 rows"},
		{"one does not answer", func(lead, two, reader *upgradee) { two.err = errors.New("refused") }, "i2 does not answer: refused"},
		{"one is not ready", func(lead, two, reader *upgradee) { reader.info.Status = "loading" }, "r is not ready"},
		{"nobody leads", func(lead, two, reader *upgradee) { lead.info.RO = true }, "nobody leads"},
		{"one has joined anew", func(lead, two, reader *upgradee) { lead.info.Own.Learners = []number{2} }, "i2 does not count yet"},
		{"one does not follow", func(lead, two, reader *upgradee) { lead.info.Replication[2].Downstream.Status = "stopped" }, "i2 does not follow i1"},
		{"one has not come yet", func(lead, two, reader *upgradee) { lead.info.Replication[2] = boxMember{Name: "i2"} }, "i2 does not follow i1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(c.change)
			err := s.there()
			if err == nil {
				err = s.has(goal)
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Mistakes of the command line are told before anybody is asked.
func TestUpgradeUsage(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{nil, "one of --plan and --run"},
		{[]string{"--plan", "--run"}, "one of --plan and --run"},
		{[]string{"--run"}, "--run needs --restart"},
		{[]string{"--run", "--json", "--restart", "x %s"}, "--json goes with --plan"},
		{[]string{"--plan", "--restart", "systemctl restart tarragon"}, "would be the same for all"},
		{[]string{"--plan", "--restart", "%s %d"}, "behind % comes s"},
		{[]string{"--plan", "--restart", "%s 100%"}, "behind % comes s"},
		{[]string{"--plan", "--wait", "0s"}, "--wait must be more"},
		{[]string{"--plan", "--started-before", "yesterday"}, "a time as 2026-12-01T09:00:00Z"},
		{[]string{"--plan", "--started-before", "9999-01-01T00:00:00Z"}, "in the future"},
		{[]string{"--plan", "--without", "i9"}, "--without i9: there is no such instance"},
	} {
		_, _, err := runWith(t, nil, append([]string{"upgrade", "--config", upgradeFile(t, "127.0.0.1:1")}, c.words...)...)
		if exitCode(err) != exitUsage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: exit %d, %v", c.words, exitCode(err), err)
		}
	}
}

func TestRestartCommand(t *testing.T) {
	for template, want := range map[string]string{
		"%s":                           "i1",
		"ssh %s 'restart tarragon@%s'": "ssh i1 'restart tarragon@i1'",
		"date +%%s; x %s":              "date +%s; x i1",
		"%%%s%%":                       "%i1%",
	} {
		c, err := parseRestart(template)
		if got := c.of("i1"); err != nil || got != want {
			t.Errorf("%s: %s, %v", template, got, err)
		}
	}
	for name, safe := range map[string]bool{"i-001": true, "host.x_1:3@a": true, "": false, "a b": false, "$(x)": false, "a'b": false, "ä": false} {
		if safeName(name) != safe {
			t.Errorf("%q: %v", name, !safe)
		}
	}
}

func TestCompareReleases(t *testing.T) {
	ascending := []string{"0.0.9", "0.1.0-dev", "0.1.0-rc1", "0.1.0", "0.2.0", "0.10.0", "1.0.0"}
	for i, a := range ascending {
		for k, b := range ascending {
			if got, want := compareReleases(a, b), slices.Compare([]int{i}, []int{k}); got != want {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
	for _, none := range []string{"", "nightly", "1.0"} {
		if compareReleases("1.0.0", none) != 0 || compareReleases(none, "1.0.0") != 0 {
			t.Errorf("%q has an order", none)
		}
	}
	older, newer := boxProgram{Version: "1.0.0", Commit: "a", Time: 5}, boxProgram{Version: "1.0.0", Commit: "b", Time: 6}
	if !older.olderThan(&newer) || newer.olderThan(&older) || older.olderThan(&boxProgram{Version: "1.0.0", Commit: "c"}) || older.same(&newer) {
		t.Error("commits of one version have no order, or one where nothing is known")
	}
}

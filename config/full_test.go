package config

import (
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/raft"
)

// TestFullFile: a file with every section of Tarantool 3.8 CE stops no instance
// of ours. (Tarantool 3.8.0 starts i1 and i2 from it, but for the section
// sharding, which needs its module vshard.)
func TestFullFile(t *testing.T) {
	load := func(name string) *Instance {
		t.Helper()
		in, err := Load(Source{File: "testdata/full.yaml", Instance: name, Environ: []string{"HOME=here"}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return in
	}
	var got strings.Builder
	in := load("i2")
	for _, w := range in.Warnings {
		got.WriteString(w.String() + "\n")
		if strings.Contains(w.Path, "i1") || strings.Contains(w.Path, "g002") {
			t.Errorf("no business of i2: %v", w)
		}
	}
	want, err := os.ReadFile("testdata/full.warnings")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("warnings:\n%s", got.String())
	}
	if len(in.Replication.Peers) != 2 || in.Replication.Peers[0].Login != "replicator" || in.Replication.Peers[0].Password != "secret" {
		t.Errorf("peers: %v", in.Replication.Peers)
	}
	if in.ReadOnly || in.Replication.ElectionMode != raft.Candidate {
		t.Errorf("read-only %v, election mode %v", in.ReadOnly, in.Replication.ElectionMode)
	}
	if roles := in.Credentials.Roles; len(roles) != 2 || roles[1].Name != "sharding" {
		t.Errorf("roles: %+v", roles)
	}
	told := false
	for _, w := range load("i1").Warnings {
		told = told || strings.HasSuffix(w.Path, "instances.i1.app") && strings.Contains(w.Text, "no Lua")
	}
	if !told {
		t.Error("i1 is not told that its application does not run")
	}
}

// TestFullFileForTools: a tool takes what an instance of ours could not be.
func TestFullFileForTools(t *testing.T) {
	all, err := LoadAll(Source{File: "testdata/full.yaml", Environ: []string{"HOME=here"}})
	if err != nil || len(all) != 4 {
		t.Fatalf("%d instances, %v", len(all), err)
	}
	if _, err := Load(Source{File: "testdata/full.yaml", Instance: "i3", Environ: []string{"HOME=here"}}); err == nil || !strings.Contains(err.Error(), "isolated") {
		t.Errorf("i3: %v", err)
	}
}

// TestBootstrapStrategy: who begins the replica set.
func TestBootstrapStrategy(t *testing.T) {
	text := func(replication, set string) string {
		return "replication: {" + replication + "}\ngroups: {g: {replicasets: {r: {" + set + `instances: {
  i1: {iproto: {listen: [{uri: '127.0.0.1:1'}]}}, i2: {iproto: {listen: [{uri: '127.0.0.1:2'}]}}}}}}}`
	}
	for _, c := range []struct{ replication, set, leader, mistake string }{
		{"failover: election", "", "", ""},
		{"failover: election, bootstrap_strategy: config", "bootstrap_leader: i2, ", "i2", ""},
		{"failover: election, bootstrap_strategy: config", "", "", "cannot be empty"},
		{"failover: election, bootstrap_strategy: config", "bootstrap_leader: i9, ", "", "not found in this replicaset"},
		{"failover: election, bootstrap_strategy: native", "", "i1", ""},
		{"failover: manual, bootstrap_strategy: native", "leader: i2, ", "i2", ""},
		{"failover: supervised, bootstrap_strategy: supervised", "", "", ""},
	} {
		in, err := load(text(c.replication, c.set), "i1", nil)
		switch {
		case c.mistake != "":
			if err == nil || !strings.Contains(err.Error(), c.mistake) {
				t.Errorf("%s: %v", c.replication, err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.replication, err)
		case in.Replication.BootstrapLeader != c.leader:
			t.Errorf("%s: %q begins the replica set", c.replication, in.Replication.BootstrapLeader)
		}
	}
	in, err := load(text("failover: supervised", ""), "i1", nil)
	if err != nil || in.ReadOnly || in.Replication.ElectionMode != raft.Manual || len(in.Warnings) != 0 {
		t.Errorf("supervised: %v %+v", err, in)
	}
}

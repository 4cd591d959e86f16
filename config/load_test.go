package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/raft"
)

const threeNodes = `
credentials: {users: {repl: {password: 'pw', roles: [replication]}, adm: {password: 'pw', roles: [super]}}}
iproto: {advertise: {peer: {login: repl}}}
replication: {failover: election}
groups: {g1: {replicasets: {r1: {instances: {
  i1: {iproto: {listen: [{uri: '127.0.0.1:3961'}]}},
  i2: {iproto: {listen: [{uri: '127.0.0.1:3962'}]}},
  i3: {iproto: {listen: [{uri: '127.0.0.1:3963'}]}, replication: {election_mode: voter}}}}}}}
`

// load reads a text as cluster.yaml.
func load(text, instance string, environ []string, flags ...Flag) (*Instance, error) {
	return Load(Source{
		File: "cluster.yaml", Instance: instance, Environ: environ, Flags: flags,
		ReadFile: func(path string) ([]byte, error) {
			if path == "cluster.yaml" {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		},
	})
}

func mustLoad(t *testing.T, text, instance string, environ ...string) *Instance {
	t.Helper()
	in, err := load(text, instance, environ)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestThreeNodes is a file as Tarantool 3 takes it: scopes, roles of users, one leader by election.
func TestThreeNodes(t *testing.T) {
	in := mustLoad(t, threeNodes, "i2")
	if in.Name != "i2" || in.Replicaset != "r1" || in.Group != "g1" {
		t.Errorf("place: %q %q %q", in.Name, in.Replicaset, in.Group)
	}
	var peers []string
	for _, p := range in.Replication.Peers {
		if p.Password != "pw" {
			t.Errorf("%v has the password %q", p, p.Password)
		}
		peers = append(peers, p.String())
	}
	if got, want := strings.Join(peers, " "), "repl@127.0.0.1:3961 repl@127.0.0.1:3962 repl@127.0.0.1:3963"; got != want {
		t.Errorf("peers %s, want %s", got, want)
	}
	if in.ReadOnly || in.Replication.ElectionMode != raft.Candidate {
		t.Errorf("read-only %v, election mode %s", in.ReadOnly, in.Replication.ElectionMode)
	}
	if m := in.Members[2]; m.Name != "i3" || m.ElectionMode != raft.Voter {
		t.Errorf("third member %+v", m)
	}
	if in.WAL.Dir != "var/lib/i2" || in.WAL.Mode != WALFsync || in.Log.To != "stderr" {
		t.Errorf("defaults: %+v %+v", in.WAL, in.Log)
	}
	if in.Replication.ReconnectTimeout != time.Second || in.Replication.SynchroQuorum.String() != "N / 2 + 1" {
		t.Errorf("replication: %+v", in.Replication)
	}
	if len(in.Credentials.Users) != 2 || in.Credentials.Users[1].Name != "repl" || in.Credentials.Users[1].Roles[0] != "replication" {
		t.Errorf("credentials: %+v", in.Credentials)
	}
	if len(in.Warnings) != 0 {
		t.Errorf("warnings: %v", in.Warnings)
	}
}

// TestPrecedence walks down the list of doc.go, one source at a time.
func TestPrecedence(t *testing.T) {
	file := func(global, group, set, instance string) string {
		opt := func(v string) string {
			if v == "" {
				return "memtx: {}"
			}
			return "iproto: {net_msg_max: " + v + "}"
		}
		return opt(global) + "\ngroups:\n  g:\n    " + opt(group) + "\n    replicasets:\n      r:\n        " + opt(set) +
			"\n        instances:\n          i:\n            " + opt(instance) + "\n"
	}
	all := []string{"TT_IPROTO_NET_MSG_MAX=20", "TT_IPROTO_NET_MSG_MAX_DEFAULT=70", "TT_NET_MSG_MAX=75"}
	flag := Flag{Name: "--set", Path: "iproto.net_msg_max", Value: "10"}
	for _, c := range []struct {
		name  string
		text  string
		env   []string
		flags []Flag
		want  int
	}{
		{"flag", file("60", "50", "40", "30"), all, []Flag{flag}, 10},
		{"environment", file("60", "50", "40", "30"), all, nil, 20},
		{"instance", file("60", "50", "40", "30"), all[1:], nil, 30},
		{"replicaset", file("60", "50", "40", ""), all[1:], nil, 40},
		{"group", file("60", "50", "", ""), all[1:], nil, 50},
		{"global", file("60", "", "", ""), all[1:], nil, 60},
		{"null is not set", file("60", "50", "40", "null"), all[1:], nil, 40},
		{"environment default", file("", "", "", ""), all[1:], nil, 70},
		{"old name", file("", "", "", ""), all[2:], nil, 75},
		{"default", file("", "", "", ""), nil, nil, 768},
		{"empty variable is not set", file("", "", "", ""), []string{"TT_IPROTO_NET_MSG_MAX="}, nil, 768},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, err := load(c.text, "i", c.env, c.flags...)
			if err != nil {
				t.Fatal(err)
			}
			if in.IProto.NetMsgMax != c.want {
				t.Errorf("net_msg_max %d, want %d", in.IProto.NetMsgMax, c.want)
			}
		})
	}
}

// TestMerge: maps merge, lists replace.
func TestMerge(t *testing.T) {
	in := mustLoad(t, `
credentials: {users: {a: {password: x, roles: [super]}}}
iproto: {listen: [{uri: '127.0.0.1:1'}]}
groups: {g: {credentials: {users: {b: {}, a: {roles: [public]}}}, replicasets: {r: {instances: {i: {iproto: {listen: [{uri: '127.0.0.1:2'}]}}}}}}}
`, "i")
	if len(in.IProto.Listen) != 1 || in.IProto.Listen[0].Port != "2" {
		t.Errorf("listen %v", in.IProto.Listen)
	}
	users := in.Credentials.Users
	if len(users) != 2 || !users[0].HasPassword || users[0].Roles[0] != "public" || users[1].HasPassword {
		t.Errorf("users %+v", users)
	}
}

func TestTemplates(t *testing.T) {
	in := mustLoad(t, `
config: {context: {dc: {from: env, env: DC}, n: 5}}
wal: {dir: "/data/{{ group_name }}/{{replicaset_name}}/{{ instance_name }}/{{ context.dc }}/{{ context.n }}"}
process: {work_dir: /w}
groups: {g: {replicasets: {r: {instances: {i: {}}}}}}
`, "i", "DC=east")
	if in.WAL.Dir != "/data/g/r/i/east/5" {
		t.Errorf("wal.dir %q", in.WAL.Dir)
	}
	if in.Snapshot.Dir != "/w/var/lib/i" {
		t.Errorf("snapshot.dir %q", in.Snapshot.Dir)
	}
}

func TestEnvironmentForms(t *testing.T) {
	for _, env := range []string{
		`TT_IPROTO_LISTEN=[{"uri":"127.0.0.1:1"},{"uri":"127.0.0.1:2"}]`,
		`TT_IPROTO_LISTEN=127.0.0.1:1,127.0.0.1:2`,
		`TT_IPROTO_LISTEN_DEFAULT=uri=127.0.0.1:1,uri=127.0.0.1:2`,
		`TT_LISTEN=127.0.0.1:1,127.0.0.1:2`,
	} {
		in, err := Load(Source{Instance: "i", Environ: []string{env}})
		if err != nil {
			t.Errorf("%s: %v", env, err)
			continue
		}
		if len(in.IProto.Listen) != 2 || in.IProto.Listen[1].Address() != "127.0.0.1:2" {
			t.Errorf("%s: %v", env, in.IProto.Listen)
		}
	}
	in, err := Load(Source{Instance: "i", Environ: []string{`TT_CREDENTIALS_USERS={"bob": {"password": "x"}}`, "TT_COMFIG=1", "TT_CLI_USERNAME=x"}})
	if err != nil || len(in.Credentials.Users) != 1 {
		t.Fatalf("%v %+v", err, in)
	}
	if len(in.Warnings) != 1 || !strings.Contains(in.Warnings[0].String(), "TT_COMFIG") {
		t.Errorf("warnings %v", in.Warnings)
	}
}

func TestManualFailover(t *testing.T) {
	text := `
replication: {failover: manual}
groups: {g: {replicasets: {r: {leader: b, instances: {
  a: {iproto: {listen: [{uri: '127.0.0.1:1'}]}}, b: {iproto: {listen: [{uri: '127.0.0.1:2'}]}}}}}}}
`
	if in := mustLoad(t, text, "a"); !in.ReadOnly || in.Leader != "b" || in.BootstrapError() != nil {
		t.Errorf("a: %+v", in)
	}
	if in := mustLoad(t, text, "b"); in.ReadOnly {
		t.Errorf("b is read-only")
	}
	in := mustLoad(t, strings.Replace(text, "leader: b, ", "", 1), "a")
	if err := in.BootstrapError(); err == nil || !strings.Contains(err.Error(), "No leader to register new instance \"a\"") {
		t.Errorf("nobody may write: %v", err)
	}
}

func TestInclude(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("main.yaml", "include: [more.yaml]\nwal: {mode: write}\nconditional:\n- if: 'tarantool_version >= 3.1.0 && !(tarantool_version > 4.0.0)'\n  log: {level: debug}\n- if: tarantool_version < 3.0.0\n  nonsense: 1\n")
	write("more.yaml", "include: [main.yaml]\nwal: {mode: fsync}\ngroups: {g: {replicasets: {r: {instances: {i: {}}}}}}\n")
	in, err := Load(Source{File: dir + "/main.yaml", Instance: "i"})
	if err != nil {
		t.Fatal(err)
	}
	if in.WAL.Mode != WALFsync || in.Log.Level != 7 {
		t.Errorf("%+v %+v", in.WAL, in.Log)
	}
}

// TestMistakeFields: a caller can take the joined error apart.
func TestMistakeFields(t *testing.T) {
	_, err := load("wal: {mode: foo}\nreplication:\n  timout: 1\ngroups: {g: {replicasets: {r: {instances: {i: {}}}}}}", "i", nil)
	var m *Mistake
	if !errors.As(err, &m) || m.Where != "cluster.yaml:1" || m.Path != "wal.mode" {
		t.Errorf("%v", err)
	}
}

func TestLoadAll(t *testing.T) {
	all, err := LoadAll(Source{File: "x", Environ: []string{"TT_WAL_MODE=write", "TT_LOG_LEVEL=loud"}, ReadFile: func(string) ([]byte, error) { return []byte(threeNodes), nil }})
	if err != nil || len(all) != 3 || all[2].Name != "i3" || all[0].WAL.Mode != WALFsync {
		t.Errorf("%v %+v", err, all)
	}
}

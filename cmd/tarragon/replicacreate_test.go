package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/config"
)

// createServers are a leader and a follower of a set of three, where i3 is connected to
// the follower alone. create is what the leader answers to a registration.
func createServers(t *testing.T, create any) (leader, follower *fakeServer) {
	own := map[string]any{"feature": map[string]any{"level": 3}}
	lead := ofOurs(1, "i1", own)
	lead["ro"] = false
	leader = serveFake(t, map[string]any{"box.info": lead, "tarragon.replica.create": create,
		"tarragon.replica.list": []any{map[string]any{"name": "r1", "uuid": "u1", "filter": "hr", "state": "registered"}, map[string]any{"name": "r0", "uuid": "u0", "filter": "hr", "state": "dropped"}},
		"tarragon.filter.list":  []any{map[string]any{"name": "hr", "version": 7}}})
	follows := ofOurs(2, "i2", own)
	at := follows["replication"].(map[int]any)
	at[1].(map[string]any)["upstream"].(map[string]any)["peer"] = "repl@" + leader.address
	at[3].(map[string]any)["upstream"] = map[string]any{"status": "follow", "peer": "repl@10.0.0.3:3301"}
	follower = serveFake(t, map[string]any{"box.info": follows})
	return leader, follower
}

// create runs 'tarragon replica create' as a user whose password is secret.
func create(t *testing.T, words ...string) (out, errOut string, err error) {
	t.Helper()
	return runWith(t, []string{"TT_CLI_USERNAME=admin", "TT_CLI_PASSWORD=it's {{ secret }}"}, append([]string{"replica", "create"}, words...)...)
}

// What is printed is what a start reads, names all members and shows no password; nothing is made and nobody is registered.
func TestReplicaCreatePrints(t *testing.T) {
	t.Chdir(t.TempDir())
	leader, follower := createServers(t, true)
	out, _, err := create(t, "r7", "--from", follower.address, "--filter", "hr", "--transfer-command", "scp -q copies@%host%:%source% %target%", "--listen", "10.0.0.7:3301", "--print-config")
	if err != nil || strings.Contains(out, "secret") || strings.Contains(strings.Join(leader.calls, " "), "create") {
		t.Fatalf("%v, calls %v\n%s", err, leader.calls, out)
	}
	if left, _ := os.ReadDir("."); len(left) > 0 {
		t.Errorf("it made %v", left)
	}
	dir, _ := filepath.Abs("r7")
	in, err := config.Load(config.Source{File: "r7.yaml", Instance: "r7", ReadFile: func(path string) ([]byte, error) {
		if path == filepath.Join(dir, "password") {
			return []byte("the password"), nil
		}
		return []byte(out), nil
	}})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var peers []string
	for _, u := range in.Replication.Peers {
		peers = append(peers, u.Login+":"+u.Password+"@"+u.Address())
	}
	want := "admin:the password@" + leader.address + " admin:the password@" + follower.address + " admin:the password@10.0.0.3:3301"
	if got := strings.Join(peers, " "); got != want {
		t.Errorf("it follows %s, not %s", got, want)
	}
	if !in.Replication.Anon || !in.ReadOnly || in.Tarragon.Filter != "hr" || in.Replicaset != "r1" || len(in.Tarragon.TransferCommand) != 4 || in.WAL.Dir != filepath.Join(dir, "var/lib/r7") ||
		len(in.IProto.Listen) != 1 || in.IProto.Listen[0].Address() != "10.0.0.7:3301" || len(in.Database.InstanceUUID) != 36 || len(in.Warnings) > 0 {
		t.Errorf("%+v\n%s", in, out)
	}
}

// What cannot be is refused before anything is made or registered.
func TestReplicaCreateRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	leader, follower := createServers(t, true)
	theirs := serveFake(t, map[string]any{"box.info": info(1, "i1", "leader", false)})
	alone := serveFake(t, map[string]any{"box.info": ofOurs(2, "i2", nil)}) // the leader that it names answers nobody
	lost := ofOurs(2, "i2", nil)
	lost["election"] = map[string]any{"state": "follower"}
	leaderless := serveFake(t, map[string]any{"box.info": lost})
	if err := errors.Join(os.Mkdir("full", 0o700), os.WriteFile("full/of", nil, 0o600), os.Mkdir("made", 0o700), os.WriteFile("made/r7.yaml", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		words string
		code  int
		text  string
	}{
		{"r7", exitUsage, "--from is needed"},
		{"", exitUsage, "accepts 1 arg"},
		{"R7 --from " + leader.address, exitUsage, "lowercase"},
		{"r7 --from " + theirs.address, exitFailed, "is a Tarantool: it has no filters"},
		{"r7 --from " + freeAddress(t), exitFailed, "refused"},
		{"r7 --from " + leaderless.address, exitFailed, "is read-only (election) and knows no leader"},
		{"r7 --from " + alone.address, exitFailed, "the leader by the word of"},
		{"r1 --from " + leader.address, exitFailed, "the name r1 is taken: replica u1 is registered with it; 'tarragon replica drop r1' frees it"},
		{"i2 --from " + follower.address, exitFailed, "the name i2 is that of a member"},
		{"r7 --filter sales --from " + follower.address, exitFailed, "filter sales does not exist at i1 (" + leader.address + "); there are: hr"},
		{"r7 --dir full --from " + leader.address, exitUsage, "is not empty (of, ...)"},
		{"r7 --dir made --from " + leader.address, exitUsage, "has a replica r7 already; to run it: tarragon serve --config "},
		{"r7 --listen " + leader.address + " --from " + leader.address, exitUsage, "advertise the same address"},
		{"r7 --transfer-command scp --from " + leader.address, exitUsage, "tarragon.transfer_command"},
		{"r7 --transfer-command [1] --from " + leader.address, exitUsage, "no list of words"},
		{"r7 --peer-user x --from " + leader.address, exitUsage, "needs --peer-password-file"},
		{"r7 --peer-password-file x --from " + leader.address, exitUsage, "needs --peer-user"},
	} {
		if _, _, err := create(t, strings.Fields(test.words)...); err == nil || exitCode(err) != test.code || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: exit %d, %v", test.words, exitCode(err), err)
		}
	}
	if _, _, err := runWith(t, nil, "replica", "create", "r7", "--from", leader.address); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "which user?") {
		t.Errorf("without a user: %v", err)
	}
	if calls := strings.Join(leader.calls, " "); strings.Contains(calls, "create") {
		t.Errorf("calls of the leader: %s", calls)
	}
	if _, err := os.Stat("r7"); err == nil {
		t.Error("a directory was made")
	}
}

// A registration that is refused leaves nothing. Where nobody knows whether there is one, the same command asks again
// for the same replica.
func TestReplicaCreateIsRepeated(t *testing.T) {
	t.Chdir(t.TempDir())
	refuses, _ := createServers(t, errors.New("no"))
	if _, _, err := create(t, "r7", "--from", refuses.address); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "no (error 1)") {
		t.Error(err)
	}
	if _, err := os.Stat("r7"); err == nil {
		t.Error("a directory is left")
	}
	hangs, _ := createServers(t, io.EOF)
	registered := func(s *fakeServer) string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.calls[len(s.calls)-1]
	}
	dir, _ := filepath.Abs("r7")
	for range 2 {
		if _, _, err := create(t, "r7", "--from", hangs.address, "--filter", "hr"); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "it may be registered or not. What is left is its directory "+dir) {
			t.Error(err)
		}
	}
	if err := os.WriteFile("r7/password.new", nil, 0o600); err != nil { // as a kill in the midst leaves it
		t.Fatal(err)
	}
	if _, _, err := create(t, "r7", "--from", refuses.address, "--filter", "hr"); !strings.Contains(err.Error(), "is left from before") {
		t.Error(err)
	}
	if a, b := registered(hangs), registered(refuses); a != b || !strings.Contains(a, "tarragon.replica.create[r7 map[filter:hr uuid:") {
		t.Errorf("%s, then %s", a, b)
	}
	if _, _, err := create(t, "r8", "--from", hangs.address, "--dir", "r7"); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "was begun for replica r7") {
		t.Error(err)
	}
	for file, mode := range map[string]os.FileMode{"r7": 0o700 | os.ModeDir, "r7/password": 0o600, "r7/r7.yaml": 0o600, "r7/unfinished": 0o600} {
		if info, err := os.Stat(file); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if text, err := os.ReadFile("r7/password"); err != nil || string(text) != "it's {{ secret }}" {
		t.Errorf("%s, %v", text, err)
	}
}

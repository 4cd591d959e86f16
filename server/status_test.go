package server

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
	"github.com/vmihailenco/msgpack/v5"
)

// event is the present value of a watched key.
func (n *node1) event(key string) map[string]any {
	n.set.t.Helper()
	var out map[string]any
	if err := msgpack.Unmarshal(n.server().port.events.Value(key), &out); err != nil {
		n.set.t.Fatalf("%s at %s: %v", key, n.name, err)
	}
	return out
}

// Watched values and box.info tell the truth through a failover.
func TestStatusIsTrue(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	tells := func(l *node1) {
		t.Helper()
		s.until("all name "+l.name, func() bool {
			for _, n := range s.nodes {
				if n.stop != nil && (n.event(eventLeader)["name"] != l.name || n.event(iproto.EventStatus)["is_ro"] != (n != l)) {
					return false
				}
			}
			return true
		})
		want, _ := l.info()
		for _, n := range s.nodes {
			if n.stop == nil {
				continue
			}
			ev := n.event(eventLeader)
			if ev["uri"] != l.addr || ev["uuid"] != want.UUID {
				t.Errorf("%s says that the leader is %v", n.name, ev)
			}
		}
	}
	first := s.leader()
	tells(first)
	if err := first.halt(); err != nil {
		t.Fatal(err)
	}
	second := s.leader()
	tells(second)
	if err := second.halt(); err != nil {
		t.Fatal(err)
	}
	var last *node1
	for _, n := range s.nodes {
		if n.stop != nil {
			last = n
		}
	}
	s.until("nobody leads", func() bool { return last.event(eventLeader)["name"] == nil })
	info := last.call("box.info")[0].(map[any]any)
	if info["ro"] != true || info["ro_reason"] != "synchro" {
		t.Errorf("ro %v, %v", info["ro"], info["ro_reason"])
	}
	for id, m := range info["replication"].(map[any]any) {
		up, ok := m.(map[any]any)["upstream"].(map[any]any)
		if !ok {
			continue
		}
		if up["status"] == "follow" || up["message"] == nil {
			t.Errorf("upstream of the dead instance %v: %v", id, up)
		}
	}
}

// box.cfg carries out what it takes.
func TestSettingsAreCarriedOut(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	n := s.nodes[0]
	n.call("box.cfg", map[string]any{"checkpoint_interval": 7, "checkpoint_count": 3, "checkpoint_wal_threshold": 1000,
		"replication_timeout": 0.25, "replication_reconnect_timeout": 2})
	tu := &n.server().tuning
	if tu.every().Seconds() != 7 || tu.checkpointCount.Load() != 3 || tu.checkpointBytes.Load() != 1000 || tu.death().Seconds() != 0.25 {
		t.Errorf("%v", tu.every())
	}
	s.makeSpace()
	had := len(n.server().main().store.Checkpoints())
	s.fill(0, 20) // more than 1000 bytes of log
	s.until("a checkpoint by bytes of log", func() bool { return len(n.server().main().store.Checkpoints()) > had })
	conn := n.dial()
	defer conn.Close()
	if _, err := conn.Do(tarantool.NewCallRequest("box.cfg").Args([]any{map[string]any{"readahead": 4096}})).Get(); err == nil ||
		!strings.Contains(err.Error(), "dynamically") {
		t.Errorf("readahead means nothing here: %v", err)
	}
}

// box.cfg shows what the file says, also of what cannot be changed.
func TestCfgShowsTheFile(t *testing.T) {
	s := newSet(t, 2, "memtx: {memory: 134217728}\n")
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	ours := strings.NewReplacer("failover: election,", "failover: election, connect_timeout: 11,", "iproto: {advertise", "iproto: {readahead: 32640, advertise").Replace(string(text))
	if err := os.WriteFile(s.file, []byte(ours), 0o600); err != nil {
		t.Fatal(err)
	}
	s.startAll()
	conn := s.nodes[0].dial()
	defer conn.Close()
	out, err := conn.Do(tarantool.NewEvalRequest("return box.cfg").Args([]any{})).Get()
	if err != nil {
		t.Fatal(err)
	}
	got := out[0].(map[any]any)
	for name, want := range map[string]any{"readahead": "32640", "replication_connect_timeout": "11", "replication_anon": "false", "work_dir": s.dir,
		"memtx_memory": "134217728", "memtx_dir": s.nodes[0].load().Snapshot.Dir, "listen": s.nodes[0].addr, "replication": fmt.Sprint([]string{s.nodes[0].addr, s.nodes[1].addr})} {
		if fmt.Sprint(got[name]) != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
}

// Wrong data directories are refused by one clear line, and nothing changes.
func TestRefusals(t *testing.T) {
	s := newSet(t, 1, "database: {replicaset_uuid: 11111111-1111-4111-8111-111111111111}\n")
	n := s.nodes[0]
	s.startAll()
	info, _ := n.info()

	second := &node1{set: s, name: n.name}
	second.start()
	if err := second.ended(); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second process: %v", err)
	}
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	with := func(old, new, want string) {
		t.Helper()
		if err := os.WriteFile(s.file, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		n.start()
		if err := n.ended(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	with("11111111-1111", "22222222-2222", "the data directory belongs to replica set 11111111-1111-4111-8111-111111111111")
	with("database: {", "database: {instance_uuid: 33333333-3333-4333-8333-333333333333, ", "the data directory belongs to instance "+info.UUID)
	if err := os.WriteFile(s.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	s.until("it is back", func() bool { i, ok := n.info(); return ok && i.UUID == info.UUID })
}

// A state of another replica set is not taken.
func TestWrongSet(t *testing.T) {
	s := newSet(t, 1, "database: {replicaset_uuid: 11111111-1111-4111-8111-111111111111}\n")
	l := newLife(s.nodes[0].load())
	k := &sink{life: l, CheckpointWriter: new(xlog.CheckpointWriter), schema: newBox(l.conf, nil)}
	tuple := func(key, value string) []byte {
		b, err := msgpack.Marshal([]any{key, value})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	other := "22222222-2222-4222-8222-222222222222"
	if err := k.Add(xrow.SpaceSchema, tuple("replicaset_uuid", other)); err == nil || !strings.Contains(err.Error(), other) {
		t.Errorf("%v", err)
	}
	for _, fine := range [][]byte{tuple("replicaset_uuid", "11111111-1111-4111-8111-111111111111"), tuple("max_id", other)} {
		if err := k.Add(xrow.SpaceSchema, fine); err != nil {
			t.Errorf("%x: %v", fine, err)
		}
	}
	for _, bad := range [][]byte{{0x90}, {0x92, 1, 2}} {
		if err := k.Add(xrow.SpaceSchema, bad); err == nil {
			t.Errorf("%x was taken", bad)
		}
	}
}

package peer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	for out, want := range map[string]string{
		"Tarantool 3.8.0-0-gdce7be8a79\nTarget: Linux": "3.8.0", "Tarantool 2.6.0": "2.6.0", "no": "unknown",
	} {
		if got := version(out); got != want {
			t.Errorf("%q: %s", out, got)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", filepath.Join(dir, "none"))
	for _, version := range []string{"14", "15"} {
		if err := os.MkdirAll(filepath.Join(dir, version, "bin"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, version, "bin", "initdb"), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := find("initdb", "install it", filepath.Join(dir, "*", "bin")); err != nil || got != filepath.Join(dir, "15", "bin", "initdb") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := find("etcd", "install it", dir); err == nil || err.Error() != "missing: etcd, install it" {
		t.Errorf("%v", err)
	}
}

// A row that is acknowledged is on the disks of more than half, on each peer.
func TestSameDurability(t *testing.T) {
	for nodes, quorum := range map[int]int{1: 1, 3: 2, 5: 3, 7: 4} {
		o := Options{Nodes: nodes, WAL: "fsync"}
		if o.quorum() != quorum {
			t.Errorf("%d nodes: a quorum of %d", nodes, o.quorum())
		}
	}
	o := Options{Nodes: 5, WAL: "fsync"}
	ports := []*node{{addr: "127.0.0.1:1"}, {addr: "127.0.0.1:2"}, {}, {}, {}}
	if got := (&Tarantool{nodes: ports}).script(0, o); !strings.Contains(got, "wal_mode = 'fsync'") || !strings.Contains(got, "replication_synchro_quorum = 3") {
		t.Errorf("%s", got)
	}
	settings := (&Postgres{nodes: ports}).settings(0, o)
	if !slices.Contains(settings, "synchronous_standby_names=ANY 2 (postgresql_2, postgresql_3, postgresql_4, postgresql_5)") ||
		!slices.Contains(settings, "synchronous_commit=on") {
		t.Errorf("%q", settings)
	}
	if settings := (&Postgres{nodes: ports}).settings(1, o); slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(s, "synchronous_standby") }) {
		t.Errorf("a standby waits for standbys: %q", settings)
	}
	o.WAL = "write"
	for _, start := range []func(context.Context, Options) error{(&Etcd{}).Start, (&Postgres{}).Start} {
		if err := start(t.Context(), o); !errors.Is(err, errWAL) {
			t.Errorf("without fsync: %v", err)
		}
	}
}

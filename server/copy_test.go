package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
)

// own is box.info.tarragon of an instance.
func (n *node1) own() map[any]any {
	n.set.t.Helper()
	return n.call("box.info")[0].(map[any]any)["tarragon"].(map[any]any)
}

// copyTaken is how the base copy of a filtered replica stands; nil: it takes none.
func (n *node1) copyTaken() map[any]any {
	n.set.t.Helper()
	c, _ := n.own()["filter"].(map[any]any)["copy"].(map[any]any)
	return c
}

// copiesGiven are the base copies that an instance gives.
func (n *node1) copiesGiven() (out []map[any]any) {
	n.set.t.Helper()
	for _, c := range n.call("tarragon.copy.list")[0].([]any) {
		out = append(out, c.(map[any]any))
	}
	return out
}

// withOrders is a filtered set that runs: both have people, the leader has so many orders
// of so many bytes, too.
func withOrders(t *testing.T, orders, size int) (s *set, lead, reader *node1, conn *tarantool.Connection) {
	t.Helper()
	s, lead, reader = filteredSet(t)
	lead.start()
	lead.readyInfo()
	conn = lead.dial()
	t.Cleanup(func() { conn.Close() })
	for _, name := range []string{"people", "orders"} {
		makeNamedSpace(t, conn, name)
	}
	insertRange(t, conn, "people", 0, 20)
	for i := range orders { // one after the other: all at once they are more than the queue takes
		if _, err := conn.Do(tarantool.NewInsertRequest("orders").Tuple([]any{i, strings.Repeat("x", size)})).Get(); err != nil {
			t.Fatal(err)
		}
	}
	s.until("the level is raised", func() bool { return s.raise(0) == nil })
	s.mustFilter(conn, "create", "hr", map[string]any{"empty": true})
	s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("space", "people")})
	return s, lead, reader, conn
}

func (n *node1) has(space string, want int) func() bool {
	return func() bool { got, err := n.count(space); return err == nil && got == want }
}

// A base copy that does not fit says so at the replica, and comes once there is room.
func TestCopyThatDoesNotFit(t *testing.T) {
	s, _, reader, conn := withOrders(t, 80, 1_000_000)
	reader.flags = []config.Flag{{Name: "test", Path: "memtx.memory", Value: "67108864"}}
	reader.start()
	s.until("it has people", reader.has("people", 20))
	s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("space", "orders")})
	s.until("it says why orders do not come", func() bool {
		c := reader.copyTaken()
		reason, _ := c["reason"].(string)
		return c != nil && fmt.Sprint(c["failed"]) == "2" && strings.Contains(reason, "Failed to allocate") && c["stage"] == "waits"
	})
	reader.call("box.cfg", map[string]any{"memtx_memory": 256 << 20})
	s.until("80 orders", reader.has("orders", 80))
	if c := reader.copyTaken(); c != nil {
		t.Errorf("%v", c)
	}
}

// silentReplica asks for a base copy of orders as a replica that has all, and takes nothing of it.
func (s *set) silentReplica(from *node1, conn *tarantool.Connection, spaces ...uint32) *iproto.Client {
	s.t.Helper()
	const uuid = "aaaaaaaa-0000-4000-8000-00000000dead"
	s.mustFilter(conn, "create", "wide", map[string]any{"full": true})
	from.call("tarragon.replica.create", "silent", map[string]any{"uuid": uuid, "filter": "wide"})
	var share xrow.Share
	from.of("").engine.Load().loop.Read(func(c *instance.Core) { share = c.Filter("wide").Share })
	c, err := iproto.Dial(context.Background(), from.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	if err := c.Login("replicator", "r"); err != nil {
		s.t.Fatal(err)
	}
	req := xrow.JoinRequest{InstanceUUID: uuid, InstanceName: "silent", ServerVersion: versionNumber(), Share: &share, Feature: instance.FeatureLevel, Copy: &xrow.Copy{Spaces: spaces}}
	if err := c.WriteRow(&xrow.Row{Type: xrow.FetchSnap, Body: req.AppendBody(nil)}); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// A replica that finds no place waits, and both ends say so; it gets its copy once an
// administrator has cancelled the one of a replica that is silent. Nobody else may.
func TestCopyCancel(t *testing.T) {
	s, lead, reader, conn := withOrders(t, 40, 1_000_000) // more than what sockets hold
	reader.start()
	s.until("it has people", reader.has("people", 20))
	lead.call("box.cfg", map[string]any{"tarragon_max_copies": 1, "tarragon_copy_timeout": 3600})
	id, _ := lead.of("").engine.Load().core.Box().ResolveSpace("orders")
	s.silentReplica(lead, conn, id)
	s.until("it is sent a copy", func() bool { c := lead.copiesGiven(); return len(c) == 1 && c[0]["stage"] == "sending" })
	s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("space", "orders")})
	s.until("the reader says that there is no place", func() bool {
		c := reader.copyTaken()
		reason, _ := c["reason"].(string)
		return strings.Contains(reason, "i1: ") && strings.Contains(reason, "as many base copies are under way here as tarragon.max_copies allows: 1") && fmt.Sprint(c["failed"]) == "0"
	})
	given := lead.copiesGiven()
	if len(given) != 2 || given[0]["replica"] != "silent" || given[1]["replica"] != "i2" || given[1]["stage"] != "refused" || fmt.Sprint(given[1]["spaces"]) != "[orders]" {
		t.Fatalf("%v", given)
	}
	s.makeUser("eve", []any{"execute", "universe"})
	eve := lead.as("eve", "eve")
	for _, call := range []tarantool.Request{tarantool.NewCallRequest("tarragon.copy.cancel").Args([]any{"silent"}), tarantool.NewCallRequest("tarragon.copy.list")} {
		if _, err := eve.Do(call).Get(); err == nil {
			t.Error("eve may do it")
		}
	}
	if n := lead.call("tarragon.copy.cancel", "silent")[0]; fmt.Sprint(n) != "1" {
		t.Errorf("%v cancelled", n)
	}
	s.until("40 orders", reader.has("orders", 40))
	s.until("nothing is kept", func() bool {
		copies, _ := lead.own()["copies"].(map[any]any)
		return fmt.Sprint(copies["open"]) == "0" && fmt.Sprint(copies["cancelled"]) == "1"
	})
}

// The copy of a replica that is silent ends by itself after the time that is set.
func TestCopyTimeout(t *testing.T) {
	s, lead, _, conn := withOrders(t, 40, 1_000_000)
	id, _ := lead.of("").engine.Load().core.Box().ResolveSpace("orders")
	s.silentReplica(lead, conn, id)
	s.until("it is sent a copy", func() bool { c := lead.copiesGiven(); return len(c) == 1 && c[0]["stage"] == "sending" })
	lead.call("box.cfg", map[string]any{"tarragon_copy_timeout": 0.1})
	s.until("it is closed", func() bool { return len(lead.copiesGiven()) == 0 })
}

// The reader's own command brings what the filter adds, and is told the path as one word; when it
// fails that is shown, and nothing comes by the connection.
func TestCopyByCommand(t *testing.T) {
	s, lead, reader, conn := withOrders(t, 30, 1000)
	works := filepath.Join(s.dir, "works")
	script := filepath.Join(s.dir, "carry.sh")
	if err := os.WriteFile(script, []byte("test -e "+works+" || { echo 'no route to '\"$3\" >&2; exit 3; }\nexec cp \"$1\" \"$2\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(file), "filter: hr", "filter: hr, transfer_command: [sh, "+script+", '%source%', '%target%', '%host%']", 1)
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reader.start()
	s.until("it has people", reader.has("people", 20))
	s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("space", "orders")})
	s.until("it says what the command has said", func() bool {
		c := reader.copyTaken()
		reason, _ := c["reason"].(string)
		return strings.Contains(reason, `exit status 3: "no route to 127.0.0.1"`)
	})
	if _, err := reader.count("orders"); !errors.Is(codeOf(err), xrow.ErrBeingCopied) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(works, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.until("30 orders", reader.has("orders", 30))
	insertRange(t, conn, "orders", 30, 40)
	s.until("40 orders", reader.has("orders", 40))
	left, err := filepath.Glob(filepath.Join(reader.server().main().copyDir(), "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("%q stay, %v", left, err)
	}
	names, err := filepath.Glob(filepath.Join(lead.server().main().copyDir(), "*.copy"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%q, %v", names, err)
	}
	if info, err := os.Stat(names[0]); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	lead.call("box.cfg", map[string]any{"tarragon_copy_timeout": 0.1})
	if err := lead.halt(); err != nil {
		t.Fatal(err)
	}
	if names, _ := filepath.Glob(filepath.Join(lead.server().main().copyDir(), "*")); len(names) != 0 {
		t.Errorf("%q stay behind a stop", names)
	}
}

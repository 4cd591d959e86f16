package server

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
)

// filteredSet is a leader and an anonymous replica that has what a filter gives.
func filteredSet(t *testing.T) (s *set, lead, reader *node1) {
	t.Helper()
	s = newSet(t, 2, "")
	file, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(file), "i2: {", "i2: {replication: {anon: true, election_mode: 'off'}, tarragon: {filter: hr}, ", 1)
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, s.nodes[0], s.nodes[1]
}

// count is how many tuples a space has for clients, or the error that they get.
func (n *node1) count(space string) (int, error) {
	conn := n.dial()
	defer conn.Close()
	data, err := conn.Do(tarantool.NewSelectRequest(space).Iterator(tarantool.IterAll).Limit(1 << 20)).Get()
	return len(data), err
}

// A replica with a filter takes the spaces that it gives, follows them, says of others that
// they are not there, and gets and loses spaces while it runs and the leader writes; also over a restart of it.
func TestFilteredReplica(t *testing.T) {
	s, lead, reader := filteredSet(t)
	lead.start()
	lead.readyInfo()
	conn := lead.dial()
	defer conn.Close()
	for _, name := range []string{"people", "orders"} {
		makeNamedSpace(t, conn, name)
		insertRange(t, conn, name, 0, 100)
	}
	s.until("the level is raised", func() bool { return s.raise(0) == nil })
	s.mustFilter(conn, "create", "hr", map[string]any{"empty": true})
	s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("space", "people")})
	reader.start()
	s.until("it has people", func() bool { _, ok := reader.info(); return ok })
	has := func(space string, want int) func() bool {
		return func() bool { n, err := reader.count(space); return err == nil && n == want }
	}
	s.until("100 people", has("people", 100))
	absent := func() {
		t.Helper()
		_, err := reader.count("orders")
		var e tarantool.Error
		if !errors.As(err, &e) || uint32(e.Code) != uint32(xrow.ErrNotReplicated) || e.Msg != "Space 'orders' is not replicated to instance 'i2' (filter 'hr')" {
			t.Errorf("orders: %v", err)
		}
	}
	absent()
	insertRange(t, conn, "orders", 100, 200)
	insertRange(t, conn, "people", 100, 150)
	s.until("150 people", has("people", 150))
	absent()
	if reader.logHas("orders") {
		t.Error("its log has rows of orders")
	}
	s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("space", "orders")})
	insertRange(t, conn, "orders", 200, 300)
	s.until("300 orders", has("orders", 300))
	insertRange(t, conn, "orders", 300, 310)
	s.until("310 orders", has("orders", 310))
	if err := reader.halt(); err != nil {
		t.Fatal(err)
	}
	insertRange(t, conn, "orders", 310, 320)
	reader.start()
	s.until("320 orders", func() bool { _, ok := reader.info(); return ok && has("orders", 320)() })
	s.mustFilter(conn, "alter", "hr", map[string]any{"remove": items("space", "people")})
	s.until("people are gone", func() bool {
		_, err := reader.count("people")
		return errors.Is(codeOf(err), xrow.ErrNotReplicated)
	})
	if i, _ := reader.info(); i.Share.Filter != "hr" || i.Share.Version != 4 || len(i.Share.Absent) != 1 || i.Share.Absent[0] != "people" || len(i.Share.Copied) != 0 {
		t.Errorf("%+v", i.Share)
	}
}

// A replica whose filter was renamed is started anew with the new name, and has what that gives.
func TestFilteredReplicaOfAnotherName(t *testing.T) {
	s, lead, reader := filteredSet(t)
	lead.start()
	lead.readyInfo()
	conn := lead.dial()
	defer conn.Close()
	makeNamedSpace(t, conn, "people")
	insertRange(t, conn, "people", 0, 10)
	s.until("the level is raised", func() bool { return s.raise(0) == nil })
	s.mustFilter(conn, "create", "hr", map[string]any{"full": true})
	reader.start()
	s.until("10 people", func() bool { n, err := reader.count("people"); return err == nil && n == 10 })
	s.mustFilter(conn, "alter", "hr", map[string]any{"rename": "staff"})
	s.until("it is told that its filter has another name", func() bool {
		return strings.Contains(reader.log.String(), "is registered with filter 'staff' and asks with filter 'hr'")
	})
	if err := reader.halt(); err != nil {
		t.Fatal(err)
	}
	insertRange(t, conn, "people", 10, 15)
	file, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file, []byte(strings.Replace(string(file), "filter: hr", "filter: staff", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	reader.start()
	s.until("15 people", func() bool { n, err := reader.count("people"); return err == nil && n == 15 })
	if i, _ := reader.info(); i.Share.Filter != "staff" || i.Share.Version != 2 || i.Share.Gone {
		t.Errorf("%+v", i.Share)
	}
}

func codeOf(err error) error {
	var e tarantool.Error
	if errors.As(err, &e) {
		return xrow.Code(e.Code)
	}
	return err
}

// logHas tells whether the log of an instance has a row of a space.
func (n *node1) logHas(space string) (has bool) {
	id, _ := n.of("").engine.Load().core.Box().ResolveSpace(space)
	slot := n.of("").store
	r := slot.Read(slot.First())
	defer r.Close()
	for {
		_, g, err := r.Next()
		if err != nil {
			return has
		}
		for i := range g.Table {
			has = has || g.Table[i].SpaceID == id
		}
	}
}

func makeNamedSpace(t *testing.T, conn *tarantool.Connection, name string) {
	t.Helper()
	for _, call := range []tarantool.Request{
		tarantool.NewCallRequest("box.schema.space.create").Args([]any{name, map[string]any{"is_sync": true}}),
		tarantool.NewCallRequest("box.space." + name + ":create_index").Args([]any{"pk", map[string]any{"parts": []any{[]any{1, "unsigned"}}}}),
	} {
		if _, err := conn.Do(call).Get(); err != nil {
			t.Fatal(err)
		}
	}
}

func insertRange(t *testing.T, conn *tarantool.Connection, space string, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if _, err := conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{i, "x"})).Get(); err != nil {
			t.Fatal(err)
		}
	}
}

// by is how many tuples a client finds by the second index of a space, or the error that it gets.
func (n *node1) by(space, index string) (int, error) {
	conn := n.dial()
	defer conn.Close()
	data, err := conn.Do(tarantool.NewSelectRequest(space).Index(index).Iterator(tarantool.IterAll).Limit(1 << 20)).Get()
	return len(data), err
}

// An index and a sequence that a filter leaves out are not served by a replica, by name, and are
// in its schema all the same; the index is built again while it goes on; also over a restart.
func TestFilteredReplicaIndexes(t *testing.T) {
	s, lead, reader := filteredSet(t)
	lead.start()
	lead.readyInfo()
	conn := lead.dial()
	defer conn.Close()
	makeNamedSpace(t, conn, "people")
	index := tarantool.NewCallRequest("box.space.people:create_index").Args([]any{"by_name", map[string]any{"parts": []any{[]any{2, "string"}}, "unique": false}})
	if _, err := conn.Do(index).Get(); err != nil {
		t.Fatal(err)
	}
	insertRange(t, conn, "people", 0, 100)
	s.until("the level is raised", func() bool { return s.raise(0) == nil })
	s.mustFilter(conn, "create", "hr", map[string]any{"full": true})
	if _, err := conn.Do(tarantool.NewInsertRequest(uint32(xrow.SpaceSequence)).Tuple([]any{3, 1, "numbers", 1, 1, 9, 1, 0, false})).Get(); err != nil {
		t.Fatal(err)
	}
	s.mustFilter(conn, "alter", "hr", map[string]any{"remove": map[string]any{"index": []any{"people.by_name"}, "sequence": []any{"numbers"}}})
	reader.start()
	s.until("100 people", func() bool { n, err := reader.count("people"); return err == nil && n == 100 })
	leftOut := func() {
		t.Helper()
		_, err := reader.by("people", "by_name")
		var e tarantool.Error
		if !errors.As(err, &e) || uint32(e.Code) != uint32(xrow.ErrIndexNotReplicated) || e.Msg != "Index 'by_name' of space 'people' is not replicated to instance 'i2' (filter 'hr')" {
			t.Errorf("by_name: %v", err)
		}
		at := reader.dial()
		defer at.Close()
		for name, text := range map[string]string{"select": "Index 'by_name' of space 'people' is not replicated", "count": "Index 'by_name' of space 'people' is not replicated"} {
			if _, err := at.Do(tarantool.NewCallRequest("box.space.people.index.by_name:" + name)).Get(); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s by a method: %v", name, err)
			}
		}
		if _, err := at.Do(tarantool.NewCallRequest("box.sequence.numbers:next")).Get(); !errors.Is(codeOf(err), xrow.ErrSequenceNotReplicated) {
			t.Errorf("the next number: %v", err)
		}
		if _, err := conn.Do(tarantool.NewCallRequest("box.sequence.numbers:next")).Get(); !errors.Is(codeOf(err), xrow.ErrNoSuchProc) {
			t.Errorf("the next number, of the leader: %v", err)
		}
		rows, err := at.Do(tarantool.NewSelectRequest(289).Index(2).Key([]any{512, "by_name"})).Get()
		if err != nil || len(rows) != 1 {
			t.Errorf("_vindex has %v, %v", rows, err)
		}
		if i, _ := reader.info(); len(i.Share.Indexes) != 1 || i.Share.Indexes[0].Index != "by_name" || len(i.Share.Sequences) != 1 || i.Share.Sequences[0] != "numbers" {
			t.Errorf("%+v", i.Share.Indexes)
		}
	}
	leftOut()
	insertRange(t, conn, "people", 100, 120)
	if err := reader.halt(); err != nil {
		t.Fatal(err)
	}
	insertRange(t, conn, "people", 120, 130)
	reader.start()
	s.until("130 people", func() bool { n, err := reader.count("people"); return err == nil && n == 130 })
	leftOut()
	s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("index", "people.by_name")})
	s.until("by_name is there", func() bool { n, err := reader.by("people", "by_name"); return err == nil && n == 130 })
	insertRange(t, conn, "people", 130, 140)
	s.until("it follows", func() bool { n, err := reader.by("people", "by_name"); return err == nil && n == 140 })
	s.mustFilter(conn, "alter", "hr", map[string]any{"remove": items("index", "people.by_name")})
	s.until("it is left out again", func() bool {
		_, err := reader.by("people", "by_name")
		return errors.Is(codeOf(err), xrow.ErrIndexNotReplicated)
	})
	leftOut()
}

// A replica is registered with its first state, under its name; what it is registered with is
// what it gets. A drop ends its stream, by name, and it does not come back by itself; nor does
// the filter go while it is there. What is altered back goes on, and has everything.
func TestRegisteredReplica(t *testing.T) {
	s, lead, reader := filteredSet(t)
	lead.start()
	lead.readyInfo()
	conn := lead.dial()
	defer conn.Close()
	makeNamedSpace(t, conn, "people")
	insertRange(t, conn, "people", 0, 10)
	s.until("the level is raised", func() bool { return s.raise(0) == nil })
	s.mustFilter(conn, "create", "hr", map[string]any{"full": true})
	s.mustFilter(conn, "create", "rest", map[string]any{"empty": true})
	reader.start()
	has := func(want int) func() bool {
		return func() bool { n, err := reader.count("people"); return err == nil && n == want }
	}
	s.until("10 people", has(10))
	line := func(n *node1) map[any]any {
		for _, l := range n.call("tarragon.replica.list")[0].([]any) {
			if m := l.(map[any]any); m["name"] == "i2" {
				return m
			}
		}
		return nil
	}
	s.until("the leader knows its stream", func() bool { m := line(lead); return m != nil && m["stream"] != nil })
	s.until("the leader is told its memory", func() bool { return line(lead)["stream"].(map[any]any)["memory"] != nil })
	m := line(lead)
	if memory := m["stream"].(map[any]any)["memory"].(map[any]any); cluster.Number(memory["limit"]) != uint64(reader.memory().Limit) || cluster.Number(memory["taken"]) == 0 {
		t.Errorf("its memory is %v, by its own word %+v", memory, reader.memory())
	}
	if stream := m["stream"].(map[any]any); m["filter"] != "hr" || m["state"] != "registered" || stream["status"] != "follow" || fmt.Sprint(stream["acked_version"]) != "1" {
		t.Errorf("%v", m)
	}
	if own := lead.call("box.info")[0].(map[any]any)["tarragon"].(map[any]any)["replicas"].([]any); len(own) != 1 || own[0].(map[any]any)["name"] != "i2" {
		t.Errorf("box.info: %v", own)
	}
	if shown := s.mustFilter(conn, "show", "hr").(map[any]any)["replicas"]; fmt.Sprint(shown) != "[i2]" {
		t.Errorf("filter show: %v", shown)
	}
	if _, refused := filterCall(conn, "drop", "hr"); refused == nil || !strings.Contains(refused.Msg, "Filter 'hr' is in use by 'i2'") {
		t.Errorf("a filter that is in use is dropped: %v", refused)
	}
	replica := func(verb string, args ...any) {
		t.Helper()
		if _, err := conn.Do(tarantool.NewCallRequest("tarragon.replica." + verb).Args(args)).Get(); err != nil {
			t.Fatal(err)
		}
	}
	said := func(text string) func() bool {
		return func() bool { return strings.Contains(reader.log.String(), text) }
	}
	replica("drop", "i2")
	s.until("it is told that it was dropped", said("Replica 'i2' ("))
	s.until("nothing goes to it", func() bool { return line(lead)["stream"] == nil })
	insertRange(t, conn, "people", 10, 20)
	if err := reader.halt(); err != nil {
		t.Fatal(err)
	}
	reader.start()
	s.until("it asks again, and is told again", func() bool { return strings.Count(reader.log.String(), "was dropped and gets nothing any more") > 1 })
	if n, err := reader.count("people"); err != nil || n != 10 {
		t.Errorf("dropped, it has %d people, %v", n, err)
	}
	replica("alter", "i2", map[string]any{"filter": "rest"})
	s.until("it is told of another filter", said("is registered with filter 'rest' and asks with filter 'hr'"))
	replica("alter", "i2", map[string]any{"filter": "hr"})
	s.until("20 people", has(20))
	if names := s.mustFilter(conn, "drop", "hr", map[string]any{"force": true}); fmt.Sprint(names) != "[i2]" {
		t.Errorf("dropped with the filter: %v", names)
	}
	s.until("its stream ends with the filter", func() bool { return line(lead)["stream"] == nil && line(lead)["state"] == "dropped" })
}

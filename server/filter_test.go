package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// filterCall calls a verb of filters, and gives the error of an answer that is one.
func filterCall(conn *tarantool.Connection, verb string, args ...any) ([]any, *tarantool.Error) {
	out, err := conn.Do(tarantool.NewCallRequest("tarragon.filter." + verb).Args(append([]any{}, args...))).Get()
	refused := new(tarantool.Error)
	switch {
	case errors.As(err, refused):
		return nil, refused
	case err != nil:
		return nil, &tarantool.Error{Msg: err.Error()}
	}
	return out, nil
}

// mustFilter is filterCall of what is no mistake.
func (s *set) mustFilter(conn *tarantool.Connection, verb string, args ...any) any {
	s.t.Helper()
	out, refused := filterCall(conn, verb, args...)
	if refused != nil {
		s.t.Fatalf("%s%v: %v", verb, args, refused)
	}
	if len(out) == 0 {
		return nil
	}
	return out[0]
}

func items(kind string, objects ...any) map[string]any { return map[string]any{kind: objects} }

// Filters over the wire: what is changed at the leader is known on all instances, and
// what a client drops by whatever request leaves them. Versions go on at the next leader.
func TestFilters(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	lead := s.leader()
	conn := lead.dial()
	defer conn.Close()
	if _, refused := filterCall(conn, "create", "hr", map[string]any{"empty": true}); refused == nil || refused.Code != iproto.ER_UNSUPPORTED ||
		!strings.Contains(refused.Msg, "Space '_tarragon_filter' needs feature level 3, the replica set has 1") {
		t.Errorf("below the level: %v", refused)
	}
	s.until("the level is raised", func() bool { return s.raise(0) == nil })
	for _, name := range []string{"staff", "wages"} {
		lead.call("box.schema.space.create", name)
		lead.call("box.space."+name+":create_index", "pk")
		lead.call("box.space."+name+":create_index", "second", map[string]any{"parts": []any{map[string]any{"field": 2, "type": "unsigned"}}})
	}
	if _, err := conn.Do(tarantool.NewInsertRequest(uint32(xrow.SpaceSequence)).Tuple([]any{3, 1, "numbers", 1, 1, 9, 1, 0, false})).Get(); err != nil {
		t.Fatal(err)
	}
	versions := []any{s.mustFilter(conn, "create", "hr", map[string]any{"empty": true}), s.mustFilter(conn, "create", "all", map[string]any{"full": true}),
		s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("space", "staff", "wages")}),
		s.mustFilter(conn, "alter", "hr", map[string]any{"remove": items("index", "staff.second", []any{"wages", 1})}),
		s.mustFilter(conn, "alter", "all", map[string]any{"remove": items("space", "t")})}
	if got := fmt.Sprint(versions); got != "[1 2 3 4 5]" {
		t.Errorf("versions %s", got)
	}
	s.level()
	shown := func(n *node1, name string) string {
		m := n.call("tarragon.filter.show", name)[0].(map[any]any)
		names := func(field string) (all []string) {
			for _, o := range m[field].([]any) {
				all = append(all, fmt.Sprint(o.(map[any]any)["name"]))
			}
			return all
		}
		return fmt.Sprintf("%v %v %v %v %v %v %v %v", m["name"], m["version"], m["include_new"], names("spaces"), names("absent"), names("indexes"), names("sequences"), m["former"])
	}
	for _, n := range s.nodes {
		s.until(n.name+" knows the filters", func() bool { return len(n.call("tarragon.filter.list")[0].([]any)) == 2 })
		if got, want := shown(n, "hr"), "hr 4 false [staff wages] [t] [second second] [numbers] [3 1]"; got != want {
			t.Errorf("%s: %s, want %s", n.name, got, want)
		}
		if got, want := shown(n, "all"), "all 5 true [staff wages] [t] [] [] [2]"; got != want {
			t.Errorf("%s: %s, want %s", n.name, got, want)
		}
		if n == lead {
			continue
		}
		other := n.dial()
		for _, verb := range []string{"create", "alter", "drop"} {
			if _, refused := filterCall(other, verb, "hr", map[string]any{"create": map[string]any{"full": true}, "alter": map[string]any{"rename": "x"}, "drop": map[string]any{}}[verb]); refused == nil || refused.Code != iproto.ER_READONLY {
				t.Errorf("%s at %s: %v", verb, n.name, refused)
			}
		}
		other.Close()
	}
	// By DELETE, by CALL, by an UPDATE of the name, which drops nothing.
	del := func(space uint32, key ...any) {
		t.Helper()
		if _, err := conn.Do(tarantool.NewDeleteRequest(space).Key(key)).Get(); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]any{}
	for _, o := range s.mustFilter(conn, "show", "hr").(map[any]any)["spaces"].([]any) {
		ids[o.(map[any]any)["name"].(string)] = o.(map[any]any)["id"]
	}
	del(xrow.SpaceIndex, ids["staff"], 1)
	del(xrow.SpaceSequence, 3)
	lead.call("box.space.staff:rename", "people")
	lead.call("box.space.wages:drop")
	lead.call("box.space.t:drop")
	if got, want := shown(lead, "hr"), "hr 8 false [people] [] [] [] [7 6 4 3 1]"; got != want {
		t.Errorf("behind the drops: %s, want %s", got, want)
	}
	if got, want := shown(lead, "all"), "all 9 true [people] [] [] [] [5 2]"; got != want {
		t.Errorf("behind the drops: %s, want %s", got, want)
	}
	lead.call("box.schema.space.create", "other", map[string]any{"id": ids["wages"]})
	if got, want := shown(lead, "hr"), "hr 8 false [people] [other] [] [] [7 6 4 3 1]"; got != want {
		t.Errorf("an ID is given again: %s, want %s", got, want)
	}
	s.mustFilter(conn, "drop", "hr")
	s.until("leadership moves", func() bool {
		_, err := conn.Do(tarantool.NewCallRequest("box.ctl.switchover").Args([]any{map[string]any{}})).Get()
		return err == nil
	})
	next := s.leader()
	then := next.dial()
	defer then.Close()
	if v := s.mustFilter(then, "create", "hr", map[string]any{"full": true}); fmt.Sprint(v) != "10" {
		t.Errorf("made again at the next leader: version %v", v)
	}
	if v := s.mustFilter(then, "alter", "hr", map[string]any{"rename": "rest"}); fmt.Sprint(v) != "11" {
		t.Errorf("renamed: version %v", v)
	}
}

// Each mistake is an error with its code, as go-tarantool gets it, and changes nothing. Who
// has not the right gets no further.
func TestFilterErrors(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	n := s.leader()
	s.until("the level is raised", func() bool { return s.raise(0) == nil })
	n.call("box.schema.space.create", "own", map[string]any{"is_local": true})
	n.call("box.schema.space.create", "brief", map[string]any{"temporary": true})
	n.call("box.space.t:create_index", "second", map[string]any{"parts": []any{map[string]any{"field": 2, "type": "unsigned"}}})
	conn := n.dial()
	defer conn.Close()
	s.mustFilter(conn, "create", "hr", map[string]any{"empty": true})
	s.mustFilter(conn, "create", "all", map[string]any{"full": true})
	add := func(kind string, objects ...any) map[string]any {
		return map[string]any{"add": items(kind, objects...)}
	}
	remove := func(kind string, objects ...any) map[string]any {
		return map[string]any{"remove": items(kind, objects...)}
	}
	for _, test := range []struct {
		verb string
		args []any
		code iproto.Error
		want string
	}{
		{"create", []any{"hr", map[string]any{"full": true}}, iproto.ER_ILLEGAL_PARAMS, "Filter 'hr' exists"},
		{"create", []any{"H", map[string]any{"full": true}}, iproto.ER_ILLEGAL_PARAMS, "'H' cannot name a filter"},
		{"create", []any{"x", map[string]any{}}, iproto.ER_ILLEGAL_PARAMS, "one of the options 'full' and 'empty'"},
		{"create", []any{"x", map[string]any{"full": true, "include_new": true, "exclude_new": true}}, iproto.ER_ILLEGAL_PARAMS, "exclude each other"},
		{"create", []any{"x", map[string]any{"some": true}}, iproto.ER_ILLEGAL_PARAMS, "unexpected option 'some'"},
		{"alter", []any{"none", map[string]any{"rename": "x"}}, iproto.ER_ILLEGAL_PARAMS, "Filter 'none' does not exist"},
		{"alter", []any{"hr", map[string]any{"rename": "all"}}, iproto.ER_ILLEGAL_PARAMS, "Filter 'all' exists"},
		{"alter", []any{"hr", map[string]any{"rename": "A"}}, iproto.ER_ILLEGAL_PARAMS, "'A' cannot name a filter"},
		{"alter", []any{"hr", map[string]any{}}, iproto.ER_ILLEGAL_PARAMS, "nothing is changed"},
		{"alter", []any{"hr", add("space", "nowhere")}, iproto.ER_NO_SUCH_SPACE, "Space 'nowhere' does not exist"},
		{"alter", []any{"hr", add("space", 5000)}, iproto.ER_NO_SUCH_SPACE, "Space '5000' does not exist"},
		{"alter", []any{"hr", add("space", "_index")}, iproto.ER_ILLEGAL_PARAMS, "Space '_index' is a system space"},
		{"alter", []any{"hr", add("space", "_tarragon_filter")}, iproto.ER_ILLEGAL_PARAMS, "Space '_tarragon_filter' is Tarragon's own"},
		{"alter", []any{"hr", add("space", "own")}, iproto.ER_ILLEGAL_PARAMS, "Space 'own' is local"},
		{"alter", []any{"hr", add("space", "brief")}, iproto.ER_ILLEGAL_PARAMS, "Space 'brief' is temporary"},
		{"alter", []any{"hr", map[string]any{"add": items("space", "t"), "remove": items("space", "t")}}, iproto.ER_ILLEGAL_PARAMS, "'t' cannot be both added and removed"},
		{"alter", []any{"hr", remove("index", "t.second")}, iproto.ER_ILLEGAL_PARAMS, "filter 'hr' leaves space 't' out"},
		{"alter", []any{"all", remove("index", "t.pk")}, iproto.ER_ILLEGAL_PARAMS, "Index 'pk' is the primary one of space 't'"},
		{"alter", []any{"all", remove("index", "t.third")}, iproto.ER_NO_SUCH_INDEX_NAME, "No index 'third' is defined in space 't'"},
		{"alter", []any{"all", remove("index", "second")}, iproto.ER_ILLEGAL_PARAMS, "Index 'second' is given without its space"},
		{"alter", []any{"all", remove("index", "nowhere.second")}, iproto.ER_NO_SUCH_SPACE, "Space 'nowhere' does not exist"},
		{"alter", []any{"all", remove("sequence", "none")}, iproto.ER_NO_SUCH_SEQUENCE, "Sequence 'none' does not exist"},
		{"alter", []any{"all", remove("view", "v")}, iproto.ER_ILLEGAL_PARAMS, "unexpected option 'view'"},
		{"drop", []any{"none"}, iproto.ER_ILLEGAL_PARAMS, "Filter 'none' does not exist"},
		{"drop", []any{"hr", map[string]any{"now": true}}, iproto.ER_ILLEGAL_PARAMS, "unexpected option 'now'"},
		{"show", []any{"none"}, iproto.ER_ILLEGAL_PARAMS, "Filter 'none' does not exist"},
		{"list", []any{1}, iproto.ER_ILLEGAL_PARAMS, "Usage: tarragon.filter.list()"},
	} {
		if _, refused := filterCall(conn, test.verb, test.args...); refused == nil || refused.Code != test.code || !strings.Contains(refused.Msg, test.want) {
			t.Errorf("%s%v: %v\nwant %v %s", test.verb, test.args, refused, test.code, test.want)
		}
	}
	if got := fmt.Sprint(s.mustFilter(conn, "list")); strings.Count(got, "name:") != 2 || !strings.Contains(got, "version:1") || !strings.Contains(got, "version:2") {
		t.Errorf("behind all mistakes: %s", got)
	}
	s.makeUser("bob", []any{"execute", "universe"})
	s.makeUser("eve", []any{"execute", "lua_call", "tarragon.filter.list"})
	for _, user := range []string{"bob", "eve"} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		theirs, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: n.addr, User: user, Password: user}, tarantool.Opts{Timeout: patience})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"create", "alter", "drop", "list", "show"} {
			may := user == "eve" && verb == "list"
			if _, refused := filterCall(theirs, verb); (refused == nil) != may || refused != nil && refused.Code != iproto.ER_ACCESS_DENIED {
				t.Errorf("%s by %s: %v", verb, user, refused)
			}
		}
		theirs.Close()
	}
	if _, err := conn.Do(tarantool.NewReplaceRequest("_tarragon_filter").Tuple([]any{"x", 1, true, []any{}, []any{}, []any{}, []any{}})).Get(); err == nil ||
		!strings.Contains(err.Error(), "'tarragon filter' (tarragon.filter.create, alter, drop) writes it") {
		t.Errorf("a REPLACE: %v", err)
	}
}

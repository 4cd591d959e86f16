package server

import (
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon/router"

	"github.com/tarantool/go-tarantool/v2"
)

// The router in an instance reaches that without a socket, and acts for its clients there as a member would: it
// logs in as members do, who may do so from their addresses alone.
func TestRouterReachesItsOwnInstanceInside(t *testing.T) {
	rw := freeAddr(t)
	s := newSet(t, 1, fmt.Sprintf("tarragon: {router: {rw: '%s', login: replicator}}\n", rw))
	s.startAll()
	s.makeSpace()
	n := s.leader()
	direct := n.dial()
	defer direct.Close()
	conn := n.dialAt(rw)
	defer conn.Close()
	if _, err := conn.Do(tarantool.NewInsertRequest(512).Tuple([]any{1})).Get(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		conn   *tarantool.Connection
		inside bool
	}{{conn, true}, {direct, false}} {
		out, err := c.conn.Do(tarantool.NewCallRequest("box.session.peer")).Get()
		if err != nil || len(out) != 1 || (out[0] == n.addr) != c.inside {
			t.Errorf("the peer of a session is %v: %v; of one inside the process it is %s", out, err, n.addr)
		}
	}
	rows, err := direct.Do(tarantool.NewSelectRequest(512)).Get()
	if err != nil || len(rows) != 1 {
		t.Errorf("the instance has %v: %v", rows, err)
	}
}

// A client that opens all sessions that it can get, and has more writes under way than a user has slots, takes
// nothing from another one: his writes have numbers still. What it has got is bounded.
func TestAttackSessionsThroughARouter(t *testing.T) {
	rw := freeAddr(t)
	s := newSet(t, 1, fmt.Sprintf("tarragon: {router: {rw: '%s'}}\n", rw))
	s.startAll()
	s.makeSpace()
	n := s.leader()
	n.call("tarragon.feature_raise")
	for _, user := range []string{"flood", "quiet"} {
		n.call("box.schema.user.create", user, map[string]any{"password": "x"})
		n.call("box.schema.user.grant", user, "read,write,execute", "universe")
	}
	writes := func() router.WriteStats { return n.server().port.router.Stats().Writes }
	flood := n.dialAs(rw, "flood", "x")
	defer flood.Close()
	opened := 0
	for range 40 {
		_, err := flood.Do(tarantool.NewCallRequest("tarragon.session.open").Args([]any{1024})).Get()
		if err == nil {
			opened++
		} else if !strings.Contains(err.Error(), "No more sessions") {
			t.Fatal(err)
		}
	}
	if opened != 16 {
		t.Errorf("one user has 1024 slots %d times, of 32", opened)
	}
	var open []*tarantool.Future
	for i := range 3000 {
		open = append(open, flood.Do(tarantool.NewInsertRequest(512).Tuple([]any{10 + i})))
	}
	quiet := n.dialAs(rw, "quiet", "x")
	defer quiet.Close()
	before := writes().Sessions
	if _, err := quiet.Do(tarantool.NewInsertRequest(512).Tuple([]any{1})).Get(); err != nil {
		t.Fatal(err)
	}
	for i, f := range open {
		if _, err := f.Get(); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
	st := writes()
	if st.Numbered != 1 || st.Sessions != before+1 || st.Slots > 64 || st.Taken != 0 {
		t.Errorf("the flood has %d writes with numbers or the other one none, %d sessions where there were %d, %d slots, %d taken", st.Numbered-1, st.Sessions, before, st.Slots, st.Taken)
	}
}

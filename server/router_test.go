package server

import (
	"fmt"
	"testing"

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

package server

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"tarragon.dev/tarragon/config"
)

// TestShare: whatever the limit, the parts are no more than there is, the store
// and the peers come first, and too few are refused by a line that says how many
// are needed: with so many it starts.
func TestShare(t *testing.T) {
	for _, members := range []int{1, 3, 9, 31} {
		in := &config.Instance{Members: make([]config.Member, members)}
		least := 0
		for limit := 1; limit < 1<<21; limit += 1 + limit/64 {
			d, err := share(limit, in, 1)
			if err != nil {
				if least == 0 {
					if _, e := fmt.Sscanf(err.Error()[strings.Index(err.Error(), "needs "):], "needs %d:", &least); e != nil {
						t.Fatal(err)
					}
				}
				if limit >= least {
					t.Errorf("%d members, %d files: %v", members, limit, err)
				}
				continue
			}
			if limit < least || d.store+d.peers+d.clients+ownFiles > limit || d.store < 96 || d.clients < clientsLeast || d.peers < filesPerPeer*(members-1) {
				t.Errorf("%d members, %d files, %d needed: %+v", members, limit, least, d)
			}
		}
	}
	in := &config.Instance{}
	in.Tarragon.MaxConnections = 20
	if d, err := share(1024, in, 1); err != nil || d.clients != 20 {
		t.Errorf("%+v, %v", d, err)
	}
}

// An instance whose process may open too few files does not start, and has
// touched nothing.
func TestTooFewFiles(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	n.files = 80
	n.start()
	if err := n.ended(); err == nil || !strings.Contains(err.Error(), "may open 80 files (ulimit -n), and needs 184: 96 for the store") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	n.files = 200
	n.start()
	s.leader()
	if log := n.log.String(); !strings.Contains(log, `"files":200,"store":96,"peers":16,"connections":24,"before_login":12,"message":"file descriptors"`) {
		t.Error("the start does not say what there is")
	}
}

// However many connect and say nothing, a member that comes, a client that logs
// in and one that is logged in are served.
func TestIdleSockets(t *testing.T) {
	s := newSet(t, 3, "")
	for _, n := range s.nodes {
		n.files = 200
	}
	s.startAll()
	s.makeSpace()
	leader := s.leader()
	old := leader.dial()
	defer old.Close()
	for range 300 {
		nc, err := net.Dial("tcp", leader.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	s.until("the idle ones are turned away", func() bool { return strings.Contains(leader.log.String(), "connection turned away") })
	for _, n := range s.nodes {
		if n != leader {
			if err := n.halt(); err != nil {
				t.Fatal(err)
			}
			n.start()
			break
		}
	}
	s.fill(0, 100)
	s.level()
}

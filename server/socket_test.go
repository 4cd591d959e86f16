package server

import (
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/config"
)

// The directory of a socket is made, as that of the log is, at any depth; one
// that cannot be made is told with its path.
func TestSocketDirectory(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	listen := func(path string) {
		n.flags = []config.Flag{{Name: "--listen", Path: "iproto.listen", Value: "unix/:./" + path}}
		n.addr = filepath.Join(s.dir, path)
	}
	listen("cluster.yaml/i1/tarantool.iproto") // under a file
	n.start()
	if err := n.ended(); err == nil || !strings.Contains(err.Error(), "cluster.yaml") {
		t.Fatalf("under a file: %v", err)
	}
	for range 2 { // the second start finds directory and, at a crash, the socket
		listen("var/run/i1/tarantool.iproto")
		s.startAll()
		s.leader()
		n.call("box.info")
		if err := n.halt(); err != nil {
			t.Fatal(err)
		}
	}
}

package server

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/tarantool/go-tarantool/v2"
)

// Somebody on the machine of the members guesses the password of their user, as
// fast as he can. A member that starts gets in, clients that have been there do,
// and the log and box.stat.net tell of it.
func TestAttackReplicationPassword(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	lead := s.leader()
	for _, n := range s.nodes {
		n.call("box.info")
	}
	ctx, stop := context.WithCancel(t.Context())
	var rogues sync.WaitGroup
	defer rogues.Wait()
	defer stop()
	for _, n := range s.nodes {
		for range 4 {
			rogues.Go(func() {
				for ctx.Err() == nil {
					conn, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: n.addr, User: "replicator", Password: "x"}, tarantool.Opts{})
					if err == nil {
						t.Error("let in")
						conn.Close()
					}
				}
			})
		}
	}
	var back *node1
	for _, n := range s.nodes {
		if n != lead {
			back = n
		}
	}
	s.until("guesses are refused", func() bool { return lead.server().port.clients.Stats().Refused.Total > 0 })
	if err := back.halt(); err != nil {
		t.Fatal(err)
	}
	back.start()
	s.until("it is back", func() bool { i, ok := back.info(); return ok && back.server().main().ready.Load() && i.Leader != 0 })
	s.makeSpace()
	s.fill(0, 10)
	s.level()
	stat := lead.call("box.stat.net")[0].(map[any]any)
	for _, name := range []string{"LOGINS_FAILED", "LOGINS_DELAYED", "LOGINS_REFUSED"} {
		if total := stat[name].(map[any]any)["total"]; total == nil || total == uint64(0) || total == int8(0) {
			t.Errorf("%s: %v", name, stat[name])
		}
	}
	s.until("the log tells", func() bool { return strings.Contains(lead.log.String(), "logins failed") }) // once a second
}

package demo

import (
	"context"
	"fmt"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// check looks up every acknowledged row on every node, and compares the nodes.
func (s *story) check(ctx context.Context) error {
	s.load.stop()
	acked := s.load.acked
	var first map[uint64]string
	for _, n := range s.cluster.Nodes {
		var have map[uint64]string
		err := s.wait(ctx, 20*time.Second, func() (err error) {
			conn := s.tracker.Conn(n.Addr)
			if conn == nil {
				return fmt.Errorf("not connected")
			}
			if have, err = cluster.ReadAll(conn, spaceName); err != nil {
				return err
			}
			if first != nil {
				if err := cluster.Same(first, have); err != nil {
					return err
				}
			}
			return missing(acked, have)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		if first == nil {
			first = have
		}
		s.say("%s holds all %d acknowledged rows (%d in all)", n.Name, len(acked), len(have))
	}
	s.say("all nodes hold the same; %d answers were lost on the way and their rows written again", s.load.unknown)
	return nil
}

func missing(acked, have map[uint64]string) error {
	for k, v := range acked {
		if have[k] != v {
			return fmt.Errorf("acknowledged row %d is lost: %q", k, have[k])
		}
	}
	return nil
}

func rows(conn *tarantool.Connection, space string) ([]any, error) {
	return conn.Do(tarantool.NewSelectRequest(space).Index(uint32(0)).Limit(1000)).Get()
}

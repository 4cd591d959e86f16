package demo

import (
	"context"
	"fmt"
	"time"

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
			if have, err = all(conn); err != nil {
				return err
			}
			if first != nil {
				if err := same(first, have); err != nil {
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

func same(a, b map[uint64]string) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d rows here, %d elsewhere", len(b), len(a))
	}
	for k, v := range a {
		if b[k] != v {
			return fmt.Errorf("row %d is %q here, %q elsewhere", k, b[k], v)
		}
	}
	return nil
}

// all reads the whole space in pages.
func all(conn *tarantool.Connection) (map[uint64]string, error) {
	const page = 10000
	out := map[uint64]string{}
	for from := uint64(0); ; {
		var data []struct {
			_msgpack struct{} `msgpack:",asArray"` //nolint:unused // tells the decoder that a tuple is an array
			ID       uint64
			What     string
		}
		req := tarantool.NewSelectRequest(spaceName).Index(uint32(0)).Iterator(tarantool.IterGt).Key([]any{from}).Limit(page)
		if from == 0 {
			req = req.Iterator(tarantool.IterGe)
		}
		if err := conn.Do(req).GetTyped(&data); err != nil {
			return nil, err
		}
		for _, d := range data {
			out[d.ID] = d.What
			from = d.ID
		}
		if len(data) < page {
			return out, nil
		}
	}
}

func rows(conn *tarantool.Connection, space string) ([]any, error) {
	return conn.Do(tarantool.NewSelectRequest(space).Index(uint32(0)).Limit(1000)).Get()
}

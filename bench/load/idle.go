package load

import (
	"context"
	"net"
)

// Idle opens n connections to p.Addr that log in and then ask for nothing, until close.
func Idle(ctx context.Context, p Plan, n int) (close func(), err error) {
	all := make([]net.Conn, 0, n)
	close = func() {
		for _, nc := range all {
			nc.Close()
		}
	}
	for range n {
		nc, err := dial(ctx, &p)
		if err != nil {
			close()
			return nil, err
		}
		all = append(all, nc)
	}
	return close, nil
}

package server

import (
	"context"
	"errors"
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/xlog"
)

// register has an instance registered that holds a state and should be a
// member: one that was anonymous, or whose JOIN broke off at its end. It does
// not return before that is done.
func (n *node) register(ctx context.Context, core *instance.Core, b *box.Box) error {
	m, err := n.life.membership()
	if err != nil {
		return err
	}
	id := n.life.registeredAs(b)
	switch {
	case n.in.Replication.Anon && id != 0:
		return fmt.Errorf("this instance is member %d of replica set %s, the configuration says replication.anon = true: a member cannot become anonymous; expel it first, and empty its data directory",
			id, b.ReplicasetUUID())
	case id != 0 && m != member:
		return n.life.setMembership(member)
	case n.in.Replication.Anon || m != anonymous && m != unknown:
		return nil
	}
	boot := n.newBoot()
	n.boot.Store(boot)
	v := core.Info(0).VClock
	refused := refusedPace()
	for {
		err := boot.RegisterAny(ctx, &v)
		if err == nil {
			return n.life.setMembership(registered)
		}
		if errors.Is(err, xlog.ErrFailed) || !replication.Retry(err) {
			return fmt.Errorf("register this instance: %w", err)
		}
		if !refused.rest(ctx, err) {
			return context.Cause(ctx)
		}
	}
}

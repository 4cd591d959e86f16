package replication

import (
	"context"
	"errors"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Register has an instance that holds a state registered: one that was an
// anonymous replica, or whose JOIN broke off behind its state. v is what it
// holds. The rows that come up to the registration are left to SUBSCRIBE, as in
// Join. That the instance is registered already is what was wanted.
func Register(ctx context.Context, p Peer, id Identity, v *vclock.VClock, silence time.Duration) error {
	c, stop, err := open(ctx, &p, &id, silence)
	if err != nil {
		return err
	}
	defer stop()
	req := xrow.RegisterRequest{InstanceUUID: id.UUID, InstanceName: id.Name, VClock: v.Global(), Incarnation: id.Incarnation, Group: id.Group, Feature: id.Feature}
	if err := c.WriteRow(&xrow.Row{Type: xrow.Register, Body: req.AppendBody(nil)}); err != nil {
		return err
	}
	// The row of the registration is among those that come, unless we hold it.
	j := joiner{reader: reader{link: c.Link, ctx: ctx, silence: silence}, id: id}
	if err = j.ended(j.final()); errors.Is(err, xrow.ErrReplicaNotAnon) {
		return nil
	}
	return err
}

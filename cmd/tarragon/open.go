package main

import (
	"context"
	"errors"
	"time"

	"github.com/tarantool/go-tarantool/v2"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// Why an instance that answers does not answer us.
const (
	refusedDenied   = "denied"
	refusedPassword = "wrong password" // or user: an instance does not tell which
)

// refusal is what kind of refusal an error is; empty: none.
func refusal(err error) string {
	var e *answerError
	if !errors.As(err, &e) {
		return ""
	}
	switch e.code {
	case xrow.ErrAccessDenied:
		return refusedDenied
	case xrow.ErrCredsMismatch, xrow.ErrNoSuchUser:
		return refusedPassword
	}
	return ""
}

// known reports whether there is something to show of the instance, and to
// judge by.
func (in *instanceInfo) known() bool { return in.Error == "" || in.open }

// askOpenly fills in what anybody may ask: the ballot, and the values that all
// clients may watch. An old release knows no WATCH_ONCE; then the ballot stands
// alone, and without that nothing is known.
func (in *instanceInfo) askOpenly(ctx context.Context, t target, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	in.askBallot(ctx, t)
	conn, err := t.dial(ctx, timeout, "", "")
	if err != nil {
		return
	}
	defer conn.Close()
	watch := func(key string) map[any]any {
		out, err := conn.Do(tarantool.NewWatchOnceRequest(key).Context(ctx)).Get()
		if err != nil || len(out) == 0 {
			return nil
		}
		return asMap(out[0])
	}
	status := watch("box.status")
	if status == nil {
		return
	}
	in.open, in.ReadOnly, in.Status = true, truth(status["is_ro"]), str(status["status"])
	id := watch("box.id")
	in.ID, in.UUID = num(id["id"]), str(id["instance_uuid"])
	if in.Replicaset == "" {
		in.Replicaset = str(id["replicaset_uuid"])
	}
	names := idNames{in.ID: in.label()}
	election := watch("box.election")
	in.Term, in.Role = num(election["term"]), str(election["role"])
	if leader := num(election["leader"]); leader != 0 {
		in.Leader = names.of(leader)
	} else if !in.ReadOnly && in.Role != "leader" {
		in.Role = "rw"
	}
	if leader := watch("tarragon.leader"); leader != nil { // ours alone tells that
		in.Kind = "Tarragon"
		if name := str(leader["name"]); name != "" {
			in.Leader = name
		}
	}
}

func (in *instanceInfo) askBallot(ctx context.Context, t target) {
	if t.uri.IsZero() {
		return
	}
	c, err := iproto.Dial(ctx, t.uri.Address())
	if err != nil {
		return
	}
	defer c.Close()
	row, err := c.Do(xrow.Vote, nil)
	if err != nil {
		return
	}
	b, err := xrow.DecodeBallot(row.Body)
	if err != nil {
		return
	}
	in.open, in.ReadOnly, in.Status, in.VClock = true, b.IsRO, "running", b.VClock.String()
	if in.Name == "" {
		in.Name = b.InstanceName
	}
	if !b.IsBooted {
		in.Status = "loading"
	}
}

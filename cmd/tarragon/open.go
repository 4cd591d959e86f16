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
	watch := func(key string, value any) error {
		return request(conn, tarantool.NewWatchOnceRequest(key).Context(ctx), value)
	}
	var status watchedStatus
	if watch("box.status", &status) != nil {
		return
	}
	in.open, in.ReadOnly, in.Status = true, status.RO, status.Status
	var id watchedID
	if watch("box.id", &id) == nil {
		in.ID, in.UUID = uint64(id.ID), string(id.UUID)
		if in.Replicaset == "" {
			in.Replicaset = string(id.Replicaset)
		}
	}
	names := idNames{in.ID: in.label()}
	var election watchedElection
	if watch("box.election", &election) == nil {
		in.Term, in.Role = uint64(election.Term), election.Role
	}
	if election.Leader != 0 {
		in.Leader = names.of(election.Leader)
	} else if !in.ReadOnly && in.Role != "leader" {
		in.Role = "rw"
	}
	var leader watchedLeader
	if watch("tarragon.leader", &leader) == nil { // ours alone tells that
		in.Kind = "Tarragon"
		if leader.Name != "" {
			in.Leader = leader.Name
		}
	}
}

// What we read of the values that all clients may watch.
type (
	watchedStatus struct {
		RO     bool   `msgpack:"is_ro"`
		Status string `msgpack:"status"`
	}
	watchedID struct {
		ID         number   `msgpack:"id"`
		UUID       uuidText `msgpack:"instance_uuid"`
		Replicaset uuidText `msgpack:"replicaset_uuid"`
	}
	watchedElection struct {
		Term   number `msgpack:"term"`
		Role   string `msgpack:"role"`
		Leader number `msgpack:"leader"`
	}
	watchedLeader struct {
		Name string `msgpack:"name"`
	}
)

func (in *instanceInfo) askBallot(ctx context.Context, t target) {
	if t.uri.IsZero() || t.tlsErr != nil {
		return
	}
	c, err := iproto.DialSecure(ctx, t.uri.Address(), t.secure)
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

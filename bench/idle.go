package main

import (
	"context"
	"errors"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
)

const (
	idleConnections  = 4000
	connectionFigure = "bytes a connection"
)

// memoryOfConnection is how much the resident memory of a node grows by connections that
// have logged in and are idle.
func memoryOfConnection(ctx context.Context, b *bench, sys *system, e *entry) ([]result.Figure, error) {
	started, err := sys.start(ctx, e.shape)
	if err != nil {
		return nil, err
	}
	defer started.stop()
	t, ok := started.(*iprotoTarget)
	if !ok {
		return nil, errors.New("it is not asked by IPROTO")
	}
	if err := t.fill(ctx, table{value: smallTuple}); err != nil {
		return nil, t.blame(err)
	}
	before, err := resident(t)
	if err != nil {
		return nil, err
	}
	hangUp, err := load.Idle(ctx, load.Plan{Addr: t.addrs[0], User: t.user, Password: t.password}, idleConnections)
	if err != nil {
		return nil, t.blame(err)
	}
	defer hangUp()
	after, err := resident(t)
	return []result.Figure{
		{Name: connectionFigure, Unit: result.Bytes, Value: (after - before) / idleConnections},
		{Name: "resident before", Unit: result.Bytes, Value: before},
		{Name: "connections", Value: idleConnections},
	}, err
}

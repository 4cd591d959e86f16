package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tarragon.dev/tarragon/bench/load"
)

// fillers is how many connections write at one time: their syncs are shared.
const fillers = 64

// fillClients writes the keys 1..keys over many connections.
func fillClients(ctx context.Context, connect func(context.Context) (load.Client, error), keys uint64, value []byte) error {
	var wg sync.WaitGroup
	failed := make([]error, fillers)
	for i := range fillers {
		wg.Go(func() { failed[i] = fillSome(ctx, connect, uint64(i)+1, keys, value) })
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	return nil
}

// fillSome writes each fillers-th key.
func fillSome(ctx context.Context, connect func(context.Context) (load.Client, error), first, keys uint64, value []byte) error {
	c, err := connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	for key := first; key <= keys; key += fillers {
		if err := c.Put(ctx, key, value); err != nil {
			return err
		}
	}
	return nil
}

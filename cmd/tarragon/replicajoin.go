package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/server"
)

// copyLook is how often a replica that joins is asked what it lacks.
const copyLook = 100 * time.Millisecond

// join runs the replica until it has all that it is to have, and ends it. Nobody can
// connect meanwhile: it listens nowhere.
func (r *replicaCreate) join(ctx context.Context, cfg *config.Instance) error {
	cfg.IProto.Listen, cfg.Tarragon.ControlSocket, cfg.Log.To, cfg.Log.Format = nil, "", "stderr", "plain"
	log, file, err := newLogger(cfg.Log, &cfg.Tarragon, r.p.err)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it is standard error
	logWarnings(log, cfg.Warnings)
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ready, ended := make(chan struct{}), make(chan error, 1)
	s := server.New(server.Config{Instance: cfg, Log: log, SetHeapLimit: heapLimit(log), Ready: sync.OnceFunc(func() { close(ready) })})
	go func() { ended <- s.Run(running) }()
	select {
	case err := <-ended:
		return endOfJoin(ctx, err)
	case <-ready:
	}
	got := r.untilWhole(running, s)
	stop(got)
	if err := <-ended; err != nil {
		return err
	}
	return endOfJoin(ctx, got)
}

// errHasAll ends a join.
var errHasAll = errors.New("it has all")

// endOfJoin is nil where the replica has all.
func endOfJoin(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errHasAll):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("broken off while it joined: %w", context.Cause(ctx))
	case err == nil:
		return errors.New("it ended before it had joined")
	}
	return err
}

// untilWhole waits until no space is being copied, and tells how the copies stand.
func (r *replicaCreate) untilWhole(ctx context.Context, s *server.Server) error {
	tick := time.NewTicker(copyLook)
	defer tick.Stop()
	said := ""
	for {
		info, err := ownInfo(ctx, s)
		if err != nil {
			return err
		}
		f := parseFilter(info.Own.Filter)
		if f == nil || len(f.Copied) == 0 {
			return errHasAll
		}
		if now := plain(strings.Join(f.Copied, ", ")) + f.progress(); now != said {
			said = now
			fmt.Fprintf(r.p.err, "copying %s\n", now)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// progress is how far the copy is, in tens of percents; empty: there is none.
func (f *filterState) progress() string {
	switch {
	case f.Copy == nil:
		return ""
	case f.Copy.Reason != "":
		return ": " + plain(f.Copy.Reason)
	}
	return fmt.Sprintf(": %d %%", f.Copy.Percent/10*10)
}

// ownInfo is box.info of an instance in this process.
func ownInfo(ctx context.Context, s *server.Server) (info boxInfo, err error) {
	session, err := s.Session("admin")
	if err != nil {
		return info, err
	}
	defer session.Close()
	raw, err := session.Call(ctx, "box.info", []byte{0x90})
	if err != nil {
		return info, err
	}
	var values []boxInfo
	if err := mp.Decode(raw, &values); err != nil || len(values) != 1 {
		return info, errors.Join(errors.New("box.info cannot be read"), err)
	}
	return values[0], nil
}

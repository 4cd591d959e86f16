package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// copyWrites is how many rows a second are written beside base copies.
const copyWrites = 5000

// copyReader is the number of the reader that takes them.
const copyReader = 99

// printCopies measures what base copies do to writes: a reader takes spaces of --rows rows together,
// over and over, while others are written at a rate.
func printCopies(ctx context.Context, b *bench) error {
	fmt.Fprintf(b.out, "\nbase copies of %d rows, one after the other; %d replaces/s of another space meanwhile; %s\n\n", b.f.rows, copyWrites, machine())
	return withFilters(ctx, b, func(r *filterRig) error { return r.printCopies(ctx, b) })
}

func (r *filterRig) printCopies(ctx context.Context, b *bench) error {
	share, err := r.shareOfAll(ctx)
	if err != nil {
		return err
	}
	from, err := r.stands(ctx)
	if err != nil {
		return err
	}
	reader := &streams{news: make(chan struct{}, 1)} // who has no stream gets no copy
	defer reader.close()
	if err := r.stream(ctx, reader, copyReader, share, from); err != nil {
		return err
	}
	t := newTarragonTarget(r.replicaset)
	var rows [][]string
	for range b.f.pairs {
		for _, name := range []string{"alone", "beside base copies"} {
			stop := func() (float64, error) { return 0, nil }
			if name != "alone" {
				stop = r.copies(ctx, share)
			}
			res, err := writesAtRate(ctx, b.f, t)
			rate, copied := stop()
			if err = errors.Join(err, copied); err != nil {
				return err
			}
			rows = append(rows, []string{name, count(res.Throughput()), micros(res.Lat.At(50)), micros(res.Lat.At(99)), micros(res.Lat.Max()), fmt.Sprint(res.Failed() + res.Unanswered), count(rate)})
			b.report.Records = append(b.report.Records, result.Record{Line: "writes " + name, System: ours, Figures: []result.Figure{
				{Name: opsFigure, Unit: result.PerSecond, Value: res.Throughput()}, {Name: "p50", Unit: result.Micros, Value: micro(res.Lat.At(50))},
				{Name: "p99", Unit: result.Micros, Value: micro(res.Lat.At(99))}, {Name: "copied", Unit: result.PerSecond, Value: rate}}})
		}
	}
	return printTable(b.out, []string{"writes", "writes/s", "p50", "p99", "max", "errors", "copied rows/s"}, rows)
}

// writesAtRate drives the load beside which copies are made.
func writesAtRate(ctx context.Context, f *flags, t *iprotoTarget) (*load.Result, error) {
	if err := t.fill(ctx, table{keys: f.keys, value: f.value}); err != nil {
		return nil, err
	}
	w := load.Workload{Op: load.Replace, Keys: f.keys, ValueSize: f.value}
	res, _, err := t.drive(ctx, w, load.Plan{Driver: load.Raw, Conns: 8, InFlight: 8, Rate: copyWrites, Warmup: f.warmup, Duration: f.duration})
	return res, err
}

// shareOfAll makes a filter of all spaces.
func (r *filterRig) shareOfAll(ctx context.Context) (*xrow.Share, error) {
	if _, err := call(ctx, r.conn, "tarragon.filter.create", "all", map[string]any{"empty": true}); err != nil {
		return nil, err
	}
	var ids []any
	for _, id := range r.spaces {
		ids = append(ids, id)
	}
	if _, err := call(ctx, r.conn, "tarragon.filter.alter", "all", map[string]any{"add": map[string]any{"space": ids}}); err != nil {
		return nil, err
	}
	return r.share(ctx, "all")
}

// copies takes one base copy after the other. What it returns ends that, and tells the rows a second
// of those that came to their end.
func (r *filterRig) copies(ctx context.Context, share *xrow.Share) (stop func() (float64, error)) {
	var wg sync.WaitGroup
	var rows uint64
	var took time.Duration
	var err error
	ended := make(chan struct{})
	wg.Go(func() {
		for {
			begun := time.Now()
			var n uint64
			if n, err = r.copy(ctx, share); err != nil {
				return
			}
			rows, took = rows+n, took+time.Since(begun)
			select {
			case <-ended:
				return
			default:
			}
		}
	})
	return func() (float64, error) {
		close(ended)
		wg.Wait()
		return ratio(float64(rows), took.Seconds()), err
	}
}

// copy takes a base copy and throws it away.
func (r *filterRig) copy(ctx context.Context, share *xrow.Share) (rows uint64, err error) {
	c, err := r.dial(ctx, "replicator", "replicator-password")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	req := xrow.JoinRequest{InstanceUUID: readerUUID(copyReader), ServerVersion: 3<<16 | 8<<8, Feature: instance.FeatureLevel, Share: share, Copy: &xrow.Copy{Spaces: r.spaces}}
	if err := c.WriteRow(&xrow.Row{Type: xrow.FetchSnap, Body: req.AppendBody(nil)}); err != nil {
		return 0, err
	}
	var all []xrow.Row
	var buf []byte
	for oks := 0; oks < 2; { // the view's vclock, and behind the tuples once more
		if all, buf, err = c.ReadRows(all[:0], buf[:0]); err != nil {
			return 0, err
		}
		for i := range all {
			switch row := &all[i]; {
			case row.AsError() != nil:
				return 0, row.AsError()
			case row.Type == xrow.OK:
				oks++
			case row.Type == xrow.Insert:
				rows++
			}
		}
	}
	return rows, nil
}

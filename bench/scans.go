package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

const (
	scanSpace   = "bench_scan"
	scanTuple   = 8 << 10
	scanPage    = 200 << 20 / scanTuple // tuples of one answer
	scanWrites  = 500                   // a second, beside the scans
	scanReaders = 5
)

// printScans measures what scans do to writes: how long these take, how long
// a Step and a hold of the latch are at most, whether the leader stays.
func printScans(ctx context.Context, f *flags, out io.Writer) error {
	fmt.Fprintf(out, "\nscans of %d MiB in tuples of %d bytes, answers of %d MiB; %d synchronous replaces/s meanwhile\n\n",
		f.scan, scanTuple, scanPage*scanTuple>>20, scanWrites)
	rs, err := startNodes(ctx, f, nil)
	if err != nil {
		return err
	}
	defer rs.stop()
	rows, err := rs.scans(ctx, f)
	if err != nil {
		return rs.blame(err)
	}
	return printTable(out, []string{"writes", "answered", "p50", "p99", "p99.9", "max", "errors", "read/s", "elections", "longest step", "longest hold"}, rows)
}

func (rs *replicaset) scans(ctx context.Context, f *flags) (rows [][]string, err error) {
	conn, leader, err := rs.leader(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	scanned, err := makeSpace(ctx, conn, scanSpace, false)
	if err != nil {
		return nil, err
	}
	keys := uint64(f.scan) << 20 / scanTuple
	if err := fill(ctx, conn, scanned, keys, scanTuple); err != nil {
		return nil, err
	}
	written, err := makeSpace(ctx, conn, syncSpace, true)
	if err != nil {
		return nil, err
	}
	plan := load.Plan{Addr: rs.Nodes[leader].Addr, User: cluster.User, Password: cluster.Password, InFlight: 512, Rate: scanWrites,
		Warmup: f.warmup, Duration: f.duration}
	for _, readers := range []int{0, 1, scanReaders} {
		row, err := besideScans(ctx, conn, f, plan, written, scanned, keys, readers)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// besideScans writes while so many read the whole space again and again.
func besideScans(ctx context.Context, conn *tarantool.Connection, f *flags, plan load.Plan, written, scanned uint32, keys uint64, readers int) ([]string, error) {
	before, err := watchLongest(ctx, conn)
	if err != nil {
		return nil, err
	}
	under, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var bytes atomic.Int64
	failed := make(chan error, readers)
	begun := time.Now()
	for range readers {
		wg.Go(func() {
			n, err := load.Scan(under, plan, scanned, keys, scanPage)
			bytes.Add(n)
			if err != nil {
				failed <- err
			}
		})
	}
	r, err := load.Run(ctx, load.Workload{Op: load.Replace, Space: written, Keys: f.keys, ValueSize: f.value}, plan)
	took := time.Since(begun)
	stop()
	wg.Wait()
	close(failed)
	if err == nil {
		err = <-failed // nil: none
	}
	if err != nil {
		return nil, err
	}
	after, err := watchLongest(ctx, conn)
	if err != nil {
		return nil, errors.Join(err, errors.New("the node that led cannot be asked any more"))
	}
	name := "alone"
	if readers > 0 {
		name = fmt.Sprintf("beside %d", readers)
	}
	return []string{name, fmt.Sprint(r.OK), micros(r.Lat.At(50)), micros(r.Lat.At(99)), micros(r.Lat.At(99.9)), micros(r.Lat.Max()),
		fmt.Sprint(r.Failed() + r.Unanswered), fmt.Sprintf("%.0f MiB", float64(bytes.Load()>>20)/took.Seconds()),
		fmt.Sprint(after.term - before.term), after.step, after.hold}, nil
}

// holds is what a node tells of who had to wait for whom, since its start.
type holds struct {
	term       uint64
	step, hold string
}

func watchLongest(ctx context.Context, conn *tarantool.Connection) (h holds, err error) {
	info, err := boxInfo(ctx, conn)
	if err != nil {
		return h, err
	}
	election, _ := info["election"].(map[any]any)
	ours, _ := info["tarragon"].(map[any]any)
	longest, _ := ours["longest"].(map[any]any)
	h = holds{term: cluster.Number(election["term"]), step: "-", hold: "-"}
	if step, ok := longest["step"].(float64); ok {
		h.step = micros(time.Duration(step * float64(time.Second)))
	}
	if scan, ok := longest["scan"].(float64); ok {
		h.hold = micros(time.Duration(scan * float64(time.Second)))
	}
	return h, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
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
func printScans(ctx context.Context, b *bench) error {
	f, out := b.f, b.out
	fmt.Fprintf(out, "\nscans of %d MiB in tuples of %d bytes, answers of %d MiB; %d synchronous replaces/s meanwhile\n\n",
		f.scan, scanTuple, scanPage*scanTuple>>20, scanWrites)
	rs, err := startNodes(ctx, f, nil)
	if err != nil {
		return err
	}
	defer rs.stop()
	all, err := rs.scans(ctx, f)
	if err != nil {
		return rs.blame(err)
	}
	var rows [][]string
	for i := range all {
		rows = append(rows, all[i].cells())
		b.report.Records = append(b.report.Records, all[i].record())
	}
	return printTable(out, []string{"writes", "answered", "p50", "p99", "p99.9", "max", "errors", "read/s", "elections", "longest step", "longest hold"}, rows)
}

// scanned is how writes went beside so many readers of everything.
type scanned struct {
	readers       int
	r             *load.Result
	read          float64 // MiB a second
	before, after holds
}

func (s *scanned) name() string {
	if s.readers == 0 {
		return "alone"
	}
	return fmt.Sprintf("beside %d", s.readers)
}

func (s *scanned) cells() []string {
	lat := s.r.Lat
	return []string{s.name(), fmt.Sprint(s.r.OK), micros(lat.At(50)), micros(lat.At(99)), micros(lat.At(99.9)), micros(lat.Max()),
		fmt.Sprint(s.r.Failed() + s.r.Unanswered), fmt.Sprintf("%.0f MiB", s.read), fmt.Sprint(s.after.term - s.before.term),
		orDash(s.after.step), orDash(s.after.hold)}
}

func (s *scanned) record() result.Record {
	us := func(name string, d time.Duration) result.Figure {
		return result.Figure{Name: name, Unit: result.Micros, Value: float64(d.Microseconds())}
	}
	return result.Record{Line: "writes " + s.name() + " of scans", System: ours, Figures: []result.Figure{
		us("p50", s.r.Lat.At(50)), us("p99", s.r.Lat.At(99)), us("max", s.r.Lat.Max()),
		us("longest step", s.after.step), us("longest hold", s.after.hold), {Name: "read", Unit: "MiB/s", Value: s.read},
	}}
}

// orDash prints a time that may be unknown.
func orDash(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return micros(d)
}

func (rs *replicaset) scans(ctx context.Context, f *flags) (all []scanned, err error) {
	conn, leader, err := rs.leader(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	space, err := makeSpace(ctx, conn, scanSpace, false, 0)
	if err != nil {
		return nil, err
	}
	keys, plan := uint64(f.scan)<<20/scanTuple, rs.plan(leader)
	if err := load.Fill(ctx, load.Workload{Space: space, Keys: keys, ValueSize: scanTuple}, plan); err != nil {
		return nil, err
	}
	written, err := makeSpace(ctx, conn, syncSpace, true, 0)
	if err != nil {
		return nil, err
	}
	plan.InFlight, plan.Rate, plan.Warmup, plan.Duration = 512, scanWrites, f.warmup, f.duration
	for _, readers := range []int{0, 1, scanReaders} {
		one, err := besideScans(ctx, conn, f, plan, written, space, keys, readers)
		if err != nil {
			return nil, err
		}
		all = append(all, *one)
	}
	return all, nil
}

// besideScans writes while so many read the whole space again and again.
func besideScans(ctx context.Context, conn *tarantool.Connection, f *flags, plan load.Plan, written, space uint32, keys uint64, readers int) (*scanned, error) {
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
			n, err := load.Scan(under, plan, space, keys, scanPage)
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
	return &scanned{readers: readers, r: r, read: float64(bytes.Load()>>20) / took.Seconds(), before: before, after: after}, nil
}

// holds is what a node tells of who had to wait for whom, since its start; 0: it
// does not tell.
type holds struct {
	term       uint64
	step, hold time.Duration
}

func watchLongest(ctx context.Context, conn *tarantool.Connection) (h holds, err error) {
	info, err := boxInfo(ctx, conn)
	if err != nil {
		return h, err
	}
	election, _ := info["election"].(map[any]any)
	ours, _ := info["tarragon"].(map[any]any)
	longest, _ := ours["longest"].(map[any]any)
	seconds := func(name string) time.Duration {
		s, _ := longest[name].(float64)
		return time.Duration(s * float64(time.Second))
	}
	return holds{term: cluster.Number(election["term"]), step: seconds("step"), hold: seconds("scan")}, nil
}

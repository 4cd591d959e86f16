package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/internal/cluster"
)

const scrapesPart = "scrapes"

// Sides of the pairs.
const (
	unscraped = "no scrapes"
	scraped   = "a scrape a second"
)

// printScrapes measures one set, with and without somebody who scrapes each node each second.
func printScrapes(ctx context.Context, b *bench) error {
	s := shape{nodes: b.f.nodes, wal: b.f.wal, http: true}
	rs, err := startShape(ctx, b.f, b.f.binary, s, nil, nil)
	if err != nil {
		return err
	}
	defer rs.stop()
	fmt.Fprintf(b.out, "\nscrapes of each node, in turns\n")
	if err := b.place(s); err != nil {
		return err
	}
	return rs.blame(measureScrapes(ctx, b, rs))
}

func measureScrapes(ctx context.Context, b *bench, rs *replicaset) error {
	t := newTarragonTarget(rs)
	conn, addr, err := t.leader(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := t.fill(ctx, table{sync: true, keys: b.f.keys, value: b.f.value}); err != nil {
		return err
	}
	var lines []line
	var records []result.Record
	for turn := range 2 * b.f.pairs {
		side := [...]string{unscraped, scraped, scraped, unscraped}[turn%4] // neither has the better place
		stop := func() (int64, error) { return 0, nil }
		if side == scraped {
			stop = scrape(ctx, rs)
		}
		plan := load.Plan{Addr: addr, User: cluster.User, Password: cluster.Password, Conns: 1, InFlight: 512, Warmup: b.f.warmup, Duration: b.f.duration}
		m := &meter{nodes: t.set.all, dev: t.dev}
		plan.Mark = m.mark
		r, err := load.Run(ctx, load.Workload{Op: load.Replace, Space: t.space, Keys: b.f.keys, ValueSize: b.f.value}, plan)
		n, failed := stop()
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		if side == scraped && n == 0 {
			return errors.New("nothing was scraped")
		}
		one := line{name: "sync replace, " + side, r: r, meter: m}
		lines = append(lines, one)
		records = append(records, result.Record{Line: scrapesPart + ": sync replace", System: side, Turn: turn / 2, Figures: one.figures(), Faults: r.Faults()})
	}
	b.report.Records = append(b.report.Records, records...)
	err = printLines(b.out, lines)
	ratios := result.Compare(records, scraped, unscraped, opsFigure, "p50", "p99", "cpu/op")
	b.report.Ratios = append(b.report.Ratios, ratios...)
	var rows [][]string
	for _, r := range ratios {
		rows = append(rows, []string{r.Line, r.Figure, figure(r.Figure, r.Ours), figure(r.Figure, r.Other), fmt.Sprintf("%.3f", r.Median),
			fmt.Sprintf("%.3f .. %.3f", r.Low, r.High), fmt.Sprint(len(r.Pairs))})
	}
	fmt.Fprintln(b.out)
	return errors.Join(err, printTable(b.out, []string{"line", "figure", scraped, unscraped, "ratio", "range", "pairs"}, rows))
}

// scrape reads the metrics of each node each second, until stop, which tells how many there were.
func scrape(ctx context.Context, rs *replicaset) (stop func() (int64, error)) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var n atomic.Int64
	errs := make([]error, len(rs.Nodes))
	for i, node := range rs.Nodes {
		wg.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for ctx.Err() == nil {
				if err := scrapeOnce(node.HTTP); err != nil {
					errs[i] = err
					return
				}
				n.Add(1)
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	return func() (int64, error) {
		cancel()
		wg.Wait()
		return n.Load(), errors.Join(errs...)
	}
}

func scrapeOnce(addr string) error {
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	err = errors.Join(err, resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s", addr, resp.Status))
	}
	return err
}

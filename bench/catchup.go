package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// servedRate is the load on the leader while a follower catches up or joins.
const servedRate = 5000

// printCatchUp measures how fast a follower that is behind gets the rows that it
// lacks, and how fast one without data gets the whole state, while the leader
// goes on serving.
func printCatchUp(ctx context.Context, b *bench) error {
	f, out := b.f, b.out
	fmt.Fprintf(out, "\n%d rows behind, %d replaces/s at the leader meanwhile\n\n", f.behind, servedRate)
	rs, err := startNodes(ctx, f, nil)
	if err != nil {
		return err
	}
	defer rs.stop()
	reached, err := rs.catchUp(ctx, f)
	if err != nil {
		return rs.blame(err)
	}
	var rows [][]string
	for i := range reached {
		rows = append(rows, reached[i].cells())
		b.report.Records = append(b.report.Records, reached[i].record())
	}
	return printTable(out, []string{"how", "rows", "time", "rows/s", "served", "p50", "p99", "max"}, rows)
}

// reached is how a follower got to what its leader held.
type reached struct {
	how    string
	rows   uint64
	took   time.Duration
	served *load.Result // by the leader meanwhile
}

func (r *reached) rate() float64 { return float64(r.rows) / r.took.Seconds() }

func (r *reached) cells() []string {
	return []string{r.how, fmt.Sprint(r.rows), fmt.Sprintf("%.2f s", r.took.Seconds()), fmt.Sprintf("%.0f", r.rate()),
		fmt.Sprint(r.served.OK), millis(r.served.Lat.At(50)), millis(r.served.Lat.At(99)), millis(r.served.Lat.Max())}
}

func (r *reached) record() result.Record {
	return result.Record{Line: r.how, System: ours, Figures: []result.Figure{
		{Name: startFigure, Unit: result.PerSecond, Value: r.rate()},
		{Name: "p99 meanwhile", Unit: result.Micros, Value: float64(r.served.Lat.At(99).Microseconds())},
	}}
}

func (rs *replicaset) catchUp(ctx context.Context, f *flags) (all []reached, err error) {
	conn, leader, err := rs.leader(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	space, err := makeSpace(ctx, conn, asyncSpace, false, 0)
	if err != nil {
		return nil, err
	}
	follower := rs.Nodes[(leader+1)%len(rs.Nodes)]
	follower.Kill()
	if err := load.Fill(ctx, load.Workload{Space: space, Keys: f.behind, ValueSize: f.value}, rs.plan(leader)); err != nil {
		return nil, err
	}
	log, err := rs.served(ctx, f, conn, leader, space, follower)
	if err != nil {
		return nil, err
	}
	follower.Kill()
	if err := os.RemoveAll(follower.DataDir()); err != nil {
		return nil, err
	}
	join, err := rs.served(ctx, f, conn, leader, space, follower)
	if err != nil {
		return nil, err
	}
	log.how, join.how = "catch up from the log", "join without data"
	return []reached{*log, *join}, nil
}

// served starts a follower under load and waits until it holds what the leader
// held then.
func (rs *replicaset) served(ctx context.Context, f *flags, conn *tarantool.Connection, leader int, space uint32, follower *cluster.Node) (*reached, error) {
	target, id, err := ownLSN(ctx, conn)
	if err != nil {
		return nil, err
	}
	plan := rs.plan(leader)
	plan.InFlight, plan.Rate, plan.Duration, plan.Drain = 512, servedRate, time.Hour, time.Second
	under, stop := context.WithCancel(ctx)
	defer stop()
	type outcome struct {
		r   *load.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := load.Run(under, load.Workload{Op: load.Replace, Space: space, Keys: f.keys, ValueSize: f.value}, plan)
		done <- outcome{r, err}
	}()
	begun := time.Now()
	if err := follower.Start(); err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("it did not get there in 5 minutes"))
	defer cancel()
	first, err := reach(limit, follower.Addr, id, target, &begun)
	took := time.Since(begun)
	stop()
	served := <-done
	if err != nil {
		return nil, err
	}
	if served.r == nil {
		return nil, served.err
	}
	return &reached{rows: target - first, took: took, served: served.r}, nil
}

// ownLSN is the LSN of an instance and its ID.
func ownLSN(ctx context.Context, conn *tarantool.Connection) (lsn, id uint64, err error) {
	info, err := boxInfo(ctx, conn)
	return cluster.Number(info["lsn"]), cluster.Number(info["id"]), err
}

// reach waits until an instance holds the rows of another one up to an LSN. An
// instance that recovers data of its own begins when it first answers: first is
// what it has then, and begun is set to that moment.
func reach(ctx context.Context, addr string, id, target uint64, begun *time.Time) (first uint64, err error) {
	answered := false
	var conn *tarantool.Connection
	err = cluster.Until(ctx, func() (err error) {
		if conn == nil {
			if conn, err = load.Admin(ctx, addr, cluster.User, cluster.Password); err != nil {
				conn = nil
				return err
			}
		}
		info, err := boxInfo(ctx, conn)
		if err != nil {
			conn.Close()
			conn = nil
			return err
		}
		has := uint64(0)
		clock, _ := info["vclock"].(map[any]any)
		for k, lsn := range clock {
			if cluster.Number(k) == id {
				has = cluster.Number(lsn)
			}
		}
		if !answered && has < target {
			answered, first, *begun = true, has, time.Now()
		}
		if has < target {
			return fmt.Errorf("it holds LSN %d of %d", has, target)
		}
		return nil
	})
	if conn != nil {
		conn.Close()
	}
	return first, err
}

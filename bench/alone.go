package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/internal/cluster"
)

// smallTuple makes tuples of 75 bytes: an array of a number of nine bytes and of
// a string with a head of two.
const smallTuple = 75 - 1 - 9 - 2

// Figures that are compared beside those of a load.
const (
	memoryFigure = "bytes a tuple"
	startFigure  = "rows/s"
)

// memoryOfTuple is how much the resident memory of a node grows by small tuples.
func memoryOfTuple(ctx context.Context, b *bench, sys *system, e *entry) ([]result.Figure, error) {
	t, err := sys.start(ctx, e.shape)
	if err != nil {
		return nil, err
	}
	defer t.stop()
	if err := t.fill(ctx, table{value: smallTuple}); err != nil {
		return nil, t.blame(err)
	}
	before, err := resident(t)
	if err != nil {
		return nil, err
	}
	if err := t.fill(ctx, table{keys: b.f.rows, value: smallTuple}); err != nil {
		return nil, t.blame(err)
	}
	after, err := resident(t)
	return []result.Figure{
		{Name: memoryFigure, Unit: result.Bytes, Value: (after - before) / float64(b.f.rows)},
		{Name: "resident before", Unit: result.Bytes, Value: before},
		{Name: "tuples", Value: float64(b.f.rows)},
	}, err
}

// resident is the memory of the first node that is in use, in bytes.
func resident(t target) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.processes()[0].PID()))
	if err != nil {
		return 0, err
	}
	return parseResident(string(raw))
}

func parseResident(status string) (float64, error) {
	for line := range strings.Lines(status) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("its resident memory is not known")
}

// startFromLog kills a node whose rows are in the log alone, and sees how fast it
// is back.
func startFromLog(ctx context.Context, b *bench, sys *system, e *entry) ([]result.Figure, error) {
	started, err := sys.start(ctx, e.shape)
	if err != nil {
		return nil, err
	}
	defer started.stop()
	t, ok := started.(*iprotoTarget)
	if !ok {
		return nil, errors.New("it tells of no log")
	}
	if err := t.fill(ctx, table{keys: b.f.rows, value: smallTuple}); err != nil {
		return nil, t.blame(err)
	}
	rows, err := t.lsn(ctx)
	if err != nil {
		return nil, err
	}
	t.processes()[0].Kill()
	begun := time.Now()
	if err := t.set.restart(); err != nil {
		return nil, err
	}
	err = cluster.Until(ctx, func() error {
		have, err := t.lsn(ctx)
		if err == nil && have < rows {
			err = fmt.Errorf("%d of %d rows are back", have, rows)
		}
		return err
	})
	took := time.Since(begun)
	if err != nil {
		return nil, t.blame(err)
	}
	return []result.Figure{
		{Name: startFigure, Unit: result.PerSecond, Value: float64(b.f.rows) / took.Seconds()},
		{Name: "time", Unit: result.Millis, Value: float64(took.Milliseconds())},
		{Name: "rows", Value: float64(b.f.rows)},
	}, nil
}

// lsn is that of the only node, once it is running.
func (t *iprotoTarget) lsn(ctx context.Context) (uint64, error) {
	conn, _, err := findLeader(ctx, t.addrs, t.user, t.password)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	info, err := boxInfo(ctx, conn)
	if err != nil {
		return 0, err
	}
	if info["status"] != "running" {
		return 0, fmt.Errorf("it is %v", info["status"])
	}
	return cluster.Number(info["lsn"]), nil
}

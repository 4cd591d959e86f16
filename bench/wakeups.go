package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"golang.org/x/exp/trace"
)

// wakeFigure is how often a goroutine became ready to run.
const wakeFigure = "goroutines woken"

// profiled has the nodes that are started serve Go's profiler, each on a port of
// its own.
const profiled = "TT_TARRAGON_DEBUG_LISTEN=127.0.0.1:0"

// wakeupsOf traces a node for some time. One without Go's profiler is not counted.
func wakeupsOf(ctx context.Context, n *cluster.Process, d time.Duration) (rates, error) {
	addr, err := profilerOf(n)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/trace?seconds=%g", addr, d.Seconds()), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the profiler says %s", res.Status)
	}
	woken, took, err := countWakeups(res.Body)
	if err != nil {
		return nil, err
	}
	return rates{wakeFigure: float64(woken) / took.Seconds()}, nil
}

// profilerOf finds the port in what the node has logged.
func profilerOf(n *cluster.Process) (addr string, err error) {
	raw, err := os.ReadFile(n.Log)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(raw)) {
		var said struct{ Addr, Message string }
		if json.Unmarshal([]byte(line), &said) == nil && strings.HasPrefix(said.Message, "the profiler is open") {
			addr = said.Addr
		}
	}
	if addr == "" {
		return "", fmt.Errorf("%w: it serves no profiler", errUncounted)
	}
	return addr, nil
}

// countWakeups reads a trace, and how long it is: goroutines that something woke,
// or that were started.
func countWakeups(in io.Reader) (woken int, took time.Duration, err error) {
	r, err := trace.NewReader(in)
	if err != nil {
		return 0, 0, err
	}
	var first, last trace.Time
	for {
		ev, err := r.ReadEvent()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, 0, err
		}
		if first == 0 {
			first = ev.Time()
		}
		last = ev.Time()
		if ev.Kind() != trace.EventStateTransition {
			continue
		}
		st := ev.StateTransition()
		if st.Resource.Kind != trace.ResourceGoroutine {
			continue
		}
		if from, to := st.Goroutine(); to == trace.GoRunnable && (from == trace.GoWaiting || from == trace.GoNotExist) {
			woken++
		}
	}
	if last <= first {
		return 0, 0, errors.New("a trace of no time")
	}
	return woken, last.Sub(first), nil
}

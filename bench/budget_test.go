package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime/trace"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/internal/cluster"
)

func TestParseCPU(t *testing.T) {
	const stat = "77 (a ) b) S 1 77 77 0 -1 4194560 5000 0 0 0 150 50 0 0 20 0 9 0 100 1 2"
	if user, kernel := parseCPU(stat); user != 1500*time.Millisecond || kernel != 500*time.Millisecond {
		t.Errorf("%v, %v", user, kernel)
	}
	for _, bad := range []string{"", "1 (x) S 1", "no bracket", strings.Replace(stat, "150", "x", 1)} {
		if user, kernel := parseCPU(bad); user != 0 || kernel != 0 {
			t.Errorf("%q: %v, %v", bad, user, kernel)
		}
	}
}

func TestNamed(t *testing.T) {
	const status = "State:\tS (sleeping)\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n"
	for name, want := range map[string]uint64{"voluntary_ctxt_switches": 12, "nonvoluntary_ctxt_switches": 3, "ctxt_switches": 0, "State": 0} {
		if got := named(status, name); got != want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// What this process does while it is looked at is counted.
func TestUsageOf(t *testing.T) {
	before := usageOf(os.Getpid())
	if err := os.WriteFile(filepath.Join(t.TempDir(), "a"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := usageOf(os.Getpid()).minus(before); got.out < 1<<20 || got.in == 0 {
		t.Errorf("%+v", got)
	}
	if got := usageOf(0); got != (usage{}) {
		t.Errorf("no process: %+v", got)
	}
}

func TestParsePerf(t *testing.T) {
	const out = `300,,raw_syscalls:sys_enter,898928,100.00,,
10,,syscalls:sys_enter_write,898928,100.00,,
30,,syscalls:sys_enter_sendto,898928,100.00,,
<not supported>,,syscalls:sys_enter_futex,0,100.00,,
`
	got, err := parsePerf(out, 2*time.Second)
	if want := (rates{callsFigure: 150, writeFigure: 20}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parsePerf("no permission", time.Second); !errors.Is(err, errUncounted) {
		t.Error("nothing is counted, and no error")
	}
}

// Ten goroutines are started; whether they wait or run when they are asked is up to
// the scheduler.
func TestCountWakeups(t *testing.T) {
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		t.Skip(err) // somebody traces the tests
	}
	ask, answer := make(chan int), make(chan int)
	for range 10 {
		go func() { answer <- <-ask }()
	}
	for range 10 {
		ask <- 1
		<-answer
	}
	trace.Stop()
	if woken, took, err := countWakeups(&b); err != nil || woken < 10 || took <= 0 {
		t.Errorf("%v in %v, %v", woken, took, err)
	}
	if _, _, err := countWakeups(strings.NewReader("no trace")); err == nil {
		t.Error("no trace, and no error")
	}
}

func TestProfilerOf(t *testing.T) {
	n := &cluster.Process{Log: filepath.Join(t.TempDir(), "log")}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(n.Log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("no JSON\n{\"addr\":\"a:1\",\"message\":\"listening\"}\n")
	if _, err := profilerOf(n); !errors.Is(err, errUncounted) {
		t.Errorf("%v", err)
	}
	write("{\"addr\":\"a:1\",\"message\":\"listening\"}\n{\"addr\":\"a:2\",\"message\":\"the profiler is open to everybody\"}\n")
	if addr, err := profilerOf(n); err != nil || addr != "a:2" {
		t.Errorf("%q, %v", addr, err)
	}
}

func TestBudgetCells(t *testing.T) {
	each := []rates{used(usage{user: time.Second, kernel: 3 * time.Second, slept: 50, out: 64_000}, 1000), {cpuFigure: 1000}}
	m := mean(each)
	if got := m[cpuFigure]; math.Abs(got-2500) > 1e-6 {
		t.Errorf("the mean is %v", got)
	}
	rec := result.Record{Figures: figuresOf(each[0])}
	got := budgetCells(&rec)
	want := []string{"4000", "1000", "3000", "-", "0.05", "0.00", "-", "-", "-", "-", "-", "-", "0.00", "64.0"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/bench/load"
)

func TestFindFlushes(t *testing.T) {
	const table = `   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 254       0 vda 77832 23728 2710842 29046 99328 83681 10769000 40375 0 29080 74510 66046 33 23017408 4271 26861 817
 254       1 old 1 2 3 4
`
	for _, c := range []struct {
		dev  string
		n    uint64
		know bool
	}{{"vda", 26861, true}, {"loop0", 0, true}, {"old", 0, false}, {"none", 0, false}} {
		if n, ok := findFlushes(bufio.NewScanner(strings.NewReader(table)), c.dev); n != c.n || ok != c.know {
			t.Errorf("%s: %d, %v", c.dev, n, ok)
		}
	}
}

func TestSpread(t *testing.T) {
	ms := func(all ...int) (out []time.Duration) {
		for _, n := range all {
			out = append(out, time.Duration(n)*time.Millisecond)
		}
		return out
	}
	for _, c := range []struct {
		gaps                 []time.Duration
		median, longest, all string
	}{
		{nil, "-", "-", "-"},
		{ms(30, 10, 20), "20ms", "30ms", "10ms 20ms 30ms"},
		{ms(40, 10, 20, 30), "25ms", "40ms", "10ms 20ms 30ms 40ms"},
	} {
		median, longest, all := spread(c.gaps)
		if median != c.median || longest != c.longest || all != c.all {
			t.Errorf("%v: %s, %s, %s", c.gaps, median, longest, all)
		}
	}
}

func TestVclockText(t *testing.T) {
	a := vclockText(map[any]any{int8(2): uint64(7), uint8(0): int8(99), int64(1): int8(5)})
	if a != "[1 5 2 7]" {
		t.Errorf("%s", a)
	}
}

// Every fault of a run is printed below the table.
func TestPrintLines(t *testing.T) {
	r := &load.Result{
		Window: 2 * time.Second, OK: 400_000, Conns: 1, InFlight: 512, Lat: load.NewHist(),
		Errors: []load.ErrorCount{{Code: 7, Count: 3, Message: "read-only"}},
	}
	r.Lat.Add(1500 * time.Microsecond)
	m := &meter{from: counters{client: time.Second}, to: counters{client: 2 * time.Second}}
	var out bytes.Buffer
	if err := printLines(&out, []line{{name: "replace", r: r, meter: m}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"200k", "1500us", "0.50", "replace: 3 times error 7, read-only"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if n := len((&line{r: r, meter: m}).cells()); n != len(columns) {
		t.Errorf("%d cells under %d columns", n, len(columns))
	}
}

func TestParseFlags(t *testing.T) {
	f, err := parse([]string{"-addr", "a:1,b:2", "-addr", "c:3", "-clients", "16"}, &bytes.Buffer{})
	if err != nil || len(f.addrs) != 3 || f.conns != 16 || f.inflight != 16 {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := parse([]string{"more"}, &bytes.Buffer{}); err == nil {
		t.Error("an argument is taken")
	}
}

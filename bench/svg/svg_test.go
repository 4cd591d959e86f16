package svg

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestAxis(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		log    bool
		ticks  []float64
	}{
		{"from 0", []float64{3, 9.5}, false, []float64{0, 2, 4, 6, 8, 10}},
		{"nothing", nil, false, []float64{0, 2, 4, 6, 8, 10}},
		{"one value", []float64{0}, false, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
		{"powers of ten", []float64{20, 3000}, true, []float64{10, 100, 1000, 10000}},
		{"not positive", []float64{0, -1, 5, math.Inf(1), math.NaN()}, true, []float64{1, 10}},
		{"one power", []float64{100}, true, []float64{100, 1000}},
	} {
		a := newAxis(c.values, c.log, 10, 110)
		if !near(a.ticks, c.ticks) {
			t.Errorf("%s: %v", c.name, a.ticks)
		}
		if a.at(a.low) != 10 || a.at(a.high) != 110 {
			t.Errorf("%s: its ends are at %v and %v", c.name, a.at(a.low), a.at(a.high))
		}
		for _, v := range c.values {
			if at := a.at(v); v > 0 && !math.IsInf(v, 0) && (at < 10 || at > 110) {
				t.Errorf("%s: %v is at %v", c.name, v, at)
			}
		}
	}
	log := newAxis([]float64{1, 100}, true, 0, 100)
	if got := log.at(0); got != 0 {
		t.Errorf("0 has no logarithm, and is at %v", got)
	}
	if got := log.at(10); math.Abs(got-50) > 1e-9 {
		t.Errorf("10 between 1 and 100 is at %v", got)
	}
}

func near(a, b []float64) bool {
	for i := range min(len(a), len(b)) {
		if math.Abs(a[i]-b[i]) > 1e-9*math.Abs(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 999: "999", 1500: "1.5k", 2e7: "20M", 3e9: "3G"} {
		if got := short(v); got != want {
			t.Errorf("%v: %s", v, got)
		}
	}
}

// parse reads a picture and returns how often each element is in it, and its
// texts.
func parse(t *testing.T, write func(io.Writer) error) (elements map[string]int, texts []string) {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	elements = map[string]int{}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, texts
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		switch e := token.(type) {
		case xml.StartElement:
			elements[e.Name.Local]++
		case xml.CharData:
			if s := strings.TrimSpace(string(e)); s != "" {
				texts = append(texts, s)
			}
		}
	}
}

func TestChart(t *testing.T) {
	c := Chart{Title: "a < b & c", X: "nodes <3", Y: "ops/s", LogX: true, Curves: []Curve{
		{"ours", []Point{{1, 100}, {10, 50}}}, {"peer", []Point{{1, 80}}},
	}}
	elements, texts := parse(t, c.Write)
	if elements["polyline"] != 2 || elements["circle"] != 3 {
		t.Errorf("%v", elements)
	}
	if want := []string{"a < b & c", "1", "10", "0", "20", "40", "60", "80", "100", "nodes <3", "ops/s", "ours", "peer"}; !reflect.DeepEqual(texts, want) {
		t.Errorf("%q", texts)
	}
}

func TestBars(t *testing.T) {
	c := Bars{Title: "ratios", Bars: []Bar{{"insert", 1.25, 1.1, 1.9}, {"select", 0.5, 0.4, 0.6}}}
	elements, texts := parse(t, c.Write)
	if elements["rect"] != 3 || !strings.Contains(strings.Join(texts, " "), "insert 1.25 select 0.50") {
		t.Errorf("%v, %q", elements, texts)
	}
}

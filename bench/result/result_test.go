package result

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

func TestMedianAndQuantile(t *testing.T) {
	for _, c := range []struct {
		of                   []float64
		median, p10, p90, p0 float64
	}{
		{nil, 0, 0, 0, 0},
		{[]float64{3}, 3, 3, 3, 3},
		{[]float64{4, 1, 3, 2}, 2.5, 1, 4, 1},
		{[]float64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 5.5, 1, 9, 1},
	} {
		if m, a, b, z := Median(c.of), Quantile(c.of, 0.1), Quantile(c.of, 0.9), Quantile(c.of, 0); m != c.median || a != c.p10 || b != c.p90 || z != c.p0 {
			t.Errorf("%v: %v, %v, %v, %v", c.of, m, a, b, z)
		}
	}
	if of := []float64{2, 1}; Median(of) != 1.5 || of[0] != 2 {
		t.Error("Median sorts its argument")
	}
}

func records() []Record {
	rec := func(line, system string, turn int, ops float64) Record {
		return Record{Line: line, System: system, Turn: turn, Figures: []Figure{{Name: "ops/s", Unit: PerSecond, Value: ops}}}
	}
	return []Record{
		rec("insert", "ours", 0, 100), rec("insert", "peer", 0, 50),
		rec("insert", "ours", 1, 10), rec("insert", "peer", 1, 20), // the machine was slow for both
		rec("insert", "ours", 2, 120), rec("insert", "peer", 2, 100),
		rec("insert", "other", 0, 1),
		rec("select", "ours", 0, 7), {Line: "select", System: "peer", Turn: 0, Faults: "it ended"},
		rec("alone", "ours", 0, 5),
	}
}

// A ratio is of one turn; the medians of both sides may say something else.
func TestCompare(t *testing.T) {
	got := Compare(records(), "ours", "peer", "ops/s", "p50")
	want := []Ratio{{Line: "insert", Figure: "ops/s", Peer: "peer", Ours: 100, Other: 50, Pairs: []float64{2, 0.5, 1.2}, Median: 1.2, Low: 0.5, High: 2}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestReport(t *testing.T) {
	r := Report{Commit: "abc+", Machine: ThisMachine(), Records: records()}
	r.Note(System{Name: "ours", Nodes: 3, How: "wal.mode fsync"})
	r.Note(System{Name: "ours", Nodes: 3, How: "wal.mode fsync"})
	r.Ratios = Compare(r.Records, "ours", "peer", "ops/s")
	if r.Machine.Processors == 0 || r.Machine.Go == "" || len(r.Systems) != 1 {
		t.Errorf("%+v, %+v", r.Machine, r.Systems)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, r) {
		t.Errorf("%+v\n%+v", back, r)
	}
}

func TestField(t *testing.T) {
	const table = "processor\t: 0\nmodel name\t: EPYC: 2\nmodel name\t: other\nMemTotal:       24 kB\n"
	for name, want := range map[string]string{"model name": "EPYC: 2", "MemTotal": "24 kB", "name": ""} {
		if got := field([]byte(table), name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

package metrics

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// The bucket that the bits of a value name is the one that a look at all bounds finds.
func TestBuckets(t *testing.T) {
	for _, h := range []*Histogram{NewDurations(), NewSizes(), NewHistogram(3, 5, 1)} {
		want := map[float64]uint64{}
		total, sum := uint64(0), int64(0)
		add := func(v int64, n uint64) {
			h.ObserveAll(v, n)
			v = max(v, 0)
			for i := range len(h.count) - 1 {
				if v <= h.least<<i {
					want[float64(h.least<<i)*h.unit] += n
				}
			}
			total += n
			sum += v * int64(n)
		}
		for _, v := range []int64{-1, 0, 1, h.least - 1, h.least, h.least + 1, 2*h.least - 1, 2 * h.least, 2*h.least + 1, h.least << (len(h.count) - 2), h.least<<(len(h.count)-2) + 1, 1 << 40} {
			add(v, 1)
		}
		for range 1000 {
			add(rand.Int64N(h.least<<len(h.count)), rand.Uint64N(5))
		}
		upTo, n, s := h.read()
		if n != total || s != float64(sum)*h.unit || len(upTo) != len(h.count)-1 {
			t.Errorf("%d values, sum %v, %d buckets; want %d, %v", n, s, len(upTo), total, float64(sum)*h.unit)
		}
		for bound, n := range upTo {
			if n != want[bound] {
				t.Errorf("up to %v: %d, want %d", bound, n, want[bound])
			}
		}
	}
}

func TestHistogramTakesFromAll(t *testing.T) {
	h := NewSizes()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				h.Observe(int64(i))
				h.read()
			}
		})
	}
	wg.Wait()
	if _, n, sum := h.read(); n != 4000 || sum != 4*999*500 {
		t.Errorf("%d, %v", n, sum)
	}
	if got := testing.AllocsPerRun(100, func() { h.Observe(7) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func scrape(t *testing.T, h http.Handler) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Code, w.Body.String()
}

// Labels of all, unless a metric has one of that name; groups that are left out; text that is none.
func TestExporter(t *testing.T) {
	var set Set
	a, b, c := set.Gauge("one", "a", "A."), set.Counter("two", "b", "B.", "alias"), set.Counter("one", "c_total", "C.", "space")
	d := set.Histogram("one", "d_seconds", "D.")
	h := NewHistogram(1_000_000, 2, 1e-9)
	h.Observe(1_500_000)
	e := New(Config{Sets: []*Set{&set}, Labels: map[string]string{"alias": "x", "le": "y"}, Has: func(group string) bool { return group == "one" || group == "two" }, Collect: func(s *Samples) {
		s.Yes(a, true)
		Count(s, b, 2, "own")
		Count(s, c, uint64(3), "\xff\"\n")
		s.Spread(d, h)
	}})
	handler, err := e.Handler()
	if err != nil {
		t.Fatal(err)
	}
	_, got := scrape(t, handler)
	for _, want := range []string{
		"# TYPE a gauge\na{alias=\"x\",le=\"y\"} 1\n", "# TYPE b counter\nb{alias=\"own\",le=\"y\"} 2\n", `c_total{alias="x",le="y",space="` + "\uFFFD" + `\"\n"} 3`,
		"# TYPE d_seconds histogram\n" + `d_seconds_bucket{alias="x",le="0.001"} 0` + "\n" + `d_seconds_bucket{alias="x",le="0.002"} 1` + "\n" + `d_seconds_bucket{alias="x",le="+Inf"} 1`,
		`d_seconds_sum{alias="x"} 0.0015`, `d_seconds_count{alias="x"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	less := New(Config{Sets: []*Set{&set}, Has: func(group string) bool { return group == "two" }, Collect: e.cfg.Collect})
	if handler, err = less.Handler(); err != nil {
		t.Fatal(err)
	}
	if _, got := scrape(t, handler); strings.Contains(got, "c_total") || !strings.Contains(got, "\nb{alias=\"own\"} 2\n") {
		t.Error(got)
	}
}

// Two names that become the same text cost their own values, and no others.
func TestExporterTellsTheRest(t *testing.T) {
	var set Set
	a, b := set.Gauge("g", "a", "A.", "space"), set.Gauge("g", "b", "B.")
	handler, err := New(Config{Sets: []*Set{&set}, Collect: func(s *Samples) {
		s.Put(a, 1, "\xff")
		s.Put(a, 2, "\xfe")
		s.Put(b, 3)
	}}).Handler()
	if err != nil {
		t.Fatal(err)
	}
	if code, got := scrape(t, handler); code != http.StatusOK || !strings.Contains(got, "\nb 3\n") {
		t.Error(code, got)
	}
}

// One scrape collects at a time, and more than Scrapes are turned away at once.
func TestScrapesAreBounded(t *testing.T) {
	var set Set
	a := set.Gauge("g", "a", "A.")
	enter, leave := make(chan bool), make(chan bool)
	handler, err := New(Config{Sets: []*Set{&set}, Collect: func(s *Samples) {
		enter <- true
		<-leave
		s.Put(a, 1)
	}}).Handler()
	if err != nil {
		t.Fatal(err)
	}
	codes := make(chan int, 2*Scrapes)
	for range 2 * Scrapes {
		go func() {
			code, _ := scrape(t, handler)
			codes <- code
		}()
	}
	<-enter
	for range Scrapes {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("one too many: %d", code)
		}
	}
	for i := range Scrapes {
		select {
		case <-enter:
			t.Error("two collect at a time")
		default:
		}
		leave <- true
		if code := <-codes; code != http.StatusOK {
			t.Errorf("%d", code)
		}
		if i < Scrapes-1 {
			<-enter
		}
	}
}

package iproto

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// TestMeter: totals count at once, rates over the last five ticks.
func TestMeter(t *testing.T) {
	var m meter
	for second := range 10 {
		for range 5 {
			m.request(xrow.Select)
		}
		m.request(9999) // of no known type
		m.add(countSent, 100)
		m.tick()
		want := uint64(min(second+1, meterSeconds))
		if got := m.read(int(xrow.Select)).Rate; got != want {
			t.Errorf("second %d: %d SELECT a second, want %d", second, got, want)
		}
	}
	if got := m.read(int(xrow.Select)); got.Total != 50 {
		t.Errorf("%+v", got)
	}
	if all, sent := m.read(countAll), m.read(countSent); all.Total != 60 || sent.Total != 1000 || sent.Rate != 100 {
		t.Errorf("all %+v, sent %+v", all, sent)
	}
}

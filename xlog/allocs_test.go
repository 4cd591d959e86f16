package xlog

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// A row costs the log no allocation: a group of many has as many as a group of one.
func TestAppendAllocatesNothing(t *testing.T) {
	const few, many, runs = 1, 256, 50
	allocs := func(rows int) float64 {
		f := newFixture(t, func(*Options) {})
		origins := make([]uint32, rows)
		for i := range origins {
			origins[i] = 1
		}
		for range 3 * (runs + 1) {
			f.group(64, origins...)
		}
		at := 0
		var one [1]*xrow.Group
		run := func() {
			one[0] = f.groups[at]
			f.append(one[:]...)
			at++
		}
		for range 2 * runs { // what grows has grown
			run()
		}
		return testing.AllocsPerRun(runs, run)
	}
	if a, b := allocs(few), allocs(many); b > a+many/2 {
		t.Errorf("%v allocations for %d row, %v for %d", a, few, b, many)
	}
}

package svg

import (
	"fmt"
	"math"
)

// axis turns values into places between two pixels.
type axis struct {
	low, high float64 // values at the ends; low < high
	from, to  float64 // pixels at the ends
	log       bool
	ticks     []float64
}

// newAxis covers the values. A logarithmic axis ends at powers of ten, and leaves
// out what is not positive; another begins at 0.
func newAxis(values []float64, log bool, from, to float64) axis {
	a := axis{from: from, to: to, log: log}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if log && v <= 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		low, high = min(low, v), max(high, v)
	}
	if low > high { // there are none
		low, high = 1, 10
	}
	if !log {
		low = min(low, 0)
	}
	if log {
		a.low, a.high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
		if a.low == a.high {
			a.high *= 10
		}
		for v := a.low; v <= a.high*1.001; v *= 10 {
			a.ticks = append(a.ticks, v)
		}
		return a
	}
	if low == high {
		high++
	}
	step := niceStep((high - low) / 5)
	a.low, a.high = math.Floor(low/step)*step, math.Ceil(high/step)*step
	for i := 0.0; a.low+i*step <= a.high+step/2; i++ {
		a.ticks = append(a.ticks, a.low+i*step)
	}
	return a
}

// niceStep is the smallest of 1, 2 and 5 times a power of ten that is not below
// the step.
func niceStep(step float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, n := range []float64{1, 2, 5} {
		if n*power >= step*0.999 {
			return n * power
		}
	}
	return 10 * power
}

// at is the pixel of a value.
func (a *axis) at(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(max(v, a.low))
	}
	return a.from + (v-low)/(high-low)*(a.to-a.from)
}

// short prints a number as a label: 1.5k, 20M.
func short(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= unit.size {
			return fmt.Sprintf("%.3g%s", v/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}

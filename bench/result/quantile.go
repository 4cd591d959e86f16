package result

import (
	"math"
	"slices"
)

// Median is the middle one, or the mean of the two in the middle; 0 of none.
func Median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(of))
	mid := len(s) / 2
	if len(s)%2 == 0 {
		return (s[mid-1] + s[mid]) / 2
	}
	return s[mid]
}

// Quantile is the smallest one that q of all, 0..1, do not exceed; 0 of none.
func Quantile(of []float64, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(of))
	n := int(math.Ceil(q * float64(len(s))))
	return s[min(max(n, 1), len(s))-1]
}

// Package measure takes the times of a store, and of elections over it, from this
// host, and says what TTL suits them.
package measure

import (
	"math"
	"slices"
	"time"
)

// Sample is a number of measurements of one thing. All are kept: they are few, and
// quantiles of them are exact.
type Sample []time.Duration

// Quantile is the least of the times that at least so large a part of the sample does
// not exceed: 0.5 for the median, 1 for the longest. It is 0 of an empty sample.
func (s Sample) Quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(max(int(math.Ceil(q*float64(len(sorted))))-1, 0), len(sorted)-1)]
}

// Max is the longest time.
func (s Sample) Max() time.Duration { return s.Quantile(1) }

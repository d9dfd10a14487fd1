package measure

import (
	"math"
	"time"
)

// Bucket is how many times of a sample are at least From and less than To.
type Bucket struct {
	From, To time.Duration
	Count    int
}

// perDecade is how many buckets there are from one power of ten to the next: each is
// a quarter longer than the one before, whatever the store's speed. Their bounds are
// the preferred numbers of that series, which are short to write.
var perDecade = [...]float64{1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8}

// edge returns the lower bound of a bucket; number 0 begins at 1 µs.
func edge(n int) time.Duration {
	decade := int(math.Floor(float64(n) / float64(len(perDecade))))
	return time.Duration(math.Round(perDecade[n-decade*len(perDecade)] * math.Pow10(decade) * float64(time.Microsecond)))
}

// bucketOf is the number of the bucket that a time is in.
func bucketOf(d time.Duration) int {
	n := 0
	for n > -len(perDecade)*3 && edge(n) > d {
		n--
	}
	for edge(n+1) <= d {
		n++
	}
	return n
}

// Histogram counts the times of a sample, from the bucket of the shortest to that of
// the longest.
func (s Sample) Histogram() []Bucket {
	if len(s) == 0 {
		return nil
	}
	first, last := math.MaxInt, math.MinInt
	counts := map[int]int{}
	for _, d := range s {
		n := bucketOf(max(d, time.Nanosecond))
		counts[n]++
		first, last = min(first, n), max(last, n)
	}
	var all []Bucket
	for n := first; n <= last; n++ {
		all = append(all, Bucket{edge(n), edge(n + 1), counts[n]})
	}
	return all
}

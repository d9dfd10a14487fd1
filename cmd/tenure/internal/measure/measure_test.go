package measure_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/measure"
)

func TestQuantilesAreTimesThatWereMeasured(t *testing.T) {
	t.Parallel()
	var none measure.Sample
	if none.Quantile(0.5) != 0 || none.Max() != 0 || none.Histogram() != nil {
		t.Error("an empty sample has figures")
	}
	s := measure.Sample{40, 10, 30, 20}
	for q, want := range map[float64]time.Duration{0: 10, 0.25: 10, 0.26: 20, 0.5: 20, 0.75: 30, 0.99: 40, 1: 40} {
		if got := s.Quantile(q); got != want {
			t.Errorf("quantile %v: got %d, want %d", q, got, want)
		}
	}
	if s[0] != 40 {
		t.Error("the sample was sorted")
	}
}

// Each time is in one bucket, and the buckets leave no gap, whatever the times are.
func TestHistogramHoldsEachTimeOnce(t *testing.T) {
	t.Parallel()
	for range 200 {
		var s measure.Sample
		for range 1 + rand.IntN(50) {
			s = append(s, time.Duration(rand.Int64N(1<<rand.IntN(40)+1))) // up to 18 minutes
		}
		sum := 0
		buckets := s.Histogram()
		for i, b := range buckets {
			in := 0
			for _, d := range s {
				if d = max(d, 1); b.From <= d && d < b.To {
					in++
				}
			}
			if in != b.Count || i > 0 && b.From != buckets[i-1].To {
				t.Fatalf("bucket %+v holds %d of %v", b, in, s)
			}
			sum += b.Count
		}
		if sum != len(s) || buckets[0].Count == 0 || buckets[len(buckets)-1].Count == 0 {
			t.Fatalf("%v has the histogram %+v", s, buckets)
		}
	}
}

// What is advised meets every need, and a second less does not.
func TestAdviceIsTheShortestThatMeetsEveryNeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ shortest, slowest, outage, want time.Duration }{
		{10 * time.Millisecond, time.Millisecond, time.Second, 4 * time.Second},     // a file
		{2 * time.Second, 10 * time.Millisecond, 2 * time.Second, 7 * time.Second},  // etcd
		{2 * time.Second, 300 * time.Millisecond, 2 * time.Second, 8 * time.Second}, // far away
		{2 * time.Second, 2 * time.Second, 0, 32 * time.Second},                     // slow: Patience decides
		{30 * time.Second, time.Millisecond, time.Second, 30 * time.Second},         // the store decides
		{0, 0, 0, time.Second}, // whole seconds
		{time.Second, 10 * time.Millisecond, 20 * time.Second, 61 * time.Second},        // the user decides
		{time.Second, 10 * time.Millisecond, 3300 * time.Millisecond, 10 * time.Second}, // the default
	} {
		a, err := measure.Advise(c.shortest, c.slowest, c.outage)
		if err != nil || a.TTL != c.want {
			t.Errorf("%+v: advised %v, %v", c, a.TTL, err)
			continue
		}
		meets := func(ttl time.Duration) bool {
			b, err := tenure.Options{TTL: ttl}.Bounds()
			return err == nil && ttl >= c.shortest && b.Patience >= measure.Patient*c.slowest && measure.Away(b, c.slowest) >= c.outage
		}
		if !meets(a.TTL) || a.TTL > time.Second && meets(a.TTL-time.Second) {
			t.Errorf("%+v: %v is not the shortest that meets every need", c, a.TTL)
		}
		if len(a.Needs) != 3 {
			t.Errorf("%+v: needs %+v", c, a.Needs)
		}
	}
	if a, err := measure.Advise(0, time.Hour, 0); err == nil {
		t.Errorf("advised %v for rounds of an hour", a.TTL)
	}
}

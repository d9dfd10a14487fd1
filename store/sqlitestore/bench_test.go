package sqlitestore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tenure-go/tenure/store"
)

func BenchmarkCommit(b *testing.B) {
	for _, keys := range []int{1, 3} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			s := newFile(b).open(b, Options{})
			var ops []store.Op
			for i := range keys {
				ops = append(ops, store.Put(fmt.Sprintf("key/%d", i), []byte("a value of some thirty bytes..."), store.NoLease))
			}
			for b.Loop() {
				if _, err := s.Commit(b.Context(), store.Tx{Then: ops}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRenew(b *testing.B) {
	s := newFile(b).open(b, Options{})
	l, err := s.Grant(b.Context(), time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Renew(b.Context(), l.ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	s := newFile(b).open(b, Options{})
	keys := fill(b, s, 10_000)
	for name, q := range map[string]store.Query{
		"key":        store.Keys(keys[5000]),
		"keys10000":  store.Keys(keys...),
		"prefix1000": store.Prefix(keys[0][:len(keys[0])-3]),
		"all10000":   store.Prefix(""),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.List(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWatch measures from the call of Commit and from its return to the
// event in another handle.
func BenchmarkWatch(b *testing.B) {
	file := newFile(b)
	s, other := file.open(b, Options{}), file.open(b, Options{})
	events := watch(b, other, "", 0)
	events.wait(b, 0)
	var total, lag []time.Duration
	for b.Loop() {
		start := time.Now()
		res := put(b, s, "k", "v", store.NoLease)
		done := time.Now()
		events.wait(b, res)
		total = append(total, time.Since(start))
		lag = append(lag, time.Since(done))
	}
	for name, d := range map[string][]time.Duration{"from-call": total, "from-return": lag} {
		slices.Sort(d)
		b.ReportMetric(float64(d[len(d)/2].Microseconds()), "p50-us-"+name)
		b.ReportMetric(float64(d[len(d)*99/100].Microseconds()), "p99-us-"+name)
	}
}

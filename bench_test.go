package tenure_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// BenchmarkHeld measures the question that every action of a leader asks, beside
// the clock read that it cannot do without.
func BenchmarkHeld(b *testing.B) {
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(b.Context(), st, tenure.Options{TTL: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	l, err := m.Campaign(b.Context(), "x", tenure.CampaignOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("time.Now", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			now = time.Now()
		}
	})
	b.Run("Held", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !l.Held() {
				b.Fatal("lost")
			}
		}
	})
}

var now time.Time

// BenchmarkManyElections wins and holds many elections on one session. It
// reports the time to win them all and the memory that each takes beyond that of
// the store, which is measured with the same keys and no session.
func BenchmarkManyElections(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				many(b, n)
			}
		})
	}
}

func many(b *testing.B, n int) {
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(b.Context(), st, tenure.Options{TTL: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	goroutines, before := runtime.NumGoroutine(), heap()
	started := time.Now()
	held := make([]*tenure.Leadership, n)
	var wg sync.WaitGroup
	for i := range held {
		wg.Go(func() {
			var err error
			if held[i], err = m.Campaign(b.Context(), fmt.Sprintf("election-%d", i), tenure.CampaignOptions{}); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(time.Since(started).Microseconds())/1000, "ms-to-win-all")
	after := heap()
	b.ReportMetric(float64(after-before-storeHeap(b, st))/float64(n), "B/election")
	b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
	for _, l := range held {
		if !l.Held() {
			b.Fatal("lost")
		}
	}
	if err := m.Close(); err != nil {
		b.Fatal(err)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc + s.StackInuse)
}

// storeHeap is what a store takes for the keys that st holds.
func storeHeap(b *testing.B, st store.Store) int64 {
	l, err := st.List(b.Context(), store.Prefix(""))
	if err != nil {
		b.Fatal(err)
	}
	before := heap()
	copied := memstore.New()
	defer copied.Close()
	for _, e := range l.Entries {
		if _, err := copied.Commit(b.Context(), store.Tx{Then: []store.Op{store.Put(e.Key, e.Value, store.NoLease)}}); err != nil {
			b.Fatal(err)
		}
	}
	used := heap() - before
	runtime.KeepAlive(l)
	runtime.KeepAlive(copied)
	return used
}

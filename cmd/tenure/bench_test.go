package main

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
)

// BenchmarkManyElections wins many elections on one session over the default
// store; the root package has the same in memory, with what it costs to hold
// them.
func BenchmarkManyElections(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				winMany(b, n)
			}
		})
	}
}

func winMany(b *testing.B, n int) {
	st, err := openStore(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "db"))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	m, err := tenure.Join(b.Context(), st, tenure.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	started := time.Now()
	for i := range n {
		wg.Go(func() {
			l, err := m.Campaign(b.Context(), fmt.Sprintf("election-%d", i), tenure.CampaignOptions{})
			if err != nil || !l.Held() {
				b.Errorf("election %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(time.Since(started).Milliseconds()), "ms-to-win-all")
	if err := m.Close(); err != nil {
		b.Fatal(err)
	}
}

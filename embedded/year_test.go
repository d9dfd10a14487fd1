package embedded_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
)

var year = flag.Int("embedded.year", 0, "hand-overs of a compressed year; 525600 is one a minute")

// TestYear does the hand-overs of a year as fast as they go, with the shortest
// retention, and shows what they leave on the disk: from the first retention on no more
// than before. See the package's documentation for the arithmetic.
//
//	go test ./embedded -run TestYear -v -timeout 60m -embedded.year 525600
func TestYear(t *testing.T) {
	if *year == 0 {
		t.Skip("takes minutes; use -embedded.year")
	}
	conf := config(t, "a")
	conf.Retention = time.Minute
	s := start(t, conf)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var handed atomic.Int64
	work := func(context.Context, tenure.Term) error {
		if int(handed.Add(1)) >= *year {
			cancel()
		}
		return ctx.Err()
	}
	var all sync.WaitGroup
	for _, id := range []string{"x", "y"} {
		st, err := s.Store(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		m, err := tenure.Join(t.Context(), st, tenure.Options{ID: id, Endpoint: "10.0.0.1:8080"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(m.Close(), st.Close()); err != nil {
				t.Error(err)
			}
		})
		for i := range 64 {
			all.Go(func() {
				err := m.Lead(ctx, fmt.Sprintf("job-%d", i), work, tenure.LeadOptions{Requeue: true})
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
					cancel()
				}
			})
		}
	}
	began := time.Now()
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	const row = "%8s %10s %8s %8s %8s"
	t.Logf(row, "after", "hand-overs", "db", "log", "all")
	var seen []sample
	var largest int64 // the database
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		db, log := size(t, filepath.Join(conf.Dir, "member", "snap")), size(t, filepath.Join(conf.Dir, "member", "wal"))
		seen, largest = append(seen, sample{time.Now(), handed.Load()}), max(largest, db)
		t.Logf(row, time.Since(began).Round(time.Second), fmt.Sprint(handed.Load()), mega(db), mega(log), mega(size(t, conf.Dir)))
	}
	all.Wait()
	// What etcd begins with, and the history of twice the retention where most happened;
	// it looks every tenth of that.
	most := busiest(seen, 2*conf.Retention+conf.Retention/5)
	if bound := 32<<20 + most*1300; largest > bound {
		t.Errorf("the database grew to %s; %d hand-overs within two retentions account for %s", mega(largest), most, mega(bound))
	}
	stop(t, s)
	again := time.Now()
	lead(t, start(t, conf))
	t.Logf("started again on these data, the first leader after %v", time.Since(again).Round(time.Millisecond))
}

// sample is how many hand-overs there had been at a moment.
type sample struct {
	at    time.Time
	count int64
}

// busiest is the highest count within a span.
func busiest(seen []sample, span time.Duration) (most int64) {
	first := 0
	for _, s := range seen {
		for s.at.Sub(seen[first].at) > span {
			first++
		}
		before := int64(0)
		if first > 0 {
			before = seen[first-1].count
		}
		most = max(most, s.count-before)
	}
	return most
}

func mega(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// size is that of a folder's files.
func size(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, os.ErrNotExist) { // removed meanwhile
			return nil
		}
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return sum
}

package etcdstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, lab := range conforming {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := lab.config(t)
			conf.Prefix = "conformance/"
			h := storetest.Harness{
				Open: func(ctx context.Context) (store.Store, error) {
					s, err := Open(ctx, conf)
					if err != nil {
						return nil, err
					}
					return s, nil
				},
				Compact: compact,
				Slack:   5 * time.Second, // the suites of all clusters run at once
			}
			for name, err := range run(t.Context(), h) {
				t.Run(name, func(t *testing.T) {
					if err != nil { // also of a case that was not exercised
						t.Error(err)
					}
				})
			}
		})
	}
}

// run runs all cases, more of them at a time than go test would: most wait.
func run(ctx context.Context, h storetest.Harness) map[string]error {
	const atOnce = 8
	var all sync.WaitGroup
	var mu sync.Mutex
	results := map[string]error{}
	slots := make(chan struct{}, atOnce)
	for _, c := range storetest.Cases() {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			err := c.Run(ctx, h)
			mu.Lock()
			defer mu.Unlock()
			results[c.Name] = err
		})
	}
	all.Wait()
	return results
}

func compact(ctx context.Context, st store.Store) error {
	l, err := st.List(ctx, store.Query{})
	if err != nil {
		return err
	}
	_, err = st.(*Store).client.Compact(ctx, int64(l.Revision), clientv3.WithCompactPhysical())
	if errors.Is(err, rpctypes.ErrCompacted) { // by another case, and nothing has happened since
		return nil
	}
	return err
}

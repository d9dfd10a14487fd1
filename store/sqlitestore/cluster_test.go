package sqlitestore

import (
	"context"
	"testing"

	"github.com/tenure-go/tenure/internal/clustertest"
	"github.com/tenure-go/tenure/store"
)

func TestClusters(t *testing.T) {
	t.Parallel()
	for _, c := range clustertest.Clustered() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			f := newFile(t)
			err := c.Run(t.Context(), clustertest.Harness{TTL: clustertest.TTL, Open: func() store.Store {
				s, err := Open(context.WithoutCancel(t.Context()), string(f), Options{})
				if err != nil {
					t.Error(err)
					panic(err) // there is no node without a store
				}
				return s
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

package cluster_test

import (
	"testing"
	"testing/synctest"

	"github.com/tenure-go/tenure/internal/clustertest"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// The cases run in virtual time here, and in real time over real stores.

func TestStandaloneConforms(t *testing.T) {
	t.Parallel()
	for _, c := range clustertest.Standalone() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if err := c.Run(t.Context(), clustertest.Harness{}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestClusteredConformsOverMemory(t *testing.T) {
	t.Parallel()
	for _, c := range clustertest.Clustered() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st := memstore.New()
				open := func() store.Store { return store.Sub(st, "") }
				if err := c.Run(t.Context(), clustertest.Harness{Open: open, TTL: clustertest.TTL}); err != nil {
					t.Error(err)
				}
				_ = st.Close()
			})
		})
	}
}

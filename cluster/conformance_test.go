package cluster_test

import (
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/clustertest"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

func TestStandaloneConforms(t *testing.T) {
	t.Parallel()
	conforms(t, clustertest.Standalone(), func(*testing.T) clustertest.Harness { return clustertest.Harness{} })
}

func TestClusteredConformsOverMemory(t *testing.T) {
	t.Parallel()
	conforms(t, clustertest.Clustered(), func(t *testing.T) clustertest.Harness {
		st := memstore.New()
		t.Cleanup(func() { _ = st.Close() })
		return clustertest.Harness{Open: func() store.Store { return store.Sub(st, "") }, TTL: time.Second}
	})
}

func conforms(t *testing.T, cases []clustertest.Case, harness func(*testing.T) clustertest.Harness) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if err := c.Run(t.Context(), harness(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

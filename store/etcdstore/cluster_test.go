package etcdstore

import (
	"testing"

	"github.com/tenure-go/tenure/internal/clustertest"
	"github.com/tenure-go/tenure/internal/etcdtest"
)

func TestClusters(t *testing.T) {
	t.Parallel()
	for _, c := range clustertest.Clustered() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			open := handlesOn(t, configOf(t, plain.cluster(t), etcdtest.Options{}))
			if err := c.Run(t.Context(), clustertest.Harness{Open: open, TTL: clustertest.TTL}); err != nil {
				t.Error(err)
			}
		})
	}
}

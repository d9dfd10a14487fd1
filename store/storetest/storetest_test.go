package storetest_test

import (
	"context"
	"testing"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/store/storetest"
)

// harness runs the suite over handles on base.
func harness(base *memstore.Store) storetest.Harness {
	return storetest.Harness{
		Open: func(context.Context) (store.Store, error) { return base.Open(), nil },
		Compact: func(context.Context, store.Store) error {
			base.Compact(1 << 62)
			return nil
		},
	}
}

func TestMemstore(t *testing.T) {
	t.Parallel()
	base := memstore.New()
	for _, c := range storetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if err := c.Run(t.Context(), harness(base)); err != nil {
				t.Error(err)
			}
		})
	}
}

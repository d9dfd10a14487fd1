package sqlitestore

import (
	"context"
	"testing"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	f.open(t, Options{})
	h := storetest.Harness{
		Open: func(ctx context.Context) (store.Store, error) {
			s, err := Open(ctx, string(f), Options{})
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Compact: func(ctx context.Context, st store.Store) error { return st.(*Store).Compact(ctx) },
	}
	for _, c := range storetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if err := c.Run(t.Context(), h); err != nil { // also one that was not exercised
				t.Error(err)
			}
		})
	}
}

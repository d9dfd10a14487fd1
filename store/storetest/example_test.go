package storetest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/store/storetest"
)

// A program checks the store that it is about to run over.
func ExampleVerify() {
	base := memstore.New()
	err := storetest.Verify(context.Background(), storetest.Harness{
		Open: func(context.Context) (store.Store, error) { return base.Open(), nil },
		Compact: func(context.Context, store.Store) error {
			base.Compact(1 << 62)
			return nil
		},
		Slack: 5 * time.Second,
	})
	fmt.Println(err)
	// Output: <nil>
}

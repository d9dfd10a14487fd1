package memstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// Two handles on one store, as two processes would have them: the first takes a
// seat, the second finds it taken and by whom.
func Example() {
	ctx := context.Background()
	a := memstore.New()
	b := a.Open()
	defer func() { _, _ = a.Close(), b.Close() }()

	lease, err := a.Grant(ctx, 10*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	take(ctx, a, "a", lease.ID)
	take(ctx, b, "b", store.NoLease)
	fmt.Println(a.Revoke(ctx, lease.ID))
	take(ctx, b, "b", store.NoLease)
	// Output:
	// a: taken true
	// b: taken false, held by a
	// <nil>
	// b: taken true
}

func take(ctx context.Context, st store.Store, name string, lease store.LeaseID) {
	res, err := st.Commit(ctx, store.Tx{
		If:   []store.Cond{store.Absent("seat")},
		Then: []store.Op{store.Put("seat", []byte(name), lease)},
		Else: []string{"seat"},
	})
	fmt.Printf("%s: taken %v", name, res.Committed)
	if e := res.Entry("seat"); e != nil {
		fmt.Printf(", held by %s", e.Value)
	}
	if err != nil {
		fmt.Print(err)
	}
	fmt.Println()
}

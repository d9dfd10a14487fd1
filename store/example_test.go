package store_test

import (
	"context"
	"fmt"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// Follow the keys under a prefix: first as they are, then as they change.
func ExampleFollow() {
	ctx := context.Background()
	st := memstore.New()
	defer func() { _ = st.Close() }()
	write := func(ops ...store.Op) {
		if _, err := st.Commit(ctx, store.Tx{Then: ops}); err != nil {
			fmt.Println(err)
		}
	}

	write(store.Put("members/a", []byte("10.0.0.1"), store.NoLease))
	for batch, err := range store.Follow(ctx, st, "members/", nil) {
		if err != nil {
			fmt.Println(err) // always the last
			return
		}
		for _, ev := range batch.Events {
			fmt.Printf("listed %-5v deleted %-5v %s %s\n", batch.Listed, ev.Deleted, ev.Entry.Key, ev.Entry.Value)
		}
		switch {
		case batch.Listed:
			write(store.Put("members/b", []byte("10.0.0.2"), store.NoLease))
			write(store.Delete("members/a"))
		case batch.Revision == 3:
			return
		}
	}
	// Output:
	// listed true  deleted false members/a 10.0.0.1
	// listed false deleted false members/b 10.0.0.2
	// listed false deleted true  members/a
}

// Each application has a part of one store to itself.
func ExampleSub() {
	ctx := context.Background()
	st := memstore.New()
	defer func() { _ = st.Close() }()

	app := store.Sub(st, "billing/")
	_, err := app.Commit(ctx, store.Tx{Then: []store.Op{store.Put("seat", nil, store.NoLease)}})
	inside, _ := app.List(ctx, store.Prefix(""))
	outside, _ := st.List(ctx, store.Prefix(""))
	fmt.Println(err, inside.Entries[0].Key, outside.Entries[0].Key, store.Path(app, "seat"))
	// Output: <nil> seat billing/seat billing/seat
}

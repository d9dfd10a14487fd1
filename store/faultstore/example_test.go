package faultstore_test

import (
	"context"
	"fmt"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// A reply gets lost: the caller sees an error, and yet the key is there.
func Example() {
	ctx := context.Background()
	st := faultstore.New(memstore.New())
	defer func() { _ = st.Close() }()

	remove := st.Inject(faultstore.Fault{Kind: faultstore.LoseReply, Ops: faultstore.OpCommit, Name: "lost"})
	_, err := st.Commit(ctx, store.Tx{Then: []store.Op{store.Put("seat", []byte("a"), store.NoLease)}})
	fmt.Println(err)
	remove()

	l, err := st.List(ctx, store.Keys("seat"))
	fmt.Println(len(l.Entries), err)
	fmt.Println(st.Hits("lost"), "hit,", st.Calls().Total(), "calls")
	// Output:
	// store: unavailable
	// 1 <nil>
	// 1 hit, 2 calls
}

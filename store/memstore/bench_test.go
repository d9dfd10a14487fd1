package memstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// crowd returns a store with n keys and as many watches, each of its own prefix.
func crowd(b *testing.B, n int) *memstore.Store {
	b.Helper()
	st := memstore.New()
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(func() {
		cancel()
		running.Wait()
	})
	for i := range n {
		key := fmt.Sprintf("leaders/%06d", i*7919%n)
		if _, err := st.Commit(ctx, store.Tx{Then: []store.Op{store.Put(key, []byte("seat"), store.NoLease)}}); err != nil {
			b.Fatal(err)
		}
	}
	var begun sync.WaitGroup
	begun.Add(n)
	l, err := st.List(ctx, store.Query{})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		running.Go(func() {
			begin := sync.OnceFunc(begun.Done)
			for range st.Watch(ctx, fmt.Sprintf("sessions/%06d/", i), l.Revision) { //nolint:errcheck // it ends with ctx
				begin()
			}
		})
	}
	begun.Wait()
	return st
}

// A commit costs what it touches, however many others there are.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("%d keys and watches", n), func(b *testing.B) {
			st := crowd(b, n)
			i := 0
			for b.Loop() {
				i++
				key := fmt.Sprintf("leaders/%06d", i%n)
				if _, err := st.Commit(b.Context(), store.Tx{Then: []store.Op{store.Put(key, nil, store.NoLease)}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A listing costs what it returns.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("1 of %d keys", n), func(b *testing.B) {
			st := memstore.New()
			for i := range n {
				key := fmt.Sprintf("leaders/%06d", i*7919%n)
				if _, err := st.Commit(b.Context(), store.Tx{Then: []store.Op{store.Put(key, nil, store.NoLease)}}); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				l, err := st.List(b.Context(), store.Prefix("leaders/000042"))
				if err != nil || len(l.Entries) != 1 {
					b.Fatal(len(l.Entries), err)
				}
			}
		})
	}
}

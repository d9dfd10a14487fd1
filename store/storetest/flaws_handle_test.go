package storetest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

// unavailable hides that a context has ended.
func unavailable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(store.ErrUnavailable, errors.New(err.Error()))
	}
	return err
}

var handleFlaws = []flaw{
	{"a context's end is an outage", "context/cancelled context/deadline", each(func(b *broken) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(ctx, tx)
			return res, unavailable(err)
		}
	})},
	{"Renew has no context", "context/cancelled context/deadline", each(func(b *broken) {
		b.renew = func(ctx context.Context, id store.LeaseID) (time.Duration, error) {
			return b.Store.Renew(context.WithoutCancel(ctx), id)
		}
	})},
	{"List has no context", "context/cancelled context/deadline", each(func(b *broken) {
		b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
			return b.Store.List(context.WithoutCancel(ctx), q)
		}
	})},
	{"Commit minds its context late", "context/cancelled context/deadline", each(func(b *broken) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(context.WithoutCancel(ctx), tx)
			return res, errors.Join(err, ctx.Err())
		}
	})},
	{"the second Close fails", "close/twice", each(func(b *broken) {
		var once sync.Once
		b.close = func() error {
			err := store.ErrClosed
			once.Do(func() { err = b.Store.Close() })
			return err
		}
	})},
	{"Close does nothing", "close/calls watch/closed", each(func(b *broken) {
		b.close = func() error { return nil }
	})},
	{"Close revokes", "close/keeps-leases", each(func(b *broken) {
		var mu sync.Mutex
		var granted []store.LeaseID
		b.grant = func(ctx context.Context, ttl time.Duration) (store.Lease, error) {
			l, err := b.Store.Grant(ctx, ttl)
			mu.Lock()
			defer mu.Unlock()
			granted = append(granted, l.ID)
			return l, err
		}
		b.close = func() error {
			mu.Lock()
			defer mu.Unlock()
			for _, id := range granted {
				_ = b.base.Revoke(context.Background(), id)
			}
			return b.Store.Close()
		}
	})},
	{"Close closes all", "close/others-go-on watch/closed", func() func(*broken) {
		var mu sync.Mutex
		var all []*broken
		return func(b *broken) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, b)
			b.close = func() error {
				mu.Lock()
				defer mu.Unlock()
				for _, h := range slices.Backward(all) {
					_ = h.Store.Close()
				}
				return nil
			}
		}
	}},
	{"a goroutine a handle", "close/gives-back", each(func(b *broken) {
		var once sync.Once
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			once.Do(func() { go func() { <-ctx.Done() }() })
			return b.Store.Commit(ctx, tx)
		}
	})},
}

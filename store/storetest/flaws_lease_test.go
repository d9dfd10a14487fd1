package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

// ownLeases ends leases by itself. The store below grants them for an hour.
type ownLeases struct {
	granted, renewed func(time.Duration) time.Duration // how long one really lasts
	end              func(*broken, store.LeaseID)
}

func same(ttl time.Duration) time.Duration { return ttl }
func half(ttl time.Duration) time.Duration { return ttl / 2 }
func long(ttl time.Duration) time.Duration { return ttl + 10*time.Second }

func atOnce(b *broken, id store.LeaseID) { _ = b.base.Revoke(context.Background(), id) }

// keyByKey deletes what hangs on a lease in one commit for each key.
func keyByKey(b *broken, id store.LeaseID) {
	ctx := context.Background()
	l, _ := b.base.List(ctx, store.Prefix(""))
	for _, e := range l.Entries {
		if e.Lease == id {
			_, _ = b.base.Commit(ctx, store.Tx{Then: []store.Op{store.Delete(e.Key)}})
		}
	}
	_ = b.base.Revoke(ctx, id)
}

func (o ownLeases) build() func(*broken) {
	type lease struct {
		ttl   time.Duration
		timer *time.Timer
	}
	var mu sync.Mutex
	leases := map[store.LeaseID]*lease{}
	return func(b *broken) {
		b.grant = func(ctx context.Context, ttl time.Duration) (store.Lease, error) {
			l, err := b.Store.Grant(ctx, time.Hour)
			mu.Lock()
			defer mu.Unlock()
			leases[l.ID] = &lease{ttl, time.AfterFunc(o.granted(ttl), func() { o.end(b, l.ID) })}
			return store.Lease{ID: l.ID, TTL: ttl}, err
		}
		b.renew = func(ctx context.Context, id store.LeaseID) (time.Duration, error) {
			if _, err := b.Store.Renew(ctx, id); err != nil {
				return 0, err
			}
			mu.Lock()
			defer mu.Unlock()
			leases[id].timer.Reset(o.renewed(leases[id].ttl))
			return leases[id].ttl, nil
		}
		b.revoke = func(_ context.Context, id store.LeaseID) error {
			l, err := b.base.Renew(context.Background(), id)
			if err == nil && l > 0 {
				o.end(b, id)
			}
			return err
		}
	}
}

// everHung deletes with a lease all that ever hung on it.
func everHung() func(*broken) {
	var mu sync.Mutex
	hung := map[store.LeaseID][]string{}
	end := func(b *broken, id store.LeaseID) {
		mu.Lock()
		defer mu.Unlock()
		for _, key := range hung[id] {
			_, _ = b.base.Commit(context.Background(), store.Tx{Then: []store.Op{store.Delete(key)}})
		}
		atOnce(b, id)
	}
	breakLeases := ownLeases{granted: same, renewed: same, end: end}.build()
	return func(b *broken) {
		breakLeases(b)
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			mu.Lock()
			for _, op := range tx.Then {
				if op.Lease != store.NoLease {
					hung[op.Lease] = append(hung[op.Lease], op.Key)
				}
			}
			mu.Unlock()
			return b.Store.Commit(ctx, tx)
		}
	}
}

// reusedIDs gives the smallest free number to each new lease.
func reusedIDs() func(*broken) {
	var mu sync.Mutex
	granted := map[store.LeaseID]store.LeaseID{}
	return func(b *broken) {
		b.grant = func(ctx context.Context, ttl time.Duration) (store.Lease, error) {
			l, err := b.Store.Grant(ctx, ttl)
			mu.Lock()
			defer mu.Unlock()
			id := store.LeaseID(1)
			for granted[id] != 0 {
				id++
			}
			granted[id] = l.ID
			return store.Lease{ID: id, TTL: l.TTL}, err
		}
		b.revoke = func(ctx context.Context, id store.LeaseID) error {
			mu.Lock()
			defer mu.Unlock()
			err := b.Store.Revoke(ctx, granted[id])
			delete(granted, id)
			return err
		}
	}
}

// ownLeasesOnly knows only the leases that the handle granted.
func ownLeasesOnly(b *broken) {
	var mu sync.Mutex
	own := map[store.LeaseID]bool{}
	b.grant = func(ctx context.Context, ttl time.Duration) (store.Lease, error) {
		l, err := b.Store.Grant(ctx, ttl)
		mu.Lock()
		defer mu.Unlock()
		own[l.ID] = true
		return l, err
	}
	b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, op := range tx.Then {
			if op.Lease != store.NoLease && !own[op.Lease] {
				return store.Result{}, store.ErrLeaseNotFound
			}
		}
		return b.Store.Commit(ctx, tx)
	}
}

// firstLeaseStays never moves a key from the lease it was made on.
func firstLeaseStays(b *broken) {
	b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
		tx.Then = slices.Clone(tx.Then)
		for i, op := range tx.Then {
			l, err := b.Store.List(ctx, store.Keys(op.Key))
			if err != nil {
				return store.Result{}, err
			}
			if e := l.Entry(op.Key); e != nil && !op.Delete {
				tx.Then[i].Lease = e.Lease
			}
		}
		return b.Store.Commit(ctx, tx)
	}
}

// onDeadLease is what a commit does instead of failing with ErrLeaseNotFound.
func onDeadLease(instead func(b *broken, tx store.Tx) (store.Result, error)) func() func(*broken) {
	return each(func(b *broken) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(ctx, tx)
			if errors.Is(err, store.ErrLeaseNotFound) {
				return instead(b, tx)
			}
			return res, err
		}
	})
}

var leaseFlaws = []flaw{
	{"granted less than asked", "lease/at-least", each(func(b *broken) {
		b.grant = func(ctx context.Context, ttl time.Duration) (store.Lease, error) {
			return b.Store.Grant(ctx, max(ttl/2, b.Capabilities().MinTTL))
		}
	})},
	{"renewed for something else", "lease/at-least", each(func(b *broken) {
		b.renew = func(ctx context.Context, id store.LeaseID) (time.Duration, error) {
			ttl, err := b.Store.Renew(ctx, id)
			return ttl / 2, err
		}
	})},
	{"lease ids come again", "lease/unique", reusedIDs},
	{"Revoke lets the TTL run", "lease/revoked lease/others-stay lease/moved lease/foreign", each(func(b *broken) {
		b.revoke = func(context.Context, store.LeaseID) error { return nil }
	})},
	{"key by key", "lease/revoked expiry/one-commit", ownLeases{granted: same, renewed: same, end: keyByKey}.build},
	{"what is under its keys goes too", "lease/others-stay", each(func(b *broken) {
		b.revoke = func(ctx context.Context, id store.LeaseID) error {
			l, err := b.Store.List(ctx, store.Prefix(""))
			for _, e := range l.Entries {
				for _, other := range l.Entries {
					if e.Lease == id && strings.HasPrefix(other.Key, e.Key+"/") {
						_, _ = b.Store.Commit(ctx, store.Tx{Then: []store.Op{store.Delete(other.Key)}})
					}
				}
			}
			return errors.Join(err, b.Store.Revoke(ctx, id))
		}
	})},
	{"what ever hung on it goes", "lease/moved lease/detached lease/made-again expiry/others-stay", everHung},
	{"the first lease stays", "lease/moved lease/detached expiry/others-stay", each(firstLeaseStays)},
	{"no foreign leases", "lease/foreign close/keeps-leases", each(ownLeasesOnly)},
	{"dead leases are no leases", "lease/dead-put expiry/not-found", onDeadLease(
		func(b *broken, tx store.Tx) (store.Result, error) {
			tx.Then = slices.Clone(tx.Then)
			for i := range tx.Then {
				tx.Then[i].Lease = store.NoLease
			}
			return b.Store.Commit(context.Background(), tx)
		})},
	{"the rest of a dead put is done", "lease/dead-put expiry/not-found", onDeadLease(
		func(b *broken, tx store.Tx) (store.Result, error) {
			tx.Then = slices.DeleteFunc(slices.Clone(tx.Then), func(op store.Op) bool { return op.Lease != store.NoLease })
			_, _ = b.Store.Commit(context.Background(), tx)
			return store.Result{}, store.ErrLeaseNotFound
		})},
	{"leases come before conditions", "lease/dead-refused", each(func(b *broken) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			for _, op := range tx.Then {
				if op.Lease == store.NoLease {
					continue
				}
				if _, err := b.Store.Renew(ctx, op.Lease); err != nil {
					return store.Result{}, err
				}
			}
			return b.Store.Commit(ctx, tx)
		}
	})},
	{"Revoke is idempotent", "lease/unknown lease/not-found expiry/not-found", each(func(b *broken) {
		b.revoke = func(ctx context.Context, id store.LeaseID) error {
			err := b.Store.Revoke(ctx, id)
			if errors.Is(err, store.ErrLeaseNotFound) {
				return nil
			}
			return err
		}
	})},
	{"Renew cannot tell", "lease/unknown lease/not-found expiry/not-found", each(func(b *broken) {
		b.renew = func(ctx context.Context, id store.LeaseID) (time.Duration, error) {
			ttl, err := b.Store.Renew(ctx, id)
			if errors.Is(err, store.ErrLeaseNotFound) {
				err = store.ErrUnavailable
			}
			return ttl, err
		}
	})},
	{"granted for half", "expiry/granted", ownLeases{granted: half, renewed: same, end: atOnce}.build},
	{"renewed for half", "expiry/renewed", ownLeases{granted: same, renewed: half, end: atOnce}.build},
	{"not renewed", "expiry/renewed", each(func(b *broken) {
		b.renew = func(context.Context, store.LeaseID) (time.Duration, error) { return 0, nil }
	})},
	{"granted for long", "expiry/in-time expiry/one-commit", ownLeases{granted: long, renewed: same, end: atOnce}.build},
	{"renewed for long", "expiry/in-time-renewed", ownLeases{granted: same, renewed: long, end: atOnce}.build},
}

package scratch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure/cmd/tenure/internal/scratch"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

const free = 1 << 30 // requests

// slow is a store in memory whose handles answer late.
func slow(base *memstore.Store, ops faultstore.Op, delay time.Duration) scratch.Opener {
	return func(context.Context) (store.Store, error) {
		st := faultstore.New(base.Open())
		st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: ops, Delay: delay})
		return st, nil
	}
}

func put(key string, lease store.LeaseID) store.Tx {
	return store.Tx{Then: []store.Op{store.Put(key, nil, lease)}}
}

// expectLeft fails unless the store holds so many keys, and knows none of the leases.
func expectLeft(t *testing.T, base *memstore.Store, keys int, leases ...store.LeaseID) {
	t.Helper()
	l, err := base.List(t.Context(), store.Prefix(""))
	if err != nil || len(l.Entries) != keys {
		t.Errorf("%d keys are left, want %d: %+v, %v", len(l.Entries), keys, l.Entries, err)
	}
	for _, id := range leases {
		if _, err := base.Renew(t.Context(), id); !errors.Is(err, store.ErrLeaseNotFound) {
			t.Errorf("lease %d is left: %v", id, err)
		}
	}
}

func TestClearRemovesKeysAndLeasesOfTheSpaceAlone(t *testing.T) {
	t.Parallel()
	base := memstore.New()
	other, err := base.Grant(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := base.Commit(t.Context(), put("of others", other.ID)); err != nil {
		t.Fatal(err)
	}
	space := scratch.New("test", func(context.Context) (store.Store, error) { return base.Open(), nil }, free)
	st, err := space.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lease, err := st.Grant(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	unused, err := st.Grant(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := base.Grant(t.Context(), time.Hour) // of another process that was killed
	if err != nil {
		t.Fatal(err)
	}
	for _, tx := range []store.Tx{put("a", lease.ID), put("b", store.NoLease), put("c", foreign.ID)} {
		if _, err := st.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	l, err := base.List(t.Context(), store.Prefix(space.Prefix()))
	if err != nil || len(l.Entries) != 3 {
		t.Errorf("under the prefix: %+v, %v", l, err)
	}
	if store.Path(st, "a") != "a" {
		t.Errorf("a part is the whole store to whoever uses it, and tells of %q", store.Path(st, "a"))
	}
	if err := errors.Join(st.Close(), space.Clear(t.Context())); err != nil {
		t.Error(err)
	}
	expectLeft(t, base, 1, lease.ID, unused.ID, foreign.ID)
	if _, err := base.Renew(t.Context(), other.ID); err != nil {
		t.Errorf("the lease of others: %v", err)
	}
}

// lateAnswers is a store in memory that does what it is asked at once, and says so later.
type lateAnswers struct{ *memstore.Store }

func (l lateAnswers) wait(ctx context.Context) error {
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l lateAnswers) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	lease, err := l.Store.Grant(ctx, ttl)
	return lease, errors.Join(err, l.wait(ctx))
}

// A lease whose grant nobody waited for is revoked, too.
func TestClearRemovesWhatNobodyWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := memstore.New()
		space := scratch.New("test", func(context.Context) (store.Store, error) { return lateAnswers{base.Open()}, nil }, free)
		st, err := space.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := st.Grant(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("grant: %v", err)
		}
		if err := errors.Join(st.Close(), space.Clear(t.Context())); err != nil {
			t.Error(err)
		}
		expectLeft(t, base, 0, 1) // the first lease of a store in memory
	})
}

func TestCutEndsCallsAndWatchesAndClearStillWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := memstore.New()
		space := scratch.New("test", slow(base, faultstore.OpList, time.Hour), free)
		st, err := space.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Commit(t.Context(), put("a", store.NoLease)); err != nil {
			t.Fatal(err)
		}
		ends := make(chan error, 2)
		go func() {
			_, err := st.List(t.Context(), store.Prefix(""))
			ends <- err
		}()
		go func() {
			for _, err := range st.Watch(t.Context(), "", 1) {
				if err != nil {
					ends <- err
				}
			}
		}()
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer space.CutAfter(ctx, time.Second)()
		why := errors.New("a reason")
		cancel(why)
		for range 2 {
			if err := <-ends; !errors.Is(err, scratch.ErrCut) || !errors.Is(err, store.ErrClosed) || !errors.Is(err, why) {
				t.Errorf("ended with %v", err)
			}
		}
		if _, err := st.Grant(t.Context(), time.Hour); !errors.Is(err, scratch.ErrCut) {
			t.Errorf("grant after the cut: %v", err)
		}
		if _, err := space.Open(t.Context()); !errors.Is(err, scratch.ErrCut) {
			t.Errorf("open after the cut: %v", err)
		}
		_ = st.Close()
	})
}

func TestASpaceIsCutOffAfterItsRequests(t *testing.T) {
	t.Parallel()
	base := memstore.New()
	space := scratch.New("test", func(context.Context) (store.Store, error) { return base.Open(), nil }, 5)
	st, err := space.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := st.Commit(t.Context(), put("a", store.NoLease)); err != nil {
			t.Fatalf("request %d: %v", i+1, err)
		}
	}
	if _, err := st.Commit(t.Context(), put("b", store.NoLease)); !errors.Is(err, scratch.ErrCut) {
		t.Errorf("the sixth request: %v", err)
	}
	if err := errors.Join(st.Close(), space.Clear(t.Context())); err != nil {
		t.Error(err)
	}
	expectLeft(t, base, 0)
	if requests, handles := space.Requests(); requests != 6 || handles != 1 {
		t.Errorf("%d requests, %d handles", requests, handles)
	}
}

// What is left although all was tried is said.
func TestClearSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	base := memstore.New()
	broken := false
	space := scratch.New("test", func(context.Context) (store.Store, error) {
		st := faultstore.New(base.Open())
		if broken {
			st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpCommit})
		}
		return st, nil
	}, free)
	st, err := space.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Commit(t.Context(), put("a", store.NoLease)); err != nil {
		t.Fatal(err)
	}
	broken = true
	if err := errors.Join(st.Close(), space.Clear(t.Context())); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want the error of the store", err)
	}
	broken = false
	if err := space.Clear(t.Context()); err != nil {
		t.Error(err)
	}
	expectLeft(t, base, 0)
}

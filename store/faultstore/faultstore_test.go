package faultstore_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/store/storetest"
)

func TestWithoutFaultsItConforms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := memstore.New()
		err := storetest.Verify(t.Context(), storetest.Harness{
			Open: func(context.Context) (store.Store, error) { return faultstore.New(base.Open()), nil },
			Compact: func(context.Context, store.Store) error {
				base.Compact(1 << 62)
				return nil
			},
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// bubble runs f in a bubble with a store and a view of it that has no faults.
func bubble(t *testing.T, f func(t *testing.T, st *faultstore.Store, base *memstore.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		base := memstore.New()
		st := faultstore.New(base.Open())
		defer func() {
			if err := st.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}()
		f(t, st, base)
	})
}

func put(ctx context.Context, st store.Store, key string) error {
	_, err := st.Commit(ctx, store.Tx{Then: []store.Op{store.Put(key, nil, store.NoLease)}})
	return err
}

func has(t *testing.T, base *memstore.Store, key string) bool {
	t.Helper()
	l, err := base.List(t.Context(), store.Keys(key))
	if err != nil {
		t.Fatal(err)
	}
	return len(l.Entries) == 1
}

var errTest = errors.New("as told")

func TestFaultsOfACommit(t *testing.T) {
	t.Parallel()
	const callTimeout = 10 * time.Second
	for name, test := range map[string]struct {
		fault faultstore.Fault
		err   error
		after time.Duration // until the caller has its answer
		now   bool          // the commit has taken effect by then
		later bool          // and a minute later
	}{
		"none":               {faultstore.Fault{Ops: faultstore.OpList}, nil, 0, true, true},
		"delay":              {faultstore.Fault{Kind: faultstore.Delay, Delay: time.Second}, nil, time.Second, true, true},
		"long delay":         {faultstore.Fault{Kind: faultstore.Delay, Delay: time.Minute}, context.DeadlineExceeded, callTimeout, false, false},
		"fail":               {faultstore.Fault{Kind: faultstore.Fail}, store.ErrUnavailable, 0, false, false},
		"zero kind":          {faultstore.Fault{}, store.ErrUnavailable, 0, false, false},
		"fail as told":       {faultstore.Fault{Kind: faultstore.Fail, Err: errTest}, errTest, 0, false, false},
		"lost reply":         {faultstore.Fault{Kind: faultstore.LoseReply}, store.ErrUnavailable, 0, true, true},
		"lost reply as told": {faultstore.Fault{Kind: faultstore.LoseReply, Err: errTest}, errTest, 0, true, true},
		"late":               {faultstore.Fault{Kind: faultstore.Late, Delay: 20 * time.Second}, store.ErrUnavailable, 0, false, true},
		"late and hanging": {
			faultstore.Fault{Kind: faultstore.Late, Hang: true, Delay: 20 * time.Second},
			context.DeadlineExceeded, callTimeout, false, true,
		},
		"hanging": {
			faultstore.Fault{Kind: faultstore.Late, Hang: true, Delay: time.Second},
			context.DeadlineExceeded, callTimeout, true, true,
		},
		"partition": {faultstore.Fault{Kind: faultstore.Partition}, context.DeadlineExceeded, callTimeout, false, false},
		"stall":     {faultstore.Fault{Kind: faultstore.Stall}, nil, 0, true, true},
		"break":     {faultstore.Fault{Kind: faultstore.Break}, nil, 0, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, st *faultstore.Store, base *memstore.Store) {
				defer st.Inject(test.fault)()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
				defer cancel()
				if err := put(ctx, st, "a"); !errors.Is(err, test.err) {
					t.Errorf("got %v, want %v", err, test.err)
				}
				if after := time.Since(start); after != test.after {
					t.Errorf("answered after %v, want %v", after, test.after)
				}
				if now := has(t, base, "a"); now != test.now {
					t.Errorf("took effect: %v, want %v", now, test.now)
				}
				time.Sleep(time.Minute) // virtual
				if later := has(t, base, "a"); later != test.later {
					t.Errorf("took effect in the end: %v, want %v", later, test.later)
				}
			})
		})
	}
}

// Each kind of call must reach the faults, and be counted.
func TestFaultsConcernTheCallsTheyName(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, st *faultstore.Store, _ *memstore.Store) {
		ctx := t.Context()
		lease, err := st.Grant(ctx, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		calls := map[faultstore.Op]func() error{
			faultstore.OpCommit: func() error { return put(ctx, st, "a") },
			faultstore.OpList:   func() error { _, err := st.List(ctx, store.Prefix("p")); return err },
			faultstore.OpWatch: func() error {
				for _, err := range st.Watch(ctx, "p", 0) {
					return err
				}
				return nil
			},
			faultstore.OpGrant:  func() error { _, err := st.Grant(ctx, time.Hour); return err },
			faultstore.OpRenew:  func() error { _, err := st.Renew(ctx, lease.ID); return err },
			faultstore.OpRevoke: func() error { return st.Revoke(ctx, lease.ID) },
		}
		for op := range calls {
			remove := st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: op, Name: "one", Err: errTest})
			for other, call := range calls {
				if other == faultstore.OpRevoke && other != op {
					continue // others still need the lease
				}
				if err := call(); errors.Is(err, errTest) != (other == op) {
					t.Errorf("a fault of %b: a call of %b returned %v", op, other, err)
				}
			}
			remove()
			remove()
		}
		if hits := st.Hits("one"); hits != len(calls) {
			t.Errorf("%d hits, want %d", hits, len(calls))
		}
		defer st.Inject(faultstore.Fault{Kind: faultstore.Fail, Name: "all"})()
		for op, call := range calls {
			if err := call(); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("a fault of all: a call of %b returned %v", op, err)
			}
		}
		if hits := st.Hits("all"); hits != len(calls) {
			t.Errorf("%d hits, want %d", hits, len(calls))
		}
		want := faultstore.Calls{Commit: 7, List: 7, Watch: 7, Grant: 8, Renew: 7, Revoke: 2}
		if got := st.Calls(); got != want || got.Total() != 38 {
			t.Errorf("counted %+v, in all %d, want %+v, 38", got, got.Total(), want)
		}
	})
}

func TestFaultsCountAndMatch(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, st *faultstore.Store, _ *memstore.Store) {
		var hit []string
		defer st.Inject(faultstore.Fault{
			Kind:  faultstore.Fail,
			Name:  "b",
			Count: 2,
			Match: func(c faultstore.Call) bool { return c.Op == faultstore.OpCommit && c.Tx.Then[0].Key == "b" },
			OnHit: func(c faultstore.Call) { hit = append(hit, c.Tx.Then[0].Key) },
		})()
		for i, test := range []struct {
			key string
			err error
		}{
			{"a", nil},
			{"b", store.ErrUnavailable},
			{"a", nil},
			{"b", store.ErrUnavailable},
			{"b", nil},
		} {
			if err := put(t.Context(), st, test.key); !errors.Is(err, test.err) {
				t.Errorf("call %d: got %v, want %v", i, err, test.err)
			}
		}
		if st.Hits("b") != 2 || len(hit) != 2 || st.Hits("a") != 0 {
			t.Errorf("%d hits, OnHit called with %q; want 2, both b", st.Hits("b"), hit)
		}
	})
}

func TestFaultsAddUpInOrder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, st *faultstore.Store, base *memstore.Store) {
		healed := st.Inject(faultstore.Fault{Kind: faultstore.Partition})
		defer st.Inject(faultstore.Fault{Kind: faultstore.Delay, Delay: time.Second})()
		defer st.Inject(faultstore.Fault{Kind: faultstore.LoseReply})()
		defer st.Inject(faultstore.Fault{Kind: faultstore.Fail, Name: "behind"})()
		start := time.Now()
		time.AfterFunc(time.Minute, healed)
		if err := put(t.Context(), st, "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		if after := time.Since(start); after != time.Minute+time.Second {
			t.Errorf("answered after %v, want the partition and the delay", after)
		}
		if !has(t, base, "a") || st.Hits("behind") != 0 {
			t.Error("the fault behind the one that answered had an effect")
		}
	})
}

// A call that a partition holds up is sent when it heals, as TCP would.
func TestPartitionHeals(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, st *faultstore.Store, base *memstore.Store) {
		heal := st.Inject(faultstore.Fault{Kind: faultstore.Partition})
		done := make(chan error)
		go func() { done <- put(t.Context(), st, "a") }()
		synctest.Wait()
		if has(t, base, "a") {
			t.Error("the commit went through the partition")
		}
		heal()
		if err := <-done; err != nil || !has(t, base, "a") {
			t.Errorf("after it healed: %v", err)
		}
	})
}

func TestCloseEndsWhatIsHeldUp(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faultstore.Fault{
		"delay":     {Kind: faultstore.Delay, Delay: time.Hour},
		"partition": {Kind: faultstore.Partition},
		"hang":      {Kind: faultstore.Late, Hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, st *faultstore.Store, _ *memstore.Store) {
				defer st.Inject(fault)()
				done := make(chan error)
				go func() { done <- put(t.Context(), st, "a") }()
				synctest.Wait()
				start := time.Now()
				if err := st.Close(); err != nil {
					t.Error(err)
				}
				if err := <-done; !errors.Is(err, store.ErrClosed) || time.Since(start) > 0 {
					t.Errorf("got %v after %v, want ErrClosed at once", err, time.Since(start))
				}
			})
		})
	}
}

func TestCloseWaitsForLateEffects(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, st *faultstore.Store, base *memstore.Store) {
		st.Inject(faultstore.Fault{Kind: faultstore.Late, Delay: time.Minute, Count: 1})
		ctx, cancel := context.WithCancel(t.Context())
		if err := put(ctx, st, "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		cancel()
		start := time.Now()
		time.AfterFunc(time.Second, func() { // while Close waits
			if err := put(t.Context(), st, "b"); !errors.Is(err, store.ErrClosed) {
				t.Errorf("a call while it closes: got %v, want ErrClosed", err)
			}
		})
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if !has(t, base, "a") || time.Since(start) != time.Minute {
			t.Errorf("closed after %v, effect: %v", time.Since(start), has(t, base, "a"))
		}
	})
}

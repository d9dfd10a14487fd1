package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/store/storetest"
)

// modest makes a store that can do as little as the contract allows: one key a
// transaction, its own leases, and watches that reduce.
func modest(b *broken) {
	b.capabilities = func() store.Capabilities {
		c := b.Store.Capabilities()
		c.MultiKey, c.ForeignLease, c.EveryChange = false, false, false
		return c
	}
	ownLeasesOnly(b)
	ownLeases := b.commit
	b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
		if err := tx.Validate(b.Capabilities()); err != nil {
			return store.Result{}, err
		}
		keys := slices.Clone(tx.Else)
		for _, c := range tx.If {
			keys = append(keys, c.Key)
		}
		for _, op := range tx.Then {
			keys = append(keys, op.Key)
		}
		slices.Sort(keys)
		if len(slices.Compact(keys)) > 1 {
			return store.Result{}, store.ErrUnsupported
		}
		return ownLeases(ctx, tx)
	}
	b.watch = func(ctx context.Context, prefix string, after store.Revision) changes {
		return func(yield func(store.Changes, error) bool) { reduced(ctx, b, prefix, after, yield) }
	}
}

// reduced yields what gathers within a while as one step.
func reduced(ctx context.Context, b *broken, prefix string, after store.Revision, yield func(store.Changes, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	var gathered store.Changes
	var end error
	news := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		for c, err := range b.Store.Watch(ctx, prefix, after) {
			mu.Lock()
			gathered.Revision = max(gathered.Revision, c.Revision)
			for _, ev := range c.Events {
				gathered.Events = slices.DeleteFunc(gathered.Events, func(old store.Event) bool {
					return old.Entry.Key == ev.Entry.Key
				})
				gathered.Events = append(gathered.Events, ev)
			}
			end = err
			mu.Unlock()
			select {
			case news <- struct{}{}:
			default:
			}
		}
	})
	for range news {
		time.Sleep(5 * time.Millisecond) // it is slow to notice
		mu.Lock()
		step, err := gathered, end
		gathered = store.Changes{}
		mu.Unlock()
		if step.Revision > 0 && !yield(step, nil) {
			return
		}
		if err != nil {
			yield(store.Changes{}, err)
			return
		}
	}
}

func TestModestStorePasses(t *testing.T) {
	t.Parallel()
	notExercised := map[string]bool{}
	for name := range strings.FieldsSeq(`commit/atomic commit/else commit/refused condition/every lease/foreign
		list/one-revision revision/one-per-transaction valid/ops-limit watch/every-change watch/together`) {
		notExercised[name] = true
	}
	for _, c := range storetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := flaw{build: each(modest)}
				err := named(t, c.Name).Run(t.Context(), f.harness())
				if !notExercised[c.Name] && err != nil || notExercised[c.Name] && !errors.Is(err, storetest.ErrNotExercised) {
					t.Errorf("got %v, want not exercised: %v", err, notExercised[c.Name])
				}
			})
		})
	}
}

func TestStoreWithLimitsPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := memstore.NewWith(memstore.Options{MaxOps: 8, MaxValue: 1 << 10, MinTTL: 3 * time.Second})
		if err := storetest.Verify(t.Context(), harness(base)); err != nil {
			t.Error(err)
		}
	})
}

func TestVerifyNamesWhatWasNotExercised(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := harness(memstore.New())
		h.Compact = nil
		err := storetest.Verify(t.Context(), h)
		if !errors.Is(err, storetest.ErrNotExercised) {
			t.Fatalf("got %v, want ErrNotExercised", err)
		}
		for _, name := range []string{"watch/compacted", "watch/after-compaction"} {
			if !strings.Contains(err.Error(), name+": not exercised: ") {
				t.Errorf("%s is not named in %v", name, err)
			}
		}
	})
}

func TestVerifyLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func() func(*broken){
		"sound":              each(func(*broken) {}),
		"deletes are lost":   onEvent(func(ev *store.Event) bool { return !ev.Deleted }),
		"modest":             each(modest),
		"Else reads nothing": onResult(func(_ *broken, _ store.Tx, res *store.Result) { res.Entries = nil }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := flaw{build: build}.harness()
				_ = storetest.Verify(t.Context(), h)
				time.Sleep(30 * time.Second) // no lease has ended by itself yet
				st, err := h.Open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				l, err := st.List(t.Context(), store.Prefix(""))
				if err != nil || len(l.Entries) > 0 {
					t.Errorf("left behind: %+v, %v", l.Entries, err)
				}
			})
		})
	}
}

// A program that has been cancelled must not leave keys in a shared store.
func TestCancelledRunLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := harness(memstore.New())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := storetest.Verify(ctx, h)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		st, _ := h.Open(t.Context())
		l, err := st.List(t.Context(), store.Prefix(""))
		if err != nil || len(l.Entries) > 0 {
			t.Errorf("left behind: %+v, %v", l.Entries, err)
		}
	})
}

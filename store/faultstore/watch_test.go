package faultstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// watching collects the keys that a watch sees, and how it ends.
type watching struct {
	cancel context.CancelFunc

	mu   sync.Mutex
	keys []string
	err  error
}

func (w *watching) step(c store.Changes, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ev := range c.Events {
		w.keys = append(w.keys, ev.Entry.Key)
	}
	w.err = err
}

// seen waits until nothing moves and returns what the watch saw.
func (w *watching) seen() ([]string, error) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keys, w.err
}

// start starts a watch.
func start(t *testing.T, st store.Store) *watching {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{cancel: cancel}
	go func() {
		for c, err := range st.Watch(ctx, "", 0) {
			w.step(c, err)
		}
	}()
	synctest.Wait()
	return w
}

// want puts key through base and compares how many keys the watch has seen.
func (w *watching) want(t *testing.T, base *memstore.Store, key string, seen int) {
	t.Helper()
	if err := put(t.Context(), base, key); err != nil {
		t.Fatal(err)
	}
	if keys, err := w.seen(); len(keys) != seen || err != nil {
		t.Errorf("after %s: saw %q, %v; want %d keys", key, keys, err, seen)
	}
}

func TestRunningWatchIsHeldBackAndThenGoesOn(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]faultstore.Kind{"stall": faultstore.Stall, "partition": faultstore.Partition} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, st *faultstore.Store, base *memstore.Store) {
				w := start(t, st)
				defer w.cancel()
				w.want(t, base, "a", 1)
				heal := st.Inject(faultstore.Fault{Kind: kind, Name: "held"})
				w.want(t, base, "b", 1)
				w.want(t, base, "c", 1)
				if hits := st.Hits("held"); hits != 1 {
					t.Errorf("%d hits, want 1: a watch counts once", hits)
				}
				heal()
				synctest.Wait()
				w.want(t, base, "d", 4)
			})
		})
	}
}

func TestNewWatchIsHeldBackAndThenGoesOn(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, st *faultstore.Store, base *memstore.Store) {
		heal := st.Inject(faultstore.Fault{Kind: faultstore.Stall})
		w := start(t, st)
		defer w.cancel()
		w.want(t, base, "a", 0)
		if err := put(t.Context(), st, "b"); err != nil {
			t.Errorf("a stalled watch stopped a commit: %v", err)
		}
		heal()
		synctest.Wait()
		w.want(t, base, "c", 3)
	})
}

func TestStalledWatchStillEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end  func(*faultstore.Store, *watching)
		want error
	}{
		"with its context": {func(_ *faultstore.Store, w *watching) { w.cancel() }, context.Canceled},
		"with its store":   {func(st *faultstore.Store, _ *watching) { _ = st.Close() }, store.ErrClosed},
		"when it breaks": {func(st *faultstore.Store, _ *watching) {
			st.Inject(faultstore.Fault{Kind: faultstore.Break})
		}, store.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, st *faultstore.Store, base *memstore.Store) {
				w := start(t, st)
				defer w.cancel()
				defer st.Inject(faultstore.Fault{Kind: faultstore.Stall})()
				w.want(t, base, "a", 0)
				test.end(st, w)
				if keys, err := w.seen(); !errors.Is(err, test.want) || len(keys) > 0 {
					t.Errorf("got %q, %v; want %v", keys, err, test.want)
				}
			})
		})
	}
}

func TestBreakEndsRunningAndNewWatches(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, st *faultstore.Store, base *memstore.Store) {
		running := start(t, st)
		defer running.cancel()
		st.Inject(faultstore.Fault{Kind: faultstore.Break, Err: errTest, Count: 2, Name: "broken"})
		next, spared := start(t, st), start(t, st)
		defer next.cancel()
		defer spared.cancel()
		_, first := running.seen()
		_, second := next.seen()
		if !errors.Is(first, errTest) || !errors.Is(second, errTest) || st.Hits("broken") != 2 {
			t.Errorf("got %v and %v, %d hits; want both as told", first, second, st.Hits("broken"))
		}
		spared.want(t, base, "a", 1)
	})
}

func TestDelayedWatchStartsLater(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, st *faultstore.Store, base *memstore.Store) {
		defer st.Inject(faultstore.Fault{Kind: faultstore.Delay, Delay: time.Second})()
		w := start(t, st)
		defer w.cancel()
		w.want(t, base, "a", 0)
		time.Sleep(time.Second) // virtual
		w.want(t, base, "b", 2)
	})
}

package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

func put(t *testing.T, st store.Store, key string, lease store.LeaseID) store.Revision {
	t.Helper()
	res, err := st.Commit(t.Context(), store.Tx{Then: []store.Op{store.Put(key, []byte(key), lease)}})
	if err != nil || !res.Committed {
		t.Fatalf("put %q: %+v, %v", key, res, err)
	}
	return res.Revision
}

// The index splits and merges its blocks; a map does not.
func TestListAgreesWithAMapAcrossManyKeys(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	defer func() { _ = st.Close() }()
	rng := rand.New(rand.NewPCG(1, 2))
	model := map[string]store.Revision{}
	for range 20_000 {
		key := fmt.Sprintf("%02d/%03d", rng.IntN(20), rng.IntN(300))
		if rng.IntN(3) > 0 {
			model[key] = put(t, st, key, store.NoLease)
			continue
		}
		if _, err := st.Commit(t.Context(), store.Tx{Then: []store.Op{store.Delete(key)}}); err != nil {
			t.Fatal(err)
		}
		delete(model, key)
	}
	for n := range 20 {
		q := store.Prefix(fmt.Sprintf("%02d/", n))
		var want []string
		for key := range model {
			if q.Selects(key) {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		l, err := st.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range l.Entries {
			got = append(got, e.Key)
			if e.Modified != model[e.Key] {
				t.Errorf("%s modified at %d, want %d", e.Key, e.Modified, model[e.Key])
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v: got %d keys, want %d", q, len(got), len(want))
		}
	}
}

func TestLeaseEndsAtItsTTLInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memstore.New()
		lease, err := st.Grant(t.Context(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		put(t, st, "a", lease.ID)
		put(t, st, "b", lease.ID)
		time.Sleep(9 * time.Second) // virtual
		if _, err := st.Renew(t.Context(), lease.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Second - time.Nanosecond) // virtual
		if l, _ := st.List(t.Context(), store.Prefix("")); len(l.Entries) != 2 {
			t.Errorf("before its TTL: %d entries, want 2", len(l.Entries))
		}
		time.Sleep(2 * time.Nanosecond) // virtual
		l, _ := st.List(t.Context(), store.Prefix(""))
		if len(l.Entries) != 0 || l.Revision != 3 {
			t.Errorf("after its TTL: %d entries at revision %d, want none at 3", len(l.Entries), l.Revision)
		}
	})
}

// next returns the next step of a watch that has events.
func next(t *testing.T, pull func() (store.Changes, error, bool)) (store.Changes, error) {
	t.Helper()
	for {
		c, err, ok := pull()
		if !ok {
			t.Fatal("watch ended without an error")
		}
		if err != nil || len(c.Events) > 0 {
			return c, err
		}
	}
}

func TestLaggingWatchEndsAsCompactedAndDelaysNoCommit(t *testing.T) {
	t.Parallel()
	st := memstore.NewWith(memstore.Options{History: 4})
	defer func() { _ = st.Close() }()
	var seen int
	for c, err := range st.Watch(t.Context(), "", 0) {
		if err != nil {
			if !errors.Is(err, store.ErrCompacted) {
				t.Errorf("watch ended with %v, want ErrCompacted", err)
			}
			break
		}
		seen += len(c.Events)
		for range 5 { // one more than it may lag behind
			put(t, st, "k", store.NoLease)
		}
	}
	if seen != 0 {
		t.Errorf("saw %d changes of a history with a hole", seen)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	st := memstore.NewWith(memstore.Options{History: 4})
	defer func() { _ = st.Close() }()
	for range 100 {
		put(t, st, "k", store.NoLease)
	}
	for after, want := range map[store.Revision]error{0: store.ErrCompacted, 91: store.ErrCompacted, 96: nil} {
		for c, err := range st.Watch(t.Context(), "", after) {
			if !errors.Is(err, want) || err == nil && c.Revision != after+1 {
				t.Errorf("after %d: %+v, %v; want %v", after, c, err, want)
			}
			break
		}
	}
}

// A watch elsewhere is not woken, and sees its own changes in order all the same.
func TestWatchSeesOnlyItsPrefix(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	defer func() { _ = st.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	steps := make(chan store.Changes, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c, err := range st.Watch(ctx, "b/", 0) {
			if err == nil {
				steps <- c
			}
		}
	}()
	if c := <-steps; len(c.Events) != 0 {
		t.Errorf("began with %+v, want an empty step", c)
	}
	for _, key := range []string{"a", "b", "b/", "b/1", "ba", "b/2"} {
		put(t, st, key, store.NoLease)
	}
	for _, want := range []store.Revision{3, 4, 6} {
		if c := <-steps; c.Revision != want || len(c.Events) != 1 {
			t.Errorf("got %+v, want one event at %d", c, want)
		}
	}
	cancel()
	<-done
}

func TestValuesAreNotShared(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	defer func() { _ = st.Close() }()
	value := []byte("right")
	tx := store.Tx{Then: []store.Op{store.Put("k", value, store.NoLease)}}
	if _, err := st.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	spoil := func(what string, value []byte) {
		if string(value) != "right" {
			t.Errorf("%s: %q", what, value)
		}
		copy(value, "wrong")
	}
	spoil("before the first list", value)
	l, _ := st.List(t.Context(), store.Keys("k"))
	spoil("list", l.Entry("k").Value)
	res, _ := st.Commit(t.Context(), store.Tx{If: []store.Cond{store.Absent("k")}, Else: []string{"k"}})
	spoil("else", res.Entry("k").Value)
	for range 2 {
		pull, stop := iter.Pull2(st.Watch(t.Context(), "", 0))
		c, err := next(t, pull)
		stop()
		if err != nil {
			t.Fatal(err)
		}
		spoil("watch", c.Events[0].Entry.Value)
	}
}

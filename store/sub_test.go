package store_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/store/storetest"
)

// opened closes the store that it is a part of, so that the suite can.
type opened struct {
	store.Store
	whole store.Store
}

func (o opened) Close() error { return o.whole.Close() }

func TestSubConforms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := memstore.New()
		for _, c := range storetest.Cases() {
			if c.Name == "valid/long-key" {
				continue // of a part the keys are shorter
			}
			if err := c.Run(t.Context(), subHarness(base)); err != nil {
				t.Error(err)
			}
		}
	})
}

func subHarness(base *memstore.Store) storetest.Harness {
	return storetest.Harness{
		Open: func(context.Context) (store.Store, error) {
			whole := base.Open()
			return opened{store.Sub(whole, "part/"), whole}, nil
		},
		Compact: func(context.Context, store.Store) error {
			base.Compact(1 << 62)
			return nil
		},
	}
}

func keys(t *testing.T, st store.Store, q store.Query) string {
	t.Helper()
	l, err := st.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range l.Entries {
		all = append(all, e.Key)
	}
	return fmt.Sprint(all)
}

func commit(t *testing.T, st store.Store, ops ...store.Op) {
	t.Helper()
	res, err := st.Commit(t.Context(), store.Tx{Then: ops})
	if err != nil || !res.Committed {
		t.Fatalf("commit: %+v, %v", res, err)
	}
}

func put(t *testing.T, st store.Store, key string) {
	t.Helper()
	commit(t, st, store.Put(key, []byte(key), store.NoLease))
}

func TestSubIsAPartOfTheWhole(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	a, b := store.Sub(st, "a/"), store.Sub(st, "b/")
	put(t, a, "x")
	put(t, b, "y")
	put(t, store.Sub(a, "deep/"), "z")
	for _, test := range []struct{ got, want string }{
		{keys(t, st, store.Prefix("")), "[a/deep/z a/x b/y]"},
		{keys(t, a, store.Prefix("")), "[deep/z x]"},
		{keys(t, a, store.Prefix("d")), "[deep/z]"},
		{keys(t, a, store.Keys("x", "y", "a/x")), "[x]"},
		{keys(t, b, store.Prefix("")), "[y]"},
		{keys(t, store.Sub(a, "deep/"), store.Prefix("")), "[z]"},
		{keys(t, a, store.Query{}), "[]"},
	} {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
	if err := a.Close(); err != nil {
		t.Errorf("close of a part: %v", err)
	}
	put(t, b, "y") // the whole is open
	if _, err := a.Commit(t.Context(), store.Tx{Then: []store.Op{store.Delete("")}}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("delete of the empty key of a part: %v, want ErrInvalid", err)
	}
}

// The prefix of a part goes on where its keys begin: neither may be stripped
// twice.
func TestSubStripsItsPrefixOnce(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	part := store.Sub(st, "a/")
	put(t, part, "a/a/x")
	if got := keys(t, part, store.Prefix("")); got != "[a/a/x]" {
		t.Errorf("list: got %s", got)
	}
	res, err := part.Commit(t.Context(), store.Tx{If: []store.Cond{store.Absent("a/a/x")}, Else: []string{"a/a/x"}})
	if err != nil || res.Entry("a/a/x") == nil {
		t.Errorf("else: got %+v, %v", res, err)
	}
	for c, err := range part.Watch(t.Context(), "a/", 0) {
		if err != nil || len(c.Events) != 1 || c.Events[0].Entry.Key != "a/a/x" {
			t.Errorf("watch: got %+v, %v", c, err)
		}
		break
	}
}

// sharing hands the same events to every watch.
type sharing struct {
	store.Store
	changes store.Changes
}

func (s sharing) Watch(context.Context, string, store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) { yield(s.changes, nil) }
}

func TestSubLeavesSharedEventsAlone(t *testing.T) {
	t.Parallel()
	events := []store.Event{{Entry: store.Entry{Key: "a/x"}}}
	st := sharing{memstore.New(), store.Changes{Revision: 1, Events: events}}
	for range 2 {
		for c, err := range store.Sub(st, "a/").Watch(t.Context(), "", 0) {
			if err != nil || c.Events[0].Entry.Key != "x" {
				t.Errorf("got %+v, %v, want x", c, err)
			}
		}
	}
	if events[0].Entry.Key != "a/x" {
		t.Errorf("the events of others became those of %s", events[0].Entry.Key)
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	if whole := store.Sub(st, ""); whole != store.Store(st) {
		t.Error("the part with the empty prefix is not the store itself")
	}
	part := store.Sub(st, "a/")
	for _, test := range []struct {
		st   store.Store
		want string
	}{
		{st, "k"},
		{part, "a/k"},
		{store.Sub(part, ""), "a/k"},
		{store.Sub(part, "b/"), "a/b/k"},
		{store.Sub(store.Sub(part, "b"), "c/"), "a/bc/k"},
	} {
		if got := store.Path(test.st, "k"); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
		put(t, test.st, "k")
		if got := keys(t, st, store.Keys(test.want)); got != "["+test.want+"]" {
			t.Errorf("put through the part, the store has %s under %s", got, test.want)
		}
	}
}

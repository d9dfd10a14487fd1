package sqlitestore

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenure-go/tenure/store"
)

// file is a database that a test has for itself.
type file string

func newFile(t testing.TB) file { return file(filepath.Join(t.TempDir(), "tenure.db")) }

func (f file) open(t testing.TB, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), string(f), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t testing.TB, s store.Store, key, value string, lease store.LeaseID) store.Revision {
	t.Helper()
	return commit(t, s, store.Tx{Then: []store.Op{store.Put(key, []byte(value), lease)}})
}

// commit applies a transaction that is not refused.
func commit(t testing.TB, s store.Store, tx store.Tx) store.Revision {
	t.Helper()
	res, err := s.Commit(t.Context(), tx)
	if err != nil || !res.Committed {
		t.Fatalf("Commit: %+v, %v", res, err)
	}
	return res.Revision
}

func grant(t testing.TB, s store.Store, ttl time.Duration) store.LeaseID {
	t.Helper()
	l, err := s.Grant(t.Context(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l.ID
}

func list(t testing.TB, s store.Store, q store.Query) store.Listing {
	t.Helper()
	l, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fill puts n entries and returns their keys.
func fill(t testing.TB, s store.Store, n int) []string {
	t.Helper()
	var keys []string
	var ops []store.Op
	for i := range n {
		keys = append(keys, fmt.Sprintf("some/prefix/%05d", i))
		ops = append(ops, store.Put(keys[i], fmt.Appendf(nil, "a value of some bytes, %d", i), store.NoLease))
		if len(ops) == 500 || i == n-1 {
			commit(t, s, store.Tx{Then: ops})
			ops = ops[:0]
		}
	}
	return keys
}

// watching is a watch whose changes are waited for.
type watching struct {
	changes chan store.Changes
	ended   chan error
	cancel  context.CancelFunc
}

func watch(t testing.TB, s store.Store, prefix string, after store.Revision) *watching {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{changes: make(chan store.Changes), ended: make(chan error, 1), cancel: cancel}
	go func() {
		var end error
		for ch, err := range s.Watch(ctx, prefix, after) {
			if err != nil {
				end = err
				break
			}
			select {
			case w.changes <- ch:
			case <-ctx.Done():
			}
		}
		w.ended <- end
		close(w.ended)
	}()
	t.Cleanup(func() {
		cancel()
		for range w.ended { // until it is closed
		}
	})
	return w
}

const patience = 20 * time.Second

// next returns the next step of the watch.
func (w *watching) next(t testing.TB) store.Changes {
	t.Helper()
	select {
	case ch := <-w.changes:
		return ch
	case err := <-w.ended:
		t.Fatalf("the watch ended: %v", err)
	case <-time.After(patience):
		t.Fatal("no event came")
	}
	panic("unreachable")
}

// event returns the next step that has events.
func (w *watching) event(t testing.TB) store.Changes {
	t.Helper()
	for {
		if ch := w.next(t); len(ch.Events) > 0 {
			return ch
		}
	}
}

// wait passes over everything up to a revision.
func (w *watching) wait(t testing.TB, upto store.Revision) {
	t.Helper()
	for w.next(t).Revision < upto {
	}
}

// end returns the error that the watch ends with.
func (w *watching) end(t testing.TB) error {
	t.Helper()
	for {
		select {
		case <-w.changes:
		case err := <-w.ended:
			return err
		case <-time.After(patience):
			t.Fatal("the watch did not end")
		}
	}
}

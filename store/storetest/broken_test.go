package storetest_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/store/storetest"
)

// broken is a handle on a store in memory some of whose calls are replaced.
type broken struct {
	*memstore.Store
	base *memstore.Store // a handle on the same store that is never closed

	commit       func(context.Context, store.Tx) (store.Result, error)
	list         func(context.Context, store.Query) (store.Listing, error)
	watch        func(context.Context, string, store.Revision) iter.Seq2[store.Changes, error]
	grant        func(context.Context, time.Duration) (store.Lease, error)
	renew        func(context.Context, store.LeaseID) (time.Duration, error)
	revoke       func(context.Context, store.LeaseID) error
	capabilities func() store.Capabilities
	close        func() error
}

// newBroken returns a handle with nothing broken yet.
func newBroken(base *memstore.Store) *broken {
	st := base.Open()
	return &broken{
		Store: st, base: base,
		commit: st.Commit, list: st.List, watch: st.Watch, grant: st.Grant, renew: st.Renew, revoke: st.Revoke,
		capabilities: st.Capabilities, close: st.Close,
	}
}

func (b *broken) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	return b.commit(ctx, tx)
}

func (b *broken) List(ctx context.Context, q store.Query) (store.Listing, error) {
	return b.list(ctx, q)
}

func (b *broken) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return b.watch(ctx, prefix, after)
}

func (b *broken) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	return b.grant(ctx, ttl)
}

func (b *broken) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	return b.renew(ctx, id)
}

func (b *broken) Revoke(ctx context.Context, id store.LeaseID) error { return b.revoke(ctx, id) }
func (b *broken) Capabilities() store.Capabilities                   { return b.capabilities() }
func (b *broken) Close() error                                       { return b.close() }

// flaw is one way to break a store, and the cases that must notice.
type flaw struct {
	name   string
	caught string // names of cases, separated by spaces
	// build returns what breaks each new handle on one store.
	build func() func(*broken)
}

// each is the build of a flaw whose handles share nothing.
func each(f func(*broken)) func() func(*broken) { return func() func(*broken) { return f } }

func flaws() []flaw {
	return slices.Concat(commitFlaws, dataFlaws, leaseFlaws, watchFlaws, handleFlaws)
}

func (f flaw) harness() storetest.Harness {
	base := memstore.New()
	breakHandle := f.build()
	h := harness(base)
	h.Open = func(context.Context) (store.Store, error) {
		b := newBroken(base)
		breakHandle(b)
		return b, nil
	}
	return h
}

// named returns a case, made in the bubble that it runs in.
func named(t *testing.T, name string) storetest.Case {
	cases := storetest.Cases()
	i := slices.IndexFunc(cases, func(c storetest.Case) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no such case: %s", name)
	}
	return cases[i]
}

func TestEveryFlawIsCaught(t *testing.T) {
	t.Parallel()
	for _, f := range flaws() {
		for name := range strings.FieldsSeq(f.caught) {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					err := named(t, name).Run(t.Context(), f.harness())
					if err == nil || errors.Is(err, storetest.ErrNotExercised) {
						t.Errorf("not caught: %v", err)
					}
					t.Log(err)
				})
			})
		}
	}
}

// A case that no flaw has ever failed might check nothing.
func TestEveryCaseHasAFlaw(t *testing.T) {
	t.Parallel()
	uncaught := map[string]bool{}
	for _, c := range storetest.Cases() {
		if _, twice := uncaught[c.Name]; twice {
			t.Errorf("two cases are named %s", c.Name)
		}
		if c.Rule == "" {
			t.Errorf("%s has no rule", c.Name)
		}
		uncaught[c.Name] = true
	}
	for _, f := range flaws() {
		for name := range strings.FieldsSeq(f.caught) {
			uncaught[name] = false
		}
	}
	maps.DeleteFunc(uncaught, func(_ string, un bool) bool { return !un })
	for _, name := range slices.Sorted(maps.Keys(uncaught)) {
		t.Errorf("no flaw is caught by %s", name)
	}
}

package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// Where others end leases and delete seats, nobody can promise one holder. All
// else must hold, and whoever has lost its seat must notice at once.
func TestShellUnderInterference(t *testing.T) {
	t.Parallel()
	total := newTally()
	seeds := shellSeeds(min(*shellSchedules, 60))
	t.Run("schedules", func(t *testing.T) {
		for _, seed := range seeds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				found := runShell(t, seed, shellKind{interfere: true})
				found.report(t)
				total.add(found.tally)
			})
		}
	})
	if len(seeds) < 50 {
		return
	}
	t.Logf("%v", total)
	for _, what := range []string{"interference", "session lost", "ended: tenure: seat taken away"} {
		if total.counts[what] == 0 {
			t.Errorf("no %s", what)
		}
	}
}

// TestShellNegativeControls breaks the store in ways that the assumptions rule
// out, and expects the history to show it.
func TestShellNegativeControls(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		wrap  func(store.Store) store.Store
		rules []tenuretest.Rule // that one may be found to be broken, whichever is first
	}{
		"leases end at two thirds of their TTL": {
			func(st store.Store) store.Store { return hasty{st} },
			[]tenuretest.Rule{tenuretest.OneHolder},
		},
		"a commit is said to have taken effect, and has not": {
			// A lie about a write, about a free seat, about the seat of one that
			// leads, about the seat of one that drains.
			func(st store.Store) store.Store { return &liar{Store: st} },
			[]tenuretest.Rule{tenuretest.FencedWrites, tenuretest.TokensRise, tenuretest.OneHolder, tenuretest.DrainFirst},
		},
		"a guard is not looked at": {
			func(st store.Store) store.Store { return careless{st} },
			[]tenuretest.Rule{tenuretest.FencedWrites},
		},
		"a seat is given away without a look at it": {
			func(st store.Store) store.Store { return generous{st} },
			[]tenuretest.Rule{tenuretest.OneHolder, tenuretest.DrainFirst},
		},
		"a watch leaves changes out": {
			func(st store.Store) store.Store { return &forgetful{Store: st} },
			[]tenuretest.Rule{tenuretest.ObserversAgree},
		},
	}
	const enough = 1500 // a hasty taker meets a held seat once in 200 or so
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= enough; seed++ {
				found := runShell(t, seed, shellKind{wrap: tt.wrap})
				var v *tenuretest.Violation
				if !errors.As(found.err, &v) {
					continue
				}
				if slices.Contains(tt.rules, v.Rule) {
					t.Logf("seed %d: %s: %s", seed, v.Rule, v.Text)
					return
				}
				found.draw(t)
				t.Fatalf("seed %d: want one of %q, got %v", seed, tt.rules, v)
			}
			t.Errorf("not found in %d schedules", enough)
		})
	}
}

// hasty says of its leases that they are longer than they are.
type hasty struct{ store.Store }

func (h hasty) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	l, err := h.Store.Grant(ctx, ttl*2/3)
	l.TTL = ttl
	return l, err
}

func (h hasty) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	d, err := h.Store.Renew(ctx, id)
	return d * 3 / 2, err
}

// liar makes every seventh commit up.
type liar struct {
	store.Store
	commits atomic.Int64
}

func (l *liar) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	if l.commits.Add(1)%7 != 0 {
		return l.Store.Commit(ctx, tx)
	}
	now, err := l.List(ctx, store.Query{})
	return store.Result{Committed: err == nil, Revision: now.Revision + 1}, err
}

// careless lets writes of data through without their guards.
type careless struct{ store.Store }

func (c careless) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	if len(tx.Then) > 0 && strings.HasPrefix(tx.Then[0].Key, "data/") {
		tx.If = nil
	}
	return c.Store.Commit(ctx, tx)
}

// generous lets everybody take a seat that is taken.
type generous struct{ store.Store }

func (g generous) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	var conds []store.Cond
	for _, c := range tx.If {
		if c.Kind != store.CondAbsent || !strings.HasPrefix(c.Key, "leaders/") {
			conds = append(conds, c)
		}
	}
	tx.If = conds
	return g.Store.Commit(ctx, tx)
}

// forgetful leaves every fifth change out of its watches.
type forgetful struct {
	store.Store
	changes atomic.Int64
}

func (f *forgetful) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		for c, err := range f.Store.Watch(ctx, prefix, after) {
			if err == nil && len(c.Events) > 0 && f.changes.Add(1)%5 == 0 {
				continue
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

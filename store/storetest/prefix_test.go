package storetest_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/store/storetest"
)

// Nothing but what no store takes is ever written elsewhere.
func TestCasesKeepToThePrefix(t *testing.T) {
	t.Parallel()
	const prefix = "scratch/"
	base := memstore.New()
	h := harness(base)
	h.Prefix = prefix
	var mu sync.Mutex
	written := 0
	h.Open = func(context.Context) (store.Store, error) {
		b := newBroken(base)
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, op := range tx.Then {
				if written++; !strings.HasPrefix(op.Key, prefix) && op.Key != "" {
					t.Errorf("wrote %q", op.Key)
				}
			}
			return b.Store.Commit(ctx, tx)
		}
		return b, nil
	}
	for _, c := range storetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), h); err != nil && !errors.Is(err, storetest.ErrNotExercised) {
				t.Error(err)
			}
		})
	}
	if written == 0 {
		t.Error("nothing was written")
	}
}

// A store that answers what no check expects fails it; it does not end the program.
func TestAnAnswerOfNothingEndsNoProgram(t *testing.T) {
	t.Parallel()
	for _, c := range storetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base := memstore.New()
				h := harness(base)
				h.Open = func(context.Context) (store.Store, error) {
					b := newBroken(base)
					b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
						tx.Then = nil // yes, and nothing is done
						return b.Store.Commit(ctx, tx)
					}
					return b, nil
				}
				_ = named(t, c.Name).Run(t.Context(), h) // whatever it says
			})
		})
	}
}

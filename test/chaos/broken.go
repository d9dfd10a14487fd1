//go:build unix

package main

import (
	"context"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// How a worker can be broken, so that it is seen that the campaign finds it.
const (
	// believer says for a while that it leads although it does not any more.
	believer = "believer"
	// unfenced writes without its guard, also after the end of its term.
	unfenced = "unfenced"
	// overtrusting takes its lease for twice as long as it is.
	overtrusting = "overtrusting"
	// deaf does not hear of every twentieth change of the fleet.
	deaf = "deaf"
	// stale commits some of what it publishes once more, later, and without conditions.
	stale = "stale"
)

func (w *worker) breakSampler() {
	if w.Broken != believer {
		return
	}
	var mu sync.Mutex
	lost := map[*tenure.Leadership]time.Time{}
	w.held = func(l *tenure.Leadership) bool {
		mu.Lock()
		defer mu.Unlock()
		if !l.Held() && lost[l].IsZero() {
			lost[l] = time.Now()
		}
		return lost[l].IsZero() || time.Since(lost[l]) < ttl
	}
}

// guard is the condition of a write.
func (w *worker) guard(l *tenure.Leadership) []store.Cond {
	if w.Broken == unfenced {
		return nil
	}
	return []store.Cond{l.Guard().Cond()}
}

func (w *worker) breakStore(st store.Store) store.Store {
	switch w.Broken {
	case overtrusting:
		return trusting{st}
	case deaf:
		return &hardOfHearing{Store: st}
	case stale:
		return late{st}
	}
	return st
}

type hardOfHearing struct {
	store.Store
	heard atomic.Int64
}

// Watch implements store.Store.
func (h *hardOfHearing) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	if !strings.HasPrefix(prefix, fleetState) {
		return h.Store.Watch(ctx, prefix, after)
	}
	return func(yield func(store.Changes, error) bool) {
		for changes, err := range h.Store.Watch(ctx, prefix, after) {
			if len(changes.Events) > 0 && h.heard.Add(1)%20 == 0 {
				changes.Events = nil
			}
			if !yield(changes, err) {
				return
			}
		}
	}
}

type late struct{ store.Store }

// Commit implements store.Store.
func (l late) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	res, err := l.Store.Commit(ctx, tx)
	if len(tx.Then) == 1 && strings.HasPrefix(tx.Then[0].Key, fleetState) && rand.IntN(20) == 0 {
		time.AfterFunc(ttl, func() {
			_, _ = l.Store.Commit(context.WithoutCancel(ctx), store.Tx{Then: tx.Then}) // or it is too late
		})
	}
	return res, err
}

type trusting struct{ store.Store }

// Grant implements store.Store.
func (t trusting) Grant(ctx context.Context, d time.Duration) (store.Lease, error) {
	l, err := t.Store.Grant(ctx, d)
	l.TTL *= 2
	return l, err
}

// Renew implements store.Store.
func (t trusting) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	d, err := t.Store.Renew(ctx, id)
	return 2 * d, err
}

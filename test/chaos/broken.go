//go:build unix

package main

import (
	"context"
	"sync"
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
	if w.Broken == overtrusting {
		return trusting{st}
	}
	return st
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

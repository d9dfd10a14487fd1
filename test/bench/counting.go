package main

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/tenure-go/tenure/store"
)

// tally counts what stores are asked for, and what their watches tell.
type tally struct {
	mu      sync.Mutex
	counts  map[string]int
	watches int // open now
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (t *tally) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what]++
}

func (t *tally) watching(change int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watches += change
}

// now returns the counts, and how many watches are open.
func (t *tally) now() (map[string]int, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts), t.watches
}

// Not requests of a store, but what comes of one.
const (
	changesTold = "changes told by watches"
	signsOfLife = "signs of life of watches"
)

// requests are how many requests a tally has counted.
func requests(counts map[string]int) int {
	n := 0
	for what, of := range counts {
		if what != changesTold && what != signsOfLife {
			n += of
		}
	}
	return n
}

// counting is a store that counts. Renewals are told apart by the TTL, and reads by
// whether they lie in the part of a cluster: that is how the two sessions of a node differ.
type counting struct {
	store.Store
	*tally
}

func (s counting) note(ctx context.Context, what string) {
	s.add(what)
	if m := markOf(ctx); m != nil {
		m.store.Add(1)
	}
}

// Path is as store.Path wants it of a store that wraps another.
func (s counting) Path(key string) string { return store.Path(s.Store, key) }

func (s counting) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	s.note(ctx, "Commit")
	return s.Store.Commit(ctx, tx)
}

func (s counting) List(ctx context.Context, q store.Query) (store.Listing, error) {
	what := "List, of the node's record and state"
	for _, key := range slices.Concat(q.Keys, q.Prefixes) {
		if !strings.HasPrefix(key, "clusters/") {
			what = "List, of the election"
		}
	}
	s.note(ctx, what)
	return s.Store.List(ctx, q)
}

func (s counting) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	s.note(ctx, "Grant")
	return s.Store.Grant(ctx, ttl)
}

func (s counting) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	ttl, err := s.Store.Renew(ctx, id)
	s.note(ctx, fmt.Sprintf("Renew, TTL %v", ttl))
	return ttl, err
}

func (s counting) Revoke(ctx context.Context, id store.LeaseID) error {
	s.note(ctx, "Revoke")
	return s.Store.Revoke(ctx, id)
}

func (s counting) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		s.note(ctx, "Watch")
		s.watching(1)
		defer s.watching(-1)
		for ch, err := range s.Store.Watch(ctx, prefix, after) {
			switch {
			case len(ch.Events) > 0:
				s.add(changesTold)
			case err == nil:
				s.add(signsOfLife)
			}
			if !yield(ch, err) {
				return
			}
		}
	}
}

// mark is on the context of calls whose requests are counted apart from all others: of
// the store, and of etcd.
type mark struct{ store, wire atomic.Int64 }

type markKey struct{}

func (m *mark) on(ctx context.Context) context.Context { return context.WithValue(ctx, markKey{}, m) }

func markOf(ctx context.Context) *mark {
	m, _ := ctx.Value(markKey{}).(*mark)
	return m
}

// countMarked counts calls of etcd whose context has a mark.
func countMarked() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if m := markOf(ctx); m != nil {
			m.wire.Add(1)
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	})
}

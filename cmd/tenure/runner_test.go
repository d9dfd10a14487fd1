//go:build unix

package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// endedTerm is a term whose command was killed.
type endedTerm struct {
	tenure.Term
	ctx      context.Context
	held     bool
	resigned bool
}

func (t *endedTerm) Context() context.Context { return t.ctx }
func (t *endedTerm) Held() bool               { return t.held }
func (t *endedTerm) Cause() error             { return context.Cause(t.ctx) }

func (t *endedTerm) Resign(context.Context) error {
	t.resigned = true
	return nil
}

// newTestRunner returns one that needs no store and no process.
func newTestRunner(t *testing.T) *runner {
	r := &runner{standby: &guard.Guard{}, tell: teller{quiet: true}, signals: &signals{}, wait: &waitLimit{}}
	r.status = newMemberStatus(r.tell)
	t.Cleanup(r.status.Close)
	return r
}

// The guard may see a deadline pass before the member does. That is a loss of
// the leadership, not an end of the command, and the run goes on.
func TestGuardIsTheFirstToSeeALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newTestRunner(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(tenure.ErrSessionExpired) })
		err := r.ended(guard.Exit{Killed: guard.ByDeadline}, &endedTerm{ctx: ctx})
		if err != nil || r.exit != nil {
			t.Errorf("got %v and an exit %+v, want to wait for another term", err, r.exit)
		}
	})
}

// A command is also killed when its guard was not told in time of a renewal. The
// member is well, and campaigns again.
func TestGuardIsToldTooLate(t *testing.T) {
	t.Parallel()
	r := newTestRunner(t)
	err := r.ended(guard.Exit{Killed: guard.ByDeadline}, &endedTerm{ctx: t.Context(), held: true})
	if !errors.Is(err, errLate) {
		t.Errorf("got %v, want %v", err, errLate)
	}
}

// slowStore does not answer the first requests for a lease.
type slowStore struct {
	store.Store
	slow int
}

func (s *slowStore) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	if s.slow == 0 {
		return s.Store.Grant(ctx, ttl)
	}
	s.slow--
	<-ctx.Done()
	return store.Lease{}, ctx.Err()
}

// A supervisor starts a run while the store is busy; that must not end it.
func TestRunJoinsWhenTheStoreAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := memberFlags{ttl: time.Second}
		began := time.Now()
		m, err := f.join(t.Context(), &slowStore{memstore.New(), 3}, "mem:", teller{quiet: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %v, want a TTL for each attempt", took)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

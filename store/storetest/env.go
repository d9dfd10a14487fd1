package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

const (
	// patience is how long anything may take that no rule bounds.
	patience = 10 * time.Second
	// longTTL is that of leases which must not end by themselves.
	longTTL = time.Minute

	caseTimeout    = 2 * time.Minute
	cleanupTimeout = 20 * time.Second
)

// failure is what a check panics with, to be recovered by protect: so checks
// read as a list of what must hold.
type failure struct{ err error }

// protect calls f and returns what it failed with. A store that breaks one rule may
// answer what no check of another expects: that is a failure, too, and not the end of
// the program that checks its store.
func protect(f func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = p.err
		case runtime.Error:
			err = fmt.Errorf("the check could not go on: %w", p)
		default:
			panic(p)
		}
	}()
	f()
	return nil
}

// env is one run of one check: its harness, its part of the store, and what must
// be cleaned up. Like testing.T, it carries the context of the run.
type env struct {
	Harness
	ctx     context.Context
	prefix  string
	history *gate // shared by the cases of one call to Cases

	mu      sync.Mutex
	handles []store.Store
	leases  map[store.LeaseID]store.Store // with the handle that granted it
	kept    bool                          // history is safe from compaction
	after   []func()                      // runs last to first, before the handles are closed
}

// runCheck runs one check in an environment of its own.
func runCheck(ctx context.Context, h Harness, history *gate, run func(*env)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if h.Slack == 0 {
		h.Slack = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, caseTimeout)
	defer cancel()
	e := &env{
		Harness: h,
		ctx:     ctx,
		prefix:  h.Prefix + "storetest-" + rand.Text() + "/",
		history: history,
		leases:  map[store.LeaseID]store.Store{},
	}
	err := protect(func() { run(e) })
	if cleanup := protect(func() { e.cleanup(ctx) }); cleanup != nil {
		err = errors.Join(err, fmt.Errorf("clean up: %w", cleanup))
	}
	return err
}

// cleanup ends what the run started and removes what it wrote, also when its
// context has ended. What a broken store leaves running may still use e.
func (e *env) cleanup(ctx context.Context) {
	for _, f := range slices.Backward(e.after) {
		f()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	c := &env{Harness: e.Harness, ctx: ctx, prefix: e.prefix}
	fresh, st := c.openRaw()
	e.mu.Lock()
	defer e.mu.Unlock()
	defer func() {
		for _, h := range append(e.handles, fresh) {
			e.must(h.Close(), "close")
		}
	}()
	for id, granter := range e.leases {
		err := granter.Revoke(ctx, id)
		if errors.Is(err, store.ErrClosed) {
			err = fresh.Revoke(ctx, id)
		}
		if !errors.Is(err, store.ErrLeaseNotFound) {
			e.must(err, "revoke lease %d", id)
		}
	}
	for some := range slices.Chunk(c.list(st, store.Prefix("")).Entries, atATime(st.Capabilities())) {
		var deletes []store.Op
		for _, entry := range some {
			deletes = append(deletes, store.Delete(entry.Key))
		}
		c.write(st, deletes...)
	}
}

// atATime is how many keys to delete in one commit: on a busy disk one by one may take
// longer than there is time for.
func atATime(c store.Capabilities) int {
	const most = 64
	switch {
	case !c.MultiKey:
		return 1
	case c.MaxOps > 0:
		return min(c.MaxOps, most)
	}
	return most
}

// openRaw opens a handle, and returns with it the check's own part of the store.
func (e *env) openRaw() (raw, part store.Store) {
	raw, err := e.Open(e.ctx)
	e.must(err, "open")
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handles = append(e.handles, raw)
	if e.TTL == 0 {
		e.TTL = max(500*time.Millisecond, raw.Capabilities().MinTTL)
	}
	return raw, store.Sub(raw, e.prefix)
}

// open opens a handle and returns the check's own part of the store.
func (e *env) open() store.Store {
	_, part := e.openRaw()
	return part
}

func (e *env) failf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// skipf ends the check as not exercised.
func (e *env) skipf(format string, args ...any) {
	panic(failure{fmt.Errorf("%w: %s", ErrNotExercised, fmt.Sprintf(format, args...))})
}

func (e *env) check(ok bool, format string, args ...any) {
	if !ok {
		e.failf(format, args...)
	}
}

// must fails the check when err is set.
func (e *env) must(err error, format string, args ...any) {
	if err != nil {
		e.failf("%s: %w", fmt.Sprintf(format, args...), err)
	}
}

// wantErr fails the check unless err is want.
func (e *env) wantErr(err, want error, format string, args ...any) {
	if !errors.Is(err, want) {
		e.failf("%s: got error %v, want %v", fmt.Sprintf(format, args...), err, want)
	}
}

// multiKey ends the check where transactions are of one key.
func (e *env) multiKey(st store.Store) {
	if !st.Capabilities().MultiKey {
		e.skipf("%s has no transactions of several keys", st.Capabilities().Name)
	}
}

// commit commits tx, again for as long as the store gives up because of others.
func (e *env) commit(st store.Store, tx store.Tx) store.Result {
	for {
		res, err := st.Commit(e.ctx, tx)
		if errors.Is(err, store.ErrConflict) && e.ctx.Err() == nil {
			continue
		}
		e.must(err, "commit")
		return res
	}
}

// write commits ops without a condition and returns their revision.
func (e *env) write(st store.Store, ops ...store.Op) store.Revision {
	res := e.commit(st, store.Tx{Then: ops})
	e.check(res.Committed, "a transaction without conditions was refused")
	return res.Revision
}

// put writes one key without a lease.
func (e *env) put(st store.Store, key, value string) store.Revision {
	return e.write(st, store.Put(key, []byte(value), store.NoLease))
}

func (e *env) list(st store.Store, q store.Query) store.Listing {
	l, err := st.List(e.ctx, q)
	e.must(err, "list")
	return l
}

// get returns the entry of key, or nil.
func (e *env) get(st store.Store, key string) *store.Entry {
	l := e.list(st, store.Keys(key))
	return l.Entry(key)
}

// wantValue fails the check unless key has the value.
func (e *env) wantValue(st store.Store, key, value, when string) {
	entry := e.get(st, key)
	e.check(entry != nil, "%s: key %q is absent, want value %q", when, key, value)
	e.check(string(entry.Value) == value, "%s: key %q has value %q, want %q", when, key, entry.Value, value)
}

// wantAbsent fails the check unless there is no such key.
func (e *env) wantAbsent(st store.Store, key, when string) {
	e.check(e.get(st, key) == nil, "%s: key %q is there, want it absent", when, key)
}

func (e *env) grant(st store.Store, ttl time.Duration) store.Lease {
	lease, err := st.Grant(e.ctx, ttl)
	e.must(err, "grant")
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leases[lease.ID] = st
	return lease
}

func (e *env) revoke(st store.Store, id store.LeaseID) {
	e.must(st.Revoke(e.ctx, id), "revoke lease %d", id)
}

// parallel runs f(0) to f(n-1) at the same time, waits, and fails with what any
// of them failed with.
func (e *env) parallel(n int, f func(i int)) {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = protect(func() { f(i) }) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		panic(failure{err})
	}
}

// within runs f and fails the check when it takes longer than patience.
func (e *env) within(what string, f func()) {
	done := make(chan error, 1)
	go func() { done <- protect(f) }()
	select {
	case err := <-done:
		e.must(err, "%s", what)
	case <-time.After(patience):
		e.failf("%s: still going on after %v", what, patience)
	}
}

func (e *env) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.ctx.Done():
		e.must(e.ctx.Err(), "waiting")
	}
}

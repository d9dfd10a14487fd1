package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// audience is those who watch something. It knows when the last of them has seen it.
type audience struct {
	mu     sync.Mutex
	what   string
	left   int
	last   chan time.Time
	failed chan error // holds the first failure of a watch
}

func newAudience() *audience { return &audience{failed: make(chan error, 1)} }

// expect begins to wait for so many to see one thing.
func (a *audience) expect(what string, size int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.what, a.left, a.last = what, size, make(chan time.Time, 1)
}

// sees takes note of what one of them has seen.
func (a *audience) sees(what string) {
	at := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if what != a.what {
		return
	}
	if a.left--; a.left == 0 {
		a.last <- at
	}
}

// fail reports what has ended a watch, unless it was told to end.
func (a *audience) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	select {
	case a.failed <- err:
	default:
	}
}

// await returns when the last has seen what was expected.
func (a *audience) await(ctx context.Context) (time.Time, error) {
	a.mu.Lock()
	what, last := a.what, a.last
	a.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case at := <-last:
		return at, nil
	case err := <-a.failed:
		return time.Time{}, fmt.Errorf("watch: %w", err)
	case <-timer.C:
		a.mu.Lock()
		defer a.mu.Unlock()
		return time.Time{}, fmt.Errorf("%d have not seen %q after %v", a.left, what, patience)
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// seeing returns how long a call takes, and how long after its beginning the last of so
// many has seen what it does.
func (a *audience) seeing(ctx context.Context, what string, size int, call func() error) (returned, seen time.Duration, err error) {
	a.expect(what, size)
	began := time.Now()
	if err := call(); err != nil {
		return 0, 0, err
	}
	returned = time.Since(began)
	last, err := a.await(ctx)
	return returned, last.Sub(began), err
}

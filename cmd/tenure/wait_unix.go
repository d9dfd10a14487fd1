//go:build unix

package main

import (
	"context"
	"errors"
	"time"
)

// errNotElected ends a run that has waited long enough.
var errNotElected = errors.New("not elected in time")

// waitLimit bounds each wait of a run for an election. Where it is 0 it does not.
type waitLimit struct {
	limit time.Duration
	timer *time.Timer
}

// newWaitLimit returns the context of a run, which ends when a wait has lasted too long.
// The first wait begins here, before anything is asked of a store.
func newWaitLimit(ctx context.Context, limit time.Duration) (context.Context, *waitLimit) {
	w := &waitLimit{limit: limit}
	if limit == 0 {
		return ctx, w
	}
	ctx, cancel := context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(limit, func() { cancel(errNotElected) })
	return ctx, w
}

// elected ends a wait. It reports false if that has been too long before.
func (w *waitLimit) elected() bool { return w.timer == nil || w.timer.Stop() }

// again begins another wait, once elected has ended the last.
func (w *waitLimit) again() {
	if w.timer != nil {
		w.timer.Reset(w.limit)
	}
}

// notElected reports whether a wait has ended the context of a run.
func notElected(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errNotElected) }

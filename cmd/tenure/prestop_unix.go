//go:build unix

package main

import (
	"context"
	"os"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/shellcmd"
)

// stopReserve is what is left of the grace for CMD itself where the pre-stop command
// takes all it may: half of a short one.
const stopReserve = 2 * time.Second

// preStop is the pre-stop command of one term while it runs.
type preStop struct {
	cancel context.CancelFunc
	moved  chan struct{} // holds one: the deadline has moved
	ended  chan struct{}
	err    error // once ended
}

// beginPreStop begins the clean end of CMD, which is to be over at end. It returns nil if
// there is nothing to be done before CMD is told.
func (r *runner) beginPreStop(t tenure.Term, end time.Time) *preStop {
	if r.flags.preStop == "" {
		return nil
	}
	// The context of the term has ended; that it is lost shows in its deadline.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(t.Context()), end.Add(-min(stopReserve, r.flags.grace/2)))
	p := &preStop{cancel: cancel, moved: make(chan struct{}, 1), ended: make(chan struct{})}
	run := shellcmd.Command{Guard: guardCommand(), Line: r.flags.preStop, Env: r.environment(t.Token()), Out: os.Stderr}
	go func() {
		defer close(p.ended)
		defer cancel()
		p.err = run.Run(ctx, t.Until, p.moved)
	}()
	return p
}

// extend lets it know that the deadline has moved.
func (p *preStop) extend() {
	if p == nil {
		return
	}
	select {
	case p.moved <- struct{}{}:
	default: // one is enough
	}
}

// done is closed when it has ended; nil if it does not run.
func (p *preStop) done() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.ended
}

// kill ends it at once, as CMD has been.
func (p *preStop) kill() {
	if p != nil {
		p.cancel()
	}
}

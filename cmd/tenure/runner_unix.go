//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

const (
	killGrace     = 5 * time.Second // for the system to end what was killed
	startAttempts = 3               // to run CMD, with guards that were killed before they did

	restartMin = time.Second // between two runs of CMD, doubled ...
	restartMax = time.Minute // ... up to this, and reset by a run of this length
)

// runner is one "tenure run": a member that runs CMD whenever it leads.
type runner struct {
	flags    runFlags
	election string
	argv     []string
	url      string
	tell     teller
	signals  *signals
	wait     *waitLimit
	status   *memberStatus
	health   *healthCheck  // nil: there is none
	renewed  chan struct{} // holds one: the deadline has moved
	works    func(tenure.Term) (ends func())

	member string // its id, once joined is closed
	joined chan struct{}
	token  atomic.Int64 // of the present term; 0: none

	done    sync.WaitGroup // guards whose command has ended
	standby *guard.Guard   // warm, for the next term
	exit    *guard.Exit    // of CMD, once it has ended by itself, or by heldOut
	heldOut bool           // CMD was stopped because it had led for as long as it may
}

// run returns the exit code of "tenure run", and an error to be told.
func run(ctx context.Context, f runFlags, election string, argv []string) (int, error) {
	if err := checkWatchdog(f.ttl); err != nil {
		return exitRunFailed, err
	}
	sig := catchSignals()
	defer sig.stop()
	ctx, cancel := sig.context(ctx)
	defer cancel()
	ctx, wait := newWaitLimit(ctx, f.waitTimeout)
	defer wait.elected()
	r := &runner{
		flags: f, election: election, argv: argv, signals: sig, wait: wait,
		tell:    teller{election, f.json, f.quiet},
		renewed: make(chan struct{}, 1),
		joined:  make(chan struct{}),
	}
	code, err := r.run(ctx)
	if notElected(ctx) {
		return exitRunTimeout, errors.Join(fmt.Errorf("%s: not elected within %v, and waits no longer", plain(election), f.waitTimeout), err)
	}
	return code, err
}

// run is a member for as long as it takes.
func (r *runner) run(ctx context.Context) (int, error) {
	st, url, err := r.flags.open(ctx)
	if err != nil {
		return r.signals.code(), quietWhenStopped(ctx, err)
	}
	defer func() { _ = st.Close() }() // after the member, whose close reports
	r.url = url
	r.status = newMemberStatus(r.tell)
	defer r.status.Close()
	defer context.AfterFunc(ctx, r.status.Stopping)()
	if r.flags.healthCmd != "" {
		r.health = newHealthCheck(r.flags.healthCmd, r.joined, r.healthEnv)
		r.flags.health = r.health.check
	}
	m, err := r.flags.join(ctx, st, url, r.tell, tenure.MultiTrace(r.status.trace(), &tenure.Trace{Round: r.round}))
	if err != nil {
		return r.signals.code(), quietWhenStopped(ctx, err)
	}
	r.member = m.ID()
	close(r.joined)
	r.works = m.works
	code, err := r.lead(ctx, m.Member)
	r.discardStandby()
	r.done.Wait()
	return code, errors.Join(err, m.Close())
}

// round lets the guard know that the deadline has moved.
func (r *runner) round(tenure.RoundInfo) {
	select {
	case r.renewed <- struct{}{}:
	default: // one is enough
	}
}

// lead leads until CMD has ended for good or a signal ends the run.
func (r *runner) lead(ctx context.Context, m *tenure.Member) (int, error) {
	pause := restartMin
	for ; ; r.wait.again() {
		if err := r.ready(ctx); err != nil {
			return r.signals.code(), quietWhenStopped(ctx, err)
		}
		r.tell.tell("waiting", "member %s waits to lead", plain(m.ID()))
		r.status.become("waits to lead %s", r.election)
		r.exit = nil
		var began time.Time
		err := m.Lead(ctx, r.election, func(ctx context.Context, t tenure.Term) error {
			began = time.Now()
			return r.term(ctx, t)
		}, tenure.LeadOptions{Priority: r.flags.priority, DrainTimeout: r.flags.grace + killGrace})
		switch {
		case errors.Is(err, errLate) && ctx.Err() == nil:
			r.tell.tell("lost", "%v; waiting to lead again", err)
			continue
		case r.exit == nil:
			return startCode(r.signals, err), quietWhenStopped(ctx, err)
		case r.heldOut && ctx.Err() == nil && r.flags.restart == restartNo:
			return exitRunTimeout, err
		case r.heldOut && ctx.Err() == nil && err == nil:
			pause = restartMin
			continue // as the last in line
		case ctx.Err() != nil || !r.flags.restart.again(r.exit.ShellCode()):
			return r.exit.ShellCode(), err
		}
		if time.Since(began) > restartMax {
			pause = restartMin
		}
		wait := pause/2 + rand.N(pause/2) // members that fail together do not try again together
		r.tell.tell("restart", "command ended with exit code %d; campaigning again in %v", r.exit.ShellCode(), wait.Round(time.Millisecond))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return r.exit.ShellCode(), nil
		}
		pause = min(2*pause, restartMax)
	}
}

// ready waits until this member may campaign.
func (r *runner) ready(ctx context.Context) error {
	if err := r.awaitHealth(ctx); err != nil {
		return err
	}
	return r.prepare(ctx)
}

// again reports whether to campaign again after CMD's end.
func (p restartPolicy) again(code int) bool {
	return p == restartAlways || (p == restartOnFailure && code != 0)
}

// errLate ends a term whose CMD was killed at a deadline that had been moved, but
// too late for the guard to hear of it.
var errLate = errors.New("command killed: its guard was told too late that the leadership goes on")

// startCode is the exit code of a run whose CMD has not run to an end.
func startCode(s *signals, err error) int {
	switch {
	case errors.Is(err, guard.ErrNotFound):
		return guard.CodeNotFound
	case errors.Is(err, guard.ErrNotExecutable):
		return guard.CodeNotExecutable
	default:
		return s.code()
	}
}

// quietWhenStopped drops the error of a context that a signal has ended: the
// exit code says it.
func quietWhenStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}

// prepare starts the guard before the election is won, so that winning costs one
// write and one fork.
func (r *runner) prepare(ctx context.Context) error {
	if r.standby != nil {
		return nil
	}
	g, err := guard.Start(ctx, guardCommand()...)
	r.standby = g
	return err
}

func (r *runner) discardStandby() {
	if r.standby != nil {
		r.standby.Close()
		r.standby = nil
	}
}

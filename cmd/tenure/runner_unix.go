//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

const (
	stopGrace     = 10 * time.Second // for CMD to end after TERM or INT
	killGrace     = 5 * time.Second  // for the system to end what was killed
	startAttempts = 3                // to run CMD, with guards that were killed before they did

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
	renewed  chan struct{} // holds one: the deadline has moved
	works    func(tenure.Term) (ends func())

	done    sync.WaitGroup // guards whose command has ended
	standby *guard.Guard   // warm, for the next term
	exit    *guard.Exit    // of CMD, once it has ended by itself
}

// run returns the exit code of "tenure run", and an error to be told.
func run(ctx context.Context, f runFlags, election string, argv []string) (int, error) {
	sig := catchSignals()
	defer sig.stop()
	ctx, cancel := sig.context(ctx)
	defer cancel()
	st, url, err := f.open(ctx)
	if err != nil {
		return sig.code(), err
	}
	defer func() { _ = st.Close() }() // after the member, whose close reports
	r := &runner{
		flags: f, election: election, argv: argv, url: url, signals: sig,
		tell:    teller{election, f.json, f.quiet},
		renewed: make(chan struct{}, 1),
	}
	m, err := f.join(ctx, st, url, r.tell, &tenure.Trace{Round: r.round})
	if err != nil {
		return sig.code(), quietWhenStopped(ctx, err)
	}
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
	for {
		if err := r.prepare(ctx); err != nil {
			return r.signals.code(), quietWhenStopped(ctx, err)
		}
		r.tell.tell("waiting", "member %s waits to lead", plain(m.ID()))
		r.exit = nil
		var began time.Time
		err := m.Lead(ctx, r.election, func(ctx context.Context, t tenure.Term) error {
			began = time.Now()
			return r.term(ctx, t, m.ID())
		}, tenure.LeadOptions{Priority: r.flags.priority, DrainTimeout: stopGrace + killGrace})
		switch {
		case errors.Is(err, errLate) && ctx.Err() == nil:
			r.tell.tell("lost", "%v; waiting to lead again", err)
			continue
		case r.exit == nil:
			return startCode(r.signals, err), quietWhenStopped(ctx, err)
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
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
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
	g, err := guard.Start(ctx, os.Args[0], guardArg)
	r.standby = g
	return err
}

func (r *runner) discardStandby() {
	if r.standby != nil {
		r.standby.Close()
		r.standby = nil
	}
}

// endedByOthers reports whether the member campaigns again after a term that has ended
// with this cause.
func endedByOthers(cause error) bool {
	return errors.Is(cause, tenure.ErrLost) || errors.Is(cause, tenure.ErrYielded)
}

// term runs CMD for one term. It returns when CMD's group is gone.
func (r *runner) term(ctx context.Context, t tenure.Term, member string) error {
	r.signals.hold()
	defer r.signals.forwardTo(nil)
	g, err := r.start(ctx, t, member)
	switch {
	case err != nil && endedByOthers(t.Cause()):
		return r.again(t, "not started")
	case err != nil:
		return err
	}
	defer r.done.Go(g.Close) // the next member need not wait for that
	r.signals.forwardTo(g)
	defer r.works(t)()
	done := ctx.Done()
	for {
		select {
		case <-r.renewed:
			// An old deadline goes on to hold where this one cannot be told.
			_ = g.Extend(guard.DeadlineAt(t.Until()))
		case <-done:
			done = nil // once
			if cause := t.Cause(); errors.Is(cause, tenure.ErrLost) {
				g.Kill()
			} else {
				r.signals.end(g)
			}
		case <-g.Done():
			return r.ended(g.Wait(), t)
		}
	}
}

// start runs CMD under the standby guard, or under a new one where that one has
// been killed while it waited.
func (r *runner) start(ctx context.Context, t tenure.Term, member string) (*guard.Guard, error) {
	cmd := guard.Command{Args: r.argv, Env: append(os.Environ(),
		"TENURE_ELECTION="+r.election,
		"TENURE_MEMBER="+member,
		"TENURE_TOKEN="+strconv.FormatInt(int64(t.Token()), 10),
		"TENURE_STORE="+r.url,
	)}
	for attempt := 1; ; attempt++ {
		if err := r.prepare(ctx); err != nil {
			return nil, err
		}
		g := r.standby
		r.standby = nil
		_, err := g.Run(cmd, guard.DeadlineAt(t.Until()))
		if err == nil {
			return g, nil
		}
		g.Close()
		switch {
		case errors.Is(err, guard.ErrDeadline) && !t.Held():
			<-ctx.Done() // lost before it began
			return nil, err
		case errors.Is(err, guard.ErrNotFound), errors.Is(err, guard.ErrNotExecutable):
			return nil, err // which names it
		case !errors.Is(err, guard.ErrLost) || ctx.Err() != nil || attempt == startAttempts:
			return nil, fmt.Errorf("%s: %w", r.argv[0], err)
		}
	}
}

// ended takes CMD's end. If others have ended the term before, there is another to
// wait for, unless a signal has ended the run as well, and a guard to have ready for it.
// After any other end CMD's exit code counts.
func (r *runner) ended(exit guard.Exit, t tenure.Term) error {
	if exit.Killed == guard.ByDeadline && !t.Held() {
		<-t.Context().Done() // the guard may see a deadline pass before the member does
	}
	// Inside Lead it returns at once. What ends the term later than CMD comes too
	// late, or Lead would campaign again for a command that has done its work.
	_ = t.Resign(t.Context())
	if endedByOthers(t.Cause()) && !r.signals.ending() {
		return r.again(t, how(exit))
	}
	r.exit = &exit
	switch exit.Killed {
	case guard.ByDeadline:
		return errLate
	case guard.ByLoss:
		return fmt.Errorf("command killed: %s: %s", exit.Killed, exit.Detail)
	default:
		return nil
	}
}

// how says what has become of a command.
func how(exit guard.Exit) string {
	switch exit.Killed {
	case guard.ByDeadline, guard.ByGrace, guard.ByKill, guard.ByLoss:
		return "killed"
	default: // at most what it has left behind
		return fmt.Sprintf("ended with exit code %d", exit.ShellCode())
	}
}

// again readies the run for another term after one that others have ended.
func (r *runner) again(t tenure.Term, command string) error {
	r.tell.tell("waiting", "command %s; waiting to lead again", command)
	return r.prepare(context.WithoutCancel(t.Context()))
}

// forwardable reports whether a signal to "tenure run" is meant for CMD.
func forwardable(sig os.Signal) bool {
	switch sig {
	case syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG, syscall.SIGTTOU, syscall.SIGTTIN, syscall.SIGTSTP, syscall.SIGCONT:
		return false // about this process, or the runtime's own
	}
	return true
}

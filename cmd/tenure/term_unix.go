//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

// term runs CMD for one term. It returns when CMD's group is gone, and with it what was
// to be done before.
func (r *runner) term(ctx context.Context, t tenure.Term) error {
	if !r.wait.elected() {
		return nil // the wait is over, and what it was for has come too late
	}
	r.heldOut = false
	r.token.Store(int64(t.Token()))
	defer r.token.Store(0)
	held := r.maxHold()
	r.signals.hold()
	defer r.signals.forwardTo(nil)
	g, err := r.start(ctx, t)
	switch {
	case err != nil && endedByOthers(t.Cause()):
		return r.again(t, "not started")
	case err != nil:
		return err
	}
	defer r.done.Go(g.Close) // the next member need not wait for that
	r.signals.forwardTo(g)
	defer r.works(t)()
	var (
		pre        *preStop // while it runs
		end        time.Time
		done, gone = ctx.Done(), g.Done()
	)
	for gone != nil || pre != nil {
		select {
		case <-r.renewed:
			// An old deadline goes on to hold where this one cannot be told.
			_ = g.Extend(guard.DeadlineAt(t.Until()))
			pre.extend()
		case <-held:
			r.heldOut = true
			r.tell.tell("held", "has led for %v, the most it may", r.flags.maxHold)
			_ = t.Resign(ctx) // inside Lead it returns at once
		case <-done:
			done, held = nil, nil // once
			if errors.Is(t.Cause(), tenure.ErrLost) {
				g.Kill()
				continue
			}
			end = time.Now().Add(r.flags.grace)
			if pre = r.beginPreStop(t, end); pre == nil {
				r.signals.end(g, r.flags.grace)
			}
		case <-pre.done():
			if pre.err != nil {
				r.tell.tell("pre-stop", "pre-stop command: %v", pre.err)
			}
			pre = nil
			r.signals.end(g, time.Until(end))
		case <-gone:
			gone = nil
			if g.Wait().Killed != guard.NotKilled {
				pre.kill()
			}
		}
	}
	return r.ended(g.Wait(), t)
}

// maxHold is when CMD has led for as long as it may; nil: never.
func (r *runner) maxHold() <-chan time.Time {
	if r.flags.maxHold == 0 {
		return nil
	}
	return time.After(r.flags.maxHold)
}

// endedByOthers reports whether the member campaigns again after a term that has ended
// with this cause.
func endedByOthers(cause error) bool {
	return errors.Is(cause, tenure.ErrLost) || errors.Is(cause, tenure.ErrYielded)
}

// start runs CMD under the standby guard, or under a new one where that one has
// been killed while it waited.
func (r *runner) start(ctx context.Context, t tenure.Term) (*guard.Guard, error) {
	cmd := guard.Command{Args: r.argv, Env: r.environment(t.Token())}
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
	switch {
	case exit.Killed == guard.ByDeadline && !r.heldOut && !r.signals.ending():
		return errLate
	case exit.Killed == guard.ByLoss:
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
	r.wait.again()
	r.status.become("waits to lead %s", r.election)
	return r.prepare(context.WithoutCancel(t.Context()))
}

package hook

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

const (
	// Grace is how long a hook that is stopped has between TERM and KILL.
	Grace = 2 * time.Second
	// slack is what this process may be late with either before the guard acts alone.
	slack = time.Second

	startAttempts = 3 // with guards that were killed while they waited
)

// LongestEnd is how long the end of a term may take at most, when nobody is late: a hook
// of elected or error is stopped, and then that of lost runs.
func LongestEnd(timeout time.Duration) time.Duration { return timeout + 2*Grace + 2*slack }

// errNotBegun: the term had ended before its hook of elected began.
var errNotBegun = errors.New("the term ended before its hook began")

// execute runs the hook of a job to its end, in which nothing of it is left.
func (r *Runner) execute(j *job) error {
	text := r.conf.Commands[j.kind]
	switch {
	case j.over():
		return errNotBegun
	case text == "":
		return nil
	}
	began := time.Now()
	g, err := r.start(j, text, began)
	if err != nil {
		return err
	}
	defer g.Close()
	timer := time.NewTimer(r.conf.Timeout)
	defer timer.Stop()
	timedOut := false
	superseded, ended, aborted := j.stop, j.context().Done(), r.abort.Done()
	for {
		select {
		case <-g.Done():
			return r.verdict(j, g.Wait(), timedOut)
		case <-timer.C:
			timedOut = true
			g.Stop(Grace)
		case <-superseded:
			superseded = nil // once
			g.Stop(Grace)
		case <-ended:
			ended = nil
			if errors.Is(j.term.Cause(), tenure.ErrLost) {
				g.Kill()
			} else {
				g.Stop(Grace)
			}
		case <-aborted:
			aborted = nil
			g.Kill()
		case <-r.renewed:
			// An old deadline goes on to hold where this one cannot be told.
			_ = g.Extend(r.deadline(j, began))
		}
	}
}

// deadline is when the guard ends a hook, whether or not this process still runs.
func (r *Runner) deadline(j *job, began time.Time) guard.Deadline {
	last := began.Add(r.conf.Timeout + Grace + slack)
	if j.kind == Elected {
		if until := j.term.Until(); until.Before(last) {
			last = until
		}
	}
	return guard.DeadlineAt(last)
}

// start runs the command under the standby guard, or under a new one where that one has
// been killed while it waited.
func (r *Runner) start(j *job, text string, began time.Time) (*guard.Guard, error) {
	r.mu.Lock()
	f := r.factsOf(j)
	r.mu.Unlock()
	cmd := guard.Command{Args: []string{"/bin/sh", "-c", text}, Env: r.env(j.kind, f)}
	for attempt := 1; ; attempt++ {
		if err := r.prepare(); err != nil {
			return nil, err
		}
		g := r.standby
		r.standby = nil
		_, err := g.Run(cmd, r.deadline(j, began))
		if err == nil {
			return g, nil
		}
		g.Close()
		switch {
		case errors.Is(err, guard.ErrDeadline) && j.kind == Elected && !j.term.Held():
			<-j.context().Done() // at once
			return nil, errNotBegun
		case !errors.Is(err, guard.ErrLost) || r.abort.Err() != nil || attempt == startAttempts:
			return nil, err
		}
	}
}

// prepare has a guard ready, so that the next hook starts at once.
func (r *Runner) prepare() error {
	if r.standby != nil {
		return nil
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }() // the guard has its own
	r.standby, err = guard.StartWith(r.abort, guard.Streams{In: null, Out: os.Stdout, Err: os.Stderr}, r.conf.Guard...)
	return err
}

func (r *Runner) discardStandby() {
	if r.standby != nil {
		r.standby.Close()
		r.standby = nil
	}
}

// verdict says whether a hook has failed. One that was stopped has not, nor one of
// elected whose term has ended.
func (r *Runner) verdict(j *job, exit guard.Exit, timedOut bool) error {
	if exit.Killed == guard.ByDeadline && j.kind == Elected && !j.term.Held() {
		<-j.context().Done() // the guard may see the deadline pass before this process does
	}
	switch {
	case r.abort.Err() != nil:
		return errKilled
	case j.over():
		return nil
	case timedOut:
		return fmt.Errorf("stopped, because it has not ended within %v", r.conf.Timeout)
	case r.superseded(j):
		return nil
	case exit.Killed == guard.ByLoss:
		return fmt.Errorf("%s: %s", exit.Killed, exit.Detail)
	case exit.Killed != guard.NotKilled:
		return fmt.Errorf("killed: %s", exit.Killed)
	case exit.Signal != 0:
		return fmt.Errorf("ended by signal: %v", exit.Signal)
	case exit.Code != 0:
		return fmt.Errorf("exit code %d", exit.Code)
	}
	return nil
}

func (r *Runner) superseded(j *job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return j.stopped
}

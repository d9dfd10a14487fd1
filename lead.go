package tenure

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// Lead waits until this process leads the election, and then calls work. It
// joins st as a member with default Options for as long as it runs; see
// Member.Lead for what it does and returns.
func Lead(ctx context.Context, st store.Store, election string, work func(context.Context, Term) error) error {
	m, err := Join(ctx, st, Options{})
	if err != nil {
		return err
	}
	err = m.Lead(ctx, election, work, LeadOptions{})
	if closeErr := m.Close(); closeErr != nil {
		return errors.Join(err, closeErr)
	}
	return err // as it is: not all who look at it unwrap
}

// Lead waits until this member leads the election, and then calls work. The
// context given to work ends when the term does: because ctx has ended, because
// of Resign or Close, or because the term was lost.
//
// When work returns, the seat is handed to the next candidate, and Lead returns
// what work has returned; a panic of work is returned as a *PanicError. Only when the
// term was ended by others (its Cause is ErrLost or ErrYielded), or with
// LeadOptions.Requeue or Retry, does Lead campaign again, once work has returned: it
// never calls work twice at a time.
//
// Work that does not return within LeadOptions.DrainTimeout after its context
// was cancelled is reported to Trace.Overrun and waited for further; see
// LeadOptions.ReleaseOverrun for the other choice.
//
// Errors, besides those of work: ErrInvalid, ErrAlreadyCandidate, ErrClosed,
// ErrDuplicateMember, ErrConditionFailed, ErrDrainTimeout, the error of ctx when it
// ends while waiting, and those of the store that trying again cannot mend.
func (m *Member) Lead(ctx context.Context, election string, work func(context.Context, Term) error, opts LeadOptions) error {
	opts, err := opts.withDefaults()
	if err == nil && work == nil {
		err = invalid("nil function; give one to call while this member leads")
	}
	if err != nil {
		return &Error{Op: "lead", Election: election, Err: err}
	}
	c, err := m.enter(ctx, &candidacy{election: election, opts: opts.campaign(), attended: true, drain: opts.DrainTimeout})
	if err != nil {
		return &Error{Op: "lead", Election: election, Err: err}
	}
	for {
		l, err := m.await(ctx, c)
		if err != nil {
			return &Error{Op: "lead", Election: election, Err: err}
		}
		end, err := l.attend(ctx, work, opts)
		if !m.leadAgain(ctx, c, l, end, err, opts) {
			return err
		}
	}
}

// outcome is how work came to its end.
type outcome int

const (
	finished  outcome = iota // by itself
	stopped                  // after the end of its term
	givenUp                  // it still runs, and its seat is given up as the user chose
	abandoned                // it still runs, and so its seat is left to end with the lease
)

// leadAgain lets a candidacy whose term was ended by others, or that is to stay in
// line, campaign again, unless its work still runs. It ends any other, and waits until
// its seat has been passed on.
func (m *Member) leadAgain(ctx context.Context, c *candidacy, l *Leadership, end outcome, err error, opts LeadOptions) bool {
	cause := l.Cause()
	byOthers := end == stopped && (errors.Is(cause, ErrLost) || errors.Is(cause, ErrYielded))
	stays := byOthers || opts.Requeue && err == nil || opts.Retry && err != nil
	m.mu.Lock()
	again := end <= stopped && stays && ctx.Err() == nil && !c.dismissed
	if again && err != nil && !byOthers {
		m.flapped(c.election)
	}
	toldToStop := byOthers && (errors.Is(err, context.Canceled) || errors.Is(err, cause))
	if again && err != nil && !toldToStop {
		m.failed(l, err, opts.failed)
	}
	c.term = nil
	c.dismissed = !again
	switch {
	case end != abandoned && m.session == l.s:
		m.post(protocol.Drained{Election: c.election, Token: l.token, Again: again, Aside: m.aside(c.election)})
	case again && m.err == nil:
		m.post(m.wish(c))
	default:
		m.finish(c, m.err)
	}
	m.mu.Unlock()
	if !again {
		<-c.done // at the latest with the end of the session
	}
	return again
}

// attend calls work and waits for its end. It returns what work has returned, or
// ErrDrainTimeout.
func (l *Leadership) attend(ctx context.Context, work func(context.Context, Term) error, opts LeadOptions) (outcome, error) {
	stop := context.AfterFunc(ctx, func() { l.resign(context.Cause(ctx)) })
	defer stop()
	result := make(chan ending, 1)
	go l.work(ctx, work, opts, result)
	select {
	case r := <-result:
		return r.outcome, r.err
	case <-l.ctx.Done():
	}
	timer := time.NewTimer(opts.DrainTimeout)
	defer timer.Stop()
	select {
	case r := <-result:
		return r.outcome, r.err
	case <-timer.C:
	}
	l.s.m.overran(l, opts.DrainTimeout)
	overrun := l.fail("lead", errors.Join(ErrDrainTimeout, l.Cause()))
	if opts.ReleaseOverrun {
		return givenUp, overrun
	}
	select {
	case r := <-result:
		return r.outcome, r.err
	case <-l.s.m.abandoned:
		return abandoned, overrun
	}
}

// ending is how work has ended, and with what.
type ending struct {
	outcome outcome
	err     error
}

// work calls the functions of a term, one after the other, if the conditions of its
// campaign hold. Checking them is a part of waiting: ctx is that of Lead.
func (l *Leadership) work(ctx context.Context, work func(context.Context, Term) error, opts LeadOptions, result chan<- ending) {
	if err := l.meets(ctx); err != nil {
		cause := err
		if ctx.Err() != nil {
			cause = context.Cause(ctx)
		}
		result <- ending{l.stop(cause), l.fail("lead", err)}
		return
	}
	call(l.ctx, l, work, func(err error) {
		how := l.stop(ErrResigned)
		if opts.BeforeRelease == nil {
			result <- ending{how, err}
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), opts.DrainTimeout)
		defer cancel()
		call(ctx, l, opts.BeforeRelease, func(late error) {
			if late != nil {
				err = errors.Join(err, late)
			}
			result <- ending{how, err}
		})
	})
}

// stop ends a term that may have ended, and says which of the two it was. A term whose
// deadline has passed is lost, also where its function was the first to notice.
func (l *Leadership) stop(cause error) outcome {
	how := finished
	if !l.Held() {
		<-l.ctx.Done() // at once
		how = stopped
	}
	l.resign(cause)
	return how
}

// call turns every way in which a function can end into an error, for what follows.
func call(ctx context.Context, t Term, f func(context.Context, Term) error, then func(error)) {
	var err error
	ended := false
	defer func() {
		if !ended {
			err = &PanicError{Value: recover(), Stack: debug.Stack()}
		}
		then(err)
	}()
	err = f(ctx, t)
	ended = true
}

// failed says that a function has failed, and will be called again.
func (m *Member) failed(l *Leadership, err error, also func(error)) {
	info := l.info()
	m.note(func() {
		m.opts.Logger.Warn("the function failed", "election", info.Election, "member", info.Member, "token", info.Token, "error", err)
		if f := m.opts.Trace.Failed; f != nil {
			f(info, err)
		}
		if also != nil {
			also(err)
		}
	})
}

func (m *Member) overran(l *Leadership, after time.Duration) {
	info := l.info()
	m.note(func() {
		m.opts.Logger.Warn("the function still runs after its drain time",
			"election", info.Election, "member", info.Member, "token", info.Token, "drain_timeout", after)
		if f := m.opts.Trace.Overrun; f != nil {
			f(info, after)
		}
	})
}

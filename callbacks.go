package tenure

import (
	"context"
	"errors"
	"sync"
)

// Callbacks are an election told by callbacks, for programs that are built that way;
// see Run. Each may be nil. Those about terms are called one at a time, in order, and
// so are those about leaders; both may be called at once.
type Callbacks struct {
	// Elected: a term has begun. Its context ends with the term. An error refuses
	// the term, and a panic does, too: the seat is handed over, which is counted
	// as of Options.FlapLimit and reported to Error.
	Elected func(context.Context, Term) error
	// BeforeRelease: the term has ended, and the seat is about to be passed on, unless
	// Term.Cause is an ErrLost. Its context is alive and ends after the
	// LeadOptions.DrainTimeout.
	BeforeRelease func(context.Context, Term) error
	// Lost: the term has ended, for whatever cause, and Elected has returned. It is
	// called once for each Elected that has not refused, before BeforeRelease.
	Lost func(Term, error)
	// LeaderChanged: somebody leads, or nobody, at first and after every change.
	LeaderChanged func(Event)
	// Error: something failed, and Run goes on: a term was refused, BeforeRelease
	// or LeaderChanged has failed, or observing the election has.
	Error func(error)
	// Fatal: Run ends with this error, which it returns, too.
	Fatal func(error)
}

// Run campaigns for an election again and again, and calls back, until ctx ends, when
// it returns nil, or the member is closed. Of opts, Requeue and Retry are set, and
// BeforeRelease is that of the callbacks. Errors as of Member.Lead.
func (c Callbacks) Run(ctx context.Context, m *Member, election string, opts LeadOptions) error {
	opts.Requeue, opts.Retry, opts.BeforeRelease = true, true, c.BeforeRelease
	opts.failed = c.failed
	var wg sync.WaitGroup
	observing, stop := context.WithCancel(ctx)
	if c.LeaderChanged != nil {
		wg.Go(func() { c.observe(observing, m, election) })
	}
	err := m.Lead(ctx, election, c.lead, opts)
	stop()
	wg.Wait()
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	if err != nil && c.Fatal != nil {
		c.Fatal(err)
	}
	return err
}

func (c Callbacks) lead(ctx context.Context, t Term) error {
	if c.Elected != nil {
		if err := c.Elected(ctx, t); err != nil {
			return err
		}
	}
	<-ctx.Done()
	if c.Lost != nil {
		c.Lost(t, t.Cause())
	}
	return nil
}

func (c Callbacks) observe(ctx context.Context, m *Member, election string) {
	for ev, err := range NewView(m.st, election).Observe(ctx) {
		if err == nil {
			err = guarded(func() { c.LeaderChanged(ev) })
		} else if ctx.Err() != nil {
			return
		}
		if err != nil {
			m.note(func() { c.failed(err) })
		}
	}
}

func (c Callbacks) failed(err error) {
	if c.Error != nil {
		c.Error(err)
	}
}

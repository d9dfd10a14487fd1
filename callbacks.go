package tenure

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
)

// Callbacks are an election told by callbacks, for programs that are built that way:
// Run takes part in it, Observe looks on. Each may be nil.
//
// Run calls Elected, BeforeRelease, Lost and LeaderChanged so that a program can take
// each as its present role:
//
//   - LeaderChanged is not called from Elected on until that has returned, nor from the
//     end of the term until Lost and BeforeRelease have. While the term lasts it tells of
//     no other, and afterwards only of what came later. News that has not been told when
//     a term begins is left out.
//   - Elected is not called while a LeaderChanged runs. One that does not return within
//     the LeadOptions.DrainTimeout refuses the term, so that another gets the seat.
//   - Lost and BeforeRelease do not wait for a LeaderChanged that runs, or is about to be
//     called, with the news of one's own term: a hand-over waits for nobody who looks on.
//
// Error may be called beside any of them.
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
	// Error: something failed that ends nothing: a term was refused, BeforeRelease has
	// failed, LeaderChanged has panicked, a request to observe the election has failed
	// and will be tried again, or the seat cannot be read (ErrCorrupt).
	Error func(error)
	// Fatal: Run or Observe ends with this error, which it returns, too.
	Fatal func(error)
}

// Run campaigns for an election again and again, and calls back, until ctx ends, when
// it returns nil, or the member is closed. Of opts, Requeue and Retry are set, and
// BeforeRelease is that of the callbacks. Errors as of Member.Lead.
func (c Callbacks) Run(ctx context.Context, m *Member, election string, opts LeadOptions) error {
	r := newRun(c, cmp.Or(opts.DrainTimeout, DefaultDrainTimeout))
	opts.Requeue, opts.Retry, opts.BeforeRelease = true, true, r.release
	opts.failed = c.failed
	var wg sync.WaitGroup
	observing, stop := context.WithCancel(ctx)
	if c.LeaderChanged != nil {
		wg.Go(func() { r.observe(observing, m, election) })
	}
	err := m.Lead(ctx, election, r.lead, opts)
	stop()
	wg.Wait()
	return c.over(ctx, err)
}

// Observe is Run without taking part. It calls LeaderChanged, with the events of
// View.Observe, and Error, one at a time, until ctx ends, when it returns nil, or until
// nothing more can be told: ErrInvalid, store.ErrClosed, store.ErrUnsupported. A panic of
// LeaderChanged ends it, too, if there is no Error to tell it to. View.Leader is as
// fresh as the last call.
func (c Callbacks) Observe(ctx context.Context, v *View) error {
	var panicked error
	err := v.follow(ctx, func(ev Event) bool {
		if c.LeaderChanged == nil {
			return true
		}
		err := guarded(func() { c.LeaderChanged(ev) })
		if err != nil && c.Error == nil {
			panicked = v.fail("observe", err)
			return false
		}
		if err != nil {
			c.Error(err)
		}
		return true
	}, c.failed)
	return c.over(ctx, cmp.Or(err, panicked))
}

// over tells how Run or Observe ends.
func (c Callbacks) over(ctx context.Context, err error) error {
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	if err != nil && c.Fatal != nil {
		c.Fatal(err)
	}
	return err
}

func (c Callbacks) failed(err error) {
	if c.Error != nil {
		c.Error(err)
	}
}

// run is one call of Run: what Lead calls, and an observer beside it.
type run struct {
	Callbacks
	turns    turns
	patience time.Duration // with a LeaderChanged that does not return
}

func newRun(c Callbacks, patience time.Duration) *run {
	r := &run{Callbacks: c, patience: patience}
	r.turns.changed.L = &r.turns.mu
	return r
}

func (r *run) lead(ctx context.Context, t Term) error {
	if err := r.turns.begin(ctx, t.Token(), r.patience); err != nil {
		return err
	}
	if r.Elected != nil {
		if err := r.Elected(ctx, t); err != nil {
			return err
		}
	}
	r.turns.enter(leading)
	<-ctx.Done()
	r.turns.enter(switching)
	if r.Lost != nil {
		r.Lost(t, t.Cause())
	}
	return nil
}

// release is called after lead, however that has ended.
func (r *run) release(ctx context.Context, t Term) error {
	defer r.turns.enter(following)
	if r.BeforeRelease == nil {
		return nil
	}
	return r.BeforeRelease(ctx, t)
}

func (r *run) observe(ctx context.Context, m *Member, election string) {
	trouble := func(err error) {
		m.trouble(election, "observe", err)
		m.note(func() { r.failed(err) })
	}
	err := NewView(m.st, election).follow(ctx, func(ev Event) bool {
		r.turns.tell(ctx, ev, func() {
			if err := guarded(func() { r.LeaderChanged(ev) }); err != nil {
				trouble(err)
			}
		})
		return true
	}, trouble)
	if ctx.Err() == nil {
		trouble(err)
	}
}

package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
)

var (
	errWork   = errors.New("work failed")
	errResign = errors.New("resign")
)

// lead runs Lead in the background. A nil work waits for the end of its term.
func (n *node) lead(election string, opts tenure.LeadOptions, work func(context.Context, tenure.Term) error) *led {
	d := &led{w: n.w, terms: make(chan tenure.Term, 100), done: make(chan struct{})}
	var ctx context.Context
	ctx, d.cancel = context.WithCancelCause(n.w.t.Context())
	go func() {
		defer close(d.done)
		d.err = n.Lead(ctx, election, func(ctx context.Context, term tenure.Term) error {
			d.terms <- term
			if work == nil {
				<-ctx.Done()
				return nil
			}
			return work(ctx, term)
		}, opts)
	}()
	synctest.Wait()
	return d
}

type led struct {
	w      *world
	terms  chan tenure.Term // of each call of the function
	cancel context.CancelCauseFunc
	done   chan struct{}
	err    error
}

// term returns the next term whose function was called by now.
func (d *led) term() tenure.Term {
	d.w.t.Helper()
	synctest.Wait()
	select {
	case term := <-d.terms:
		return term
	default:
		d.w.t.Fatal("the function was not called")
		return nil
	}
}

// returns fails unless Lead has returned by now, with want.
func (d *led) returns(want error) {
	d.w.t.Helper()
	synctest.Wait()
	select {
	case <-d.done:
		if !errors.Is(d.err, want) {
			d.w.t.Errorf("Lead returned %v, want %v", d.err, want)
		}
	default:
		d.w.t.Fatal("Lead has not returned")
	}
}

// works fails if Lead has returned, or has called its function again.
func (d *led) works() {
	d.w.t.Helper()
	synctest.Wait()
	select {
	case <-d.done:
		d.w.t.Fatalf("Lead has returned %v", d.err)
	case <-d.terms:
		d.w.t.Fatal("the function was called again")
	default:
	}
}

// The ways in which a function ends by itself: each hands the seat over at once
// and is told to the caller of Lead. 0.3, 1.21, 4.2: none ends the process.
func TestLeadReturnsWhatItsFunctionEndsWith(t *testing.T) {
	tests := map[string]struct {
		work  func(context.Context, tenure.Term) error
		check func(error) bool
	}{
		"nil":   {func(context.Context, tenure.Term) error { return nil }, func(err error) bool { return err == nil }},
		"error": {func(context.Context, tenure.Term) error { return errWork }, func(err error) bool { return err == errWork }}, //nolint:errorlint // as it is
		"panic": {func(context.Context, tenure.Term) error { panic("oh") }, func(err error) bool {
			var p *tenure.PanicError
			return errors.As(err, &p) && p.Value == "oh" && len(p.Stack) > 0 && err.Error() == "tenure: panic: oh"
		}},
		"panic with an error": {func(context.Context, tenure.Term) error { panic(fmt.Errorf("wrapped: %w", errWork)) }, func(err error) bool {
			return errors.Is(err, errWork)
		}},
		"runtime.Goexit": {func(context.Context, tenure.Term) error { runtime.Goexit(); return nil }, func(err error) bool {
			var p *tenure.PanicError
			return errors.As(err, &p) && p.Value == nil
		}},
		"Resign, then nil":      {func(ctx context.Context, t tenure.Term) error { return t.Resign(ctx) }, func(err error) bool { return err == nil }},
		"Resign, then an error": {func(ctx context.Context, t tenure.Term) error { return errors.Join(t.Resign(ctx), errWork) }, func(err error) bool { return errors.Is(err, errWork) }},
		"Resign twice":          {func(ctx context.Context, t tenure.Term) error { return errors.Join(t.Resign(ctx), t.Resign(ctx)) }, func(err error) bool { return err == nil }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b := w.join("a"), w.join("b")
				start := make(chan struct{})
				led := a.lead("x", tenure.LeadOptions{}, func(ctx context.Context, term tenure.Term) error {
					<-start
					return tt.work(ctx, term)
				})
				next := b.queue("x", 0)
				started := time.Now()
				close(start)
				term := next.leads()
				w.about("handed over", time.Since(started), 0, 0)
				await(w, "end of led", led.done)
				if !tt.check(led.err) {
					t.Errorf("Lead returned %v", led.err)
				}
				if cause := led.term().Cause(); !errors.Is(cause, tenure.ErrResigned) {
					t.Errorf("cause %v", cause)
				}
				w.must(term.Resign(t.Context()))
				w.mustBeClean()
				a.campaign("x") // and campaigns again as if nothing had been
			})
		})
	}
}

// A seat that goes round: one commit passes it on and queues its holder again.
func TestLeadQueuesAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		ends := make(chan error)
		led := a.lead("x", tenure.LeadOptions{Requeue: true}, func(ctx context.Context, term tenure.Term) error {
			err := <-ends
			if err == errResign { //nolint:errorlint // as it was sent
				return term.Resign(ctx)
			}
			return err
		})
		token := led.term().Token()
		second, third := b.queue("x", 0), c.queue("x", 0)
		w.pass(round / 2) // for the leader to know its line
		calls := a.st.Calls()
		ends <- nil
		l := second.leads()
		if now := a.st.Calls(); now.Commit != calls.Commit+1 || now.List != calls.List {
			t.Errorf("calls %+v after %+v, want one commit more", now, calls)
		}
		led.works()
		w.must(l.Resign(t.Context()))
		w.must(third.leads().Resign(t.Context()))
		for _, end := range []error{nil, errResign, nil} { // nobody else waits
			term := led.term()
			if term.Token() <= token || !term.Held() {
				t.Errorf("token %v after %v, held: %v", term.Token(), token, term.Held())
			}
			token = term.Token()
			ends <- end
		}
		led.term()
		ends <- errWork
		led.returns(errWork)
		w.mustBeClean()
	})
}

// With Requeue, too, Lead ends with its context and with Close.
func TestLeadThatQueuesAgainEnds(t *testing.T) {
	tests := map[string]struct {
		end    func(*world, *node, *led)
		inLine error // with which Lead ends while it waits
	}{
		"context": {func(_ *world, _ *node, d *led) { d.cancel(nil) }, context.Canceled},
		"Close":   {func(w *world, a *node, _ *led) { w.must(a.Close()) }, tenure.ErrClosed},
	}
	for name, tt := range tests {
		t.Run(name+" in office", func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				led := a.lead("x", tenure.LeadOptions{Requeue: true}, nil)
				tt.end(w, a, led)
				led.returns(nil)
				w.mustBeClean()
			})
		})
		t.Run(name+" in line", func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b := w.join("a"), w.join("b")
				led := a.lead("x", tenure.LeadOptions{Requeue: true}, nil)
				next := b.queue("x", 0)
				w.must(led.term().Resign(t.Context()))
				l := next.leads()
				led.works()
				tt.end(w, a, led)
				led.returns(tt.inLine)
				w.must(l.Resign(t.Context()))
				w.mustBeClean()
			})
		})
	}
}

func TestLeadRefusesWhatCannotWork(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		work := func(context.Context, tenure.Term) error { return nil }
		mustRefuse(t, a.Lead(t.Context(), "x", work, tenure.LeadOptions{DrainTimeout: -1}), "drain timeout of -1ns")
		mustRefuse(t, a.Lead(t.Context(), "x", nil, tenure.LeadOptions{}), "nil function")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Lead(ctx, "x", work, tenure.LeadOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		w.mustBeClean()
	})
}

func TestCancellingLeadWhileItWaits(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.join("a").campaign("x")
		led := w.join("b").lead("x", tenure.LeadOptions{}, nil)
		led.cancel(nil)
		led.returns(context.Canceled)
		w.must(l.Resign(t.Context()))
		w.mustBeClean()
	})
}

// 1.16, 2.4, DESIGN "step-down order": not held, context cancelled with its
// cause, function returned, another elected; for each clean end.
func TestStepDownOrder(t *testing.T) {
	errOver := errors.New("day is over")
	tests := map[string]struct {
		end   func(*world, *node, *led, tenure.Term)
		cause error
		clean bool
	}{
		"context of Lead": {func(_ *world, _ *node, d *led, _ tenure.Term) { d.cancel(errOver) }, errOver, true},
		"Resign":          {func(w *world, _ *node, _ *led, t tenure.Term) { w.must(t.Resign(w.t.Context())) }, tenure.ErrResigned, true},
		"Close":           {func(_ *world, n *node, _ *led, _ tenure.Term) { go func() { _ = n.Close() }() }, tenure.ErrClosed, true},
		"lease revoked":   {func(w *world, _ *node, _ *led, _ tenure.Term) { w.revoke("leaders/x") }, tenure.ErrDispossessed, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				var order told
				led := a.lead("x", tenure.LeadOptions{}, func(ctx context.Context, term tenure.Term) error {
					context.AfterFunc(ctx, func() { order.add("cancelled, held: %v", term.Held()) })
					<-ctx.Done()
					time.Sleep(time.Second) // virtual: it drains
					order.add("returned")
					return nil
				})
				term := led.term()
				next := w.join("b").queue("x", 0)
				go func() {
					await(w, "end of next", next.done)
					order.add("another elected")
				}()
				tt.end(w, a, led, term)
				w.pass(2 * time.Second)
				next.leads()
				got := order.all()
				if !tt.clean { // nobody waits for anybody, once the lease is taken away
					slices.Sort(got)
					equal(t, "events", got, []string{"another elected", "cancelled, held: false", "returned"})
				} else {
					equal(t, "order", got, []string{"cancelled, held: false", "returned", "another elected"})
				}
				if !errors.Is(term.Cause(), tt.cause) || !errors.Is(context.Cause(term.Context()), tt.cause) {
					t.Errorf("cause %v, of the context %v", term.Cause(), context.Cause(term.Context()))
				}
				told := a.told.all()
				if slices.Index(told, "elected x") >= slices.Index(told, fmt.Sprintf("ended x: %v", tt.cause)) {
					t.Errorf("told %q", told)
				}
			})
		})
	}
}

// While its function drains, a term that has ended keeps the seat.
func TestTheSeatIsKeptWhileTheFunctionDrains(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		led := a.lead("x", tenure.LeadOptions{DrainTimeout: 10 * ttl}, func(ctx context.Context, _ tenure.Term) error {
			<-ctx.Done()
			time.Sleep(5 * ttl) // virtual
			return nil
		})
		term := led.term()
		next := w.join("b").queue("x", 0)
		led.cancel(nil)
		w.pass(4 * ttl)
		next.waits()
		if term.Held() || w.leader("x") != "a" {
			t.Errorf("held: %v, leader %q", term.Held(), w.leader("x"))
		}
		// Clients may still be told until when nobody else can be elected.
		if left := time.Until(term.Until()); left < trust-round || left > trust {
			t.Errorf("nobody else for %v", left)
		}
		w.pass(ttl)
		next.leads()
		led.returns(nil)
	})
}

// T4: a function that ignores its context for ever is reported, and keeps the
// seat, not held.
func TestAFunctionThatOverrunsKeepsTheSeatAndIsReported(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		release := make(chan struct{})
		led := a.lead("x", tenure.LeadOptions{DrainTimeout: time.Second}, func(context.Context, tenure.Term) error {
			<-release
			return errWork
		})
		term := led.term()
		next := b.queue("x", 0)
		led.cancel(nil)
		w.pass(time.Second - 1)
		if n := a.told.count("overrun x after 1s"); n != 0 {
			t.Error("reported too early")
		}
		w.pass(1)
		if n := a.told.count("overrun x after 1s"); n != 1 {
			t.Errorf("reported %d times: %q", n, a.told.all())
		}
		w.pass(10 * ttl)
		led.works()
		next.waits()
		if term.Held() || w.leader("x") != "a" {
			t.Errorf("held: %v, leader %q", term.Held(), w.leader("x"))
		}
		close(release)
		led.returns(errWork)
		next.leads()
	})
}

func TestReleaseOverrunGivesTheSeatUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		release := make(chan struct{})
		defer close(release)
		led := a.lead("x", tenure.LeadOptions{DrainTimeout: time.Second, ReleaseOverrun: true},
			func(context.Context, tenure.Term) error { <-release; return nil })
		term := led.term()
		next := w.join("b").queue("x", 0)
		w.must(term.Resign(t.Context()))
		next.waits()
		w.pass(time.Second)
		next.leads()
		led.returns(tenure.ErrDrainTimeout)
		led.returns(tenure.ErrResigned) // which says why it had to end
		if n := a.told.count("overrun x after 1s"); n != 1 {
			t.Errorf("told %q", a.told.all())
		}
	})
}

// 2.4: a lost term whose function overran is not followed by another call.
func TestReleaseOverrunNeverRunsTheFunctionTwiceAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		release := make(chan struct{})
		defer close(release)
		led := a.lead("x", tenure.LeadOptions{DrainTimeout: time.Second, ReleaseOverrun: true},
			func(context.Context, tenure.Term) error { <-release; return nil })
		led.term()
		w.revoke("leaders/x")
		w.pass(3 * ttl)
		led.returns(tenure.ErrDrainTimeout)
		if len(led.terms) > 0 {
			t.Error("the function was called again while it ran")
		}
		w.mustBeClean()
	})
}

// Only a loss is followed by another campaign.
func TestLeadCampaignsAgainAfterALoss(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		led := a.lead("x", tenure.LeadOptions{}, func(ctx context.Context, _ tenure.Term) error {
			<-ctx.Done()
			return errWork // whatever it returns then
		})
		first := led.term()
		w.commit(deleteSeat("x")...)
		second := led.term()
		if !errors.Is(first.Cause(), tenure.ErrDispossessed) || !second.Held() || second.Token() <= first.Token() {
			t.Errorf("first %v, second %d after %d", first.Cause(), second.Token(), first.Token())
		}
		led.cancel(nil)
		led.returns(errWork)
		w.mustBeClean()
	})
}

func TestResignFromAnotherGoroutineEndsLead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		led := w.join("a").lead("x", tenure.LeadOptions{}, nil)
		term := led.term()
		for range 10 {
			go func() { w.must(term.Resign(t.Context())) }()
		}
		led.returns(nil)
		w.mustBeClean()
	})
}

func TestResignTwiceAndAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		for range 10 {
			go func() { w.must(l.Resign(t.Context())) }()
		}
		w.must(l.Resign(t.Context()))
		w.must(l.Resign(t.Context()))
		w.mustBeClean()
		again := a.campaign("x")
		w.must(l.Resign(t.Context())) // of the old term; the new one is none of its business
		w.pass(round)
		if !again.Held() {
			t.Error("a late Resign of an old term ended the new one")
		}
	})
}

// Resign that cannot wait returns, and the hand-over goes on.
func TestResignIsBoundedByItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		heal := a.cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Resign(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if l.Held() || !errors.Is(l.Cause(), tenure.ErrResigned) {
			t.Errorf("held: %v, cause %v", l.Held(), l.Cause())
		}
		heal()
		w.pass(round)
		w.mustBeClean()
	})
}

func TestPackageLead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		err := tenure.Lead(t.Context(), w.st, "x", func(ctx context.Context, term tenure.Term) error {
			if !term.Held() || ctx.Err() != nil || w.leader("x") == "" {
				t.Errorf("held: %v, %v", term.Held(), ctx.Err())
			}
			return errWork
		})
		if err != errWork { //nolint:errorlint // exactly what the function returned
			t.Errorf("got %v", err)
		}
		equal(t, "keys", w.keys(""), nil)
		mustRefuse(t, tenure.Lead(t.Context(), w.st, "", nil))
		equal(t, "keys", w.keys(""), nil)
	})
}

// Two terms of two elections of one member do not share their fate (1.22).
func TestElectionsOfOneMemberDoNotShareTheirFate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		x := a.lead("x", tenure.LeadOptions{}, func(context.Context, tenure.Term) error { panic("oh") })
		y := a.lead("y", tenure.LeadOptions{}, nil)
		z := a.lead("z", tenure.LeadOptions{}, nil)
		w.commit(deleteSeat("z")...)
		await(w, "end of x", x.done)
		w.pass(3 * ttl)
		term := y.term()
		y.works()
		if !term.Held() {
			t.Error(term.Cause())
		}
		z.term()
		z.term() // won again
	})
}

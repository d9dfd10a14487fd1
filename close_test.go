package tenure_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store/faultstore"
)

func TestCloseHandsOverEverySeatAndLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		l := a.campaign("x")
		led := a.lead("y", tenure.LeadOptions{}, nil)
		b.campaign("z")
		waiting := a.queue("z", 0)
		nextX, nextY := b.queue("x", 0), b.queue("y", 0)
		started := time.Now()
		w.must(a.Close())
		w.about("closed", time.Since(started), 0, 0)
		if l.Held() || !errors.Is(l.Cause(), tenure.ErrClosed) {
			t.Errorf("held: %v, cause %v", l.Held(), l.Cause())
		}
		led.returns(nil)
		await(w, "end of waiting", waiting.done)
		if !errors.Is(waiting.err, tenure.ErrClosed) {
			t.Errorf("the campaign that waited: %v", waiting.err)
		}
		nextX.leads()
		nextY.leads()
		w.must(b.Close())
		equal(t, "keys", w.keys(""), nil)
	})
}

func TestUseAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		w.must(a.Close())
		calls := a.st.Calls()
		_, err := a.Campaign(t.Context(), "x", tenure.CampaignOptions{})
		for what, err := range map[string]error{
			"Campaign": err,
			"Lead":     a.Lead(t.Context(), "x", func(context.Context, tenure.Term) error { return nil }, tenure.LeadOptions{}),
			"Healthy":  a.Healthy(),
			"Verify":   l.Verify(t.Context()),
		} {
			if !errors.Is(err, tenure.ErrClosed) {
				t.Errorf("%s: %v", what, err)
			}
		}
		w.must(l.Resign(t.Context()))
		if l.Held() || a.ID() != "a" || a.st.Calls() != calls {
			t.Errorf("held: %v, id %q, calls %+v after %+v", l.Held(), a.ID(), a.st.Calls(), calls)
		}
	})
}

// 1.9: idempotent, from any goroutine.
func TestCloseTwiceAndAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		led := a.lead("x", tenure.LeadOptions{}, func(ctx context.Context, _ tenure.Term) error {
			<-ctx.Done()
			time.Sleep(time.Second) // virtual: it drains
			return nil
		})
		started := time.Now()
		done := make(chan time.Duration, 10)
		for range 10 {
			go func() {
				w.must(a.Close())
				done <- time.Since(started)
			}()
		}
		for range 10 {
			w.about("closed", <-done, time.Second, 0)
		}
		w.must(a.Close())
		led.returns(nil)
	})
}

// A function that overruns is not waited for longer, and since it may be at
// work, its seat is left to end with the lease.
func TestCloseIsBoundedWhenAFunctionOverruns(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		release := make(chan struct{})
		defer close(release)
		led := a.lead("x", tenure.LeadOptions{DrainTimeout: time.Minute}, func(context.Context, tenure.Term) error { <-release; return nil })
		good := a.lead("y", tenure.LeadOptions{}, nil)
		nextX, nextY := b.queue("x", 0), b.queue("y", 0)
		started := time.Now()
		err := a.Close()
		if !errors.Is(err, tenure.ErrDrainTimeout) {
			t.Errorf("got %v", err)
		}
		w.about("closed", time.Since(started), time.Minute, ttl)
		led.returns(tenure.ErrDrainTimeout)
		good.returns(nil)
		nextY.leads()
		nextX.waits()
		if a.st.Calls().Revoke != 0 {
			t.Error("the lease was revoked under the function")
		}
		w.pass(ttl)
		nextX.leads()
		if err := a.Close(); !errors.Is(err, tenure.ErrDrainTimeout) {
			t.Errorf("the second Close: %v", err)
		}
	})
}

// Slow hand-overs are no overrun: the revoke ends all seats at once.
func TestCloseRevokesWhenTheStoreIsTooSlowForHandOvers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		a.campaign("x")
		led := a.lead("y", tenure.LeadOptions{DrainTimeout: time.Second}, nil)
		a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpCommit})
		started := time.Now()
		w.must(a.Close())
		w.about("closed", time.Since(started), ttl, time.Second)
		led.returns(nil)
		equal(t, "keys", w.keys(""), nil)
	})
}

func TestNoCampaignBeginsWhileCloseDrains(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		led := a.lead("x", tenure.LeadOptions{}, func(ctx context.Context, _ tenure.Term) error {
			<-ctx.Done()
			if _, err := a.Campaign(t.Context(), "y", tenure.CampaignOptions{}); !errors.Is(err, tenure.ErrClosed) {
				t.Errorf("got %v", err)
			}
			if err := a.Healthy(); !errors.Is(err, tenure.ErrClosed) {
				t.Errorf("Healthy: %v", err)
			}
			return nil
		})
		w.must(a.Close())
		led.returns(nil)
	})
}

func TestCloseWhileTheStoreIsAway(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		led := a.lead("y", tenure.LeadOptions{}, nil)
		a.cut()
		started := time.Now()
		w.must(a.Close())
		w.about("closed", time.Since(started), 0, 2*ttl)
		led.returns(nil)
		if l.Held() {
			t.Error("held")
		}
		w.pass(ttl)
		equal(t, "keys", w.keys(""), nil)
	})
}

func TestCloseWhileTheSessionIsBeingRemade(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		w.join("b").campaign("x")
		q := a.queue("x", 0)
		a.cut()
		w.pass(2 * ttl)
		q.waits()
		started := time.Now()
		w.must(a.Close())
		w.about("closed", time.Since(started), 0, 0)
		await(w, "end of q", q.done)
		if !errors.Is(q.err, tenure.ErrClosed) {
			t.Errorf("the campaign that waited: %v", q.err)
		}
	})
}

// T4: a Close from inside the function cannot wait for itself for ever.
func TestCloseFromInsideTheFunctionIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		led := a.lead("x", tenure.LeadOptions{DrainTimeout: time.Second}, func(context.Context, tenure.Term) error {
			return a.Close()
		})
		w.pass(time.Second + ttl)
		led.returns(tenure.ErrDrainTimeout)
	})
}

// A campaign that is under way when Close is called ends, wherever it is.
func TestCloseAtTheMomentOfWinning(t *testing.T) {
	for name, lead := range map[string]bool{"Campaign": false, "Lead": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				for range 100 {
					a := w.join("a")
					done := make(chan struct{})
					go func() {
						defer close(done)
						if lead {
							_ = a.Lead(t.Context(), "x", func(ctx context.Context, _ tenure.Term) error { <-ctx.Done(); return nil }, tenure.LeadOptions{})
						} else if l, err := a.Campaign(t.Context(), "x", tenure.CampaignOptions{}); (l == nil) == (err == nil) {
							t.Errorf("got %v, %v", l, err)
						}
					}()
					w.must(a.Close())
					<-done
					equal(t, "keys", w.keys(""), nil)
				}
			})
		})
	}
}

// A slow callback delays callbacks, and nothing else.
func TestASlowTraceDelaysNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told told
		trace := told.trace()
		trace.Elected = func(i tenure.TermInfo) {
			time.Sleep(10 * ttl) // virtual
			told.add("elected %s", i.Election)
		}
		a, err := w.tryJoin(tenure.Options{ID: "a", Trace: trace})
		w.must(err)
		b := w.join("b")
		started := time.Now()
		l := a.campaign("x")
		next := b.queue("x", 0)
		w.must(l.Resign(t.Context()))
		next.leads()
		second := a.campaign("y")
		w.about("two terms and a hand-over", time.Since(started), 0, 0)
		w.pass(5 * ttl)
		if !second.Held() {
			t.Errorf("renewals were delayed: %v", second.Cause())
		}
		w.must(a.Close()) // which waits until all is told
		synctest.Wait()
		equal(t, "told", told.all(), []string{
			"session of 10s", "elected x", "ended x: tenure: resigned", "elected y", "ended y: tenure: member closed",
		})
	})
}

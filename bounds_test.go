package tenure_test

import (
	"context"
	"fmt"
	"log"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// What an operator wants to know of a time to live before he sets it.
func ExampleOptions_Bounds() {
	b, err := tenure.Options{TTL: 3 * time.Second}.Bounds()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a crash costs at most", b.Crash)
	fmt.Println("a hand-over costs at most", b.Clean)
	fmt.Println("a leader that is cut off stops within", b.Trust)
	fmt.Println("renewals may always take", b.Patience)
	fmt.Printf("clock rates may differ by %.1f %%\n", 100*b.Drift)

	_, err = tenure.Options{TTL: 3 * time.Second, Margin: time.Second}.Bounds()
	fmt.Println(err)
	// Output:
	// a crash costs at most 4.03s
	// a hand-over costs at most 1s
	// a leader that is cut off stops within 2.67s
	// renewals may always take 1.67s
	// clock rates may differ by 12.4 %
	// tenure: invalid: margin of 1s and a drift of 0.01, which is 30ms of the TTL of 3s; together they may take a quarter of the TTL, 750ms, so that a renewal may go unanswered; lower them or lengthen the TTL
}

// bounded runs f with options at the corners of what is allowed.
func bounded(t *testing.T, f func(*testing.T, *trial)) {
	t.Helper()
	for name, opts := range map[string]tenure.Options{
		"defaults":      {TTL: tenure.DefaultTTL, Drift: tenure.DefaultDrift, Margin: time.Second},
		"shortest":      {TTL: tenure.MinTTL, Drift: tenure.DefaultDrift, Margin: tenure.MinTTL / 10},
		"longest":       {TTL: tenure.MaxTTL, Drift: tenure.DefaultDrift, Margin: time.Second},
		"no thirds":     {TTL: 1234567891, Drift: 1e-9, Margin: 1},
		"much drift":    {TTL: 6 * time.Second, Drift: 0.1, Margin: 600 * time.Millisecond},
		"all taken off": {TTL: 6 * time.Second, Drift: 0.1, Margin: 900 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				b, err := opts.Bounds()
				w.must(err)
				f(t, &trial{world: w, Bounds: b, opts: opts, lasts: opts.TTL})
			})
		})
	}
}

// trial is a world in which all members have the same options.
type trial struct {
	*world
	tenure.Bounds
	opts  tenure.Options
	lasts time.Duration // a lease, on the members' clocks: the store's may be another
	n     int           // so many members have joined
}

// paced is a store of which the leases last as long as one says. It notes when
// the last renewal came.
type paced struct {
	*memstore.Store
	ttl, lasts time.Duration
	renewed    atomic.Int64
}

func (p *paced) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	p.renewed.Store(time.Now().UnixNano())
	p.ttl = ttl
	lease, err := p.Store.Grant(ctx, p.lasts)
	return store.Lease{ID: lease.ID, TTL: ttl}, err
}

func (p *paced) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	_, err := p.Store.Renew(ctx, id)
	if err == nil {
		p.renewed.Store(time.Now().UnixNano())
	}
	return p.ttl, err
}

// subject is a member of a trial.
type subject struct {
	*node
	st *paced
}

func (w *trial) join() *subject {
	w.t.Helper()
	w.n++
	st := &paced{Store: w.st.Open(), lasts: w.lasts}
	n := &node{w: w.world, st: faultstore.New(st), told: &told{}}
	w.t.Cleanup(func() { w.must(n.st.Close()) })
	opts := w.opts
	opts.ID = fmt.Sprint("member ", w.n)
	w.must(n.join(opts))
	return &subject{n, st}
}

// renewed is when the store was asked for the last renewal that it has answered.
func (s *subject) renewed() time.Time { return time.Unix(0, s.st.renewed.Load()) }

// phases calls f with moments of a round, its beginning and end among them.
func (w *trial) phases(f func(phase time.Duration, election string)) {
	const parts = 8
	for i := range parts + 1 {
		phase := min(max(w.Round*time.Duration(i)/parts, 1), w.Round-1)
		f(phase, fmt.Sprint("election ", i))
	}
}

// won waits for the end of a campaign.
func (w *trial) won(q *queued) *tenure.Leadership {
	w.t.Helper()
	select {
	case <-q.done:
	case <-time.After(20 * w.opts.TTL):
		w.t.Fatal("nobody is elected")
	}
	return q.leads()
}

// Trust and Patience: a holder that is cut off stops to the nanosecond, and
// nobody is elected before the Margin is over.
func TestAHolderThatIsCutOffStopsWithinItsBounds(t *testing.T) {
	bounded(t, func(t *testing.T, w *trial) {
		w.phases(func(phase time.Duration, election string) {
			a, b := w.join(), w.join()
			l := a.campaign(election)
			next := b.queue(election, 0)
			w.pass(2*w.Round + phase)
			a.crash()
			silent, renewed := time.Now(), a.renewed()
			time.Sleep(time.Until(renewed.Add(w.Trust - 1))) // virtual: until just before
			if !l.Held() {
				t.Errorf("at %v: not held for as long as its renewal counts: %v", phase, l.Cause())
			}
			time.Sleep(time.Nanosecond) // virtual: the deadline
			if l.Held() {
				t.Errorf("at %v: held at its deadline", phase)
			}
			w.about("ended", time.Since(silent), w.Patience, w.Trust-w.Patience)
			next.waits()
			w.must(w.won(next).Resign(t.Context()))
			w.about("elected another", next.won.Sub(renewed), w.Trust+w.opts.Margin, w.Crash)
			_, _ = a.Close(), b.Close()
		})
	})
}

// Crash: at every moment of a round, with a store whose clock is as slow as
// allowed, and a watch that tells the successor nothing.
func TestTheGapAfterACrashIsWithinItsBound(t *testing.T) {
	bounded(t, func(t *testing.T, w *trial) {
		drifted := time.Duration(float64(w.opts.TTL) * w.opts.Drift)
		w.lasts = w.opts.TTL + drifted
		var worst, worstTold time.Duration
		w.phases(func(crash time.Duration, election string) {
			w.phases(func(joined time.Duration, part string) {
				for stall := range 2 {
					a := w.join()
					a.campaign(election + part)
					w.pass(joined)
					b := w.join()
					next := b.queue(election+part, 0)
					w.pass(w.Round - joined + crash)
					if stall > 0 {
						b.node.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
					}
					a.crash()
					crashed := time.Now()
					w.won(next)
					gap := next.won.Sub(crashed)
					w.about("taken over", gap, w.opts.TTL-w.Round, w.Crash-w.opts.TTL+w.Round)
					if stall > 0 {
						worst = max(worst, gap)
					} else {
						worstTold = max(worstTold, gap)
					}
					_, _ = a.Close(), b.Close()
				}
			})
		})
		// What is promised is what it comes to: no bound is larger than it must be.
		w.about("the worst gap was", w.Crash-worst, 0, w.Round/4)
		w.about("the worst gap with a watch was", w.Crash-w.Round-worstTold, 0, 1)
	})
}

// Grace: what each candidate before the successor adds that has died as well.
func TestEachDeadCandidateInLineCostsAGrace(t *testing.T) {
	bounded(t, func(t *testing.T, w *trial) {
		a, b, c, d := w.join(), w.join(), w.join(), w.join()
		l := a.campaign("x")
		b.queue("x", 0)
		c.queue("x", 0)
		next := d.queue("x", 0)
		w.pass(w.Round / 2)
		a.crash()
		w.pass(time.Until(a.renewed().Add(w.opts.TTL - 1)))
		b.crash()
		c.crash()
		w.won(next)
		if l.Held() {
			t.Error("held")
		}
		w.about("elected", next.won.Sub(a.renewed()), w.opts.TTL+2*w.Grace, 0)
	})
}

// Clean: at once, and without a watch at the successor's next round.
func TestTheGapAfterACleanEndIsWithinItsBound(t *testing.T) {
	bounded(t, func(t *testing.T, w *trial) {
		var worst time.Duration
		w.phases(func(phase time.Duration, election string) {
			for stall := range 2 {
				name := fmt.Sprint(election, stall)
				a, b := w.join(), w.join()
				l := a.campaign(name)
				next := b.queue(name, 0)
				w.pass(2*w.Round + phase)
				if stall > 0 {
					b.node.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
				}
				started := time.Now()
				w.must(l.Resign(t.Context()))
				w.won(next)
				gap := next.won.Sub(started)
				w.about("handed over", gap, 0, w.Clean*time.Duration(stall))
				worst = max(worst, gap)
				_, _ = a.Close(), b.Close()
			}
		})
		w.about("the worst gap was", w.Clean-worst, 0, 1)
	})
}

// What the store's own times add, as Bounds counts them: each request takes a
// twentieth of a Round here.
func TestTheRequestsThatATakeOverWaitsFor(t *testing.T) {
	work := func(drains time.Duration) func(context.Context, tenure.Term) error {
		return func(ctx context.Context, _ tenure.Term) error {
			<-ctx.Done()
			time.Sleep(drains) // virtual
			return nil
		}
	}
	bounded(t, func(t *testing.T, w *trial) {
		took := w.Round / 20
		for name, tt := range map[string]struct {
			drains   time.Duration // of the function; negative: a crash
			requests int
		}{
			"one read and one commit after a crash":     {-1, 2},
			"one commit after a function that returned": {0, 1},
			"one commit after a function that drained":  {took, 1},
		} {
			a, b := w.join(), w.join()
			slow := faultstore.Fault{Kind: faultstore.Delay, Delay: took, Ops: faultstore.OpCommit | faultstore.OpList}
			led := a.lead(name, tenure.LeadOptions{}, work(max(tt.drains, 0)))
			next := b.queue(name, 0)
			w.pass(w.Round * 3 / 2)
			a.node.st.Inject(slow)
			b.node.st.Inject(slow)
			free := time.Now().Add(tt.drains)
			if tt.drains < 0 {
				a.crash()
				free = a.renewed().Add(w.opts.TTL)
			} else {
				led.cancel(nil)
			}
			w.won(next)
			w.about(name, next.won.Sub(free), time.Duration(tt.requests)*took, 0)
			_, _ = a.Close(), b.Close()
			<-led.done
		}
	})
}

// Round: a store that is away for one, less what two renewals with their reads
// take, costs nothing, whether requests fail or hang, and at whatever moment; one
// that is away for a Trust costs every term.
func TestAnOutageOfLessThanARoundCostsNothing(t *testing.T) {
	bounded(t, func(t *testing.T, w *trial) {
		for kind, away := range map[string]faultstore.Fault{
			"failing": {Kind: faultstore.Fail},
			"hanging": {Kind: faultstore.Late, Hang: true, Delay: 1},
		} {
			for _, latency := range []time.Duration{1, w.Round / 20, w.Round / 9} { // of each of the two
				w.phases(func(phase time.Duration, election string) {
					a := w.join()
					a.node.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Delay: latency})
					l := a.campaign(fmt.Sprint(kind, latency, election))
					w.pass(2*w.Round + phase)
					heal := a.node.st.Inject(away)
					w.pass(w.Round - 4*latency - 1)
					heal()
					w.pass(2 * w.opts.TTL)
					if !l.Held() {
						t.Errorf("%s at %v of a round, latency %v: %v", kind, phase, latency, l.Cause())
					}
					heal = a.node.st.Inject(away)
					w.pass(w.Trust)
					heal()
					if l.Held() {
						t.Errorf("%s at %v of a round, latency %v: held after %v", kind, phase, latency, w.Trust)
					}
					_ = a.Close()
				})
			}
		}
	})
}

// Patience: rounds may take so long, every time; beyond it a term is lost.
func TestRoundsMayTakeAllOfTheirPatience(t *testing.T) {
	bounded(t, func(t *testing.T, w *trial) {
		slow := map[string]func(took time.Duration) []faultstore.Fault{
			"renewal": func(took time.Duration) []faultstore.Fault {
				return []faultstore.Fault{{Kind: faultstore.Delay, Ops: faultstore.OpRenew, Delay: took}}
			},
			"read": func(took time.Duration) []faultstore.Fault {
				return []faultstore.Fault{{Kind: faultstore.Delay, Ops: faultstore.OpList, Delay: took}}
			},
			"both": func(took time.Duration) []faultstore.Fault {
				return []faultstore.Fault{{Kind: faultstore.Delay, Ops: faultstore.OpRenew | faultstore.OpList, Delay: took / 2}}
			},
		}
		for what, faults := range slow {
			for _, took := range []time.Duration{w.Patience - 2, w.Patience + 2} {
				if what == "both" && took > w.Patience {
					continue // each of the two has more to spare
				}
				a := w.join()
				l := a.campaign(fmt.Sprint(what, took))
				w.pass(w.Round / 2)
				for _, f := range faults(took) {
					a.node.st.Inject(f)
				}
				w.pass(10 * w.opts.TTL)
				if l.Held() != (took < w.Patience) {
					t.Errorf("%s of %v, with patience for %v: held %v, %v", what, took, w.Patience, l.Held(), l.Cause())
				}
				_ = a.Close()
			}
		}
	})
}

// Drift: with a store whose clock runs so much faster there is one holder, and
// with a store whose clock runs faster still there are two.
func TestTwoHoldWhenTheStoresClockIsFasterThanItsBound(t *testing.T) {
	bounded(t, func(t *testing.T, w *trial) {
		for two, fast := range map[bool]float64{false: 1 + w.Drift*0.9999, true: 1 + w.Drift*1.001} {
			w.lasts = time.Duration(float64(w.opts.TTL) / fast)
			a, b := w.join(), w.join()
			election := fmt.Sprint("two ", two)
			l := a.campaign(election)
			next := b.queue(election, 0)
			w.pass(w.Round / 2)
			a.crash()
			select {
			case <-next.done:
			case <-time.After(w.opts.TTL):
				t.Fatal("nobody is elected")
			}
			if held := l.Held() && next.l.Held(); held != two {
				t.Errorf("a clock %.6f times as fast: two hold: %v", fast, held)
			}
			_, _ = a.Close(), b.Close()
		}
	})
}

// Up to Options.Drift all of the Margin is left to act in.
func TestTheMarginIsWholeUpToTheDriftAllowed(t *testing.T) {
	bounded(t, func(t *testing.T, w *trial) {
		w.lasts = time.Duration(float64(w.opts.TTL) / (1 + w.opts.Drift))
		a, b := w.join(), w.join()
		l := a.campaign("x")
		next := b.queue("x", 0)
		w.pass(w.Round / 2)
		a.crash()
		<-l.Context().Done()
		ended := time.Now()
		w.won(next)
		w.about("left to act in", next.won.Sub(ended), w.opts.Margin-1, w.opts.TTL) // 1 ns of rounding
		_, _ = a.Close(), b.Close()
	})
}

// Bounds are those of the defaults where nothing is set.
func TestBoundsKnowTheDefaults(t *testing.T) {
	t.Parallel()
	got, err := tenure.Options{}.Bounds()
	if err != nil {
		t.Fatal(err)
	}
	want, err := tenure.Options{
		TTL: tenure.DefaultTTL, Drift: tenure.DefaultDrift, Margin: time.Second, ID: "a", Endpoint: "b",
	}.Bounds()
	if err != nil || got != want {
		t.Errorf("got %+v, want %+v, %v", got, want, err)
	}
	if got.Round != round || got.Trust != trust || got.Crash != ttl+ttl/100+round {
		t.Errorf("got %+v", got)
	}
}

package tenure_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

// What Callbacks say of the order of their calls, and Observe.

// runs has a member run callbacks for "x" until the test ends.
func (n *node) runs(calls tenure.Callbacks, opts tenure.LeadOptions) {
	ctx, cancel := context.WithCancel(n.w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- calls.Run(ctx, n.Member, "x", opts) }()
	n.w.t.Cleanup(func() {
		cancel()
		n.w.must(<-ended)
	})
	synctest.Wait()
}

// who says what an event tells.
func who(ev tenure.Event) string {
	if ev.Kind != tenure.Elected {
		return ev.Kind.String()
	}
	return ev.Leader.Member + " leads"
}

func TestLeaderChangedWaitsForElectedAndForTheEndOfATermThatWasLost(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told told
		ready, gone := make(chan struct{}), make(chan struct{})
		w.join("a").runs(tenure.Callbacks{
			Elected: func(ctx context.Context, _ tenure.Term) error {
				told.add("elected")
				<-ready
				told.add("has become leader")
				return nil
			},
			Lost:          func(tenure.Term, error) { <-gone; told.add("lost") },
			BeforeRelease: func(context.Context, tenure.Term) error { told.add("before release"); return nil },
			LeaderChanged: func(ev tenure.Event) {
				// Of its own term it may be told before or after Elected, or, when it is over, not at
				// all; and that nobody leads at first is left out if the term begins before that is told.
				if ev.Leader.Member != "a" && told.count("elected") > 0 {
					told.add("%s", who(ev))
				}
			},
		}, tenure.LeadOptions{})
		b := w.join("b").queue("x", 0)
		w.must(w.view("x").Depose(t.Context(), 0, because))
		w.pass(2 * ttl)
		l := b.leads()
		equal(t, "while Elected runs", told.all(), []string{"elected"})
		close(ready)
		w.pass(round)
		equal(t, "while Lost runs", told.all(), []string{"elected", "has become leader"})
		close(gone)
		w.pass(round)
		w.must(l.Resign(t.Context()))
		synctest.Wait()
		equal(t, "told", told.all(), []string{
			"elected", "has become leader", "lost", "before release",
			"vacant", "b leads", "elected", "has become leader",
		})
	})
}

func TestNoOldNewsIsToldInATerm(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told told
		first := w.join("b").campaign("x")
		slow := make(chan struct{})
		w.join("a").runs(tenure.Callbacks{
			Elected: func(context.Context, tenure.Term) error { told.add("elected"); return nil },
			LeaderChanged: func(ev tenure.Event) {
				told.add("%s", who(ev))
				<-slow
			},
		}, tenure.LeadOptions{})
		w.must(first.Resign(t.Context()))
		w.pass(round)
		if leader := w.leader("x"); leader != "a" {
			t.Fatalf("%q leads", leader)
		}
		equal(t, "while LeaderChanged runs", told.all(), []string{"b leads"})
		close(slow)
		synctest.Wait()
		equal(t, "told", told.all(), []string{"b leads", "elected", "a leads"})
	})
}

// Whoever hangs as a follower is not to hang as the leader.
func TestALeaderChangedThatHangsPassesTheSeatOn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const drain = 3 * time.Second
		var told, errs told
		first := w.join("b").campaign("x")
		hung := make(chan struct{})
		w.join("a").runs(tenure.Callbacks{
			Elected: func(context.Context, tenure.Term) error { told.add("elected"); return nil },
			Lost:    func(tenure.Term, error) { told.add("lost") },
			LeaderChanged: func(ev tenure.Event) {
				told.add("%s", who(ev))
				<-hung
			},
			Error: func(err error) {
				if errors.Is(err, tenure.ErrDrainTimeout) {
					errs.add("hangs")
				}
			},
		}, tenure.LeadOptions{DrainTimeout: drain})
		next := w.join("c").queue("x", 0)
		w.must(first.Resign(t.Context()))
		won := time.Now()
		synctest.Wait()
		if leader := w.leader("x"); leader != "a" {
			t.Fatalf("%q leads", leader)
		}
		w.pass(drain)
		l := next.leads()
		w.about("the next leader", next.won.Sub(won), drain, 0)
		equal(t, "told", told.all(), []string{"b leads"})
		equal(t, "errors", errs.all(), []string{"hangs"})
		close(hung)
		w.must(l.Resign(t.Context()))
		synctest.Wait()
		if told.count("elected") != 1 {
			t.Errorf("told %q: not elected once it hangs no more", told.all())
		}
	})
}

func TestALeaderChangedThatHangsHoldsUpNoHandOver(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told told
		hung := make(chan struct{})
		w.join("a").runs(tenure.Callbacks{
			Elected: func(context.Context, tenure.Term) error { told.add("elected"); return nil },
			Lost:    func(tenure.Term, error) { told.add("lost") },
			LeaderChanged: func(ev tenure.Event) {
				told.add("%s", who(ev))
				if ev.Leader.Member == "a" {
					<-hung
				}
			},
		}, tenure.LeadOptions{})
		defer close(hung)
		b := w.join("b").queue("x", 0)
		asked := time.Now()
		_, err := w.view("x").Transfer(t.Context(), 0, "b", because)
		w.must(err)
		b.leads()
		w.about("the next leader", b.won.Sub(asked), 0, 0)
		if told.count("lost") != told.count("elected") || told.count("a leads") != 1 { // which may have come first
			t.Errorf("told %q", told.all())
		}
	})
}

// What every order of events must keep, with members that are slow, fail, are deposed
// and are cut off from the store.
func TestCallbacksAreCalledInTurn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 0))
		var nodes []*node
		var all []*checkedCalls
		for _, id := range []string{"a", "b", "c"} {
			n, err := w.tryJoin(tenure.Options{ID: id, FlapLimit: -1})
			w.must(err)
			c := &checkedCalls{t: t, id: id, rng: rand.New(rand.NewPCG(seed, uint64(len(nodes)+1)))}
			n.runs(c.callbacks(), tenure.LeadOptions{DrainTimeout: ttl})
			nodes, all = append(nodes, n), append(all, c)
		}
		for range 300 {
			w.pass(upTo(rng, ttl))
			switch n := nodes[rng.IntN(3)]; rng.IntN(5) {
			case 0:
				_ = w.view("x").Depose(t.Context(), 0, because) // nobody may lead
			case 1:
				_, _ = w.view("x").Transfer(t.Context(), 0, n.ID(), because) // n may not wait
			case 2:
				time.AfterFunc(upTo(rng, 2*ttl), n.cut())
			case 3:
				w.commit(deleteSeat("x")...)
			case 4:
				time.AfterFunc(upTo(rng, ttl), n.st.Inject(faultstore.Fault{Kind: faultstore.Stall}))
			}
		}
		w.pass(10 * ttl)
		for _, c := range all {
			c.mu.Lock()
			if c.terms < 10 || c.changes < 50 {
				t.Errorf("%s: %d terms, %d changes of the leader", c.id, c.terms, c.changes)
			}
			c.mu.Unlock()
		}
	})
}

// checkedCalls are callbacks that take their time and know what may be called when.
type checkedCalls struct {
	t  *testing.T
	id string

	mu      sync.Mutex
	rng     *rand.Rand
	elected bool // Elected, or Lost and what follows, is called
	ending  bool // it is Lost and what follows
	told    bool // LeaderChanged is
	own     tenure.Token
	lasts   bool         // the term of own: from Elected until BeforeRelease
	seen    tenure.Token // or of the vacancy told last, its revision
	terms   int
	changes int
}

func upTo(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }

// pause takes a while, and mostly none.
func (c *checkedCalls) pause() {
	c.mu.Lock()
	d := max(0, upTo(c.rng, 4*time.Second)-3*time.Second)
	c.mu.Unlock()
	time.Sleep(d) // virtual
}

// is checks and changes the state.
func (c *checkedCalls) is(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *checkedCalls) want(what string, ok bool) {
	if !ok {
		c.t.Errorf("%s: %s", c.id, what)
	}
}

func (c *checkedCalls) callbacks() tenure.Callbacks {
	return tenure.Callbacks{
		Elected: func(_ context.Context, term tenure.Term) error {
			c.is(func() {
				c.want("Elected while LeaderChanged runs", !c.told)
				c.want("Elected in a term", !c.lasts)
				c.want("Elected in an older term", term.Token() > c.own && term.Token() >= c.seen)
				c.elected, c.lasts, c.own = true, true, term.Token()
				c.terms++
			})
			c.pause()
			var err error
			c.is(func() {
				if c.elected = false; c.rng.IntN(4) == 0 {
					c.elected, err = true, errWork
				}
			})
			return err
		},
		Lost: func(term tenure.Term, _ error) {
			c.is(func() {
				c.want("Lost without Elected", c.lasts && !c.elected && term.Token() == c.own)
				c.elected, c.ending = true, true
			})
			c.pause()
		},
		BeforeRelease: func(_ context.Context, term tenure.Term) error {
			c.pause()
			c.is(func() { c.elected, c.ending, c.lasts = false, false, false })
			return nil
		},
		LeaderChanged: func(ev tenure.Event) {
			c.is(func() {
				c.want("LeaderChanged twice at a time", !c.told)
				// Lost waits for none that was about to be called in the moment the term ended.
				own := ev.Kind == tenure.Elected && ev.Leader.Token == c.own
				c.want("LeaderChanged while a term begins or ends", !c.elected || c.ending && own)
				if ev.Kind == tenure.Elected {
					c.want("a leader told twice, or of old", ev.Leader.Token > c.seen)
					c.want("another leader in a term, or an own term that is over", c.lasts == (ev.Leader.Token == c.own) && ev.Leader.Token >= c.own)
				}
				if ev.Kind == tenure.Vacant {
					c.want("a vacancy in a term, or of old", !c.lasts && ev.Revision > max(c.seen, c.own))
				}
				if ev.Kind != tenure.Gap {
					c.seen = ev.Revision
				}
				c.told = true
				c.changes++
			})
			c.pause()
			c.is(func() { c.told = false })
		},
	}
}

func TestWhoLooksOnIsToldEveryChangeOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told told
		view := w.view("x")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- tenure.Callbacks{
				Elected: func(context.Context, tenure.Term) error { told.add("elected"); return nil },
				LeaderChanged: func(ev tenure.Event) {
					l, ok := view.Leader()
					if ok != (ev.Kind == tenure.Elected) || l != ev.Leader {
						t.Errorf("told of %+v, sees %+v, %v", ev, l, ok)
					}
					told.add("%s", who(ev))
				},
				Error: func(err error) { told.add("error: %v", err) },
				Fatal: func(err error) { told.add("fatal: %v", err) },
			}.Observe(ctx, view)
		}()
		synctest.Wait()
		a, b := w.join("a"), w.join("b")
		l := a.campaign("x")
		q := b.queue("x", 0)
		w.must(view.Depose(t.Context(), l.Token(), because)) // by one who only looks on
		w.pass(2 * ttl)
		w.must(q.leads().Resign(t.Context()))
		w.pass(2 * ttl)
		cancel()
		w.must(<-ended)
		equal(t, "told", told.all(), []string{"vacant", "a leads", "vacant", "b leads", "vacant"})
	})
}

func TestWhoLooksOnOutlastsAStoreThatIsAwayAndDoesNotPressIt(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.prepare()
		var told, errs told
		ended := make(chan error, 1)
		go func() {
			ended <- tenure.Callbacks{
				LeaderChanged: func(ev tenure.Event) { told.add("%s", who(ev)) },
				Error:         func(err error) { errs.add("%v", err) },
				Fatal:         func(err error) { told.add("fatal: %v", err) },
			}.Observe(t.Context(), tenure.NewView(n.st, "x"))
		}()
		synctest.Wait()
		heal := n.st.Inject(faultstore.Fault{Kind: faultstore.Fail})
		n.st.Inject(faultstore.Fault{Kind: faultstore.Break, Count: 1})
		w.pass(10 * time.Minute)
		if tries := len(errs.all()); tries < 100 || tries > 700 {
			t.Errorf("told of %d errors in 10 minutes", tries)
		}
		w.join("a").campaign("x")
		heal()
		w.pass(ttl)
		w.must(n.st.Close())
		err := <-ended
		equal(t, "told", told.all(), []string{"vacant", "a leads", "fatal: observe \"x\": store: closed"})
		if err == nil {
			t.Error("Observe returned nil")
		}
	})
}

func TestASeatThatCannotBeReadIsToldAndEndsNoObservation(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told told
		view := w.view("x")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			ended <- tenure.Callbacks{
				LeaderChanged: func(ev tenure.Event) { told.add("%s", who(ev)) },
				Error:         func(err error) { told.add("corrupt: %v", errors.Is(err, tenure.ErrCorrupt)) },
			}.Observe(ctx, view)
		}()
		w.commit(store.Put("leaders/x", []byte("?"), store.NoLease))
		w.join("a").campaign("xy") // another seat under the prefix that is watched
		synctest.Wait()
		if l, ok := view.Leader(); ok {
			t.Errorf("%+v is seen to lead", l)
		}
		w.commit(deleteSeat("x")...)
		w.join("b").campaign("x")
		synctest.Wait()
		w.commit(store.Put("leaders/x", []byte("?"), store.NoLease))
		synctest.Wait()
		if l, ok := view.Leader(); ok {
			t.Errorf("%+v is seen to lead", l)
		}
		for range 2 {
			w.commit(deleteSeat("x")...)
			synctest.Wait()
			w.commit(store.Put("leaders/x", []byte("?"), store.NoLease))
			synctest.Wait()
		}
		cancel()
		w.must(<-ended)
		equal(t, "told", told.all(), []string{
			"corrupt: true", "vacant", "b leads", "corrupt: true", "vacant", "corrupt: true", "vacant", "corrupt: true",
		})
	})
}

func TestAPanicOfLeaderChangedIsNeverSilent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.join("a").campaign("x")
		panics := tenure.Callbacks{LeaderChanged: func(tenure.Event) { panic(errWork) }}
		if err := panics.Observe(t.Context(), w.view("x")); !errors.Is(err, errWork) {
			t.Errorf("without an Error: %v", err)
		}
		var errs []error
		panics.Error = func(err error) { errs = append(errs, err) }
		ctx, cancel := context.WithTimeout(t.Context(), ttl)
		defer cancel()
		w.must(panics.Observe(ctx, w.view("x")))
		if len(errs) != 1 || !errors.Is(errs[0], errWork) {
			t.Errorf("told %v", errs)
		}
		b, err := w.tryJoin(tenure.Options{ID: "b", Trace: &tenure.Trace{
			Trouble: func(election, request string, err error) { errs = append(errs, err) },
		}})
		w.must(err)
		panics.Error = nil
		b.runs(panics, tenure.LeadOptions{})
		if !slices.ContainsFunc(errs[1:], func(err error) bool { return errors.Is(err, errWork) }) {
			t.Errorf("the member's Trace was told %v", errs[1:])
		}
	})
}

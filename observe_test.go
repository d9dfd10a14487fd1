package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// observation is an Observe that runs in the background.
type observation struct {
	w    *world
	view *tenure.View
	st   *faultstore.Store
	stop context.CancelFunc

	mu    sync.Mutex
	slow  time.Duration // to take after each event
	heard []string
	err   error // the last element
}

func (w *world) observe(election string) *observation {
	w.t.Helper()
	o := w.observer(election)
	o.start()
	return o
}

func (w *world) observer(election string) *observation {
	o := &observation{w: w, st: faultstore.New(w.st.Open())}
	o.view = tenure.NewView(o.st, election)
	w.t.Cleanup(func() { w.must(o.st.Close()) })
	return o
}

func (o *observation) start() {
	ctx, cancel := context.WithCancel(o.w.t.Context())
	o.stop = cancel
	go func() {
		for ev, err := range o.view.Observe(ctx) {
			time.Sleep(o.note(ev, err)) // a slow consumer; virtual
		}
	}()
	synctest.Wait()
}

func (o *observation) note(ev tenure.Event, err error) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil:
		o.err = err
		return 0
	case ev.Kind == tenure.Elected:
		o.heard = append(o.heard, fmt.Sprint(ev.Leader.Member, " at ", ev.Leader.Token))
	case ev.Kind == tenure.Gap:
		o.heard = append(o.heard, fmt.Sprint("gap from ", ev.From, " to ", ev.To))
	default:
		o.heard = append(o.heard, ev.Kind.String())
	}
	return o.slow
}

// elected is how an observation tells of a term.
func elected(l *tenure.Leadership) string { return fmt.Sprint(l.Member(), " at ", l.Token()) }

func (o *observation) mustSay(want ...string) {
	o.w.t.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	equal(o.w.t, "heard", o.heard, want)
	if o.err != nil {
		o.w.t.Errorf("ended: %v", o.err)
	}
}

// 2.1: the present state first, then every transition.
func TestObserveTellsThePresentStateFirst(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		before := w.observe("x")
		before.mustSay("vacant")
		a := w.join("a")
		l := a.campaign("x")
		during := w.observe("x")
		during.mustSay(elected(l))
		w.must(l.Resign(t.Context()))
		after := w.observe("x")
		after.mustSay("vacant")
		during.mustSay(elected(l), "vacant")
		before.mustSay("vacant", elected(l), "vacant")
	})
}

// 4.2: every change exactly once, hand-overs without a vacancy in between.
func TestObserveTellsEveryTransitionInTokenOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.observe("x")
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		first := a.campaign("x")
		qb, qc := b.queue("x", 0), c.queue("x", 0)
		w.must(first.Resign(t.Context()))
		second := qb.leads()
		b.crash()
		await(w, "end of qc", qc.done)
		third := qc.leads()
		w.must(c.Close())
		o.mustSay("vacant", elected(first), elected(second), "vacant", elected(third), "vacant")
		if first.Token() >= second.Token() || second.Token() >= third.Token() {
			t.Errorf("tokens %d, %d, %d", first.Token(), second.Token(), third.Token())
		}
	})
}

func TestASlowObserverMissesNothingAndDelaysNobody(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		slow := w.observer("x")
		slow.slow = time.Minute
		slow.start()
		a := w.join("a")
		want := []string{"vacant"}
		started := time.Now()
		for range 10 {
			l := a.campaign("x")
			w.must(l.Resign(t.Context()))
			want = append(want, elected(l), "vacant")
		}
		w.about("ten terms", time.Since(started), 0, 0)
		w.pass(time.Hour)
		slow.mustSay(want...)
	})
}

// 1.11, 2.1: history that is gone is one Gap with the tokens around it.
func TestObserveTellsOfAGapAfterCompaction(t *testing.T) {
	tests := map[string]struct {
		before, after bool // is there a leader?
	}{
		"from one leader to another": {true, true},
		"from a leader to none":      {true, false},
		"from none to a leader":      {false, true},
		"from none to none":          {false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				term := func(wanted bool) (l *tenure.Leadership, token tenure.Token, told string) {
					if !wanted {
						return nil, 0, "vacant"
					}
					l = a.campaign("x")
					return l, l.Token(), elected(l)
				}
				l, from, first := term(tt.before)
				o := w.observe("x")
				o.mustSay(first)
				heal := o.st.Inject(faultstore.Fault{Kind: faultstore.Fail})
				o.st.Inject(faultstore.Fault{Kind: faultstore.Break, Count: 1})
				if l != nil {
					w.must(l.Resign(t.Context()))
				}
				w.must(a.campaign("x").Resign(t.Context())) // nobody will hear of that one
				_, to, last := term(tt.after)
				w.compact()
				heal()
				w.pass(5 * time.Second)
				want := []string{first, fmt.Sprint("gap from ", from, " to ", to)}
				if tt.before || tt.after {
					want = append(want, last)
				}
				o.mustSay(want...)
			})
		})
	}
}

// A leader at the token it had has led all the time: nothing was missed.
func TestNoGapWhenTheSameTermIsStillThere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		o := w.observe("x")
		o.st.Inject(faultstore.Fault{Kind: faultstore.Break, Count: 1})
		w.must(a.campaign("other").Resign(t.Context()))
		w.compact()
		w.pass(5 * time.Second)
		w.must(l.Resign(t.Context()))
		o.mustSay(elected(l), "vacant")
	})
}

// compact forgets the whole history.
func (w *world) compact() {
	l, err := w.st.List(w.t.Context(), store.Query{})
	w.must(err)
	w.st.Compact(l.Revision)
}

func TestObserveOutlivesTheLossOfTheStore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		o := w.observe("x")
		o.st.Inject(faultstore.Fault{Kind: faultstore.Break, Count: 1})
		heal := o.st.Inject(faultstore.Fault{Kind: faultstore.Fail})
		first := a.campaign("x")
		w.pass(time.Minute)
		o.mustSay("vacant")
		heal()
		w.pass(5 * time.Second)
		o.mustSay("vacant", elected(first)) // and no gap: the history was there
	})
}

// 3.6: no silent end.
func TestObserveEndsWithItsCause(t *testing.T) {
	tests := map[string]struct {
		end  func(*world, *observation)
		want error
	}{
		"context":        {func(_ *world, o *observation) { o.stop() }, context.Canceled},
		"store closed":   {func(w *world, o *observation) { w.must(o.st.Close()) }, store.ErrClosed},
		"corrupt record": {func(w *world, _ *observation) { w.commit(store.Put("leaders/x", []byte("?"), 0)) }, tenure.ErrCorrupt},
		"newer format":   {func(w *world, _ *observation) { w.commit(store.Put("leaders/x", []byte(`{"v":99}`), 0)) }, tenure.ErrCorrupt},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				o := w.observe("x")
				tt.end(w, o)
				synctest.Wait()
				o.mu.Lock()
				defer o.mu.Unlock()
				var e *tenure.Error
				if !errors.Is(o.err, tt.want) || !errors.As(o.err, &e) || e.Op != "observe" || e.Election != "x" {
					t.Errorf("got %v", o.err)
				}
			})
		})
	}
}

func TestObserveCanBeLeftAtAnyEvent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.join("a").campaign("x")
		for ev, err := range tenure.NewView(w.st, "x").Observe(t.Context()) {
			w.must(err)
			if ev.Kind != tenure.Elected {
				t.Errorf("got %v", ev)
			}
			break
		}
	})
}

// 0.7, 3.10: the cache is cleared on a vacancy and says which term it is of.
func TestViewLeaderIsWhatWasSeenLast(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, err := w.tryJoin(tenure.Options{ID: "a", Endpoint: "10.0.0.1:80"})
		w.must(err)
		o := w.observe("x")
		if l, ok := o.view.Leader(); ok {
			t.Errorf("vacant, and led by %v", l)
		}
		term := a.campaign("x")
		synctest.Wait()
		l, ok := o.view.Leader()
		if !ok || l.Member != "a" || l.Endpoint != "10.0.0.1:80" || l.Token != term.Token() || l.TTL != ttl {
			t.Errorf("led by %+v, %v", l, ok)
		}
		w.must(term.Resign(t.Context()))
		synctest.Wait()
		if l, ok := o.view.Leader(); ok {
			t.Errorf("vacant again, and led by %v", l)
		}
	})
}

// 1.15: an old answer that comes late does not replace a newer one.
func TestViewLeaderNeverGoesBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		slow := &slowReplies{Store: w.st}
		slow.delay.Store(int64(time.Second))
		v := tenure.NewView(slow, "x")
		first := a.campaign("x")
		old := make(chan tenure.Status)
		go func() {
			s, err := v.Status(t.Context()) // reads the first term, and learns it a second later
			w.must(err)
			old <- s
		}()
		synctest.Wait()
		w.must(first.Resign(t.Context()))
		second := a.campaign("x")
		slow.delay.Store(0)
		_, _, err := v.Read(t.Context())
		w.must(err)
		if s := <-old; s.Leader.Token != first.Token() {
			t.Fatalf("the slow read saw %d, want %d", s.Leader.Token, first.Token())
		}
		if l, _ := v.Leader(); l.Token != second.Token() {
			t.Errorf("the view went back to %d from %d", l.Token, second.Token())
		}
	})
}

// slowReplies answers reads late, as of when they came.
type slowReplies struct {
	*memstore.Store
	delay atomic.Int64
}

func (s *slowReplies) List(ctx context.Context, q store.Query) (store.Listing, error) {
	delay := time.Duration(s.delay.Load())
	l, err := s.Store.List(ctx, q)
	time.Sleep(delay) // virtual
	return l, err
}

func TestStatusListsTheLeaderThenThoseInLine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("leader")
		term := a.campaign("x")
		for _, c := range []struct {
			id       string
			priority int
		}{{"late in line", 0}, {"last in line", -1}, {"first in line", 5}} {
			w.join(c.id).queue("x", c.priority)
		}
		v := tenure.NewView(w.st, "x")
		s, err := v.Status(t.Context())
		w.must(err)
		var got []string
		for _, c := range s.Candidates {
			got = append(got, fmt.Sprint(c.Member, " ", c.Priority, " ", c.State))
		}
		equal(t, "candidates", got, []string{
			"leader 0 leading", "first in line 5 waiting", "late in line 0 waiting", "last in line -1 waiting",
		})
		if s.Leader.Token != term.Token() {
			t.Errorf("leader %+v", s.Leader)
		}
		if c, err := v.Candidates(t.Context()); err != nil || len(c) != 4 {
			t.Errorf("%v, %v", c, err)
		}
	})
}

func TestReadsOfCorruptRecordsSaySo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.join("a").campaign("good")
		w.commit(store.Put("leaders/bad", []byte("{"), 0), store.Put("candidates/bad/1", []byte("{}"), 0))
		if _, _, err := tenure.NewView(w.st, "bad").Read(t.Context()); !errors.Is(err, tenure.ErrCorrupt) {
			t.Errorf("Read: %v", err)
		}
		all, err := tenure.Survey(t.Context(), w.st)
		if !errors.Is(err, tenure.ErrCorrupt) {
			t.Errorf("Survey: %v", err)
		}
		if len(all) != 2 || all[1].Election != "good" || all[1].Leader == nil {
			t.Errorf("beside the error: %+v", all)
		}
		// A candidate that cannot be read hides nothing else.
		good := tenure.NewView(w.st, "good")
		w.commit(store.Put("candidates/good/1", []byte("{}"), 0))
		if l, ok, err := good.Read(t.Context()); err != nil || !ok || l.Member != "a" {
			t.Errorf("Read: %+v, %v, %v", l, ok, err)
		}
		if s, err := good.Status(t.Context()); !errors.Is(err, tenure.ErrCorrupt) || s.Leader == nil || len(s.Candidates) != 1 {
			t.Errorf("Status: %+v, %v", s, err)
		}
	})
}

func TestReadsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.prepare()
		n.cut()
		started := time.Now()
		if _, err := tenure.NewView(n.st, "x").Status(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Status: %v", err)
		}
		if _, err := tenure.Survey(t.Context(), n.st); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Survey: %v", err)
		}
		w.about("both gave up", time.Since(started), 20*time.Second, 0)
	})
}

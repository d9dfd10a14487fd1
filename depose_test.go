package tenure_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

var because = tenure.Reason{By: "eve", Why: "it hangs"}

// outlives is when a vacancy may be taken at the latest, counted from the depose.
const outlives = ttl + ttl/100

func (w *world) view(election string) *tenure.View { return tenure.NewView(w.st, election) }

// hung leads an election with a function that never looks at its context, until the
// test lets it go.
func (n *node) hung(election string) (*led, chan struct{}) {
	release := make(chan struct{})
	d := n.lead(election, tenure.LeadOptions{}, func(context.Context, tenure.Term) error {
		<-release
		return nil
	})
	return d, release
}

func TestAHungLeaderWhoseRenewalsGoOnIsDeposedWithoutAnOverlap(t *testing.T) {
	for name, fault := range map[string]func(*node){
		"it sees the vacancy": func(*node) {},
		"its watches have stalled": func(n *node) {
			n.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
		},
		"it hears nothing but that its lease is renewed": func(n *node) {
			n.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Ops: faultstore.OpAll &^ faultstore.OpRenew})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b := w.join("a"), w.join("b")
				d, release := a.hung("x")
				term := d.term()
				q := b.queue("x", 0)
				w.pass(5 * ttl)
				fault(a)
				w.must(w.view("x").Depose(t.Context(), term.Token(), because))
				deposed := time.Now()
				await(w, "successor", q.done)
				if term.Held() {
					t.Error("two hold the seat")
				}
				l := q.leads()
				w.about("the next leader", q.won.Sub(deposed), outlives, ttl/100)
				if l.Token() <= term.Token() || term.Held() || !errors.Is(term.Cause(), tenure.ErrLost) {
					t.Errorf("token %d after %d, held %v, cause %v", l.Token(), term.Token(), term.Held(), term.Cause())
				}
				w.pass(5 * ttl) // its renewals go on, and nothing comes of them
				if !l.Held() {
					t.Errorf("the next leader has lost the seat: %v", l.Cause())
				}
				close(release)
			})
		})
	}
}

func TestADeposedLeaderClearsItsSeatOnceItsFunctionHasReturned(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		d, release := a.hung("x")
		term := d.term()
		q := b.queue("x", 0)
		w.must(w.view("x").Depose(t.Context(), 0, because))
		synctest.Wait()
		if cause := term.Cause(); !errors.Is(cause, tenure.ErrDeposed) || !strings.Contains(cause.Error(), "by eve: it hangs") {
			t.Errorf("cause %v", cause)
		}
		status, err := w.view("x").Status(t.Context())
		w.must(err)
		if c := status.Candidates; len(c) != 2 || c[1].State != "deposed" {
			t.Errorf("candidates %+v", c)
		}
		if v := status.Vacancy; v == nil || v.Victim.Member != "a" || v.Victim.Token != term.Token() || v.Reason != because || status.Leader != nil {
			t.Errorf("status %+v, vacancy %+v", status, v)
		}
		q.waits()
		close(release)
		q.leads()
		// The victim stays a candidate, and is the next again when it has stood back.
		all, err := w.view("x").Candidates(t.Context())
		w.must(err)
		if all[1].Member != "a" || all[1].State != "aside" {
			t.Errorf("candidates %+v", all)
		}
		w.pass(ttl + round)
		w.must(q.l.Resign(t.Context()))
		d.term()
	})
}

func TestTheDeposedStandsBackForATTLEvenAlone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d := w.join("a").lead("x", tenure.LeadOptions{}, nil)
		token := d.term().Token()
		began := time.Now()
		w.must(w.view("x").Depose(t.Context(), token, because))
		w.pass(ttl - time.Millisecond)
		if who := w.leader("x"); who != "" {
			t.Errorf("%s leads %v after it was deposed", who, time.Since(began))
		}
		w.pass(2 * time.Millisecond)
		d.term()
	})
}

func TestDeposeActsOnWhatItsCallerSaw(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.view("x")
		depose := func(token tenure.Token, want error) {
			t.Helper()
			if err := v.Depose(t.Context(), token, because); !errors.Is(err, want) {
				t.Errorf("Depose(%d): %v, want %v", token, err, want)
			}
		}
		depose(0, tenure.ErrNoLeader)
		l := w.join("a").campaign("x")
		q := w.join("b").queue("x", 0)
		w.must(l.Resign(t.Context()))
		next := q.leads()
		depose(l.Token(), tenure.ErrChanged)
		if !next.Held() {
			t.Fatalf("the next leader was deposed: %v", next.Cause())
		}
		w.join("c").crash()
		hung, release := w.join("d").hung("y")
		y := w.view("y")
		w.must(y.Depose(t.Context(), hung.term().Token(), because))
		before := w.revision()
		w.must(y.Depose(t.Context(), 0, because)) // of a vacancy changes nothing
		if after := w.revision(); after != before {
			t.Errorf("deposing a vacancy has written: revision %d after %d", after, before)
		}
		close(release)
		if err := tenure.NewView(w.st, "").Depose(t.Context(), 0, because); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("an empty name: %v", err)
		}
		if err := v.Depose(t.Context(), 0, tenure.Reason{Why: strings.Repeat("x", tenure.MaxReason+1)}); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("a long reason: %v", err)
		}
	})
}

func (w *world) revision() store.Revision {
	w.t.Helper()
	l, err := w.st.List(w.t.Context(), store.Keys("none"))
	w.must(err)
	return l.Revision
}

// A client that was paused between its read and its write deposes nobody else.
func TestADepositionThatComesLateConcernsNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a").campaign("x")
		q := w.join("b").queue("x", 0)
		paused := faultstore.New(w.st.Open())
		defer paused.Close()
		paused.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpCommit, Delay: 5 * time.Second})
		result := make(chan error, 1)
		go func() { result <- tenure.NewView(paused, "x").Depose(t.Context(), 0, because) }()
		synctest.Wait()
		w.must(a.Resign(t.Context()))
		l := q.leads()
		if err := <-result; !errors.Is(err, tenure.ErrChanged) {
			t.Errorf("Depose: %v", err)
		}
		w.pass(ttl)
		if !l.Held() {
			t.Errorf("the next leader was deposed: %v", l.Cause())
		}
	})
}

// The reply was lost, and so nobody knows; said again, it is done.
func TestDeposeMayBeRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d, release := w.join("a").hung("x")
		token := d.term().Token()
		st := faultstore.New(w.st.Open())
		defer st.Close()
		st.Inject(faultstore.Fault{Kind: faultstore.LoseReply, Ops: faultstore.OpCommit, Count: 1})
		v := tenure.NewView(st, "x")
		if err := v.Depose(t.Context(), token, because); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("first: %v", err)
		}
		w.must(v.Depose(t.Context(), token, because))
		close(release)
	})
}

// Who was deposed and has died since need not be outlived.
func TestAVacancyWhoseVictimIsGoneIsTakenAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		w.pass(ttl)
		a.crash()
		w.must(w.view("x").Depose(t.Context(), l.Token(), because))
		w.pass(ttl + round) // its session has ended, and nobody was there
		began := time.Now()
		q := w.join("b").queue("x", 0)
		q.leads()
		w.about("taken", q.won.Sub(began), 0, ttl/100)
	})
}

// Nobody's lease ends a seat that hangs on none, and nobody can read whose it is.
func TestASeatThatNobodyCanReadIsOutlived(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.commit(store.Put("leaders/x", []byte("what is this"), store.NoLease))
		began := time.Now()
		q := w.join("a").queue("x", 0)
		w.pass(tenure.MaxTTL)
		q.waits()
		w.pass(tenure.MaxTTL / 50)
		q.leads()
		w.about("taken", q.won.Sub(began), tenure.MaxTTL+tenure.MaxTTL/100, time.Second)
	})
}

// Who never learns that it was offered the seat, deposed and outlived still learns that
// it has lost its place in line.
func TestWhoWasDeposedBeforeItKnewOfItsOfferGetsBackInLine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		l := a.campaign("x")
		b.queue("x", 0)
		w.pass(time.Second)
		heal := b.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Ops: faultstore.OpAll &^ faultstore.OpRenew})
		w.must(l.Resign(t.Context()))
		w.must(w.view("x").Depose(t.Context(), 0, because))
		a.queue("x", 0)
		w.pass(outlives + round)
		if who := w.leader("x"); who != "a" {
			t.Fatalf("%q leads", who)
		}
		mend := b.st.Inject(faultstore.Fault{Kind: faultstore.Break})
		w.st.Compact(1 << 62) // what its watches would have told is gone
		mend()
		heal()
		w.pass(2 * ttl)
		all, err := w.view("x").Candidates(t.Context())
		w.must(err)
		if len(all) != 2 || all[1].Member != "b" || all[1].State != "waiting" {
			t.Errorf("candidates %+v", all)
		}
	})
}

func TestObserversAreToldOfAVacancyOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d, release := w.join("a").hung("x")
		term := d.term()
		ctx, cancel := context.WithCancel(t.Context())
		var told []tenure.Event
		observed := make(chan struct{})
		go func() {
			defer close(observed)
			for ev, err := range w.view("x").Observe(ctx) {
				if err == nil {
					told = append(told, ev)
				}
			}
		}()
		synctest.Wait()
		w.must(w.view("x").Depose(t.Context(), 0, because))
		synctest.Wait()
		close(release)
		w.pass(ttl + round)
		d.term()
		cancel()
		<-observed
		if len(told) < 3 || told[1].Kind != tenure.Vacant || told[1].Vacancy == nil || told[1].Vacancy.Victim.Token != term.Token() ||
			told[1].Vacancy.Reason != because || told[2].Kind != tenure.Elected {
			t.Errorf("told of %+v", told)
		}
	})
}

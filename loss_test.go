package tenure_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

func deleteSeat(election string) []store.Op { return []store.Op{store.Delete("leaders/" + election)} }

// lost waits for the end of a term and returns when it came.
func (w *world) lost(term tenure.Term, cause error) time.Time {
	w.t.Helper()
	await(w, "end of the term", term.Context().Done())
	if term.Held() {
		w.t.Error("held although its context is cancelled")
	}
	if !errors.Is(term.Cause(), cause) || !errors.Is(term.Cause(), tenure.ErrLost) {
		w.t.Errorf("cause %v, want %v", term.Cause(), cause)
	}
	return time.Now()
}

// 1.1, 1.4: cut off from the store, a term ends by its own clock: a full trust
// after the last renewal was sent, and before the store can elect another.
func TestALeaderThatIsCutOffStepsDownBeforeAnotherIsElected(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		renewed := time.Now() // the first round is with the grant; one more before the cut
		a, b := w.join("a"), w.join("b")
		led := a.lead("x", tenure.LeadOptions{}, nil)
		term := led.term()
		next := b.queue("x", 0)
		w.pass(5 * time.Second)
		renewed = renewed.Add(round)
		heal := a.cut()
		time.Sleep(time.Until(renewed.Add(trust - 1))) // virtual: until just before
		if !term.Held() {
			t.Fatalf("too early: %v", term.Cause())
		}
		time.Sleep(time.Nanosecond) // virtual
		if term.Held() {
			t.Error("held at its deadline")
		}
		ended := w.lost(term, tenure.ErrSessionExpired)
		await(w, "end of next", next.done)
		if !next.won.After(ended) {
			t.Errorf("another won at %v, and the term ended at %v", next.won, ended)
		}
		w.about("elected another", next.won.Sub(renewed), ttl, 10*time.Millisecond)
		second := next.leads()
		// Once healed, it campaigns again, and wins when it is its turn.
		heal()
		w.pass(ttl)
		led.works()
		w.must(second.Resign(t.Context()))
		if again := led.term(); !again.Held() || again.Token() <= second.Token() {
			t.Errorf("held: %v, token %d after %d", again.Held(), again.Token(), second.Token())
		}
	})
}

// 1.2, 3.8: what is slow or fails once costs nothing while the deadline is ahead.
func TestRenewalsThatFailOrHangForAWhileLoseNothing(t *testing.T) {
	tests := map[string]faultstore.Fault{
		"one renewal fails":       {Kind: faultstore.Fail, Ops: faultstore.OpRenew, Count: 1},
		"one renewal hangs":       {Kind: faultstore.Partition, Ops: faultstore.OpRenew, Count: 1},
		"one reply is lost":       {Kind: faultstore.LoseReply, Ops: faultstore.OpRenew, Count: 1},
		"one read fails":          {Kind: faultstore.Fail, Ops: faultstore.OpList, Count: 1},
		"one read hangs":          {Kind: faultstore.Partition, Ops: faultstore.OpList, Count: 1},
		"every renewal takes 5 s": {Kind: faultstore.Delay, Ops: faultstore.OpRenew, Delay: 5 * time.Second},
		"every read takes 3 s":    {Kind: faultstore.Delay, Ops: faultstore.OpList, Delay: 3 * time.Second},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				l := a.campaign("x")
				w.pass(time.Second)
				fault.Name = "fault"
				a.st.Inject(fault)
				for range 10 * 60 {
					w.pass(100 * time.Millisecond)
					if !l.Held() {
						t.Fatalf("lost: %v", l.Cause())
					}
				}
				if a.st.Hits("fault") == 0 {
					t.Error("the fault hit nothing")
				}
			})
		})
	}
}

// 1.2: a hung attempt does not delay the next one.
func TestAHungRenewalDoesNotDelayTheNext(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		w.pass(time.Second)
		a.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Ops: faultstore.OpRenew, Count: 1, Name: "hung"})
		before := a.st.Calls().Renew
		w.pass(3 * round)
		if n := a.st.Calls().Renew - before; n != 3 || a.st.Hits("hung") != 1 {
			t.Errorf("%d renewals in three rounds, %d hung", n, a.st.Hits("hung"))
		}
	})
}

// 1.1: SlowRenewDoesNotExtendTrust.
func TestTrustCountsFromBeforeTheRenewalWasSent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		w.pass(time.Second)
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpRenew, Delay: 2 * time.Second})
		w.pass(2 * round)
		for range 100 {
			w.pass(333 * time.Millisecond)
			if left := time.Until(l.Until()); left > trust-2*time.Second {
				t.Fatalf("trusted for %v", left)
			}
		}
	})
}

// stubborn answers renewals later than anybody waits, whatever the context says.
type stubborn struct {
	*memstore.Store
	late atomic.Int64
}

func (s *stubborn) Renew(_ context.Context, id store.LeaseID) (time.Duration, error) {
	d, err := s.Store.Renew(context.Background(), id)
	time.Sleep(time.Duration(s.late.Load())) // virtual
	return d, err
}

// 1.1: a closed lease never becomes live again: the reply of a renewal that did
// take effect comes after the deadline.
func TestAReplyAfterTheDeadlineResurrectsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		st := &stubborn{Store: w.st.Open()}
		m, err := tenure.Join(t.Context(), st, tenure.Options{ID: "a"})
		w.must(err)
		defer m.Close()
		l, err := m.Campaign(t.Context(), "x", tenure.CampaignOptions{})
		w.must(err)
		w.pass(time.Second)
		st.late.Store(int64(trust))
		w.lost(l, tenure.ErrSessionExpired)
		for range 50 {
			w.pass(round / 10)
			if l.Held() {
				t.Fatal("held again")
			}
		}
		st.late.Store(0)
	})
}

// PD #10671: a lease that is renewed proves nothing about the seat. Without a
// read that shows it, the evidence runs out.
func TestATermThatCannotBeReadIsLostAlthoughItsLeaseIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		led := a.lead("x", tenure.LeadOptions{}, nil)
		first := led.term()
		w.pass(round + time.Second)
		started := time.Now()
		heal := a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpList})
		w.about("lost", w.lost(first, tenure.ErrUnproven).Sub(started), trust-round, round)
		w.must(a.Healthy())
		w.pass(10 * ttl)
		led.works()
		if first.Held() {
			t.Error("held again")
		}
		heal()
		w.pass(round)
		if second := led.term(); second.Token() <= first.Token() || !second.Held() {
			t.Errorf("token %d after %d", second.Token(), first.Token())
		}
	})
}

// 1.3, 1.12: interference by others with the seat is noticed at once by the watch,
// and without it, or with what mirrors the seat, within a round.
func TestInterferenceWithATermEndsIt(t *testing.T) {
	term := func(w *world) string { return w.keys("sessions/")[0] }
	tests := map[string]struct {
		do    func(w *world)
		cause error
		late  bool // it is noticed by the next round, not by a watch
		blind bool // it is noticed without watches
	}{
		"seat deleted":     {func(w *world) { w.commit(deleteSeat("x")...) }, tenure.ErrDispossessed, false, false},
		"seat overwritten": {func(w *world) { w.commit(store.Put("leaders/x", []byte(`{"v":1}`), 0)) }, tenure.ErrDispossessed, false, false},
		"seat rewritten as it was": {func(w *world) {
			l, err := w.st.List(w.t.Context(), store.Keys("leaders/x"))
			w.must(err)
			w.commit(store.Put("leaders/x", l.Entries[0].Value, l.Entries[0].Lease))
		}, tenure.ErrDispossessed, false, false},
		"seat replaced by rubbish": {func(w *world) { w.commit(store.Put("leaders/x", []byte("?"), 0)) }, tenure.ErrDispossessed, false, false},
		"own term deleted":         {func(w *world) { w.commit(store.Delete(term(w))) }, tenure.ErrDispossessed, true, true},
		"seat and term deleted":    {func(w *world) { w.commit(store.Delete(term(w)), store.Delete("leaders/x")) }, tenure.ErrDispossessed, false, true},
		"lease revoked":            {func(w *world) { w.revoke("leaders/x") }, tenure.ErrLost, false, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				l := w.join("a").campaign("x")
				w.pass(time.Second) // its watches have begun
				started := time.Now()
				tt.do(w)
				slack := time.Duration(0)
				if tt.late {
					slack = round
				}
				w.about("noticed", w.lost(l, tt.cause).Sub(started), 0, slack)
			})
		})
		if !tt.blind {
			continue
		}
		t.Run(name+" without watches", func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				l := a.campaign("x")
				w.pass(time.Second)
				a.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
				started := time.Now()
				tt.do(w)
				w.about("noticed", w.lost(l, tenure.ErrLost).Sub(started), 0, round)
			})
		})
	}
}

// The definitive answer ends the session at once, and a new one is made.
func TestALeaseThatIsGoneIsALossAndTheSessionIsRemade(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		led := a.lead("x", tenure.LeadOptions{}, nil)
		first := led.term()
		w.revoke("members/a")
		await(w, "end of the term", first.Context().Done())
		w.pass(round + time.Second)
		if second := led.term(); !second.Held() || second.Token() <= first.Token() {
			t.Errorf("token %d after %d", second.Token(), first.Token())
		}
		w.must(a.Healthy())
		equal(t, "told", a.told.all(), []string{
			"session of 10s", "elected x", "ended x: tenure: seat taken away",
			"session lost: tenure: session expired", "session of 10s", "elected x",
		})
	})
}

// Lost wake-ups heal in a round: with every watch of the successor silent.
func TestStalledWatchesDelayATakeoverByARound(t *testing.T) {
	tests := map[string]struct {
		end  func(w *world, a *node, l *tenure.Leadership)
		slow time.Duration // until the store shows it
	}{
		"offer":   {func(w *world, _ *node, l *tenure.Leadership) { w.must(l.Resign(w.t.Context())) }, 0},
		"vacancy": {func(w *world, _ *node, _ *tenure.Leadership) { w.revoke("leaders/x") }, 0},
		"crash":   {func(_ *world, a *node, _ *tenure.Leadership) { a.crash() }, ttl},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b := w.join("a"), w.join("b")
				l := a.campaign("x")
				next := b.queue("x", 0)
				w.pass(time.Second)
				b.st.Inject(faultstore.Fault{Kind: faultstore.Stall, Name: "stall"})
				started := time.Now()
				tt.end(w, a, l)
				await(w, "end of next", next.done)
				next.leads()
				w.about("taken over", next.won.Sub(started), 0, tt.slow+round)
				if b.st.Hits("stall") == 0 {
					t.Error("no watch was stalled")
				}
			})
		})
	}
}

// The mirror of a seat does not prove the seat: somebody may have deleted or
// overwritten that alone, behind a watch that does not tell.
func TestARoundFindsASeatTakenAwayBehindAStalledWatch(t *testing.T) {
	for name, op := range map[string]store.Op{
		"deleted":     store.Delete("leaders/x"),
		"overwritten": store.Put("leaders/x", []byte("{}"), store.NoLease),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				l := a.campaign("x")
				w.pass(time.Second)
				a.st.Inject(faultstore.Fault{Kind: faultstore.Stall, Name: "stall"})
				_, err := w.st.Commit(t.Context(), store.Tx{Then: []store.Op{op}})
				w.must(err)
				w.pass(round)
				if l.Held() || !errors.Is(l.Cause(), tenure.ErrDispossessed) {
					t.Errorf("held: %v, cause: %v", l.Held(), l.Cause())
				}
				if a.st.Hits("stall") == 0 {
					t.Error("no watch was stalled")
				}
			})
		})
	}
}

// 1.11: watches that break are made anew, from where they ended.
func TestBrokenWatchesDelayNothingForLong(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		l := a.campaign("x")
		next := b.queue("x", 0)
		b.st.Inject(faultstore.Fault{Kind: faultstore.Break, Count: 2, Name: "break"})
		w.compact()
		w.must(l.Resign(t.Context()))
		w.pass(time.Second) // the first two pauses of Follow, with their jitter
		next.leads()
		if n := b.st.Hits("break"); n != 2 {
			t.Errorf("broken %d times", n)
		}
	})
}

// A session that is remade carries on with everybody who waits.
func TestCandidaciesOutliveTheirSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		held := a.campaign("x")
		a.campaign("y")
		q, led := b.queue("x", 0), b.lead("y", tenure.LeadOptions{}, nil)
		heal := b.cut()
		w.pass(2 * ttl)
		if left := w.keys("candidates/x/"); len(left) != 1 {
			t.Errorf("candidates %q", left)
		}
		q.waits()
		heal()
		w.pass(ttl)
		w.must(held.Resign(t.Context()))
		q.leads()
		a.crash()
		w.pass(ttl + time.Second)
		led.term()
	})
}

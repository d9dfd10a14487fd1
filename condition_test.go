package tenure_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

// isCheck reports whether a call asks for the conditions of a campaign.
func isCheck(c faultstore.Call) bool {
	return c.Op == faultstore.OpCommit && len(c.Tx.Then) == 0 &&
		slices.ContainsFunc(c.Tx.If, func(cond store.Cond) bool { return strings.HasPrefix(cond.Key, "data/") })
}

// write writes data behind everybody's back, and returns the revision.
func (w *world) write(key, value string) store.Revision {
	w.t.Helper()
	res, err := tenure.Data(w.st).Commit(w.t.Context(), put(key, value))
	w.must(err)
	return res.Revision
}

var ifReady = []store.Cond{store.Exists("ready")}

// attempt campaigns in the background, in one of the two ways.
type attempt struct {
	*world
	cancel context.CancelCauseFunc
	worked chan tenure.Term // in the function of Lead, or what Campaign has returned
	done   chan struct{}
	err    error // once done is closed
}

func (n *node) attempt(lead bool, conds []store.Cond) *attempt {
	a := &attempt{world: n.w, worked: make(chan tenure.Term, 10), done: make(chan struct{})}
	var ctx context.Context
	ctx, a.cancel = context.WithCancelCause(n.w.t.Context())
	go func() {
		defer close(a.done)
		if lead {
			a.err = n.Lead(ctx, "x", func(ctx context.Context, term tenure.Term) error {
				a.worked <- term
				<-ctx.Done()
				return nil
			}, tenure.LeadOptions{If: conds})
			return
		}
		var l *tenure.Leadership
		if l, a.err = n.Campaign(ctx, "x", tenure.CampaignOptions{If: conds}); a.err == nil {
			a.worked <- l
		}
	}()
	synctest.Wait()
	return a
}

// leads returns the term that is worked in by now.
func (a *attempt) leads() tenure.Term {
	a.t.Helper()
	synctest.Wait()
	select {
	case term := <-a.worked:
		if !term.Held() {
			a.t.Fatalf("not held: %v", term.Cause())
		}
		return term
	default:
		a.t.Fatal("nobody works")
		return nil
	}
}

// idle fails if anybody works, or the call has returned.
func (a *attempt) idle() {
	a.t.Helper()
	synctest.Wait()
	select {
	case <-a.worked:
		a.t.Fatal("somebody works")
	case <-a.done:
		a.t.Fatalf("over: %v", a.err)
	default:
	}
}

// fails returns what the call has returned; nobody has worked.
func (a *attempt) fails() error {
	a.t.Helper()
	synctest.Wait()
	select {
	case <-a.done:
	default:
		a.t.Fatal("not over")
	}
	if a.err == nil || len(a.worked) > 0 {
		a.t.Fatalf("returned %v, %d have worked", a.err, len(a.worked))
	}
	return a.err
}

// bothWays runs f for Campaign and for Lead.
func bothWays(t *testing.T, f func(t *testing.T, w *world, lead bool)) {
	for name, lead := range map[string]bool{"Campaign": false, "Lead": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) { f(t, w, lead) })
		})
	}
}

func TestACampaignIsWonWhereItsConditionsHold(t *testing.T) {
	bothWays(t, func(t *testing.T, w *world, lead bool) {
		at := w.write("schema", "2")
		a, before := w.join("a"), w.join("b").campaign("x")
		var guarded bool
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Match: isCheck, Name: "check", OnHit: func(c faultstore.Call) {
			guarded = slices.ContainsFunc(c.Tx.If, func(c store.Cond) bool { return c.Key == "leaders/x" && c.Kind == store.CondModifiedAt })
		}})
		conds := []store.Cond{store.ModifiedAt("schema", at), store.Exists("schema"), store.Absent("stop")}
		won := a.attempt(lead, conds)
		conds[0].Key = "" // the campaign has its own
		w.must(before.Resign(t.Context()))
		term := won.leads()
		if n := a.st.Hits("check"); n != 1 || !guarded {
			t.Errorf("asked %d times, under the term: %v", n, guarded)
		}
		w.write("stop", "1") // later; that ends nothing
		w.pass(2 * ttl)
		if !term.Held() {
			t.Errorf("lost: %v", term.Cause())
		}
	})
}

func TestACampaignWithoutConditionsAsksForNone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		before := a.st.Calls().Commit
		w.must(a.campaign("x").Resign(t.Context()))
		if n := a.st.Calls().Commit - before; n != 2 { // to take and to release
			t.Errorf("%d commits", n)
		}
	})
}

// The seat comes by hand-over, from somebody who knows nothing of the conditions.
func TestWhoseConditionFailsPassesTheSeatOnAndNobodyWorks(t *testing.T) {
	bothWays(t, func(t *testing.T, w *world, lead bool) {
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		l := a.campaign("x")
		refused := b.attempt(lead, []store.Cond{store.Absent("stop"), store.Exists("ready")})
		next := c.queue("x", 0)
		w.pass(round)
		refused.idle()
		started := time.Now()
		w.must(l.Resign(t.Context()))
		next.leads()
		w.about("passed on", next.won.Sub(started), 0, 0)
		err := refused.fails()
		var e *tenure.Error
		if !errors.Is(err, tenure.ErrConditionFailed) || !errors.As(err, &e) || e.Election != "x" || !strings.HasSuffix(err.Error(), `: that key "ready" exists`) {
			t.Errorf("got %v", err)
		}
		equal(t, "told", b.told.all(), []string{
			"session of 10s", "elected x", `ended x: tenure: a condition of the campaign does not hold: that key "ready" exists`,
		})
		w.write("ready", "1")
		w.must(next.l.Resign(t.Context()))
		b.attempt(lead, ifReady).leads() // as if nothing had been
	})
}

func TestWhoseConditionFailsAndNobodyWaitsLeavesNothing(t *testing.T) {
	bothWays(t, func(t *testing.T, w *world, lead bool) {
		err := w.join("a").attempt(lead, ifReady).fails()
		if !errors.Is(err, tenure.ErrConditionFailed) {
			t.Errorf("got %v", err)
		}
		w.mustBeClean()
	})
}

// What counts is what is so when the check is made, and not when the seat was won.
func TestAChangeBetweenTheElectionAndTheCheckCounts(t *testing.T) {
	for name, change := range map[string]struct {
		before, after []store.Op
		wins          bool
	}{
		"it holds in time":    {nil, []store.Op{store.Put("data/ready", nil, store.NoLease)}, true},
		"it holds no longer":  {[]store.Op{store.Put("data/ready", nil, store.NoLease)}, []store.Op{store.Delete("data/ready")}, false},
		"it is another's now": {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, w *world, lead bool) {
				w.commit(change.before...)
				a := w.join("a")
				a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Delay: time.Second, Match: isCheck})
				won := a.attempt(lead, ifReady)
				if leader := w.leader("x"); leader != "a" {
					t.Fatalf("%q leads", leader)
				}
				won.idle()
				w.commit(change.after...)
				w.pass(time.Second)
				if change.wins {
					won.leads()
				} else if err := won.fails(); !errors.Is(err, tenure.ErrConditionFailed) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// An outcome that is unknown is asked for again: a check changes nothing.
func TestACheckThatIsNotAnsweredIsMadeAgain(t *testing.T) {
	for name, fault := range map[string]faultstore.Fault{
		"reply lost": {Kind: faultstore.LoseReply, Count: 3},
		"failed":     {Kind: faultstore.Fail, Count: 3},
		"conflict":   {Kind: faultstore.Fail, Count: 3, Err: store.ErrConflict},
		"hangs":      {Kind: faultstore.Partition, Count: 1}, // for a Round
	} {
		for _, ready := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				bothWays(t, func(t *testing.T, w *world, lead bool) {
					if ready {
						w.write("ready", "1")
					}
					var told told
					a, err := w.tryJoin(tenure.Options{ID: "a", Trace: &tenure.Trace{
						Trouble: func(election, request string, _ error) { told.add("%s of %s", request, election) },
					}})
					w.must(err)
					asked := fault
					asked.Match, asked.Name = isCheck, "fault"
					a.st.Inject(asked)
					won := a.attempt(lead, ifReady)
					won.idle()
					w.pass(2 * round)
					if ready {
						won.leads()
					} else if err := won.fails(); !errors.Is(err, tenure.ErrConditionFailed) {
						t.Errorf("got %v", err)
					}
					if n := told.count("check conditions of x"); n != fault.Count || a.st.Hits("fault") != n {
						t.Errorf("told %q", told.all())
					}
				})
			})
		}
	}
}

// A term that is lost before its conditions are known is a lost one: Lead campaigns
// again, and Campaign returns it.
func TestATermThatIsLostBeforeItsConditionsAreKnown(t *testing.T) {
	ends := map[string]struct {
		end   func(w *world, a *node)
		cause error
	}{
		"seat deleted":  {func(w *world, _ *node) { w.commit(deleteSeat("x")...) }, tenure.ErrDispossessed},
		"lease revoked": {func(w *world, _ *node) { w.revoke("members/a") }, tenure.ErrLost},
		"cut off":       {func(w *world, a *node) { heal := a.cut(); w.pass(ttl); heal() }, tenure.ErrSessionExpired},
		"deposed":       {func(w *world, _ *node) { w.must(w.view("x").Depose(w.t.Context(), 0, because)) }, tenure.ErrDeposed},
	}
	for name, tt := range ends {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, w *world, lead bool) {
				w.write("ready", "1")
				a := w.join("a")
				heal := a.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Match: isCheck, Name: "check"})
				won := a.attempt(lead, ifReady)
				won.idle()
				tt.end(w, a)
				w.pass(time.Second) // much less than a check may take
				if a.st.Hits("check") == 0 {
					t.Error("nothing was asked")
				}
				if !lead {
					if len(won.worked) == 0 {
						t.Fatal("it waits for an answer of no use")
					}
					term := <-won.worked
					if term.Held() || !errors.Is(term.Cause(), tt.cause) {
						t.Errorf("held: %v, cause %v", term.Held(), term.Cause())
					}
					w.must(term.Resign(t.Context()))
					w.pass(2 * ttl)
					w.mustBeClean()
					return
				}
				won.idle()
				heal()
				w.pass(3 * ttl)
				won.leads()
			})
		})
	}
}

// So is one that others end cleanly: its seat is passed on.
func TestATermThatIsYieldedBeforeItsConditionsAreKnown(t *testing.T) {
	bothWays(t, func(t *testing.T, w *world, lead bool) {
		w.write("ready", "1")
		a, b := w.join("a"), w.join("b")
		heal := a.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Match: isCheck})
		won := a.attempt(lead, ifReady)
		next := b.queue("x", 0)
		go func() { _, _ = w.view("x").Transfer(t.Context(), 0, "b", because) }()
		w.pass(round)
		if !lead {
			term := <-won.worked
			if !errors.Is(term.Cause(), tenure.ErrTransferred) {
				t.Errorf("cause %v", term.Cause())
			}
			w.must(term.Resign(t.Context()))
			next.leads()
			return
		}
		next.leads()
		won.idle()
		heal()
		w.must(next.l.Resign(t.Context()))
		won.leads()
	})
}

func TestAContextThatEndsBeforeTheConditionsAreKnown(t *testing.T) {
	bothWays(t, func(t *testing.T, w *world, lead bool) {
		a, b := w.join("a"), w.join("b")
		a.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Match: isCheck})
		won := a.attempt(lead, ifReady)
		next := b.queue("x", 0)
		won.idle()
		won.cancel(errWork)
		if err := won.fails(); !errors.Is(err, context.Canceled) || errors.Is(err, errWork) { // as where it waits
			t.Errorf("got %v", err)
		}
		next.leads()
		cause := "ended x: tenure: resigned"
		if lead {
			cause = "ended x: work failed"
		}
		if a.told.count(cause) != 1 {
			t.Errorf("told %q", a.told.all())
		}
	})
}

func TestCloseBeforeTheConditionsAreKnown(t *testing.T) {
	bothWays(t, func(t *testing.T, w *world, lead bool) {
		a, b := w.join("a"), w.join("b")
		a.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Match: isCheck})
		won := a.attempt(lead, ifReady)
		next := b.queue("x", 0)
		w.must(a.Close())
		next.leads()
		if !lead {
			if term := <-won.worked; term.Held() || !errors.Is(term.Cause(), tenure.ErrClosed) {
				t.Errorf("held: %v, cause %v", term.Held(), term.Cause())
			}
		} else if err := won.fails(); !errors.Is(err, tenure.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// Who may not read what he depends on keeps nobody else from leading.
func TestACheckThatTheStoreRefusesIsReturned(t *testing.T) {
	bothWays(t, func(t *testing.T, w *world, lead bool) {
		a, b := w.join("a"), w.join("b")
		l := b.campaign("x")
		a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Match: isCheck, Err: store.ErrDenied})
		refused := a.attempt(lead, ifReady)
		w.must(l.Resign(t.Context()))
		if err := refused.fails(); !errors.Is(err, store.ErrDenied) {
			t.Errorf("got %v", err)
		}
		w.mustBeClean()
	})
}

// With Retry a failed condition is treated as a failure of the function: reported,
// counted, and tried again ever later.
func TestLeadWithRetryTriesItsConditionsAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told told
		a, err := w.tryJoin(tenure.Options{ID: "a", Trace: &tenure.Trace{
			Failed: func(_ tenure.TermInfo, err error) { told.add("%v", errors.Is(err, tenure.ErrConditionFailed)) },
		}})
		w.must(err)
		released := 0
		led := a.lead("x", tenure.LeadOptions{If: ifReady, Retry: true, BeforeRelease: func(context.Context, tenure.Term) error {
			released++
			return nil
		}}, nil)
		w.pass(10 * time.Second)
		led.works()
		if n := a.Flaps("x"); n < 4 || n > 8 || told.count("true") != n || released > 0 {
			t.Errorf("%d failures in 10 s, told %q, released %d times", n, told.all(), released)
		}
		w.write("ready", "1")
		w.pass(2 * time.Minute)
		if term := led.term(); !term.Held() {
			t.Error(term.Cause())
		}
	})
}

func TestConditionsThatCannotBeAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		for name, c := range map[string]struct {
			conds []store.Cond
			is    error
		}{
			"empty key":    {[]store.Cond{store.Exists("")}, store.ErrInvalid},
			"NUL":          {[]store.Cond{store.Exists("a\x00")}, store.ErrInvalid},
			"unknown kind": {[]store.Cond{{Key: "a"}}, store.ErrInvalid},
			"long key":     {[]store.Cond{store.Absent(strings.Repeat("a", store.MaxKey-1))}, store.ErrTooLarge}, // with its prefix
		} {
			for _, lead := range []bool{false, true} {
				if err := a.attempt(lead, c.conds).fails(); !errors.Is(err, tenure.ErrInvalid) || !errors.Is(err, c.is) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		w.mustBeClean()
	})
}

func TestConditionsBeyondTheStoresLimitAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		st := limited{w.st.Open()}
		m, err := tenure.Join(t.Context(), st, tenure.Options{ID: "a"})
		w.must(err)
		defer m.Close()
		for n, want := range map[int]error{limitedOps - 1: tenure.ErrConditionFailed, limitedOps: store.ErrTooLarge} { // and the seat
			_, err := m.Campaign(t.Context(), "x", tenure.CampaignOptions{If: slices.Repeat(ifReady, n)})
			if !errors.Is(err, want) {
				t.Errorf("%d conditions: %v", n, err)
			}
		}
	})
}

const limitedOps = 10

type limited struct{ store.Store }

func (l limited) Capabilities() store.Capabilities {
	c := l.Store.Capabilities()
	c.MaxOps = limitedOps
	return c
}

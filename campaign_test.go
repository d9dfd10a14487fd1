package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

func TestTheFirstCandidateIsElectedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		started := time.Now()
		l := a.campaign("x")
		w.about("elected", time.Since(started), 0, 0)
		if w.leader("x") != "a" || l.Election() != "x" || l.Member() != "a" || l.Cause() != nil || l.Context().Err() != nil {
			t.Errorf("%+v", l)
		}
	})
}

func TestTheContextOfATermCarriesTheValuesOfItsCampaign(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		l, err := w.join("a").Campaign(ctx, "x", tenure.CampaignOptions{})
		w.must(err)
		cancel() // it bounds the wait only
		w.pass(ttl)
		if l.Context().Value(key{}) != "value" || !l.Held() {
			t.Errorf("value %v, cause %v", l.Context().Value(key{}), l.Cause())
		}
	})
}

func TestOneCampaignAtATimeForOneElection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		work := func(context.Context, tenure.Term) error { return nil }
		l := a.campaign("x")
		for range 2 { // while it leads, and while it waits
			if _, err := a.Campaign(t.Context(), "x", tenure.CampaignOptions{}); !errors.Is(err, tenure.ErrAlreadyCandidate) {
				t.Errorf("Campaign: %v", err)
			}
			if err := a.Lead(t.Context(), "x", work, tenure.LeadOptions{}); !errors.Is(err, tenure.ErrAlreadyCandidate) {
				t.Errorf("Lead: %v", err)
			}
			if l != nil {
				w.must(l.Resign(t.Context()))
				l = nil
				w.join("b").campaign("x")
				a.queue("x", 0).waits()
			}
		}
	})
}

func TestResignHandsOverToTheNextInLineAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.join("a").campaign("x")
		b, c := w.join("b"), w.join("c")
		qb, qc := b.queue("x", 0), c.queue("x", 0)
		started := time.Now()
		w.must(l.Resign(t.Context()))
		next := qb.leads()
		w.about("handed over", qb.won.Sub(started), 0, 0)
		qc.waits()
		w.must(next.Resign(t.Context()))
		qc.leads()
		w.about("handed over twice", qc.won.Sub(started), 0, 0)
	})
}

func TestTheLineIsByPriorityThenByWaiting(t *testing.T) {
	line := []struct {
		id       string
		priority int
	}{{"third", 0}, {"fourth", 0}, {"first", 7}, {"last", -1}, {"second", 1}}
	ends := map[string]func(w *world, n *node, l *tenure.Leadership){
		"of hand-overs": func(w *world, _ *node, l *tenure.Leadership) { w.must(l.Resign(w.t.Context())) },
		"of fail-overs": func(w *world, n *node, _ *tenure.Leadership) { n.crash(); w.pass(ttl + time.Second) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				nodes := map[string]*node{"before": w.join("before")}
				l := nodes["before"].campaign("x")
				waiting := map[string]*queued{}
				for _, c := range slices.Backward(line) { // the order of joining does not count
					nodes[c.id] = w.join(c.id)
				}
				for _, c := range line {
					waiting[c.id] = nodes[c.id].queue("x", c.priority)
				}
				at := "before"
				for _, id := range []string{"first", "second", "third", "fourth", "last"} {
					end(w, nodes[at], l)
					l, at = waiting[id].leads(), id
				}
			})
		})
	}
}

// With many candidates one commit takes the seat of a leader that crashed, and
// the first in line waits for nothing.
func TestOneCommitTakesOverFromACrash(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const candidates = 50
		a := w.join("a")
		a.campaign("x")
		var nodes []*node
		var line []*queued
		for i := range candidates {
			nodes = append(nodes, w.join(fmt.Sprint("candidate ", i)))
			line = append(line, nodes[i].queue("x", 0))
		}
		for _, n := range nodes {
			n.st.Inject(faultstore.Fault{
				Kind: faultstore.Delay, Ops: faultstore.OpCommit, Delay: 2 * time.Millisecond, // the others see the vacancy meanwhile
			})
		}
		before := calls(nodes)
		started := time.Now()
		a.crash()
		l := line[0]
		await(w, "end of l", l.done)
		l.leads()
		w.about("taken over", l.won.Sub(started), ttl-round, round+10*time.Millisecond)
		w.pass(ttl)
		if n := calls(nodes).Commit - before.Commit; n != 1 {
			t.Errorf("%d commits", n)
		}
		// Of the first in line each looks once, and so does whoever has come to be
		// among them; the rest are rounds.
		lists := calls(nodes).List - before.List
		rounds := calls(nodes).Renew - before.Renew
		if looks := lists - rounds; looks < 1 || looks > 6 {
			t.Errorf("%d looks by %d candidates", looks, candidates)
		}
		for _, q := range line[1:] {
			q.waits()
		}
	})
}

// What has gone by the time a watch begins is no event of it.
func TestASeatThatGoesBeforeItsWatchBeginsIsSeenWhenItDoes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const late = 100 * time.Millisecond
		l := w.join("a").campaign("x")
		b := w.join("b")
		b.st.Inject(faultstore.Fault{
			Kind: faultstore.Delay, Ops: faultstore.OpList, Delay: late,
			Match: func(c faultstore.Call) bool { return slices.Contains(c.Query.Prefixes, "leaders/") },
		})
		began := time.Now()
		q := b.queue("x", 0)
		w.commit(store.Delete("leaders/x"))
		synctest.Wait()
		q.waits()
		w.pass(late)
		q.leads()
		w.about("elected", q.won.Sub(began), late, late)
		if l.Held() {
			t.Error("two lead")
		}
	})
}

// Of many candidates the first few watch the seats. Who comes to be among them
// begins to, and when all of them are gone the next learns of it in a round.
func TestOnlyTheFirstInLineWatchTheSeats(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const first = 3
		leader := w.join("leader")
		l := leader.campaign("x")
		var nodes []*node
		var line []*queued
		for i := range 12 {
			nodes = append(nodes, w.join(fmt.Sprint("candidate ", i)))
			synctest.Wait() // until it watches its own terms
			line = append(line, nodes[i].queue("x", 0))
		}
		w.pass(ttl)
		mustWatch := func(n int) {
			t.Helper()
			if got := calls(nodes).Watch - 2*len(nodes); got != n { // each watches its own terms, and what operators want
				t.Errorf("%d have begun to watch the seats, want %d", got, n)
			}
		}
		mustWatch(first)
		w.must(l.Resign(t.Context()))
		l = line[0].leads()
		w.must(l.Resign(t.Context()))
		line[1].leads()
		w.pass(2 * round)
		watch := calls(nodes).Watch - 2*len(nodes)
		if watch < first+1 || watch > first+3 {
			t.Errorf("%d have begun to watch the seats", watch)
		}
		for _, n := range nodes[1:8] {
			n.crash()
		}
		crashed := time.Now()
		await(w, "end of the next", line[8].done)
		line[8].leads()
		bounds, err := tenure.Options{}.Bounds()
		w.must(err)
		w.about("taken over", line[8].won.Sub(crashed), ttl-round, bounds.Crash-ttl+round+12*bounds.Grace)
	})
}

// Of eight elections that a member leads it watches the line, and needs no read to
// hand them over; of those beyond, or after a short term, it does. Whoever has the
// highest priority by then is handed the seat.
func TestALeaderKnowsItsLine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const watched = 8
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		var held []*tenure.Leadership
		for i := range watched + 1 {
			held = append(held, a.campaign(fmt.Sprint("x", i)))
		}
		w.pass(round)
		reads := 0
		for _, l := range held {
			b.queue(l.Election(), 0)
			w.pass(time.Millisecond)
			next := c.queue(l.Election(), 1)
			w.pass(time.Millisecond)
			before := a.st.Calls().List
			w.must(l.Resign(t.Context()))
			next.leads()
			reads += a.st.Calls().List - before
		}
		if reads != 1 {
			t.Errorf("%d hand-overs took %d reads, want 1", watched+1, reads)
		}
		short := a.campaign("short")
		next := b.queue("short", 0)
		before := a.st.Calls()
		w.must(short.Resign(t.Context()))
		next.leads()
		if now := a.st.Calls(); now.List != before.List+1 || now.Watch != before.Watch {
			t.Errorf("calls %+v after %+v, want one read more", now, before)
		}
	})
}

func calls(nodes []*node) (sum faultstore.Calls) {
	for _, n := range nodes {
		c := n.st.Calls()
		sum.Commit += c.Commit
		sum.List += c.List
		sum.Watch += c.Watch
		sum.Grant += c.Grant
		sum.Renew += c.Renew
		sum.Revoke += c.Revoke
	}
	return sum
}

// A refusal says that something is not as it was thought to be: it is read, and
// not sent again, even when no watch tells what.
func TestARefusedTakeIsReadAndNotRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		b.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
		b.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpCommit, Delay: time.Millisecond})
		q := b.queue("x", 0) // it has seen the seat free
		l := a.campaign("x")
		w.pass(time.Second)
		if n := b.st.Calls().Commit; n != 3 { // of Join, the take, the enrolment
			t.Errorf("%d commits", n)
		}
		w.must(l.Resign(t.Context()))
		w.pass(round)
		q.leads()
	})
}

// Whoever leaves while the seat is on its way does not get it.
func TestTheSeatIsNotHandedToOneThatHasLeft(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		o := w.observe("x")
		l := a.campaign("x")
		qb, qc := b.queue("x", 0), c.queue("x", 0)
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpCommit, Delay: time.Second, Count: 1})
		go func() { w.must(l.Resign(t.Context())) }()
		synctest.Wait()
		qb.cancel()
		await(w, "end of the wait", qb.done)
		w.pass(2 * time.Second)
		o.mustSay("vacant", elected(l), elected(qc.leads()))
	})
}

// Guarantee 4: the successor is looked for while the function drains, so that
// one commit is all that lies between its return and the next term.
func TestTheHandOverIsPreparedWhileTheFunctionDrains(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		led := a.lead("x", tenure.LeadOptions{}, func(ctx context.Context, _ tenure.Term) error {
			<-ctx.Done()
			time.Sleep(time.Second) // virtual: it drains
			return nil
		})
		next := b.queue("x", 0)
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpList, Delay: 500 * time.Millisecond})
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpCommit, Delay: 5 * time.Millisecond})
		started := time.Now()
		led.cancel(nil)
		w.pass(2 * time.Second)
		next.leads()
		w.about("handed over", next.won.Sub(started), time.Second+5*time.Millisecond, 0)
	})
}

// The second in line takes over when the first does not.
func TestACandidateThatDoesNotTakeItsTurnIsPassedOver(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		a.campaign("x")
		b.queue("x", 0)
		qc := c.queue("x", 0)
		b.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpCommit})
		w.revoke("leaders/x")
		w.pass(ttl / 50) // the grace between two places
		qc.leads()
	})
}

// 8: cancelling a wait never leaves a key behind.
func TestCancellingACampaignLeavesNothingBehind(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		b := w.join("b")
		q := b.queue("x", 0)
		before := time.Now()
		q.cancel()
		await(w, "end of q", q.done)
		w.about("returned", q.won.Sub(before), 0, 0)
		if !errors.Is(q.err, context.Canceled) || q.l != nil {
			t.Errorf("got %v, %v", q.l, q.err)
		}
		if got := w.keys("candidates/"); len(got) != 1 { // the leader's own
			t.Errorf("candidates %q", got)
		}
		w.must(l.Resign(t.Context()))
		w.mustBeClean()
		b.campaign("x") // and nothing here remembers the first one
	})
}

func TestCampaignWithAContextThatHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := a.Campaign(ctx, "x", tenure.CampaignOptions{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if n := a.st.Calls().Commit; n != 1 { // of Join
			t.Errorf("%d commits", n)
		}
	})
}

// The moment of winning and of cancelling is the same: whoever is first, the
// seat is free afterwards, and so is the member to campaign again.
func TestCancellingAtTheMomentOfWinning(t *testing.T) {
	waits := map[string]func(ctx context.Context, n *node) error{
		"Campaign": func(ctx context.Context, n *node) error {
			l, err := n.Campaign(ctx, "x", tenure.CampaignOptions{})
			if err != nil {
				return err
			}
			return l.Resign(n.w.t.Context())
		},
		"Lead": func(ctx context.Context, n *node) error {
			return n.Lead(ctx, "x", func(ctx context.Context, _ tenure.Term) error {
				<-ctx.Done()
				return ctx.Err()
			}, tenure.LeadOptions{})
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				for range 200 {
					ctx, cancel := context.WithCancel(t.Context())
					remove := a.st.Inject(faultstore.Fault{
						Kind: faultstore.Delay, Ops: faultstore.OpCommit, Count: 1, Delay: time.Millisecond,
					})
					go func() {
						time.Sleep(time.Millisecond) // virtual: when the take is sent, too
						cancel()
					}()
					returned := make(chan struct{})
					go func() {
						defer close(returned)
						if err := wait(ctx, a); err != nil && !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
					}()
					await(w, "return", returned)
					cancel()
					remove()
					w.pass(time.Second)
					w.mustBeClean()
				}
				a.campaign("x")
				synctest.Wait()
				if won, ended := a.told.count("elected x"), len(a.told.all()); ended != 1+2*won-1 {
					t.Errorf("%d terms and %d events", won, ended)
				}
				w.must(a.Close())
			})
		})
	}
}

// 4.8: what trying again cannot mend ends the campaign; the rest does not.
func TestCampaignReturnsErrorsThatStay(t *testing.T) {
	for _, want := range []error{store.ErrInvalid, store.ErrTooLarge, store.ErrUnsupported, store.ErrClosed} {
		t.Run(want.Error(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpCommit, Count: 1, Err: want})
				_, err := a.Campaign(t.Context(), "x", tenure.CampaignOptions{})
				if !errors.Is(err, want) {
					t.Errorf("got %v", err)
				}
				a.campaign("x")
			})
		})
	}
}

func TestCampaignOutlastsErrorsThatPass(t *testing.T) {
	for _, passing := range []error{store.ErrUnavailable, store.ErrConflict, errors.New("strange")} {
		t.Run(passing.Error(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				heal := a.st.Inject(faultstore.Fault{
					Kind: faultstore.Fail, Ops: faultstore.OpCommit, Err: passing, Name: "passing",
				})
				q := a.queue("x", 0)
				w.pass(time.Minute)
				q.waits()
				// 4.8: pauses grow to a third of the TTL.
				if n := a.st.Hits("passing"); n < 10 || n > 40 {
					t.Errorf("tried %d times in a minute", n)
				}
				heal()
				w.pass(round)
				q.leads()
			})
		})
	}
}

func TestTheStoreClosedUnderAMember(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		w.join("b").campaign("y")
		q := a.queue("y", 0)
		w.must(a.st.Close())
		w.pass(ttl)
		if l.Held() || !errors.Is(l.Cause(), tenure.ErrLost) {
			t.Errorf("held: %v, %v", l.Held(), l.Cause())
		}
		await(w, "end of q", q.done)
		if !errors.Is(q.err, store.ErrClosed) {
			t.Errorf("the campaign that waited: %v", q.err)
		}
		if err := a.Healthy(); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Healthy: %v", err)
		}
		if _, err := a.Campaign(t.Context(), "z", tenure.CampaignOptions{}); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Campaign: %v", err)
		}
		w.must(a.Close())
	})
}

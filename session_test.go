package tenure_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// 3.9 and field.md 11: one renewal and one read a round, whatever is held and
// waited for, and nothing else.
func TestAnIdleSessionMakesOneRoundPerThirdOfItsTTL(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		leader, waiting, both := w.join("leader"), w.join("waiting"), w.join("both")
		for i := range 20 {
			name := fmt.Sprint("x", i)
			leader.campaign(name)
			waiting.queue(name, 0)
			both.queue(name, 1)
			both.campaign(fmt.Sprint("y", i))
		}
		w.pass(time.Second)
		nodes := []*node{leader, waiting, both}
		before := make([]faultstore.Calls, len(nodes))
		for i, n := range nodes {
			before[i] = n.st.Calls()
		}
		const rounds = 180
		w.pass(rounds * round)
		for i, n := range nodes {
			c, b := n.st.Calls(), before[i]
			if c.Renew-b.Renew != rounds || c.List-b.List != rounds || c.Total()-b.Total() != 2*rounds {
				t.Errorf("%s in %d rounds: %+v after %+v", n.ID(), rounds, c, b)
			}
		}
	})
}

// 1.22, field.md 11: a thousand elections share a session, its goroutines and
// its rounds. It runs alone, because it counts goroutines.
func TestAThousandElectionsOnOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const elections = 1000
		w := &world{t: t, st: memstore.New()}
		a, b := w.join("a"), w.join("b")
		const watched = 8 // elections whose lines a leader watches
		var held []*tenure.Leadership
		for i := range watched {
			held = append(held, a.campaign(fmt.Sprint("x", i)))
		}
		w.pass(round) // for the lines, too, to be watched
		goroutines := numGoroutine()
		for i := watched; i < elections; i++ {
			held = append(held, a.campaign(fmt.Sprint("x", i)))
		}
		if n := numGoroutine(); n > goroutines {
			t.Errorf("%d goroutines, %d with %d held", n, goroutines, watched)
		}
		next := make([]*queued, elections)
		for i := range next {
			next[i] = b.queue(fmt.Sprint("x", i), 0)
		}
		calls := a.st.Calls()
		w.pass(9 * round)
		for _, l := range held {
			if !l.Held() {
				t.Fatalf("%s: %v", l.Election(), l.Cause())
			}
		}
		if now := a.st.Calls(); now.Total()-calls.Total() != 2*9 {
			t.Errorf("calls %+v after %+v", now, calls)
		}
		w.must(a.Close())
		for _, q := range next {
			q.leads()
		}
		w.must(b.Close())
		equal(t, "keys", w.keys(""), nil)
	})
}

// numGoroutine counts those of the bubbles, which the runtime's own, and those of
// other tests, are not among.
func numGoroutine() int {
	synctest.Wait()
	buf := make([]byte, 1<<20)
	return bytes.Count(buf[:runtime.Stack(buf, true)], []byte(", synctest bubble "))
}

// When many elections lose their leader at once, the looks of a session that wait
// for their turn share requests.
func TestLooksOfManyElectionsShareRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const elections = 500
		w := &world{t: t, st: memstore.New()}
		a, b := w.join("a"), w.join("b")
		next := make([]*queued, elections)
		for i := range next {
			a.campaign(fmt.Sprint("x", i))
			next[i] = b.queue(fmt.Sprint("x", i), i%2)
		}
		b.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpList, Delay: time.Millisecond})
		calls := b.st.Calls()
		a.crash()
		w.pass(ttl + round)
		for _, q := range next {
			q.leads()
		}
		// For some rounds, the watches of eight lines, and the looks.
		if now := b.st.Calls(); now.List-calls.List > elections/10 || now.Commit != calls.Commit+elections {
			t.Errorf("calls %+v after %+v", now, calls)
		}
		w.must(b.Close())
	})
}

// Elections that come and go leave nothing behind in the member.
func TestCandidaciesThatEndedAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		for i := range 100 {
			w.must(a.campaign(fmt.Sprint("x", i)).Resign(t.Context()))
		}
		w.mustBeClean()
		w.pass(round * 3 / 2) // the watches of the last terms end, and a little later that of the seats
		calls := a.st.Calls()
		w.pass(3 * round)
		if now := a.st.Calls(); now.Total()-calls.Total() != 2*3 {
			t.Errorf("calls %+v after %+v", now, calls)
		}
	})
}

// Guarantee 5, T1: of each term one Elected and one Ended, in this order, with
// rising tokens, whatever ends it.
func TestEachTermIsToldOnceAtItsBeginningAndEnd(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told told
		trace := &tenure.Trace{
			Elected: func(i tenure.TermInfo) { told.add("%s %d begins", i.Member, i.Token) },
			Ended:   func(i tenure.TermInfo, err error) { told.add("%s %d ends: %v", i.Member, i.Token, err) },
		}
		a, err := w.tryJoin(tenure.Options{ID: "a", Trace: trace})
		w.must(err)
		var want []string
		term := func(cause string, end func(*tenure.Leadership)) {
			q := a.queue("x", 0)
			w.pass(2 * ttl)
			l := q.leads()
			end(l)
			w.pass(2 * ttl)
			if want = append(want, fmt.Sprintf("a %d begins", l.Token()), fmt.Sprintf("a %d ends: tenure: %s", l.Token(), cause)); l.Held() {
				t.Errorf("%d is held", l.Token())
			}
		}
		term("resigned", func(l *tenure.Leadership) { w.must(l.Resign(t.Context())); w.must(l.Resign(t.Context())) })
		term("seat taken away", func(*tenure.Leadership) { w.commit(deleteSeat("x")...) })
		term("session expired", func(*tenure.Leadership) {
			heal := a.cut()
			w.pass(2 * ttl)
			heal()
		})
		term("leadership unproven for too long", func(*tenure.Leadership) {
			heal := a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpList})
			w.pass(ttl)
			heal()
		})
		term("member closed", func(*tenure.Leadership) { w.must(a.Close()) })
		equal(t, "told", told.all(), want)
	})
}

func TestRoundsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told told
		a, err := w.tryJoin(tenure.Options{ID: "a", Trace: &tenure.Trace{
			Round: func(i tenure.RoundInfo) {
				told.add("%v %v %v", i.Took, i.Err, time.Until(i.Until).Round(time.Millisecond))
			},
			Trouble: func(election, request string, err error) { told.add("%q %s: %v", election, request, err) },
		}})
		w.must(err)
		w.pass(time.Second)
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpRenew, Count: 1, Delay: time.Second})
		w.pass(round)
		a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpRenew, Count: 1})
		w.pass(round)
		equal(t, "told", told.all(), []string{
			"0s <nil> 8.9s",
			"1s <nil> 7.9s", // trust counts from before it was sent
			`"" renew: store: unavailable`,
			"0s store: unavailable 5.567s",
			"0s <nil> 8.9s", // a failed round is tried again soon
		})
	})
}

func TestLogsSayWhatChanged(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var lines logged
		a, err := w.tryJoin(tenure.Options{ID: "a", Logger: lines.logger()})
		w.must(err)
		l := a.campaign("x")
		w.must(l.Resign(t.Context()))
		a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpCommit, Count: 1})
		l = a.campaign("x")
		w.revoke("members/a")
		w.pass(ttl)
		w.must(a.Close())
		got := lines.all()
		for _, want := range []string{
			"INFO session started member=a session=0000000000000001 ttl=10s",
			"INFO elected election=x member=a token=2",
			"INFO term ended election=x member=a token=2 cause=tenure: resigned",
			"DEBUG request failed member=a election=x request=take error=store: unavailable",
			fmt.Sprintf("INFO term ended election=x member=a token=%d cause=tenure: seat taken away", l.Token()),
			"WARN session lost member=a session=0000000000000001 cause=tenure: session expired",
			"INFO session started member=a session=0000000000000002 ttl=10s",
		} {
			i := slices.Index(got, want)
			if i < 0 {
				t.Fatalf("not logged, or not in this order: %s\n%q", want, lines.all())
			}
			got = got[i+1:]
		}
	})
}

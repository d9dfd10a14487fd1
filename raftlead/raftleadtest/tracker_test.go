package raftleadtest_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/raftlead"
	"github.com/tenure-go/tenure/raftlead/raftleadtest"
)

// script is a source that tells what a test tells it, also what no raft can do.
type script chan raftlead.Transition

var errScriptEnds = errors.New("the script ends")

func (s script) Transitions(ctx context.Context) iter.Seq2[raftlead.Transition, error] {
	return func(yield func(raftlead.Transition, error) bool) {
		for {
			select {
			case tr, more := <-s:
				if !more {
					yield(raftlead.Transition{}, errScriptEnds)
					return
				}
				if !yield(tr, nil) {
					return
				}
			case <-ctx.Done():
				yield(raftlead.Transition{}, ctx.Err())
				return
			}
		}
	}
}

func leads(term uint64) raftlead.Transition { return raftlead.Transition{Leading: true, Term: term} }
func loses(term uint64) raftlead.Transition { return raftlead.Transition{Term: term} }

// tell is over when the Tracker has seen it. It works in a bubble.
func (s script) tell(transitions ...raftlead.Transition) {
	for _, tr := range transitions {
		s <- tr
	}
	synctest.Wait()
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// newTracker follows servers that tell what the test tells them.
func newTracker(t *testing.T, opts raftleadtest.TrackerOptions, ids ...raft.ServerID) (*raftleadtest.Tracker, map[raft.ServerID]script) {
	t.Helper()
	tracker := raftleadtest.NewTracker(opts)
	t.Cleanup(func() { must(t, tracker.Close()) })
	scripts := map[raft.ServerID]script{}
	for _, id := range ids {
		scripts[id] = make(script)
		must(t, tracker.Track(id, scripts[id]))
	}
	return tracker, scripts
}

func expect(t *testing.T, tracker *raftleadtest.Tracker, id raft.ServerID, timeout time.Duration) *raftleadtest.Future {
	t.Helper()
	f, err := tracker.Expect(id, timeout)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func done(t *testing.T, f *raftleadtest.Future) *raftleadtest.Leadership {
	t.Helper()
	l, err := f.Done(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// track runs a test of a strict Tracker of servers "0" and "1", in virtual time.
func track(t *testing.T, test func(*testing.T, *raftleadtest.Tracker, map[raft.ServerID]script)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tracker, scripts := newTracker(t, raftleadtest.TrackerOptions{Strict: true, Scale: 1}, "0", "1")
		test(t, tracker, scripts)
	})
}

func TestAFutureIsDoneWhenItsServerIsElected(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		s["0"].tell(loses(1), leads(2))
		l := done(t, f)
		if l.Server() != "0" || l.RaftTerm() != 2 || closed(l.Lost()) || l.Cause() != nil {
			t.Errorf("got %q in term %d, lost: %v, cause: %v", l.Server(), l.RaftTerm(), closed(l.Lost()), l.Cause())
		}
		must(t, tracker.Err())
	})
}

func TestAFutureTimesOutAfterANanosecond(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, _ map[raft.ServerID]script) {
		_, err := expect(t, tracker, "0", time.Nanosecond).Done(t.Context())
		if !errors.Is(err, raftleadtest.ErrTimeout) || !strings.Contains(err.Error(), `"0"`) || !strings.Contains(err.Error(), "1ns") {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheDeadlineCountsFromExpectAndNotFromDone(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		time.Sleep(time.Second + 1) // virtual
		began := time.Now()
		if _, err := f.Done(t.Context()); !errors.Is(err, raftleadtest.ErrTimeout) || time.Since(began) != 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		late := expect(t, tracker, "1", time.Second)
		time.Sleep(time.Second - 1) // virtual
		s["1"].tell(leads(2))
		time.Sleep(time.Second) // virtual
		done(t, late)
	})
}

func TestATrackerIsUsableAfterATimeout(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		for range 25 {
			if _, err := expect(t, tracker, "0", time.Second).Done(t.Context()); !errors.Is(err, raftleadtest.ErrTimeout) {
				t.Fatal(err)
			}
		}
		f := expect(t, tracker, "0", time.Second)
		s["0"].tell(leads(2))
		done(t, f)
		must(t, tracker.Err())
	})
}

func TestTheWaitForAFutureEndsWithItsContext(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.Done(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		s["0"].tell(leads(2))
		if _, err := f.Done(ctx); err != nil {
			t.Errorf("the leadership is there, and the context over: %v", err)
		}
	})
}

func TestManyMayWaitForOneFuture(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		got := make(chan *raftleadtest.Leadership)
		for range 10 {
			go func() {
				l, _ := f.Done(t.Context())
				got <- l
			}()
		}
		s["0"].tell(leads(2))
		l := done(t, f)
		for range 10 {
			if other := <-got; other != l {
				t.Errorf("got %v and %v", other, l)
			}
		}
	})
}

func TestALossIsToldWithItsCause(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		s["0"].tell(leads(2), raftlead.Transition{Term: 3, Leader: "1"})
		l := done(t, f)
		<-l.Lost()
		if err := l.Cause(); !errors.Is(err, tenure.ErrLost) || !strings.Contains(err.Error(), `follows "1" in term 3`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestLostMayBeAskedForTwice(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		s["0"].tell(leads(2))
		l := done(t, f)
		a, b := l.Lost(), l.Lost()
		s["0"].tell(loses(2), raftlead.Transition{Term: 3}, raftlead.Transition{Term: 3, Leader: "1"})
		if !closed(a) || !closed(b) || !closed(l.Lost()) {
			t.Error("not lost")
		}
		must(t, tracker.Err())
	})
}

func TestTheEndOfASourceIsALoss(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		s["0"].tell(leads(2))
		l := done(t, f)
		if closed(tracker.Ended("0")) || !closed(tracker.Ended("7")) {
			t.Error("ended too early, or not at all")
		}
		close(s["0"])
		<-tracker.Ended("0")
		<-l.Lost()
		if !errors.Is(l.Cause(), errScriptEnds) {
			t.Errorf("got %v", l.Cause())
		}
	})
}

func TestAnUnexpectedLeadershipIsAViolationForAStrictTrackerAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []error
		strict, s := newTracker(t, raftleadtest.TrackerOptions{Strict: true, Violated: func(err error) { told = append(told, err) }}, "0")
		s["0"].tell(leads(2), loses(2))
		if err := strict.Err(); !errors.Is(err, raftleadtest.ErrUnexpected) || !strings.Contains(err.Error(), `"0"`) {
			t.Errorf("strict: %v", err)
		}
		if len(told) != 1 || !errors.Is(told[0], raftleadtest.ErrUnexpected) {
			t.Errorf("told of %v", told)
		}
		loose, s := newTracker(t, raftleadtest.TrackerOptions{}, "0")
		s["0"].tell(leads(2), loses(2))
		must(t, loose.Err())
	})
}

func TestALeadershipThatIsTooLateIsUnexpected(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		time.Sleep(time.Second) // virtual
		s["0"].tell(leads(2))
		if _, err := f.Done(t.Context()); !errors.Is(err, raftleadtest.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		if !errors.Is(tracker.Err(), raftleadtest.ErrUnexpected) {
			t.Errorf("got %v", tracker.Err())
		}
	})
}

func TestALeadershipAcquiredTwiceInARowIsAViolation(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		s["0"].tell(leads(2))
		l := done(t, f)
		s["0"].tell(leads(2))
		if !errors.Is(tracker.Err(), raftleadtest.ErrAcquiredTwice) || closed(l.Lost()) {
			t.Errorf("in one term: %v, lost: %v", tracker.Err(), closed(l.Lost()))
		}
		s["0"].tell(leads(3))
		if !closed(l.Lost()) {
			t.Error("it leads in another term, and the leadership of the first is not lost")
		}
		s["0"].tell(loses(3))
		for _, rule := range []error{raftleadtest.ErrTwoLeaders, raftleadtest.ErrLostTwice, raftleadtest.ErrTermFell, raftleadtest.ErrLeftOut} {
			if errors.Is(tracker.Err(), rule) {
				t.Errorf("%v as well", rule)
			}
		}
	})
}

func TestALeadershipLostTwiceInARowIsAViolation(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		s["0"].tell(leads(2), loses(2))
		l := done(t, f)
		must(t, tracker.Err())
		s["0"].tell(loses(2))
		if !errors.Is(tracker.Err(), raftleadtest.ErrLostTwice) || !closed(l.Lost()) {
			t.Errorf("got %v, lost: %v", tracker.Err(), closed(l.Lost()))
		}
	})
}

func TestTwoLeadersInOneTermAreAViolation(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f, g := expect(t, tracker, "0", time.Second), expect(t, tracker, "1", time.Second)
		s["0"].tell(leads(2))
		s["1"].tell(leads(3)) // the first does not know yet, which is as it should be
		must(t, tracker.Err())
		s["0"].tell(loses(3))
		h := expect(t, tracker, "0", time.Second)
		s["0"].tell(leads(3))
		if err := tracker.Err(); !errors.Is(err, raftleadtest.ErrTwoLeaders) || !strings.Contains(err.Error(), `the other is "1"`) {
			t.Errorf("got %v", err)
		}
		for _, f := range []*raftleadtest.Future{f, g, h} {
			done(t, f)
		}
	})
}

func TestATransitionThatIsLeftOutIsAViolation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tracker, s := newTracker(t, raftleadtest.TrackerOptions{}, "0", "1")
		s["0"].tell(raftlead.Transition{Seq: 7, Term: 1}, raftlead.Transition{Seq: 8, Term: 2})
		must(t, tracker.Err())
		s["0"].tell(raftlead.Transition{Seq: 10, Term: 3})
		if err := tracker.Err(); !errors.Is(err, raftleadtest.ErrLeftOut) || !strings.Contains(err.Error(), "after 8, before 10") {
			t.Errorf("got %v", err)
		}
	})
}

func TestATermThatGoesBackIsAViolation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tracker, s := newTracker(t, raftleadtest.TrackerOptions{}, "0")
		s["0"].tell(loses(3), loses(2))
		if !errors.Is(tracker.Err(), raftleadtest.ErrTermFell) {
			t.Errorf("got %v", tracker.Err())
		}
	})
}

// Predecessors took a second request for a slip, and panicked.
func TestAServerMayBeExpectedTwice(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f, g := expect(t, tracker, "0", time.Second), expect(t, tracker, "0", time.Minute)
		s["0"].tell(leads(2))
		if done(t, f) != done(t, g) {
			t.Error("two leaderships")
		}
		must(t, tracker.Err())
	})
}

func TestOneLeadershipAfterAnother(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		for i, id := range []raft.ServerID{"0", "1", "0", "0"} {
			term := uint64(i + 2)
			f := expect(t, tracker, id, time.Second)
			s[id].tell(leads(term))
			l := done(t, f)
			if l.RaftTerm() != term || closed(l.Lost()) {
				t.Errorf("in term %d: %d, lost: %v", term, l.RaftTerm(), closed(l.Lost()))
			}
			s[id].tell(loses(term))
			<-l.Lost()
		}
		must(t, tracker.Err())
	})
}

func TestTwoServersOfOneIDAreRefused(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		if err := tracker.Track("0", make(script)); !errors.Is(err, raftleadtest.ErrTracked) || !strings.Contains(err.Error(), `"0"`) {
			t.Errorf("got %v", err)
		}
		f := expect(t, tracker, "0", time.Second)
		s["0"].tell(raftlead.Transition{Seq: 9, Term: 9})
		close(s["0"])
		<-tracker.Ended("0")
		again := make(script)
		must(t, tracker.Track("0", again)) // it was restarted, without its disk
		again.tell(raftlead.Transition{Seq: 1, Term: 1}, raftlead.Transition{Seq: 2, Term: 2, Leading: true})
		done(t, f)
		must(t, tracker.Err())
	})
}

func TestAServerMayBeTrackedAfterAnotherIsExpected(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		late := make(script)
		must(t, tracker.Track("2", late))
		g := expect(t, tracker, "2", time.Second)
		s["0"].tell(leads(2), loses(2))
		late.tell(leads(3))
		done(t, f)
		done(t, g)
	})
}

func TestAServerThatLeadsAlreadyIsThereAtOnce(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f := expect(t, tracker, "0", time.Second)
		s["0"].tell(leads(2))
		l := done(t, f)
		began := time.Now()
		again := done(t, expect(t, tracker, "0", time.Nanosecond))
		if again != l || time.Since(began) != 0 {
			t.Errorf("after %v: %v, want %v", time.Since(began), again, l)
		}
		// Another's does not wait for the end of this one.
		g := expect(t, tracker, "1", time.Second)
		s["1"].tell(leads(3))
		done(t, g)
		must(t, tracker.Err())
	})
}

func TestWhatCannotBeExpectedIsRefused(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, _ map[raft.ServerID]script) {
		if _, err := tracker.Expect("7", time.Second); !errors.Is(err, raftleadtest.ErrUnknown) || !strings.Contains(err.Error(), `"7"`) {
			t.Errorf("unknown: %v", err)
		}
		for _, timeout := range []time.Duration{0, -1} {
			if _, err := tracker.Expect("0", timeout); !errors.Is(err, tenure.ErrInvalid) {
				t.Errorf("%v: %v", timeout, err)
			}
		}
		for what, err := range map[string]error{"no id": tracker.Track("", make(script)), "no source": tracker.Track("7", nil)} {
			if !errors.Is(err, tenure.ErrInvalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestWhatIsIgnoredIsNoViolationAndSatisfiesNobody(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f, g := expect(t, tracker, "0", time.Second), expect(t, tracker, "1", time.Hour)
		s["0"].tell(leads(2))
		l := done(t, f)
		tracker.Ignore()
		tracker.Ignore()
		if _, err := g.Done(t.Context()); !errors.Is(err, raftleadtest.ErrIgnored) {
			t.Errorf("a future that waits: %v", err)
		}
		if _, err := tracker.Expect("0", time.Second); !errors.Is(err, raftleadtest.ErrIgnored) {
			t.Errorf("expected after: %v", err)
		}
		s["1"].tell(leads(2), leads(2), loses(1))
		must(t, tracker.Err())
		s["0"].tell(loses(2))
		<-l.Lost()
	})
}

func TestCloseEndsAllThatWaits(t *testing.T) {
	track(t, func(t *testing.T, tracker *raftleadtest.Tracker, s map[raft.ServerID]script) {
		f, g := expect(t, tracker, "0", time.Second), expect(t, tracker, "1", time.Hour)
		s["0"].tell(leads(2))
		l := done(t, f)
		must(t, tracker.Close())
		must(t, tracker.Close())
		if _, err := g.Done(t.Context()); !errors.Is(err, raftleadtest.ErrClosed) {
			t.Errorf("a future that waits: %v", err)
		}
		<-l.Lost()
		if !errors.Is(l.Cause(), raftleadtest.ErrClosed) {
			t.Errorf("a leadership: %v", l.Cause())
		}
		if _, err := tracker.Expect("0", time.Second); !errors.Is(err, raftleadtest.ErrClosed) {
			t.Errorf("expect: %v", err)
		}
		if err := tracker.Track("2", make(script)); !errors.Is(err, raftleadtest.ErrClosed) {
			t.Errorf("track: %v", err)
		}
	})
}

// deaf is a source that goes on after its context has ended.
type deaf chan struct{}

func (d deaf) Transitions(context.Context) iter.Seq2[raftlead.Transition, error] {
	return func(yield func(raftlead.Transition, error) bool) {
		<-d
		yield(raftlead.Transition{}, errScriptEnds)
	}
}

func TestCloseDoesNotHangOnASourceThatDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tracker := raftleadtest.NewTracker(raftleadtest.TrackerOptions{})
		d := make(deaf)
		must(t, tracker.Track("0", d))
		if err := tracker.Close(); !errors.Is(err, raftleadtest.ErrTimeout) || !strings.Contains(err.Error(), `"0"`) {
			t.Errorf("got %v", err)
		}
		close(d)
		must(t, tracker.Close())
	})
}

func TestATrackerFollowsAWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, raftleadtest.ClusterOptions{})
		tracker := raftleadtest.NewTracker(raftleadtest.TrackerOptions{})
		defer func() { must(t, tracker.Close()) }()
		watch := raftlead.NewWatch(c.Server("0").Raft(), "0")
		defer watch.Close()
		must(t, tracker.Track("0", watch))
		f := expect(t, tracker, "0", time.Minute)
		l := elect(t, c, "0")
		if got := done(t, f); got.RaftTerm() != l.RaftTerm() {
			t.Errorf("got term %d, want %d", got.RaftTerm(), l.RaftTerm())
		}
	})
}

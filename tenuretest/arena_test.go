package tenuretest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/tenuretest"
)

// inArena runs f in virtual time. Its end proves that Close leaves no goroutine.
func inArena(t *testing.T, opts tenuretest.ArenaOptions, f func(*testing.T, *tenuretest.Arena)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := tenuretest.NewArenaWith(opts)
		f(t, a)
		for range 2 {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func join(t *testing.T, a *tenuretest.Arena, id string) *tenuretest.Node {
	t.Helper()
	n, err := a.Join(t.Context(), tenure.Options{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func campaign(t *testing.T, n *tenuretest.Node) *tenure.Leadership {
	t.Helper()
	l, err := n.Campaign(t.Context(), "x", tenure.CampaignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// tales are the events of a history but for their times.
func tales(a *tenuretest.Arena, kinds ...tenuretest.Kind) []string {
	var all []string
	for _, e := range a.History().Events() {
		if slices.Contains(kinds, e.Kind) {
			all = append(all, strings.TrimSpace(e.Member+" "+e.String()))
		}
	}
	return all
}

func mustTell(t *testing.T, a *tenuretest.Arena, want []string, kinds ...tenuretest.Kind) {
	t.Helper()
	if got := tales(a, kinds...); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnArenaMissesNothingThatIsCompactedAtOnce(t *testing.T) {
	t.Parallel()
	for range 5000 { // it takes luck to come between the recorder's list and its watch
		a := tenuretest.NewArena()
		tx := store.Tx{Then: []store.Op{store.Put("somebody", nil, store.NoLease)}}
		if _, err := a.Store().Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		a.Store().(*memstore.Store).Compact(1 << 62)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnArenaRecordsWhatHappens(t *testing.T) {
	inArena(t, tenuretest.ArenaOptions{}, func(t *testing.T, a *tenuretest.Arena) {
		n, other := join(t, a, "a"), join(t, a, "b")
		a.Observe("eve", "x", nil)
		synctest.Wait()
		errWork := errors.New("enough")
		err := n.Lead(t.Context(), "x", func(ctx context.Context, term tenure.Term) error {
			if err := n.Write(ctx, term.(*tenure.Leadership), "key"); err != nil {
				t.Error(err)
			}
			go func() {
				_ = other.Lead(t.Context(), "x", func(ctx context.Context, _ tenure.Term) error {
					<-ctx.Done()
					return nil
				}, tenure.LeadOptions{})
			}()
			synctest.Wait()
			return errWork
		}, tenure.LeadOptions{})
		if !errors.Is(err, errWork) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		mustTell(t, a, []string{
			"eve observes x", "eve sees nobody lead x, at revision 2", "eve sees a lead x, token 3", "eve sees b lead x, token 6",
		}, tenuretest.Observing, tenuretest.ObservedNone, tenuretest.ObservedLeader)
		if err := a.Check(tenuretest.Expect{}); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := a.Check(tenuretest.Expect{Finished: true}); err != nil {
			t.Error(err)
		}
		mustTell(t, a, []string{"a wants x", "b wants x", "a wants x no longer", "b wants x no longer"}, tenuretest.Wanted, tenuretest.Unwanted)
		mustTell(t, a, []string{
			"a begins to work in x, token 3", "a has returned from x, token 3: enough",
			"b begins to work in x, token 6", "b has returned from x, token 6",
		}, tenuretest.WorkBegan, tenuretest.WorkReturned)
		mustTell(t, a, []string{
			"a the seat of x is a's, token 3", "b the seat of x is b's, token 6",
		}, tenuretest.SeatTaken)
		if freed := tales(a, tenuretest.SeatFreed); len(freed) != 1 || strings.Contains(freed[0], "expired") {
			t.Errorf("freed %q", freed)
		}
		mustTell(t, a, []string{
			"a is elected in x, token 3", "a ends in x, token 3: tenure: resigned",
			"b is elected in x, token 6", "b ends in x, token 6: tenure: member closed",
		}, tenuretest.Elected, tenuretest.Ended)
		if wrote := tales(a, tenuretest.Wrote); len(wrote) != 1 || wrote[0] != "a wrote in x, token 3, at revision 4" {
			t.Errorf("wrote %q", wrote)
		}
		if told := tales(a, tenuretest.Confirmed); len(told) != 1 || told[0] != "a was told that it wrote in x, token 3, at revision 4" {
			t.Errorf("confirmed %q", told)
		}
	})
}

// Every kind of fault does what it says to a leader, and is recorded.
func TestFaultsAreRecordedAndMeetALeader(t *testing.T) {
	t.Parallel()
	const patience = 30 * time.Second
	for text, tt := range map[string]struct {
		begin func(*tenuretest.Link) func()
		lost  bool // the term ends
	}{
		"partition":       {(*tenuretest.Link).Partition, true},
		"delay":           {func(l *tenuretest.Link) func() { return l.Delay(20 * time.Second) }, true},
		"failing calls":   {func(l *tenuretest.Link) func() { return l.Fail(faultstore.OpRenew) }, true},
		"lost replies":    {func(l *tenuretest.Link) func() { return l.LoseReplies(faultstore.OpRenew, 100) }, true},
		"late effects":    {func(l *tenuretest.Link) func() { return l.LateEffects(faultstore.OpRenew, 1, time.Second) }, false},
		"stalled watches": {(*tenuretest.Link).StallWatches, false},
		"broken watches":  {(*tenuretest.Link).BreakWatches, false},
		"something else": {func(l *tenuretest.Link) func() {
			return l.Inject("something else", faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpList})
		}, true},
	} {
		t.Run(text, func(t *testing.T) {
			inArena(t, tenuretest.ArenaOptions{}, func(t *testing.T, a *tenuretest.Arena) {
				n := join(t, a, "a")
				l := campaign(t, n)
				synctest.Wait()
				end := tt.begin(n.Link)
				if text == "stalled watches" { // they have something to say
					if _, err := a.Store().Commit(t.Context(), store.Tx{Then: []store.Op{store.Put("leaders/y", nil, 0)}}); err != nil {
						t.Fatal(err)
					}
				}
				a.Pass(patience)
				end()
				end()
				if l.Held() == tt.lost {
					t.Errorf("held: %v (%v)", l.Held(), l.Cause())
				}
				mustTell(t, a, []string{"a fault began: " + text, "a fault ended: " + text}, tenuretest.FaultBegan, tenuretest.FaultEnded)
				if hits := a.Hits(); hits[text] != 1 || len(hits) != 1 {
					t.Errorf("met a leader: %v", hits)
				}
				if err := a.Check(tenuretest.Expect{}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAFaultThatMeetsNoLeaderIsNotCounted(t *testing.T) {
	inArena(t, tenuretest.ArenaOptions{}, func(t *testing.T, a *tenuretest.Arena) {
		n := join(t, a, "a")
		n.Partition()
		a.Pass(time.Minute)
		if hits := a.Hits(); len(hits) != 0 {
			t.Errorf("met a leader: %v", hits)
		}
		a.Heal()
		mustTell(t, a, []string{"a fault began: partition", "a fault ended: partition", "faults over"},
			tenuretest.FaultBegan, tenuretest.FaultEnded, tenuretest.FaultsOver)
	})
}

// A member that has crashed is dead to others, wants nothing, and may be started
// anew under its name while the test still holds its old self.
func TestACrashedMemberIsReplacedByItsRestart(t *testing.T) {
	inArena(t, tenuretest.ArenaOptions{}, func(t *testing.T, a *tenuretest.Arena) {
		n := join(t, a, "a")
		l := campaign(t, n)
		n.Crash()
		n.Crash()
		crashed := time.Now()
		again := join(t, a, "a")
		if after := time.Since(crashed); after < 9*time.Second || after > 11*time.Second {
			t.Errorf("the restart has joined after %v", after)
		}
		second := campaign(t, again)
		a.Heal() // which no crash heeds
		a.Pass(time.Minute)
		if l.Held() || !second.Held() || n.Healthy() == nil {
			t.Errorf("held: %v, %v; healthy: %v", l.Held(), second.Held(), n.Healthy())
		}
		mustTell(t, a, []string{"a wants x", "a wants x no longer", "a wants x"}, tenuretest.Wanted, tenuretest.Unwanted)
		mustTell(t, a, []string{"a fault began: crash", "a fault ended: crash"}, tenuretest.FaultBegan, tenuretest.FaultEnded)
		if err := a.Check(tenuretest.Expect{Progress: time.Second}); err != nil {
			t.Error(err)
		}
		if a.Hits()["crash"] != 1 {
			t.Errorf("met a leader: %v", a.Hits())
		}
	})
}

// A function that overruns gives its seat up if Lead was told to release it then,
// however long that takes to come through.
func TestAFunctionThatOverrunsGivesUp(t *testing.T) {
	for _, c := range []struct{ release, cut bool }{{true, false}, {true, true}, {false, false}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			inArena(t, tenuretest.ArenaOptions{}, func(t *testing.T, a *tenuretest.Arena) {
				n := join(t, a, "a")
				ctx, cancel := context.WithCancel(t.Context())
				stop := make(chan struct{})
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = n.Lead(ctx, "x", func(context.Context, tenure.Term) error { <-stop; return nil },
						tenure.LeadOptions{DrainTimeout: time.Second, ReleaseOverrun: c.release})
				}()
				synctest.Wait()
				if c.cut {
					n.Partition()
				}
				cancel()
				a.Pass(2 * time.Second)
				if gave := len(tales(a, tenuretest.GaveUp)) == 1; gave != c.release {
					t.Errorf("gave up: %v", gave)
				}
				close(stop)
				<-done
			})
		})
	}
}

// What the arena sees of the end of a lease, the seat's history must say: a
// function may then be overtaken.
func TestTheEndOfALeaseIsToldFromARelease(t *testing.T) {
	inArena(t, tenuretest.ArenaOptions{}, func(t *testing.T, a *tenuretest.Arena) {
		n := join(t, a, "a")
		if err := campaign(t, n).Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		campaign(t, n)
		n.Crash()
		a.Pass(time.Minute)
		mustTell(t, a, []string{
			"a the seat of x is no longer a's, at revision 3",
			"a the seat of x is no longer a's, at revision 5: tenure: session expired",
		}, tenuretest.SeatFreed)
	})
}

// slow is a store whose watches are faster than its replies.
type slow struct {
	*memstore.Store
	open *int // handles
}

func (s slow) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	defer time.Sleep(100 * time.Millisecond) // virtual
	return s.Store.Commit(ctx, tx)
}

func (s slow) Close() error {
	*s.open--
	return s.Store.Close()
}

// An arena over a store of the test's own closes what it was given, and knows a
// release although the news of it comes before the reply.
func TestAnArenaOverAnotherStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, open := memstore.New(), 0
		a := tenuretest.NewArenaWith(tenuretest.ArenaOptions{Open: func() store.Store {
			open++
			return slow{st.Open(), &open}
		}})
		if err := campaign(t, join(t, a, "a")).Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		campaign(t, join(t, a, "b"))
		if err := a.Check(tenuretest.Expect{}); err != nil {
			t.Error(err)
		}
		if l, err := a.Store().List(t.Context(), store.Keys("leaders/x")); err != nil || len(l.Entries) != 1 {
			t.Errorf("the seat: %+v, %v", l, err)
		}
		if freed := tales(a, tenuretest.SeatFreed); len(freed) != 1 || strings.Contains(freed[0], "expired") {
			t.Errorf("freed %q", freed)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if open != 0 {
			t.Errorf("%d handles are open", open)
		}
	})
}

// The guard alone refuses what the clock does not.
func TestWriteAnywayIsDecidedByTheGuard(t *testing.T) {
	inArena(t, tenuretest.ArenaOptions{}, func(t *testing.T, a *tenuretest.Arena) {
		n := join(t, a, "a")
		l := campaign(t, n)
		if took, err := n.WriteAnyway(t.Context(), l, "key"); !took || err != nil {
			t.Errorf("in office: %v, %v", took, err)
		}
		if err := l.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took, err := n.WriteAnyway(t.Context(), l, "key"); took || err != nil {
			t.Errorf("out of office: %v, %v", took, err)
		}
		if err := a.Check(tenuretest.Expect{}); err != nil {
			t.Error(err)
		}
		if n := len(tales(a, tenuretest.Wrote)); n != 1 {
			t.Errorf("%d writes", n)
		}
	})
}

// The user's own callbacks are called, and a caller's ID is not needed.
func TestJoinKeepsTheTraceOfTheUser(t *testing.T) {
	inArena(t, tenuretest.ArenaOptions{}, func(t *testing.T, a *tenuretest.Arena) {
		var told []string
		tell := func(what string) { told = append(told, what) }
		n, err := a.Join(t.Context(), tenure.Options{TTL: time.Second, Trace: &tenure.Trace{
			SessionStarted: func(tenure.SessionInfo) { tell("session") },
			SessionLost:    func(tenure.SessionInfo, error) { tell("lost") },
			Elected:        func(tenure.TermInfo) { tell("elected") },
			Ended:          func(tenure.TermInfo, error) { tell("ended") },
			Overrun:        func(tenure.TermInfo, time.Duration) { tell("overrun") },
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = n.Lead(ctx, "x", func(ctx context.Context, _ tenure.Term) error {
			<-ctx.Done()
			time.Sleep(time.Minute) // virtual
			return nil
		}, tenure.LeadOptions{DrainTimeout: time.Second})
		n.Partition()
		a.Pass(time.Minute)
		a.Heal()
		a.Pass(time.Minute)
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if want := []string{"session", "elected", "ended", "overrun", "lost", "session"}; n.ID() != "m1" || !slices.Equal(told, want) {
			t.Errorf("%s was told %q, want %q", n.ID(), told, want)
		}
	})
}

// brief says of its leases that they are longer than they are.
type brief struct{ store.Store }

func (b brief) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	l, err := b.Store.Grant(ctx, ttl/2)
	l.TTL = ttl
	return l, err
}

func (b brief) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	d, err := b.Store.Renew(ctx, id)
	return 2 * d, err
}

// The arena looks at the moment when a seat changes hands, so that a test need
// not.
func TestAnArenaFindsTwoHolders(t *testing.T) {
	wrap := func(st store.Store) store.Store { return brief{st} }
	for _, quiet := range []bool{false, true} {
		t.Run(fmt.Sprint(quiet), func(t *testing.T) {
			inArena(t, tenuretest.ArenaOptions{Wrap: wrap, Quiet: quiet}, func(t *testing.T, a *tenuretest.Arena) {
				n, other := join(t, a, "a"), join(t, a, "b")
				campaign(t, n)
				n.Partition()
				campaign(t, other)
				if quiet {
					a.Sample()
				}
				a.Sample()
				var v *tenuretest.Violation
				if err := a.Check(tenuretest.Expect{}); !errors.As(err, &v) || v.Rule != tenuretest.OneHolder {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// An observer that has ended says why, and one whose events are taken slowly
// delays nobody.
func TestObservers(t *testing.T) {
	inArena(t, tenuretest.ArenaOptions{}, func(t *testing.T, a *tenuretest.Arena) {
		n := join(t, a, "a")
		slow := a.Observe("slow", "x", func(tenure.Event) { time.Sleep(time.Hour) }) // virtual
		fast := a.Observe("fast", "x", nil)
		synctest.Wait()
		start := time.Now()
		for range 3 {
			if err := campaign(t, n).Resign(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if d := time.Since(start); d > 0 {
			t.Errorf("three terms took %v", d)
		}
		if last, err := fast.Last(); last.Kind != tenure.Vacant || last.Revision == 1 || err != nil {
			t.Errorf("fast: %v, %v", last, err)
		}
		if last, err := slow.Last(); last.Revision != 1 || err != nil {
			t.Errorf("slow: %v, %v", last, err)
		}
		time.Sleep(10 * time.Hour) // virtual
		if err := a.Check(tenuretest.Expect{}); err != nil {
			t.Error(err)
		}
		if n := len(tales(a, tenuretest.ObservedLeader)); n != 6 {
			t.Errorf("%d leaders seen, want 6", n)
		}
		fast.Stop()
		if _, err := fast.Last(); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped: %v", err)
		}
	})
}

package tenure_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

// failures has, for each row of the table "What fails" in doc.go, by the
// beginning of the row, the tests that show it.
var failures = map[string][]string{
	"leader dies":              {"TestTheGapAfterACrashIsWithinItsBound", "TestOneCommitTakesOverFromACrash"},
	"leader is paused, or its": {"TestADeadlineThatAReaderSawPassedIsFinal", "TestEitherClockEndsATerm", "TestAReplyAfterTheDeadlineResurrectsNothing"},
	"renewal fails, or hangs":  {"TestRenewalsThatFailOrHangForAWhileLoseNothing", "TestAHungRenewalDoesNotDelayTheNext", "TestRoundsAreTold", "TestRoundsMayTakeAllOfTheirPatience", "TestAnOutageOfLessThanARoundCostsNothing"},
	"store is out of the":      {"TestAHolderThatIsCutOffStopsWithinItsBounds", "TestALeaderThatIsCutOffStepsDownBeforeAnotherIsElected", "TestHealthyFollowsTheSession"},
	"store is away for all":    {"TestAStoreThatIsAwayForAllLeavesNobodyLeadingAndEndsNoCampaign"},
	"store renews, but cannot": {"TestATermThatCannotBeReadIsLostAlthoughItsLeaseIsRenewed", "TestNobodyIsElectedWhileASeatThatWasLostCannotBeRead"},
	"store refuses the member": {"TestAMemberThatTheStoreRefusesIsToldAndComesBack"},
	"store takes more than a":  {"TestAStoreSlowerThanARoundElectsNobodyAndTermsLast"},
	"store is away at a clean": {"TestACleanEndWhileTheStoreIsAwayIsBounded", "TestResignIsBoundedByItsContext", "TestCloseWhileTheStoreIsAway"},
	"watch is silent":          {"TestStalledWatchesDelayATakeoverByARound", "TestTheGapAfterACleanEndIsWithinItsBound"},
	"watch breaks":             {"TestBrokenWatchesDelayNothingForLong"},
	"history is compacted":     {"TestObserveTellsOfAGapAfterCompaction"},
	"reply is lost":            {"TestNothingIsStrandedByALostReply", "TestALostReplyOfCommitIsUnknown"},
	"lease is revoked by":      {"TestInterferenceWithATermEndsIt", "TestALeaseThatIsGoneIsALossAndTheSessionIsRemade"},
	"seat is deleted or":       {"TestInterferenceWithATermEndsIt", "TestARoundFindsASeatTakenAwayBehindAStalledWatch"},
	"seat cannot be read":      {"TestASeatThatCannotBeReadIsNobodysToTake", "TestReadsOfCorruptRecordsSaySo", "TestASeatThatNobodyCanReadIsOutlived"},
	"store shows an older":     {"TestAStoreThatWentBackIsToldOfAndNotPressed"},
	"function fails or panics": {"TestLeadReturnsWhatItsFunctionEndsWith"},
	"function hangs, and the":  {"TestAMemberThatIsUnwellForATTLHandsItsSeatsOver", "TestAHungLeaderWhoseRenewalsGoOnIsDeposedWithoutAnOverlap"},
	"terms end again and":      {"TestAMemberThatFlapsStandsBack"},
	"a Policy cannot tell":     {"TestAPolicySaysWhoCampaigns"},
	"function overruns its":    {"TestAFunctionThatOverrunsKeepsTheSeatAndIsReported", "TestReleaseOverrunGivesTheSeatUp", "TestCloseIsBoundedWhenAFunctionOverruns"},
	"first in line is dead":    {"TestEachDeadCandidateInLineCostsAGrace", "TestACandidateThatDoesNotTakeItsTurnIsPassedOver"},
	"successor dies as it is":  {"TestASeatHandedToACandidateThatHasJustCrashedIsFreeWithinABound"},
	"member restarts with the": {"TestARestartAfterACrashWaitsAndJoins"},
	"ID belongs to another":    {"TestASecondMemberOfOneIDIsRefusedAfterTheTTL"},
	"ID was taken by another":  {"TestAMemberWhoseIDWasTakenSaysSo"},
	"wall clock is set":        {"TestEitherClockEndsATerm"},
	"clock rates differ by":    {"TestTwoHoldWhenTheStoresClockIsFasterThanItsBound", "TestAWriteOfAnOlderTermNeverTakesEffect"},
	"store is closed under a":  {"TestTheStoreClosedUnderAMember"},
	"Trace callback blocks":    {"TestASlowTraceDelaysNothing"},
}

// What the documentation says of failures has been seen to be so.
func TestEveryRowOfTheTableOfFailuresHasATest(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "//\t----")
	table, _, _ = strings.Cut(table, "// # Limits")
	_, table, _ = strings.Cut(table, "\n") // the rest of the rule
	var rows []string
	for row := range strings.SplitSeq(table, "\n//\n") {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "//\t"), "  ")
		if cell != "" {
			rows = append(rows, cell)
		}
	}
	slices.Sort(rows)
	equal(t, "rows", slices.Sorted(maps.Keys(failures)), rows)

	written := map[string]bool{}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(src, -1) {
			written[string(m[1])] = true
		}
	}
	for row, tests := range failures {
		for _, name := range tests {
			if !written[name] {
				t.Errorf("%s: there is no %s", row, name)
			}
		}
	}
}

func TestAStoreThatIsAwayForAllLeavesNobodyLeadingAndEndsNoCampaign(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		led := a.lead("x", tenure.LeadOptions{}, nil)
		first := led.term()
		waits, campaigns := b.lead("x", tenure.LeadOptions{}, nil), c.queue("x", 0)
		w.pass(round)
		var heal []func()
		for _, n := range []*node{a, b, c} {
			heal = append(heal, n.cut())
		}
		w.pass(trust)
		if first.Held() || !errors.Is(first.Cause(), tenure.ErrSessionExpired) {
			t.Errorf("held: %v, cause: %v", first.Held(), first.Cause())
		}
		w.pass(5 * ttl)
		led.works()
		waits.works()
		campaigns.waits()
		for _, f := range heal {
			f()
		}
		w.pass(ttl)
		holders := len(led.terms) + len(waits.terms)
		select {
		case <-campaigns.done:
			campaigns.leads()
			holders++
		default:
		}
		if holders != 1 {
			t.Errorf("%d lead when it is back", holders)
		}
		for _, n := range []*node{a, b, c} {
			w.must(n.Healthy())
		}
	})
}

func TestNobodyIsElectedWhileASeatThatWasLostCannotBeRead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		l := a.campaign("x")
		next := b.queue("x", 0)
		heal := a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpList})
		w.lost(l, tenure.ErrUnproven)
		w.pass(10 * ttl)
		next.waits()
		heal()
		w.pass(round)
		next.leads()
	})
}

// A password may be changed under a member, and put right again.
func TestAMemberThatTheStoreRefusesIsToldAndComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var seen told
		trace := &tenure.Trace{Trouble: func(_, request string, err error) {
			if errors.Is(err, store.ErrDenied) {
				seen.add("%s", request)
			}
		}}
		a, err := w.tryJoin(tenure.Options{ID: "a", Trace: trace})
		w.must(err)
		l := a.campaign("x")
		next := w.join("b").queue("x", 0)
		heal := a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Err: store.ErrDenied})
		w.pass(time.Second)
		q := a.queue("y", 0)
		w.lost(l, tenure.ErrSessionExpired)
		w.pass(ttl)
		next.leads()
		q.waits()
		if len(seen.all()) == 0 {
			t.Error("nothing was told")
		}
		heal()
		w.pass(ttl)
		q.leads()
		w.must(a.Healthy())
	})
}

func TestAStoreSlowerThanARoundElectsNobodyAndTermsLast(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Delay: round + 1, Ops: faultstore.OpRenew})
		slow := a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Delay: round + 1, Ops: faultstore.OpCommit})
		q := a.queue("y", 0)
		w.pass(20 * ttl)
		q.waits()
		if !l.Held() {
			t.Errorf("lost: %v", l.Cause())
		}
		slow()
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Delay: round - 1, Ops: faultstore.OpCommit})
		w.pass(5 * round)
		q.leads()
	})
}

// The seat stays until the lease ends, and no call waits longer than for that.
func TestACleanEndWhileTheStoreIsAwayIsBounded(t *testing.T) {
	ends := map[string]func(w *world, n *node) (await <-chan struct{}){
		"Lead": func(w *world, n *node) <-chan struct{} {
			led := n.lead("x", tenure.LeadOptions{}, func(context.Context, tenure.Term) error {
				w.pass(round)
				n.cut()
				return nil
			})
			return led.done
		},
		"Resign": func(w *world, n *node) <-chan struct{} {
			l, done := n.campaign("x"), make(chan struct{})
			go func() {
				defer close(done)
				w.pass(round)
				n.cut()
				w.must(l.Resign(w.t.Context()))
			}()
			return done
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				b, err := tenure.Options{}.Bounds()
				w.must(err)
				done := end(w, w.join("a"))
				next := w.join("b").queue("x", 0)
				time.Sleep(round) // virtual: the store is away, and the term over
				away := time.Now()
				await(w, "end", done)
				w.about("returned", time.Since(away), b.Patience, b.Trust-b.Patience)
				await(w, "end of next", next.done)
				w.about("elected another", next.won.Sub(away), ttl-round, b.Crash-ttl+round)
				next.leads()
			})
		})
	}
}

// What cannot be read may be a leader of a newer version.
func TestASeatThatCannotBeReadIsNobodysToTake(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var seen told
		trace := &tenure.Trace{Trouble: func(election, request string, err error) {
			if errors.Is(err, tenure.ErrCorrupt) {
				seen.add("%s of %s", request, election)
			}
		}}
		a, err := w.tryJoin(tenure.Options{ID: "a", Trace: trace})
		w.must(err)
		w.commit(store.Put("leaders/x", []byte(`{"v":99,"session":"?"}`), store.NoLease))
		q := a.queue("x", 0)
		w.pass(10 * ttl)
		q.waits()
		if len(seen.all()) == 0 || seen.all()[0] != "look of x" {
			t.Errorf("told %q", seen.all())
		}
		if _, _, err := tenure.NewView(w.st, "x").Read(t.Context()); !errors.Is(err, tenure.ErrCorrupt) {
			t.Errorf("Read: %v", err)
		}
		w.commit(deleteSeat("x")...)
		q.leads()
	})
}

// backwards is a store whose lists are back revisions behind.
type backwards struct {
	store.Store
	back, lists atomic.Int64
}

func (b *backwards) List(ctx context.Context, q store.Query) (store.Listing, error) {
	b.lists.Add(1)
	l, err := b.Store.List(ctx, q)
	l.Revision -= min(l.Revision, store.Revision(b.back.Load()))
	return l, err
}

func TestAStoreThatWentBackIsToldOfAndNotPressed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.prepare()
		st := &backwards{Store: b.st}
		var seen told
		trace := &tenure.Trace{Trouble: func(election, request string, err error) {
			if errors.Is(err, tenure.ErrWentBack) {
				seen.add("%s of %s", request, election)
			}
		}}
		var err error
		b.Member, err = tenure.Join(t.Context(), st, tenure.Options{ID: "b", Trace: trace})
		w.must(err)
		t.Cleanup(func() { w.must(b.Close()) })
		l, q := a.campaign("x"), b.queue("x", 0)
		w.pass(time.Second)
		st.back.Store(5)
		a.crash()
		before := st.lists.Load()
		w.lost(l, tenure.ErrSessionExpired)
		w.pass(3 * ttl)
		q.waits()
		if n := st.lists.Load() - before; n > 60 {
			t.Errorf("asked %d times in %v", n, 4*ttl)
		}
		if len(seen.all()) == 0 || seen.all()[0] != "look of x" {
			t.Errorf("told %q", seen.all())
		}
		st.back.Store(0)
		w.pass(round)
		q.leads()
	})
}

func TestASeatHandedToACandidateThatHasJustCrashedIsFreeWithinABound(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bounds, err := tenure.Options{}.Bounds()
		w.must(err)
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		l := a.campaign("x")
		b.queue("x", 0)
		next := c.queue("x", 0)
		w.pass(time.Second)
		b.crash()
		crashed := time.Now()
		w.must(l.Resign(t.Context()))
		if leader := w.leader("x"); leader != "b" {
			t.Fatalf("the seat is given to %q", leader)
		}
		await(w, "end of next", next.done)
		next.leads()
		w.about("elected the second", next.won.Sub(crashed), ttl-round, bounds.Crash-ttl+round)
	})
}

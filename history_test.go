package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

const noWord = "no word of its end (crashed, cut off, or just over)"

// scribe joins a member that writes history.
func (w *world) scribe(id string) *node {
	w.t.Helper()
	n, err := w.tryJoin(tenure.Options{ID: id, Endpoint: "at " + id, History: true})
	w.must(err)
	return n
}

// history returns an election's history.
func (w *world) history(election string) []tenure.PastTerm {
	w.t.Helper()
	terms, err := tenure.NewView(w.st, election).History(w.t.Context())
	w.must(err)
	for i, term := range terms {
		if i > 0 && term.Token <= terms[i-1].Token {
			w.t.Fatalf("token %d after %d", term.Token, terms[i-1].Token)
		}
	}
	return terms
}

// tells fails unless the history is that of these terms: "MEMBER: CAUSE".
func (w *world) tells(election string, want ...string) {
	w.t.Helper()
	var got []string
	for _, term := range w.history(election) {
		got = append(got, term.Member+": "+term.Cause)
	}
	equal(w.t, "history", got, want)
}

// breaks injects a fault into what a node writes of its history.
func (n *node) breaks(f faultstore.Fault) (mend func()) {
	f.Ops = faultstore.OpCommit
	f.Match = func(c faultstore.Call) bool {
		return slices.ContainsFunc(c.Tx.Then, func(op store.Op) bool { return strings.HasPrefix(op.Key, "history/") })
	}
	return n.st.Inject(f)
}

func TestTheHistoryTellsEachTermWithItsTimesAndCause(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.scribe("a"), w.scribe("b")
		w.tells("x/y")
		began := time.Now().UTC()
		first := a.campaign("x/y")
		next := b.queue("x/y", 0)
		w.pass(time.Minute)
		w.tells("x/y", "a: ")
		w.must(first.Resign(t.Context()))
		ended := time.Now().UTC()
		second := next.leads()
		w.pass(time.Minute)
		want := []tenure.PastTerm{
			{Token: first.Token(), Member: "a", Endpoint: "at a", From: began, To: ended, Cause: "tenure: resigned"},
			{Token: second.Token(), Member: "b", Endpoint: "at b", From: ended},
		}
		equal(t, "history", w.history("x/y"), want)
		equal(t, "keys", w.keys("history/"), []string{"history/x%2Fy"})
		w.tells("x")
	})
}

func TestEveryCauseIsInTheHistory(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.scribe("a"), w.scribe("b")
		view := tenure.NewView(w.st, "x")
		eve := tenure.Reason{By: "eve", Why: "why not"}
		led := a.lead("x", tenure.LeadOptions{}, nil)
		other := b.lead("x", tenure.LeadOptions{}, nil)
		_, err := view.Transfer(t.Context(), 0, "b", eve)
		w.must(err)
		w.pass(time.Second)
		w.must(tenure.Drain(t.Context(), w.st, "b", eve))
		w.pass(time.Second)
		w.must(view.Depose(t.Context(), 0, eve))
		w.pass(2 * ttl)
		w.must(tenure.Undrain(t.Context(), w.st, "b"))
		w.pass(time.Second)
		led.cancel(errWork)
		w.pass(time.Second)
		w.must(b.Close())
		w.tells("x",
			"a: tenure: transferred to b by eve: why not",
			"b: tenure: member drained by eve: why not",
			"a: tenure: deposed by eve: why not",
			"a: work failed",
			"b: tenure: member closed")
		led.returns(nil)
		other.returns(nil)
	})
}

// What Close ends is written when it returns, however short the term was.
func TestCloseWaitsUntilTheHistoryIsWritten(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.scribe("a")
		a.campaign("x")
		started := time.Now()
		w.must(a.Close())
		w.about("closed", time.Since(started), 0, 0)
		w.tells("x", "a: tenure: member closed")
		equal(t, "keys", w.keys(""), []string{"history/x"})
	})
}

// Nobody but the leader of a term writes of it. When he has crashed, others follow.
func TestATermWhoseLeaderCrashedDoesNotGoOn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.scribe("a"), w.scribe("b")
		a.campaign("x")
		next := b.queue("x", 0)
		w.pass(time.Second)
		a.crash()
		w.tells("x", "a: ") // and nobody knows yet
		w.pass(2 * ttl)
		next.leads()
		w.tells("x", "a: "+noWord, "b: ")
		if h := w.history("x"); !h[0].To.Equal(h[1].From) || h[0].To.Sub(h[0].From) < ttl {
			t.Errorf("the first ended at %v, the second began at %v", h[0].To, h[1].From)
		}
		b.crash()
		w.pass(2 * ttl)
		w.tells("x", "a: "+noWord, "b: "+noWord)
		if h := w.history("x"); !h[1].To.IsZero() {
			t.Errorf("nobody knows when it ended, and it says %v", h[1].To)
		}
	})
}

// The word of one that was cut off comes late, and is the better one.
func TestALeaderThatWasCutOffSaysSoWhenItIsBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.scribe("a"), w.scribe("b")
		old := a.campaign("x")
		next := b.queue("x", 0)
		w.pass(time.Second)
		heal := a.cut()
		w.pass(2 * ttl)
		next.leads()
		w.tells("x", "a: "+noWord, "b: ")
		heal()
		w.pass(ttl)
		w.tells("x", "a: "+old.Cause().Error(), "b: ")
		if h := w.history("x"); h[0].To.After(h[1].From) {
			t.Errorf("ended at %v, and the next began at %v", h[0].To, h[1].From)
		}
	})
}

// A vacancy says why a term is over, until somebody leads.
func TestALeaderThatWasDeposedAndCannotSaySo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.scribe("a")
		a.campaign("x")
		w.pass(time.Second)
		a.crash()
		w.must(tenure.NewView(w.st, "x").Depose(t.Context(), 0, tenure.Reason{By: "eve", Why: "it hangs"}))
		w.tells("x", "a: tenure: deposed by eve: it hangs")
	})
}

func TestTheLeaderIsInTheHistoryAlsoIfItWritesNone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.scribe("a"), w.join("b")
		first := a.campaign("x")
		next := b.queue("x", 0)
		w.pass(time.Second)
		w.must(first.Resign(t.Context()))
		second := next.leads()
		w.pass(time.Second)
		w.tells("x", "a: tenure: resigned", "b: ")
		if last := w.history("x")[1]; last.Token != second.Token() || !last.From.IsZero() {
			t.Errorf("got %+v", last)
		}
		w.must(second.Resign(t.Context()))
		w.tells("x", "a: tenure: resigned")
		w.must(tenure.NewView(w.st, "x").ClearHistory(t.Context()))
		w.tells("x")
	})
}

func TestAThousandTermsLeaveTheLastHundred(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.scribe("a")
		var tokens []tenure.Token
		for range 1000 {
			l := a.campaign("x")
			tokens = append(tokens, l.Token())
			w.must(l.Resign(t.Context()))
		}
		w.must(a.Close())
		var got []tenure.Token
		for _, term := range w.history("x") {
			got = append(got, term.Token)
			if term.Cause != "tenure: resigned" {
				t.Errorf("%+v", term)
			}
		}
		equal(t, "tokens", got, tokens[900:])
	})
}

func TestAThousandElectionsHaveAHistoryEach(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.scribe("a")
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() { a.campaign(fmt.Sprint("x", i)) })
		}
		all.Wait()
		started := time.Now()
		w.must(a.Close())
		w.about("closed", time.Since(started), 0, 0)
		for i := range 1000 {
			w.tells(fmt.Sprint("x", i), "a: tenure: member closed")
		}
	})
}

// A hand-over is a commit that others wait for. What is written of it comes after.
func TestAHandOverComesBeforeWhatIsWrittenOfIt(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.scribe("a"), w.scribe("b")
		for i := range 100 {
			l := a.campaign("x")
			next := b.queue("x", 0)
			w.pass(time.Second)
			var written told
			stop := a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpCommit, OnHit: func(c faultstore.Call) {
				prefix, _, _ := strings.Cut(c.Tx.Then[0].Key, "/")
				written.add("%s", prefix)
			}})
			w.must(l.Resign(t.Context()))
			w.must(next.leads().Resign(t.Context()))
			w.pass(time.Second)
			stop()
			if all := written.all(); len(all) < 2 || all[0] != "leaders" || all[1] != "history" {
				t.Fatalf("term %d: written %q", i, all)
			}
		}
	})
}

// A store that does not answer what is written of terms delays neither them, nor Close
// beyond the bound that this has.
func TestAHistoryThatCannotBeWrittenDelaysNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.scribe("a"), w.scribe("b")
		a.breaks(faultstore.Fault{Kind: faultstore.Partition})
		b.breaks(faultstore.Fault{Kind: faultstore.Partition})
		first := a.campaign("x")
		next := b.queue("x", 0)
		w.pass(time.Second)
		started := time.Now()
		w.must(first.Resign(t.Context()))
		second := next.leads()
		w.about("handed over", time.Since(started), 0, 0)
		w.pass(10 * ttl)
		if !second.Held() {
			t.Errorf("lost while the history cannot be written: %v", second.Cause())
		}
		third := a.queue("x", 0)
		started = time.Now()
		w.must(b.Close())
		w.about("closed", time.Since(started), 5*time.Second, 0)
		third.leads()
		w.about("handed over", third.won.Sub(started), 0, 0)
		if n := b.told.count("trouble x: leave terms out of history: tenure: member closed: context canceled"); n != 1 {
			t.Errorf("told %q", b.told.all())
		}
	})
}

// While nothing can be written, terms begin and end; what is still of interest is written
// when the store takes it.
func TestWhatTheStoreDidNotTakeIsWrittenLater(t *testing.T) {
	for name, f := range map[string]faultstore.Fault{
		"fails":     {Kind: faultstore.Fail},
		"is denied": {Kind: faultstore.Fail, Err: store.ErrDenied},
		"conflicts": {Kind: faultstore.Fail, Err: store.ErrConflict},
		"hangs":     {Kind: faultstore.Partition},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.scribe("a")
				mend := a.breaks(f)
				for range 3 {
					w.must(a.campaign("x").Resign(t.Context()))
					w.must(a.campaign("y").Resign(t.Context()))
					w.pass(ttl)
				}
				l := a.campaign("x")
				w.tells("y")
				mend()
				w.pass(2 * ttl)
				w.tells("x", "a: tenure: resigned", "a: tenure: resigned", "a: tenure: resigned", "a: ")
				w.tells("y", "a: tenure: resigned", "a: tenure: resigned", "a: tenure: resigned")
				w.must(l.Resign(t.Context()))
			})
		})
	}
}

// Close is not kept by a pause between two attempts when the store is back.
func TestCloseTriesAtOnceWhatWasToBeTriedLater(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.scribe("a")
		mend := a.breaks(faultstore.Fault{Kind: faultstore.Fail})
		a.campaign("x")
		w.pass(10 * ttl)
		mend()
		started := time.Now()
		w.must(a.Close())
		w.about("closed", time.Since(started), 0, 0)
		w.tells("x", "a: tenure: member closed")
	})
}

// Nor does it press a store that fails.
func TestCloseTriesNowAndThenWhatFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.scribe("a")
		a.breaks(faultstore.Fault{Kind: faultstore.Fail, Name: "tried"})
		a.campaign("x")
		w.pass(10 * ttl)
		before := a.st.Hits("tried")
		started := time.Now()
		w.must(a.Close())
		w.about("closed", time.Since(started), 5*time.Second, time.Second)
		if n := a.st.Hits("tried") - before; n < 10 || n > 110 {
			t.Errorf("tried %d times", n)
		}
	})
}

func TestALostReplyWritesNoTermTwice(t *testing.T) {
	for name, f := range map[string]faultstore.Fault{
		"lost":              {Kind: faultstore.LoseReply, Count: 5},
		"late":              {Kind: faultstore.Late, Delay: 2 * ttl, Count: 5},
		"late and unnoted":  {Kind: faultstore.Late, Delay: 2 * ttl, Hang: true, Count: 2},
		"lost now and then": {Kind: faultstore.LoseReply, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.scribe("a")
				first := a.campaign("x")
				w.pass(time.Second)
				a.breaks(f)
				w.must(first.Resign(t.Context()))
				w.pass(time.Second)
				second := a.campaign("x")
				w.pass(5 * ttl)
				w.must(second.Resign(t.Context()))
				w.pass(5 * ttl)
				w.tells("x", "a: tenure: resigned", "a: tenure: resigned")
			})
		})
	}
}

// Two that write at once, each with requests that take their time.
func TestTwoThatWriteAtOnceLoseNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.scribe("a"), w.scribe("b")
		a.breaks(faultstore.Fault{Kind: faultstore.Delay, Delay: 30 * time.Millisecond})
		b.breaks(faultstore.Fault{Kind: faultstore.Delay, Delay: 40 * time.Millisecond})
		var want []string
		for range 30 {
			la := a.campaign("x")
			next := b.queue("x", 0)
			w.must(la.Resign(t.Context()))
			w.must(next.leads().Resign(t.Context()))
			want = append(want, "a: tenure: resigned", "b: tenure: resigned")
			w.pass(10 * time.Millisecond)
		}
		w.pass(time.Minute)
		w.tells("x", want...)
	})
}

func TestAHistoryThatCannotBeReadIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const strange = `{"v":2,"terms":"of another kind"}`
		w.commit(store.Put("history/x", []byte(strange), store.NoLease))
		a := w.scribe("a")
		l := a.campaign("x")
		a.campaign("y")
		w.pass(time.Minute)
		terms, err := tenure.NewView(w.st, "x").History(t.Context())
		if !errors.Is(err, tenure.ErrCorrupt) || len(terms) != 1 || terms[0].Member != "a" {
			t.Errorf("got %+v, %v", terms, err)
		}
		if n := a.told.count("trouble x: leave terms out of history: tenure: corrupt record: history: " +
			"json: cannot unmarshal string into Go struct field Record.terms of type []history.Term"); n != 1 {
			t.Errorf("told %q", a.told.all())
		}
		listing, err := w.st.List(t.Context(), store.Keys("history/x"))
		w.must(err)
		if got := string(listing.Entries[0].Value); got != strange {
			t.Errorf("it was overwritten with %s", got)
		}
		w.tells("y", "a: ")
		w.must(tenure.NewView(w.st, "x").ClearHistory(t.Context()))
		w.must(l.Resign(t.Context()))
		w.pass(time.Second)
		w.tells("x", "a: tenure: resigned")
	})
}

// A seat that cannot be read hides who leads, and nothing of what was before.
func TestAHistoryBesideASeatThatCannotBeRead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.scribe("a")
		w.must(a.campaign("x").Resign(t.Context()))
		w.pass(time.Second)
		w.commit(store.Put("leaders/x", []byte("?"), store.NoLease))
		terms, err := tenure.NewView(w.st, "x").History(t.Context())
		if !errors.Is(err, tenure.ErrCorrupt) || len(terms) != 1 || terms[0].Cause != "tenure: resigned" {
			t.Errorf("got %+v, %v", terms, err)
		}
	})
}

// panicky is an error of a user's who has made a mistake.
type panicky struct{}

func (panicky) Error() string { panic("no text") }

func TestCausesOfAnyKindAreWritten(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.scribe("a")
		for _, cause := range []error{errors.New(strings.Repeat("世", 1<<20)), errors.New("\xff\x00"), errors.New(""), panicky{}} {
			led := a.lead("x", tenure.LeadOptions{}, nil)
			led.term()
			led.cancel(cause)
			led.returns(nil)
		}
		w.pass(time.Second)
		w.tells("x", "a: "+strings.Repeat("世", 84)+"...", "a: ?\x00", "a: no reason given", "a: tenure: panic: no text")
	})
}

// A store that takes little gets the last terms; one that takes too little, none.
func TestAHistoryFitsIntoWhatTheStoreTakes(t *testing.T) {
	for limit, most := range map[int]int{1000: 8, 200: 1, 100: 0} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				small := memstore.New()
				t.Cleanup(func() { w.must(small.Close()) })
				n := &node{w: w, st: faultstore.New(narrow{small, limit}), told: &told{}}
				w.must(n.join(tenure.Options{ID: "a", History: true}))
				for range 20 {
					w.must(n.campaign("x").Resign(t.Context()))
				}
				started := time.Now()
				w.must(n.Close())
				w.about("closed", time.Since(started), 0, 0)
				terms, err := tenure.NewView(small, "x").History(t.Context())
				w.must(err)
				if len(terms) > most || len(terms) < most/2+most%2 {
					t.Errorf("%d terms", len(terms))
				}
			})
		})
	}
}

// narrow refuses long histories, and says so.
type narrow struct {
	store.Store
	most int
}

func (s narrow) Capabilities() store.Capabilities {
	c := s.Store.Capabilities()
	c.MaxValue = s.most
	return c
}

func (s narrow) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	for _, op := range tx.Then {
		if strings.HasPrefix(op.Key, "history/") && len(op.Value) > s.most {
			return store.Result{}, store.ErrTooLarge
		}
	}
	return s.Store.Commit(ctx, tx)
}

func TestAMemberThatIsNotAskedToWritesNoHistory(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		w.must(a.campaign("x").Resign(t.Context()))
		w.pass(time.Minute)
		w.must(a.Close())
		equal(t, "keys", w.keys(""), nil)
	})
}

func TestTheHistoryOfWhatCannotBeAnElection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := tenure.NewView(w.st, "")
		if _, err := v.History(t.Context()); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("History: %v", err)
		}
		if err := v.ClearHistory(t.Context()); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("ClearHistory: %v", err)
		}
	})
}

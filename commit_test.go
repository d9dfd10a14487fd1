package tenure_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

func put(key, value string) store.Tx {
	return store.Tx{Then: []store.Op{store.Put(key, []byte(value), store.NoLease)}}
}

// data returns the value of a key as seen through Data, "" for none.
func (w *world) data(key string) string {
	w.t.Helper()
	l, err := tenure.Data(w.st).List(w.t.Context(), store.Keys(key))
	w.must(err)
	if len(l.Entries) == 0 {
		return ""
	}
	return string(l.Entries[0].Value)
}

func (w *world) status(election string) tenure.Status {
	w.t.Helper()
	s, err := tenure.NewView(w.st, election).Status(w.t.Context())
	w.must(err)
	return s
}

func TestCommitWritesUnderData(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.join("a").campaign("x")
		res, err := l.Commit(t.Context(), put("position", "1"))
		if err != nil || !res.Committed || res.Revision <= l.Token() {
			t.Fatalf("%+v, %v", res, err)
		}
		equal(t, "keys", w.keys("data/"), []string{"data/position"})
		if got := w.data("position"); got != "1" {
			t.Errorf("got %q", got)
		}
	})
}

func TestCommitKeepsTheConditionsOfTheUser(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.join("a").campaign("x")
		first, err := l.Commit(t.Context(), put("n", "1"))
		w.must(err)
		tx := put("n", "2")
		tx.If = []store.Cond{store.Absent("n")}
		tx.Else = []string{"n", "other"}
		res, err := l.Commit(t.Context(), tx)
		w.must(err)
		if res.Committed || len(res.Entries) != 1 || res.Entries[0].Key != "n" || string(res.Entries[0].Value) != "1" {
			t.Errorf("refused with %+v", res)
		}
		if !l.Held() {
			t.Error("a condition of the user's is no loss")
		}
		tx.If = []store.Cond{store.ModifiedAt("n", first.Revision), store.Absent("other")}
		if res, err = l.Commit(t.Context(), tx); err != nil || !res.Committed || w.data("n") != "2" {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// 1.8: a write that was sent in time and arrives late, after another term has
// begun, has no effect.
func TestAWriteOfAnOlderTermNeverTakesEffect(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		old := a.campaign("x")
		next := b.queue("x", 0)
		a.st.Inject(faultstore.Fault{
			Kind: faultstore.Late, Ops: faultstore.OpCommit, Delay: ttl, Count: 1,
		})
		if _, err := old.Commit(t.Context(), put("by", "old")); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, tenure.ErrLost) {
			t.Errorf("an unknown outcome is %v", err)
		}
		w.must(old.Resign(t.Context()))
		l := next.leads()
		_, err := l.Commit(t.Context(), put("by", "new"))
		w.must(err)
		w.pass(2 * ttl)
		if got := w.data("by"); got != "new" {
			t.Errorf("written by the %s term", got)
		}
	})
}

// Two terms of one member differ: the guard is the token, not the name.
func TestTheGuardTellsTermsOfOneMemberApart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		old := a.campaign("x")
		guard := old.Guard()
		commit := func() bool {
			tx := put("elsewhere", "1")
			tx.If = []store.Cond{guard.Cond()}
			res, err := w.st.Commit(t.Context(), tx)
			w.must(err)
			return res.Committed
		}
		if guard.Key != "leaders/x" || guard.Token != old.Token() || !commit() {
			t.Errorf("guard %+v", guard)
		}
		w.must(old.Resign(t.Context()))
		if commit() {
			t.Error("the guard holds with the seat free")
		}
		a.campaign("x")
		if commit() {
			t.Error("the guard holds in a later term")
		}
	})
}

// A holder that has not heard of its loss learns of it from its own write.
func TestCommitAndVerifyNoticeALoss(t *testing.T) {
	ask := map[string]func(context.Context, *tenure.Leadership) error{
		"Commit": func(ctx context.Context, l *tenure.Leadership) error {
			_, err := l.Commit(ctx, put("k", "v"))
			return err
		},
		"Verify": func(ctx context.Context, l *tenure.Leadership) error { return l.Verify(ctx) },
	}
	for name, f := range ask {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				l := a.campaign("x")
				w.must(f(t.Context(), l))
				synctest.Wait() // until its watches have begun
				a.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
				w.commit(deleteSeat("x")...)
				w.commit(store.Delete("data/k"))
				synctest.Wait()
				if !l.Held() {
					t.Fatal("the watches are not stalled")
				}
				err := f(t.Context(), l)
				var e *tenure.Error
				if !errors.Is(err, tenure.ErrLost) || !errors.As(err, &e) || e.Election != "x" {
					t.Errorf("got %v", err)
				}
				if l.Held() || !errors.Is(l.Cause(), tenure.ErrDispossessed) || w.data("k") != "" {
					t.Errorf("held: %v, cause %v, wrote %q", l.Held(), l.Cause(), w.data("k"))
				}
				synctest.Wait()
				if n := a.told.count("ended x: tenure: seat taken away"); n != 1 {
					t.Errorf("told %q", a.told.all())
				}
			})
		})
	}
}

func TestATermThatIsNotHeldSendsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		w.must(l.Resign(t.Context()))
		calls := a.st.Calls()
		if _, err := l.Commit(t.Context(), put("k", "v")); !errors.Is(err, tenure.ErrResigned) {
			t.Errorf("Commit: %v", err)
		}
		if err := l.Verify(t.Context()); !errors.Is(err, tenure.ErrResigned) {
			t.Errorf("Verify: %v", err)
		}
		if a.st.Calls() != calls {
			t.Errorf("calls %+v after %+v", a.st.Calls(), calls)
		}
	})
}

func TestCommitRefusesKeysThatNoStoreTakes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.join("a").campaign("x")
		for _, key := range []string{"", "a\x00"} {
			if _, err := l.Commit(t.Context(), put(key, "v")); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("key %q: %v", key, err)
			}
		}
		equal(t, "keys", w.keys("data/"), nil)
	})
}

func TestALostReplyOfCommitIsUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		a.st.Inject(faultstore.Fault{Kind: faultstore.LoseReply, Ops: faultstore.OpCommit, Count: 1})
		_, err := l.Commit(t.Context(), put("k", "v"))
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, tenure.ErrLost) {
			t.Errorf("got %v", err)
		}
		if w.data("k") != "v" || !l.Held() {
			t.Errorf("wrote %q, held: %v", w.data("k"), l.Held())
		}
	})
}

// 1.7: no request outlives the trust in the term.
func TestCommitAndVerifyAreBoundedByTheTerm(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		until := l.Until()
		a.cut()
		if _, err := l.Commit(t.Context(), put("k", "v")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Commit: %v", err)
		}
		if late := time.Since(until); late < 0 || late > time.Millisecond {
			t.Errorf("returned %v after the deadline", late)
		}
		if err := l.Verify(t.Context()); !errors.Is(err, tenure.ErrLost) {
			t.Errorf("Verify: %v", err)
		}
	})
}

// What the user's own requests show of the seat is evidence as good as a round's.
func TestCommitAndVerifyProveTheTerm(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Match: func(c faultstore.Call) bool {
			return len(c.Query.Prefixes) > 0 // the rounds'
		}})
		for range 10 {
			_, err := l.Commit(t.Context(), put("k", "v"))
			w.must(err)
			w.pass(ttl / 2)
			w.must(l.Verify(t.Context()))
			w.pass(ttl / 2)
		}
		if !l.Held() {
			t.Error(l.Cause())
		}
	})
}

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

// own returns the member's session, and puts a key of the user's on it.
func (n *node) own(key string) *tenure.Session {
	n.w.t.Helper()
	s, err := n.Session(n.w.t.Context())
	n.w.must(err)
	_, err = tenure.Data(n.w.st).Commit(n.w.t.Context(), store.Tx{Then: []store.Op{store.Put(key, []byte("here"), s.Lease())}})
	n.w.must(err)
	if !s.Held() || s.Context().Err() != nil {
		n.w.t.Fatalf("held: %v, %v", s.Held(), context.Cause(s.Context()))
	}
	return s
}

// over waits for the end of a session.
func (w *world) over(s *tenure.Session, cause error) time.Time {
	w.t.Helper()
	await(w, "end of the session", s.Context().Done())
	if s.Held() || s.Until().After(time.Now()) || !errors.Is(context.Cause(s.Context()), cause) {
		w.t.Errorf("held: %v, until %v, cause %v, want %v", s.Held(), s.Until(), context.Cause(s.Context()), cause)
	}
	return time.Now()
}

// A lease on its own: renewed as long as the member lives, and gone with it.
func TestASessionNeedsNoElection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		s := a.own("here/a")
		for range 10 {
			w.pass(ttl)
			if left := time.Until(s.Until()); !s.Held() || left < trust-round || w.data("here/a") != "here" {
				t.Fatalf("held: %v, %v left, %q", s.Held(), left, w.data("here/a"))
			}
		}
		if again, err := a.Session(t.Context()); again != s || err != nil {
			t.Errorf("another session, %v", err)
		}
		w.must(a.Close())
		w.over(s, tenure.ErrClosed)
		if got := w.data("here/a"); got != "" {
			t.Errorf("left behind: %q", got)
		}
		if _, err := a.Session(t.Context()); !errors.Is(err, tenure.ErrClosed) {
			t.Errorf("of a closed member: %v", err)
		}
	})
}

// Close ends a session when the functions that rely on it have returned.
func TestASessionOutlivesTheTermsOfItsMember(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		var drained bool
		s := a.own("here/a")
		a.lead("x", tenure.LeadOptions{}, func(ctx context.Context, _ tenure.Term) error {
			<-ctx.Done()
			time.Sleep(2 * ttl) // virtual: it drains
			drained = s.Held() && w.data("here/a") == "here"
			return nil
		})
		w.must(a.Close())
		w.over(s, tenure.ErrClosed)
		if !drained {
			t.Error("the session ended before the function had returned")
		}
	})
}

// Cut off, it ends by its own clock, before the store deletes what hangs on it.
func TestASessionThatIsCutOffEndsBeforeItsKeysGo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		renewed := time.Now()
		a := w.join("a")
		s := a.own("here/a")
		w.pass(time.Second)
		heal := a.cut()
		time.Sleep(time.Until(renewed.Add(trust - 1))) // virtual: until just before
		if !s.Held() {
			t.Fatalf("too early: %v", context.Cause(s.Context()))
		}
		time.Sleep(time.Nanosecond) // virtual
		if s.Held() {
			t.Error("held at its deadline")
		}
		w.over(s, tenure.ErrSessionExpired)
		if w.data("here/a") == "" {
			t.Error("its keys have gone already")
		}
		type got struct {
			s   *tenure.Session
			err error
		}
		next := make(chan got, 1)
		go func() {
			s, err := a.Session(t.Context())
			next <- got{s, err}
		}()
		w.pass(2 * ttl)
		if len(next) > 0 || w.data("here/a") != "" {
			t.Errorf("given a session while the store is away, or its keys outlive it: %q", w.data("here/a"))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Session(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		heal()
		if n := <-next; n.err != nil || !n.s.Held() || n.s.Lease() == s.Lease() {
			t.Errorf("%+v", n)
		}
		if s.Held() {
			t.Error("the old one is held again")
		}
	})
}

// A renewal that did take effect and whose reply comes after the deadline changes
// nothing: 1.1.
func TestALateReplyResurrectsNoSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		st := &stubborn{Store: w.st.Open()}
		m, err := tenure.Join(t.Context(), st, tenure.Options{ID: "a"})
		w.must(err)
		defer m.Close()
		s, err := m.Session(t.Context())
		w.must(err)
		w.pass(time.Second)
		st.late.Store(int64(trust))
		w.over(s, tenure.ErrSessionExpired)
		for range 50 {
			w.pass(round / 10)
			if s.Held() {
				t.Fatal("held again")
			}
		}
		st.late.Store(0)
	})
}

func TestASessionThatIsRevokedByOthersEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		s := a.own("here/a")
		w.pass(time.Second)
		started := time.Now()
		w.revoke("members/a")
		w.about("noticed", w.over(s, tenure.ErrSessionExpired).Sub(started), 0, round) // by the next renewal
		if next := a.own("here/a"); next == s || next.Lease() == s.Lease() {
			t.Error("the same session again")
		}
		w.must(a.Healthy())
	})
}

// A round that hangs or fails costs no session, as it costs no term.
func TestASessionOutlivesARenewalThatFails(t *testing.T) {
	for name, fault := range map[string]faultstore.Fault{
		"fails":  {Kind: faultstore.Fail, Ops: faultstore.OpRenew, Count: 1},
		"hangs":  {Kind: faultstore.Partition, Ops: faultstore.OpRenew, Count: 1},
		"unread": {Kind: faultstore.Fail, Ops: faultstore.OpList}, // which costs terms
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				s := a.own("here/a")
				a.st.Inject(fault)
				w.pass(5 * ttl)
				if !s.Held() {
					t.Error(context.Cause(s.Context()))
				}
			})
		})
	}
}

func TestWaitingForASessionEndsWithTheMember(t *testing.T) {
	ends := map[string]struct {
		end   func(w *world, a *node, heal func())
		cause error
	}{
		"Close":         {func(w *world, a *node, _ func()) { w.must(a.Close()) }, tenure.ErrClosed},
		"its ID taken":  {func(w *world, _ *node, heal func()) { w.join("a"); heal() }, tenure.ErrDuplicateMember},
		"store is shut": {func(w *world, a *node, _ func()) { w.must(a.st.Close()) }, store.ErrClosed},
	}
	for name, tt := range ends {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				heal := a.cut()
				w.pass(2 * ttl)
				got := make(chan error, 1)
				go func() {
					_, err := a.Session(t.Context())
					got <- err
				}()
				synctest.Wait()
				if len(got) > 0 {
					t.Fatal(<-got)
				}
				tt.end(w, a, heal)
				w.pass(3 * ttl)
				var e *tenure.Error
				if err := <-got; !errors.Is(err, tt.cause) || !errors.As(err, &e) || e.Op != "session" {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

// What HoraeMeta's member and PD's election do wrong, or do only there, where no other
// test shows it. docs/testing.md has the list of which test is for what.

// HoraeMeta calls back first, and renews afterwards: a callback that takes a TTL loses
// the term that it was called for.
func TestRenewalsGoOnWhileElectedRunsUnderTheContextOfItsTerm(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		var term tenure.Term
		var ended error
		calls := tenure.Callbacks{Elected: func(ctx context.Context, t tenure.Term) error {
			term = t
			<-ctx.Done()
			ended = context.Cause(ctx)
			return ctx.Err()
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- calls.Run(ctx, a.Member, "x", tenure.LeadOptions{}) }()
		w.pass(5 * ttl)
		if term == nil || !term.Held() {
			t.Fatal("not held while it is being called back")
		}
		first := term
		w.commit(deleteSeat("x")...)
		synctest.Wait()
		if !errors.Is(ended, tenure.ErrDispossessed) || first.Held() {
			t.Errorf("its context: %v; held: %v", ended, first.Held())
		}
		w.pass(ttl)
		if term == first || !term.Held() {
			t.Error("not elected again")
		}
		cancel()
		w.must(<-done)
	})
}

// HoraeMeta hands over the context that has just ended, and does not say that the term
// was lost.
func TestBeforeReleaseIsToldOfALossAndItsTimeIsBounded(t *testing.T) {
	const drain = 3 * time.Second
	for name, tt := range map[string]struct {
		end  func(w *world, term tenure.Term)
		lost bool
	}{
		"resigned": {func(w *world, term tenure.Term) { w.must(term.Resign(w.t.Context())) }, false},
		"lost":     {func(w *world, _ tenure.Term) { w.commit(deleteSeat("x")...) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				var alive error
				var cause error
				var lasted time.Duration
				led := w.join("a").lead("x", tenure.LeadOptions{DrainTimeout: drain, BeforeRelease: func(ctx context.Context, term tenure.Term) error {
					alive, cause = ctx.Err(), term.Cause()
					began := time.Now()
					<-ctx.Done()
					lasted = time.Since(began)
					return nil
				}}, nil)
				term := led.term()
				tt.end(w, term)
				w.pass(drain)
				if alive != nil || lasted != drain || errors.Is(cause, tenure.ErrLost) != tt.lost {
					t.Errorf("at first %v, for %v, cause %v", alive, lasted, cause)
				}
			})
		})
	}
}

// In PD a panic in an election is the end of the process. Of Tenure's calls of what is
// the user's, none is: each panic is reported.
func TestAPanicOfACallbackIsReportedAndEndsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var troubles told
		trouble := func(election, request string, err error) {
			if _, ok := errors.AsType[*tenure.PanicError](err); ok {
				troubles.add("%s of %q", request, election)
			}
		}
		oh := func() { panic(errWork) }
		policy := &nervous{}
		a, err := w.tryJoin(tenure.Options{ID: "a", Logger: slog.New(&explosive{}), Trace: &tenure.Trace{
			SessionStarted: func(tenure.SessionInfo) { oh() },
			Elected:        func(tenure.TermInfo) { oh() },
			Ended:          func(tenure.TermInfo, error) { oh() },
			Round:          func(tenure.RoundInfo) { oh() },
			Trouble:        trouble,
		}})
		w.must(err)
		var failed []error
		calls := tenure.Callbacks{
			LeaderChanged: func(tenure.Event) { oh() },
			BeforeRelease: func(context.Context, tenure.Term) error { panic("before release") },
			Error:         func(err error) { failed = append(failed, err); oh() },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- calls.Run(ctx, a.Member, "x", tenure.LeadOptions{Policy: policy}) }()
		w.pass(round)
		if who := w.leader("x"); who != "a" {
			t.Fatalf("%q leads", who)
		}
		policy.nervous.Store(true)
		w.pass(ttl - round/2)
		if who := w.leader("x"); who != "a" { // a policy that cannot tell has a TTL
			t.Errorf("%q leads", who)
		}
		policy.nervous.Store(false)
		w.pass(ttl)
		w.must(w.view("x").Depose(t.Context(), 0, because))
		w.pass(2 * ttl)
		if who := w.leader("x"); who != "a" {
			t.Errorf("%q leads", who)
		}
		cancel()
		if err := <-done; err != nil && !strings.Contains(err.Error(), "before release") {
			t.Error(err)
		}
		w.must(a.Close())
		for _, want := range []string{`callback of ""`, `ask policy of "x"`} {
			if troubles.count(want) == 0 {
				t.Errorf("%s: not told: %q", want, troubles.all())
			}
		}
		for _, err := range failed {
			if _, ok := errors.AsType[*tenure.PanicError](err); !ok {
				t.Errorf("failed: %v", err)
			}
		}
		if len(failed) < 3 { // vacant, elected, and the function's end
			t.Errorf("failed: %v", failed)
		}
	})
}

// nervous is a policy that panics when it is told to.
type nervous struct{ nervous atomic.Bool }

func (n *nervous) ask() tenure.Verdict {
	if n.nervous.Load() {
		panic("who, me?")
	}
	return tenure.Yes
}

func (n *nervous) ShouldCampaign(tenure.Identity) tenure.Verdict { return n.ask() }
func (n *nervous) IsValidLeader(tenure.Identity) tenure.Verdict  { return n.ask() }
func (n *nervous) Changed() <-chan struct{}                      { panic("nothing changes") }

// explosive is a handler of log records that panics.
type explosive struct{ slog.Handler }

func (*explosive) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (*explosive) Handle(context.Context, slog.Record) error        { panic("no log") }

// HoraeMeta counts the first deadline of a lease from the reply to its Grant, which is
// later than the store does.
func TestTrustCountsFromBeforeTheGrantWasSent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.prepare()
		const late = 4 * time.Second
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpGrant, Delay: late})
		a.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Ops: faultstore.OpRenew})
		w.must(a.join(tenure.Options{ID: "a"}))
		s, err := a.Session(t.Context())
		w.must(err)
		if left := time.Until(s.Until()); left != trust-late {
			t.Errorf("trusted for %v, want %v", left, trust-late)
		}
		w.pass(trust - late)
		if s.Held() {
			t.Error("held a TTL after the reply")
		}
	})
}

// HoraeMeta takes a leader for itself by its address, so that a restarted process
// thinks that it leads while its predecessor's lease lives.
func TestALeaderIsOnesOwnOnlyIfItsSessionIs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		old := w.join("a")
		l := old.campaign("x")
		local := func(n *node) bool {
			s, err := n.Session(t.Context())
			w.must(err)
			leader, ok, err := w.view("x").Read(t.Context())
			w.must(err)
			return ok && leader.Session == s.ID()
		}
		if !local(old) {
			t.Error("the leader does not know itself")
		}
		heal := old.cut()
		w.pass(trust) // its own time is over, and its seat not yet
		var again *node
		joined := make(chan struct{})
		go func() {
			defer close(joined)
			again = w.join("a")
		}()
		synctest.Wait()
		if leader := w.leader("x"); leader != "a" || l.Held() {
			t.Fatalf("%q leads, held: %v", leader, l.Held())
		}
		<-joined // by then nobody has the seat
		if local(again) || w.leader("x") != "" {
			t.Error("a restarted process takes its predecessor's seat for its own")
		}
		if again.campaign("x"); !local(again) {
			t.Error("the leader does not know itself")
		}
		heal()
	})
}

// The nine errors of HoraeMeta's member: what fails there has an error here, too, or
// cannot be, and each is found by errors.Is and says which call it was.
func TestTheNineFailuresOfHoraeMetaCanBeToldApart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var troubles told
		fails := func(ops faultstore.Op) *node { // a member for which these calls fail
			n, err := w.tryJoin(tenure.Options{ID: fmt.Sprint("m", ops), Trace: &tenure.Trace{
				Trouble: func(_, request string, err error) { troubles.add("%s: %v", request, err) },
			}})
			w.must(err)
			n.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: ops})
			return n
		}
		is := func(what string, err error, op string, targets ...error) {
			t.Helper()
			e, ok := errors.AsType[*tenure.Error](err)
			if !ok || e.Op != op {
				t.Errorf("%s: %v, want an Error of %q", what, err, op)
			}
			for _, target := range targets {
				if !errors.Is(err, target) {
					t.Errorf("%s: %v, want %v", what, err, target)
				}
			}
		}
		l := w.join("leader").campaign("x")
		lists := fails(faultstore.OpList)
		v := tenure.NewView(lists.st, "x")
		_, _, err := v.Read(t.Context())
		is("ErrGetLeader", err, "read", store.ErrUnavailable)
		is("ErrResetLeader", v.Depose(t.Context(), l.Token(), because), "depose", store.ErrUnavailable)
		is("ErrResetLeader, of another", w.view("x").Depose(t.Context(), l.Token()-1, because), "depose", tenure.ErrChanged)

		// To lose is to wait, and a request that fails is told of and made again.
		commits := fails(faultstore.OpCommit)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = commits.Campaign(short, "y", tenure.CampaignOptions{})
		is("ErrTxnPutLeader", err, "campaign", context.DeadlineExceeded)
		if troubles.count("take: store: unavailable") == 0 {
			t.Errorf("ErrTxnPutLeader: told %q", troubles.all())
		}

		w.commit(store.Put("leaders/z", []byte("?"), store.NoLease))
		_, _, err = w.view("z").Read(t.Context())
		is("ErrInvalidLeaderValue", err, "read", tenure.ErrCorrupt)

		_, err = w.tryJoin(tenure.Options{ID: "endpoint", Endpoint: "\xff"})
		is("ErrMarshalMember", err, "join", tenure.ErrInvalid)

		n := w.prepare()
		n.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpGrant})
		is("ErrGrantLease", n.join(tenure.Options{ID: "grants"}), "join", store.ErrUnavailable)

		w.must(fails(faultstore.OpRevoke).Close()) // its lease ends by itself
		if troubles.count("revoke: store: unavailable") != 1 {
			t.Errorf("ErrRevokeLease: told %q", troubles.all())
		}

		stuck := make(chan struct{})
		defer close(stuck)
		over := w.join("over")
		over.lead("o", tenure.LeadOptions{DrainTimeout: time.Second}, func(context.Context, tenure.Term) error {
			<-stuck
			return nil
		})
		is("ErrCloseLease", over.Close(), "close", tenure.ErrDrainTimeout)
	})
	// ErrMultipleLeader: one key names the leader, so there is none.
}

// A TTL is that of a session. Another one costs a Close and a Join: the seat goes to
// whoever waits, in one commit, and nobody waits for a TTL to pass.
func TestAnotherTTLCountsFromTheNextTerm(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		a.campaign("x")
		next := b.queue("x", 0)
		started := time.Now()
		w.must(a.Close())
		again, err := w.tryJoin(tenure.Options{ID: "a", TTL: time.Minute})
		w.must(err)
		l := next.leads()
		third := again.queue("x", 0)
		w.must(l.Resign(t.Context()))
		third.leads()
		w.about("two hand-overs and a new session", time.Since(started), 0, 0)
		leader, _, err := w.view("x").Read(t.Context())
		if err != nil || leader.Member != "a" || leader.TTL != time.Minute {
			t.Errorf("%+v, %v", leader, err)
		}
	})
}

// PD f98e88c: whoever steps down is not seen to lead while the store, or a log, does
// not answer.
func TestNothingIsHeldWhileAStepDownIsBlocked(t *testing.T) {
	for name, block := range map[string]func(n *node, log *stuckLog){
		"by the store": func(n *node, _ *stuckLog) { n.cut() },
		"by the log":   func(_ *node, log *stuckLog) { log.stuck.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				log := &stuckLog{release: make(chan struct{})}
				a, err := w.tryJoin(tenure.Options{ID: "a", Logger: slog.New(log)})
				w.must(err)
				s, err := a.Session(t.Context())
				w.must(err)
				led := a.lead("x", tenure.LeadOptions{}, nil)
				term := led.term()
				block(a, log)
				closed := make(chan error, 1)
				go func() { closed <- a.Close() }()
				synctest.Wait()
				if len(closed) > 0 || term.Held() || term.Context().Err() == nil {
					t.Errorf("closed: %d, held: %v, %v", len(closed), term.Held(), term.Context().Err())
				}
				w.pass(2 * ttl)
				if s.Held() || s.Context().Err() == nil {
					t.Errorf("the session is held: %v", s.Held())
				}
				close(log.release)
				w.must(<-closed)
			})
		})
	}
}

// stuckLog is a handler of log records that hangs when it is told to.
type stuckLog struct {
	release chan struct{}
	stuck   atomic.Bool
}

func (s *stuckLog) Enabled(context.Context, slog.Level) bool { return true }
func (s *stuckLog) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s *stuckLog) WithGroup(string) slog.Handler            { return s }
func (s *stuckLog) Handle(context.Context, slog.Record) error {
	if s.stuck.Load() {
		<-s.release
	}
	return nil
}

// A member that is refused a lease says so and tries again; others lead.
func TestAMemberWithoutASessionKeepsNobodyFromLeading(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var troubles told
		a, err := w.tryJoin(tenure.Options{ID: "a", Trace: &tenure.Trace{
			Trouble: func(_, request string, err error) { troubles.add("%s: %v", request, err) },
		}})
		w.must(err)
		l := a.campaign("x")
		heal := a.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpGrant})
		next := w.join("b").queue("x", 0)
		w.revoke("members/a")
		next.leads()
		w.pass(round)
		q := a.queue("x", 0)
		w.pass(ttl)
		q.waits()
		if l.Held() || !errors.Is(a.Healthy(), tenure.ErrSessionExpired) || !slices.Contains(troubles.all(), "open session: store: unavailable") {
			t.Errorf("held %v, %v, told %q", l.Held(), a.Healthy(), troubles.all())
		}
		heal()
		w.pass(ttl)
		w.must(next.l.Resign(t.Context()))
		q.leads()
	})
}

package tenure_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store/faultstore"
)

func TestADrainedMemberGivesUpItsSeatsAndTakesNone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.join("b")
		d, release := a.hung("x")
		term := d.term()
		other := a.queue("y", 0).leads()
		q := b.queue("x", 0)
		w.must(tenure.Drain(t.Context(), w.st, "a", because))
		synctest.Wait()
		for _, cause := range []error{term.Cause(), other.Cause()} {
			if !errors.Is(cause, tenure.ErrDrained) || !strings.Contains(cause.Error(), "by eve: it hangs") {
				t.Errorf("cause %v", cause)
			}
		}
		q.waits() // drained first
		close(release)
		l := q.leads()
		all, err := w.view("x").Candidates(t.Context())
		w.must(err)
		if all[1].Member != "a" || all[1].State != "draining" {
			t.Errorf("candidates %+v", all)
		}
		w.must(l.Resign(t.Context()))
		w.pass(ttl)
		if who := w.leader("x"); who != "" {
			t.Errorf("%s leads", who)
		}
		// Not even under another start, or where it has not noticed.
		w.must(other.Resign(t.Context()))
		again := a.queue("y", 0)
		w.pass(ttl)
		again.waits()
		w.must(tenure.Undrain(t.Context(), w.st, "a"))
		again.leads()
		d.returns(nil) // elected in x again, its function has returned
		if left := w.keys("control/"); left != nil {
			t.Errorf("left behind: %q", left)
		}
	})
}

func TestADrainBindsWhoHasNotHeardOfIt(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		a.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
		w.must(tenure.Drain(t.Context(), w.st, "a", because))
		q := a.queue("x", 0)
		w.pass(ttl)
		q.waits()
		w.must(tenure.Undrain(t.Context(), w.st, "a"))
		w.pass(round + round/2) // a round shows it
		q.leads()
	})
}

// The successor's candidate key still says that it waits.
func TestAHandOverPassesOverWhoIsDrainedAndHasNotHeardOfIt(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		l := a.campaign("x")
		first := b.queue("x", 0)
		second := c.queue("x", 0)
		w.pass(time.Second) // the leader watches its line
		b.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Ops: faultstore.OpAll &^ faultstore.OpRenew})
		w.must(tenure.Drain(t.Context(), w.st, "b", because))
		before := a.st.Calls()
		w.must(l.Resign(t.Context()))
		second.leads()
		first.waits()
		if n := a.st.Calls().Commit - before.Commit; n > 2 { // the first is refused
			t.Errorf("%d commits", n)
		}
	})
}

func TestNobodyIsElectedWhileAnElectionIsPaused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.view("x")
		l := w.join("a").campaign("x")
		b := w.join("b")
		q := b.queue("x", 0)
		w.must(v.Pause(t.Context(), because))
		if err := l.TransferTo(t.Context(), "b"); !errors.Is(err, tenure.ErrPaused) {
			t.Errorf("TransferTo: %v", err)
		}
		if _, err := v.Transfer(t.Context(), 0, "b", because); !errors.Is(err, tenure.ErrPaused) {
			t.Errorf("Transfer: %v", err)
		}
		w.pass(5 * ttl)
		if !l.Held() {
			t.Fatalf("the leader has lost its seat: %v", l.Cause())
		}
		w.must(l.Resign(t.Context()))
		w.pass(5 * ttl)
		q.waits()
		status, err := v.Status(t.Context())
		w.must(err)
		if status.Paused == nil || *status.Paused != because {
			t.Errorf("paused %v", status.Paused)
		}
		all, err := tenure.Survey(t.Context(), w.st)
		w.must(err)
		if len(all) != 1 || all[0].Paused == nil {
			t.Errorf("survey %+v", all)
		}
		heal := b.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
		w.must(v.Unpause(t.Context()))
		w.must(v.Unpause(t.Context())) // twice is nothing
		q.waits()
		w.pass(round) // a round shows it
		q.leads()
		heal()
	})
}

func TestAHigherPriorityPreemptsATermThatHasLasted(t *testing.T) {
	for name, elections := range map[string]int{"its line is watched": 1, "it has too many elections for that": 20} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b := w.join("a"), w.join("b")
				for i := range elections - 1 {
					a.lead(string(rune('A'+i)), tenure.LeadOptions{}, nil)
				}
				w.pass(time.Second)
				began := time.Now()
				d := a.lead("x", tenure.LeadOptions{PreemptAfter: 3 * ttl}, nil)
				term := d.term()
				equals := b.lead("x", tenure.LeadOptions{}, nil)
				w.pass(2 * ttl)
				w.must(b.SetPriority("x", 1)) // too early
				w.pass(ttl / 2)
				w.must(b.SetPriority("x", 0)) // no reason
				w.pass(2 * ttl)
				if !term.Held() {
					t.Fatalf("preempted after %v: %v", time.Since(began), term.Cause())
				}
				w.must(b.SetPriority("x", 1))
				w.pass(round + time.Second)
				if !errors.Is(term.Cause(), tenure.ErrPreempted) {
					t.Fatalf("cause %v", term.Cause())
				}
				equals.term()
				w.must(a.SetPriority("x", 2))
				w.pass(10 * ttl) // b gives its seat to nobody
				if who := w.leader("x"); who != "b" {
					t.Errorf("%q leads", who)
				}
			})
		})
	}
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		if err := a.SetPriority("x", 1); !errors.Is(err, tenure.ErrNotCandidate) {
			t.Errorf("SetPriority: %v", err)
		}
		if _, err := a.Campaign(t.Context(), "x", tenure.CampaignOptions{PreemptAfter: -1}); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("a negative time: %v", err)
		}
	})
}

// Resign has ended the wish to lead, and what is changed of that wish later does not
// bring it back.
func TestAPriorityThatChangesWhileATermIsResignedRevivesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x")
		a.st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpCommit, Delay: time.Second})
		resigned := make(chan error, 1)
		go func() { resigned <- l.Resign(t.Context()) }()
		synctest.Wait()
		w.must(a.SetPriority("x", 7))
		w.pass(ttl)
		select {
		case err := <-resigned:
			w.must(err)
		default:
			t.Fatal("Resign has not returned")
		}
		w.mustBeClean()
	})
}

// fitness is a health check that a test sets.
type fitness struct {
	mu  sync.Mutex
	err error
}

func (f *fitness) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fitness) check(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func TestAMemberThatIsUnwellForATTLHandsItsSeatsOver(t *testing.T) {
	errSick := errors.New("the disk hangs")
	for name, set := range map[string]func(*fitness) (tenure.Options, tenure.LeadOptions){
		"by the member's check": func(f *fitness) (tenure.Options, tenure.LeadOptions) {
			return tenure.Options{ID: "a", Health: f.check}, tenure.LeadOptions{}
		},
		"by the election's check": func(f *fitness) (tenure.Options, tenure.LeadOptions) {
			return tenure.Options{ID: "a"}, tenure.LeadOptions{Health: f.check}
		},
		"when the check hangs or panics": func(f *fitness) (tenure.Options, tenure.LeadOptions) {
			calls := 0
			return tenure.Options{ID: "a"}, tenure.LeadOptions{Health: func(ctx context.Context) error {
				err := f.check(ctx)
				if calls++; err != nil && calls%2 == 0 {
					panic(err)
				} else if err != nil {
					<-ctx.Done()
				}
				return nil
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				fit := &fitness{}
				opts, leadOpts := set(fit)
				a, err := w.tryJoin(opts)
				w.must(err)
				d := a.lead("x", leadOpts, nil)
				term := d.term()
				q := w.join("b").queue("x", 0)
				w.pass(ttl)
				fit.set(errSick)
				w.pass(round)
				fit.set(nil)
				w.pass(3 * ttl)
				if !term.Held() {
					t.Fatalf("one failure has ended the term: %v", term.Cause())
				}
				fit.set(errSick)
				began := time.Now()
				<-term.Context().Done()
				w.about("handed over", time.Since(began), ttl, 3*round)
				if cause := term.Cause(); !errors.Is(cause, tenure.ErrUnhealthy) {
					t.Errorf("cause %v", cause)
				}
				l := q.leads()
				w.must(l.Resign(t.Context()))
				w.pass(ttl)
				if who := w.leader("x"); who != "" {
					t.Errorf("%s leads, and is unwell", who)
				}
				fit.set(nil)
				w.pass(2 * round)
				d.term()
			})
		})
	}
	bubble(t, func(t *testing.T, w *world) {
		if _, err := w.tryJoin(tenure.Options{HealthGrace: -1}); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("a negative grace: %v", err)
		}
	})
}

// verdicts is a policy that a test sets.
type verdicts struct {
	changed chan struct{}

	mu      sync.Mutex
	self    tenure.Verdict
	leaders map[string]tenure.Verdict
}

func newVerdicts() *verdicts {
	return &verdicts{changed: make(chan struct{}, 1), self: tenure.Yes, leaders: map[string]tenure.Verdict{}}
}

func (v *verdicts) set(self tenure.Verdict) {
	v.mu.Lock()
	v.self = self
	v.mu.Unlock()
	v.changed <- struct{}{}
}

func (v *verdicts) setLeader(id string, verdict tenure.Verdict) {
	v.mu.Lock()
	v.leaders[id] = verdict
	v.mu.Unlock()
	v.changed <- struct{}{}
}

func (v *verdicts) ShouldCampaign(tenure.Identity) tenure.Verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.self
}

func (v *verdicts) IsValidLeader(leader tenure.Identity) tenure.Verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	if verdict, ok := v.leaders[leader.Member]; ok {
		return verdict
	}
	return tenure.Yes
}

func (v *verdicts) Changed() <-chan struct{} { return v.changed }

func TestAPolicySaysWhoCampaigns(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		policy := newVerdicts()
		a, b := w.join("a"), w.join("b")
		d := a.lead("x", tenure.LeadOptions{Policy: policy}, nil)
		term := d.term()
		q := b.queue("x", 0)
		policy.set(tenure.No)
		synctest.Wait()
		if !errors.Is(term.Cause(), tenure.ErrIneligible) {
			t.Errorf("cause %v", term.Cause())
		}
		w.must(q.leads().Resign(t.Context()))
		w.pass(ttl)
		if who := w.leader("x"); who != "" {
			t.Errorf("%s leads", who)
		}
		policy.set(tenure.Yes)
		term = d.term()
		policy.set(tenure.Unknown)
		w.pass(ttl - round)
		if !term.Held() {
			t.Fatalf("what it cannot tell has ended the term: %v", term.Cause())
		}
		w.pass(2 * round)
		if cause := term.Cause(); !errors.Is(cause, tenure.ErrIneligible) || !strings.Contains(cause.Error(), "could not tell") {
			t.Errorf("cause %v", cause)
		}
		w.pass(ttl) // it is still unknown, and nothing has changed
		if who := w.leader("x"); who != "" {
			t.Errorf("%s leads", who)
		}
		close(policy.changed) // which ends no loop
		w.pass(ttl)
	})
}

func TestWhoMustNotCampaignHasNoTermAtAll(t *testing.T) {
	for _, verdict := range []tenure.Verdict{tenure.No, tenure.Unknown} {
		t.Run(verdict.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				policy := newVerdicts()
				policy.self = verdict
				a := w.join("a")
				d := a.lead("x", tenure.LeadOptions{Policy: policy}, nil)
				w.pass(2 * ttl)
				if n := a.told.count("elected x"); n != 0 {
					t.Errorf("elected %d times", n)
				}
				policy.set(tenure.Yes)
				d.term()
			})
		})
	}
}

func TestALeaderThatIsNotValidIsDeposedByThoseWhoMayCampaign(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		policy, none := newVerdicts(), newVerdicts()
		none.self = tenure.No
		a := w.join("a").campaign("x") // which knows of no policy
		d := w.join("b").lead("x", tenure.LeadOptions{Policy: policy}, nil)
		w.join("c").lead("x", tenure.LeadOptions{Policy: none}, nil)
		policy.setLeader("a", tenure.Unknown)
		none.setLeader("a", tenure.No)
		w.pass(10 * ttl)
		if !a.Held() {
			t.Fatalf("deposed by who cannot tell, or must not campaign: %v", a.Cause())
		}
		policy.setLeader("a", tenure.No)
		began := time.Now()
		<-a.Context().Done()
		w.about("deposed", time.Since(began), round, 2*round)
		if cause := a.Cause(); !errors.Is(cause, tenure.ErrDeposed) || !strings.Contains(cause.Error(), "by b") {
			t.Errorf("cause %v", cause)
		}
		d.term()
	})
}

func TestAMemberThatFlapsStandsBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var stood []time.Duration
		var failed int
		a, err := w.tryJoin(tenure.Options{ID: "a", Trace: &tenure.Trace{
			StoodBack: func(_ string, n int, d time.Duration) { stood = append(stood, d) },
			Failed:    func(_ tenure.TermInfo, err error) { failed++ },
		}})
		w.must(err)
		a.flap("x", 12)
		w.pass(2 * time.Minute)
		if failed != 12 {
			t.Errorf("failed %d times", failed)
		}
		if len(stood) != 9 { // from the fourth on
			t.Fatalf("stood back %v", stood)
		}
		for i, d := range stood {
			least := min(time.Second<<i, time.Minute)
			w.about("stood back", d, least, least/4)
		}
		w.pass(5 * time.Minute)
		if n := a.Flaps("x"); n != 0 {
			t.Errorf("%d flaps after 5 minutes", n)
		}
	})
}

func TestFlapsAreForgottenWhenTheyAreReset(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		a.flap("x", 9)
		if who := w.leader("x"); who != "" {
			t.Fatalf("%s leads", who)
		}
		a.ResetFlaps("x")
		synctest.Wait()
		if who := w.leader("x"); who != "a" {
			t.Errorf("%q leads", who)
		}
		a.ResetFlaps("nothing of the kind")
		off, err := w.tryJoin(tenure.Options{ID: "b", FlapLimit: -1})
		w.must(err)
		began := time.Now()
		off.flap("y", 50)
		w.about("50 flaps", time.Since(began), 0, time.Second)
	})
}

func TestBeforeReleaseIsCalledWhileTheSeatIsStillKept(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		errLate := errors.New("too late")
		var alive []error
		var held []bool
		var causes []error
		d := w.join("a").lead("x", tenure.LeadOptions{BeforeRelease: func(ctx context.Context, term tenure.Term) error {
			alive, held, causes = append(alive, ctx.Err()), append(held, term.Held()), append(causes, term.Cause())
			time.Sleep(time.Second) // virtual
			if who := w.leader("x"); errors.Is(term.Cause(), tenure.ErrResigned) && who != "a" {
				t.Errorf("%q leads before the seat was released", who)
			}
			return errLate
		}}, func(ctx context.Context, term tenure.Term) error {
			<-ctx.Done()
			return errWork
		})
		term := d.term()
		q := w.join("b").queue("x", 0)
		w.must(term.Resign(t.Context()))
		w.pass(time.Second - time.Millisecond)
		q.waits()
		w.pass(2 * time.Millisecond)
		q.leads()
		d.returns(errWork)
		if !errors.Is(d.err, errLate) || len(alive) != 1 || alive[0] != nil || held[0] || !errors.Is(causes[0], tenure.ErrResigned) {
			t.Errorf("%v: called with %v, %v, %v", d.err, alive, held, causes)
		}
	})
}

func TestAWarningComesBeforeATermEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		warned := make(chan time.Duration, 100)
		a, err := w.tryJoin(tenure.Options{ID: "a", Trace: &tenure.Trace{
			Warning: func(_ tenure.TermInfo, left time.Duration) { warned <- left },
		}})
		w.must(err)
		l := a.campaign("x")
		w.pass(10 * ttl)
		if len(warned) > 0 {
			t.Fatalf("warned without a reason: %v", <-warned)
		}
		for range 2 { // once for each time
			heal := a.cut()
			w.pass(trust - round)
			heal()
			w.pass(5 * ttl)
		}
		if left := <-warned; len(warned) != 1 || left > round || left < round-time.Millisecond || !l.Held() {
			t.Errorf("warned %d times, first %v before the end, held %v", 1+len(warned), left, l.Held())
		}
	})
}

package raftlead

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

func TestLeadReturnsWhatItsFunctionEndsWith(t *testing.T) {
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		work func(context.Context, tenure.Term) error
		want func(error) bool
	}{
		"nil":   {func(context.Context, tenure.Term) error { return nil }, func(err error) bool { return err == nil }},
		"error": {func(context.Context, tenure.Term) error { return failed }, func(err error) bool { return errors.Is(err, failed) }},
		"panic": {func(context.Context, tenure.Term) error { panic(failed) }, func(err error) bool {
			p, ok := errors.AsType[*tenure.PanicError](err)
			return ok && errors.Is(err, failed) && len(p.Stack) > 0
		}},
		"goexit": {func(context.Context, tenure.Term) error { runtime.Goexit(); return nil }, func(err error) bool {
			p, ok := errors.AsType[*tenure.PanicError](err)
			return ok && p.Value == nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, setup{voters: 3})
				s := c.leader()
				var term tenure.Term
				done := lead(t.Context(), s, func(ctx context.Context, l tenure.Term) error {
					term = l
					return test.work(ctx, l)
				})
				if err := await(t, "end of Lead", done); !test.want(err) {
					t.Errorf("Lead returned %v", err)
				}
				if !errors.Is(term.Cause(), tenure.ErrResigned) {
					t.Errorf("the term ended with %v", term.Cause())
				}
				if now := s.elector.Now(); now.Leading || now.Leader == "" {
					t.Errorf("was not passed on: %v", now)
				}
			})
		})
	}
}

func TestTheEndOfLeadsContextPassesTheLeadershipOn(t *testing.T) {
	for name, why := range map[string]error{
		"cause": errors.New("enough"),
		// That of a term of another kind, perhaps.
		"cause that is a loss":     fmt.Errorf("%w: of something else", tenure.ErrLost),
		"cause that is a transfer": fmt.Errorf("%w: of something else", tenure.ErrTransferred),
		"cause that is a close":    fmt.Errorf("%w: of something else", ErrClosed),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, setup{voters: 3})
				s := c.leader()
				ctx, cancel := context.WithCancelCause(t.Context())
				terms := make(chan *Leadership, 1)
				drained := false
				done := lead(ctx, s, func(ctx context.Context, l tenure.Term) error {
					terms <- l.(*Leadership)
					<-ctx.Done()
					time.Sleep(3 * time.Second) // virtual
					drained = s.elector.Now().Leading
					return nil
				})
				l := await(t, "term", terms)
				cancel(why)
				if err := await(t, "end of Lead", done); err != nil {
					t.Error(err)
				}
				if !errors.Is(l.Cause(), why) {
					t.Errorf("cause %v, want %v", l.Cause(), why)
				}
				if !drained {
					t.Error("passed on before the function had returned")
				}
				if now := s.elector.Now(); now.Leading || now.Leader == "" {
					t.Errorf("was not passed on: %v", now)
				}
			})
		})
	}
}

func TestALeadershipOfWhichNoTermHasBegunIsPassedOnWhenLeadsContextEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3, conf: func(c *raft.Config) {
			c.HeartbeatTimeout, c.ElectionTimeout = 3*time.Second, 3*time.Second
		}})
		c.net.slow(func(route) time.Duration { return 100 * time.Millisecond })
		s := c.leader()
		ctx, cancel := context.WithCancel(t.Context())
		done := lead(ctx, s, func(context.Context, tenure.Term) error {
			t.Error("was called")
			return nil
		})
		time.Sleep(10 * time.Millisecond) // virtual: the barrier takes longer
		cancel()
		if err := await(t, "end of Lead", done); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if now := s.elector.Now(); now.Leading || now.Leader == "" {
			t.Errorf("was not passed on: %v", now)
		}
	})
}

func TestLeadCallsItsFunctionAgainAfterALossOnceItHasReturned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		s := c.leader()
		ctx, cancel := context.WithCancel(t.Context())
		var running atomic.Int32
		terms := make(chan *Leadership)
		done := lead(ctx, s, func(ctx context.Context, l tenure.Term) error {
			if running.Add(1) != 1 {
				t.Error("two at a time")
			}
			defer running.Add(-1)
			terms <- l.(*Leadership)
			<-ctx.Done()
			time.Sleep(20 * time.Second) // virtual: raft elects the server meanwhile
			return errors.New("which is logged")
		})
		last := await(t, "term", terms)
		for range 5 {
			ended := time.Now()
			s.disk.fail()
			s.raft.Apply(nil, 0)
			mustEnd(t, last, ErrSteppedDown)
			next := await(t, "next term", terms)
			if next.Token() <= last.Token() || next.RaftTerm() <= last.RaftTerm() {
				t.Errorf("token %d of raft term %d, then %d of %d", last.Token(), last.RaftTerm(), next.Token(), next.RaftTerm())
			}
			if took := time.Since(ended); took < 20*time.Second {
				t.Errorf("called again after %v", took)
			}
			last = next
		}
		cancel()
		_ = await(t, "end of Lead", done)
	})
}

func TestResignInsideLeadReturnsAtOnceAndThePassingOnWaitsForTheFunction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.leader()
		done := lead(t.Context(), s, func(ctx context.Context, l tenure.Term) error {
			if err := l.Resign(ctx); err != nil {
				t.Error(err)
			}
			if l.Held() || !errors.Is(l.Cause(), tenure.ErrResigned) {
				t.Errorf("held: %v, cause %v", l.Held(), l.Cause())
			}
			time.Sleep(5 * time.Second) // virtual
			if !s.elector.Now().Leading {
				t.Error("passed on before the function has returned")
			}
			if err := l.Resign(t.Context()); err != nil {
				t.Error(err)
			}
			return nil
		})
		if err := await(t, "end of Lead", done); err != nil {
			t.Error(err)
		}
		if now := s.elector.Now(); now.Leading || now.Leader == "" {
			t.Errorf("was not passed on: %v", now)
		}
	})
}

func TestResignOutsideOfLeadWaitsUntilAnotherLeads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		if err := l.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustEnd(t, l, tenure.ErrResigned)
		if now := s.elector.Now(); now.Leading || now.Leader == "" {
			t.Errorf("was not passed on: %v", now)
		}
		if next := c.campaignOn(c.leader()); next.Token() <= l.Token() {
			t.Errorf("token %d, then %d", l.Token(), next.Token())
		}
		if err := l.Resign(t.Context()); err != nil {
			t.Errorf("the second time: %v", err)
		}
	})
}

func TestASingleVoterResignsAndMayCampaignAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1, nonvoters: 1})
		s, l := c.campaign()
		if err := l.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustEnd(t, l, tenure.ErrResigned)
		if next := c.campaignOn(s); next.Token() <= l.Token() {
			t.Errorf("token %d, then %d", l.Token(), next.Token())
		}
	})
}

func TestOneCandidateAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		if _, err := s.elector.Campaign(t.Context()); !errors.Is(err, tenure.ErrAlreadyCandidate) {
			t.Error(err)
		}
		if err := s.elector.Lead(t.Context(), idle); !errors.Is(err, tenure.ErrAlreadyCandidate) {
			t.Error(err)
		}
		other := c.others(s)[0]
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := other.elector.Campaign(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := l.TransferTo(t.Context(), other.id); err != nil {
			t.Error(err)
		}
		c.campaignOn(other)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.elector.Campaign(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after a transfer and a campaign elsewhere: %v", err)
		}
	})
}

func TestWhoHasLostATermMayCampaignAgainAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		for range 200 {
			s, l := c.campaign()
			s.disk.fail()
			s.raft.Apply(nil, 0)
			<-l.Context().Done()
			next := c.campaignOn(s)
			if err := next.Resign(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Whoever sees the end of a term, and campaigns, must not have his new term taken by what was
// done about the old one.
func TestResignThatComesWithALossLeavesTheNextTermAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		other := c.others(s)[0]
		for name, resign := range map[string]func() error{
			"Resign":     func() error { return l.Resign(t.Context()) },
			"TransferTo": func() error { return l.TransferTo(t.Context(), other.id) },
		} {
			l.lose(ErrSteppedDown) // whoever resigns has seen the term held until here
			next := c.campaignOn(s)
			_ = resign()
			if !next.Held() {
				t.Errorf("%s ended another term: %v", name, next.Cause())
			}
			l = next
		}
		// The same where it is too late for the look at the term.
		if l.lose(ErrSteppedDown); l.giveUp(tenure.ErrResigned, nil) {
			t.Error("a term that was lost is given up")
		}
	})
}

func TestVerify(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3, conf: patient})
		s, l := c.campaign()
		if err := l.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		asked := time.Now()
		c.net.cutOff(s)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errors.New("why"))
		defer cancel()
		if err := l.Verify(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(asked); took != 10*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if err := l.Verify(t.Context()); !errors.Is(err, tenure.ErrLost) || !errors.Is(err, l.Cause()) {
			t.Errorf("%v, and the term ended with %v", err, l.Cause())
		}
		if err := l.Verify(t.Context()); !errors.Is(err, l.Cause()) {
			t.Error(err)
		}
	})
}

// Raft's own answer comes with that to a heartbeat that was under way.
func TestVerifyWaitsForTheAnswerToWhatWasSentAfterTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		const late = 300 * time.Millisecond
		c.net.slow(func(r route) time.Duration {
			if r.to == s.addr {
				return late
			}
			return 0
		})
		time.Sleep(5 * time.Second) // virtual
		for range 20 {
			asked := time.Now()
			if err := l.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(asked); took < late || took > 3*late {
				t.Errorf("took %v, and an answer takes %v", took, late)
			}
		}
	})
}

func TestTheContextEndsAtOnceWhenRaftStepsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		time.Sleep(time.Second) // virtual
		before := time.Now()
		s.disk.fail()
		s.raft.Apply(nil, 0)
		mustEnd(t, l, ErrSteppedDown)
		if took := time.Since(before); took > 0 {
			t.Errorf("after %v", took)
		}
	})
}

func TestVerifyOfASingleVoter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		_, l := c.campaign()
		if err := l.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestATermBeginsWhenItsServerHasAppliedWhatOthersCommitted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		for range 30 {
			s, l := c.campaign()
			f := s.raft.Apply([]byte("x"), 0)
			if err := f.Error(); err != nil {
				t.Fatal(err)
			}
			if uint64(l.Token()) >= f.Index() {
				t.Errorf("token %d, and a command of the term has index %d", l.Token(), f.Index())
			}
			if err := l.Resign(t.Context()); err != nil {
				t.Fatal(err)
			}
			next, _ := c.campaign()
			if next.fsm.last.Load() < f.Index() {
				t.Fatal("a term has begun without what was committed before it")
			}
			next.elector.present.Load().lose(ErrSteppedDown)
		}
	})
}

func TestWhatCannotBeIsRefusedWithARemedy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		s := c.leader()
		fresh := func() *Witness { return NewWitness(s.link) }
		for name, test := range map[string]struct {
			r    *raft.Raft
			id   raft.ServerID
			w    *Witness
			opts Options
			want []string
		}{
			"raft":                 {nil, s.id, fresh(), Options{}, []string{"no raft", "give"}},
			"id":                   {s.raft, "", fresh(), Options{}, []string{"no id", "LocalID"}},
			"witness":              {s.raft, s.id, nil, Options{}, []string{"Witness", "TrustRaft"}},
			"witness of another":   {s.raft, s.id, s.witness, Options{}, []string{"Witness", "make one for each raft"}},
			"Lease < 0":            {s.raft, s.id, fresh(), Options{Lease: -1}, []string{"Lease", "-1ns", "positive"}},
			"Lease is a heartbeat": {s.raft, s.id, fresh(), Options{Lease: time.Second}, []string{"Lease", "1s", "HeartbeatTimeout", "give less"}},
			"TransferTimeout < 0":  {s.raft, s.id, fresh(), Options{TransferTimeout: -1}, []string{"TransferTimeout", "-1ns", "positive"}},
			"DrainTimeout < 0":     {s.raft, s.id, fresh(), Options{DrainTimeout: -1}, []string{"DrainTimeout", "-1ns", "positive"}},
		} {
			_, err := New(test.r, test.id, test.w, test.opts)
			if !errors.Is(err, tenure.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %q does not say %q", name, err, part)
				}
			}
		}
		if err := s.elector.Lead(t.Context(), nil); !errors.Is(err, tenure.ErrInvalid) {
			t.Error(err)
		}
		if err := s.elector.Lead(t.Context(), func(context.Context, tenure.Term) error { return nil }); err != nil {
			t.Errorf("after a refusal: %v", err)
		}
		s.elector.Close()
		again, err := New(s.raft, s.id, s.witness, Options{})
		if err != nil {
			t.Fatalf("a second Elector after the first was closed: %v", err)
		}
		again.Close()
	})
}

func TestAnElectorWithAnotherIDThanItsRaftIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		s := c.leader()
		wrong := must(New(s.raft, "another", NewWitness(s.link), Options{}))
		defer wrong.Close()
		if _, err := wrong.Campaign(t.Context()); !errors.Is(err, tenure.ErrInvalid) || !strings.Contains(err.Error(), `"another"`) {
			t.Error(err)
		}
		if wrong.Now().Leading {
			t.Error("leads as another")
		}
	})
}

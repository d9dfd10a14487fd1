package raftlead

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

func TestTransferToGoesToTheNamedServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 5})
		s, l := c.campaign()
		for range 20 {
			for _, to := range c.others(s) {
				if err := l.TransferTo(t.Context(), to.id); err != nil {
					t.Fatalf("from %s to %s: %v", s.id, to.id, err)
				}
				mustEnd(t, l, tenure.ErrTransferred)
				if now := s.elector.Now(); now.Leader != to.id {
					t.Fatalf("from %s to %s: %v", s.id, to.id, now)
				}
				s, l = to, c.campaignOn(to)
			}
		}
	})
}

func TestTransferToInsideLeadWaitsForTheFunction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.leader()
		to := c.others(s)[0]
		ctx, cancel := context.WithCancel(t.Context())
		ended, again := make(chan struct{}), make(chan tenure.Term, 1)
		first := true
		done := lead(ctx, s, func(ctx context.Context, term tenure.Term) error {
			if !first {
				again <- term
				return idle(ctx, term)
			}
			first = false
			l := term.(*Leadership)
			if err := l.TransferTo(ctx, to.id); err != nil {
				t.Error(err)
			}
			if l.Held() || !errors.Is(l.Cause(), tenure.ErrTransferred) || !strings.Contains(l.Cause().Error(), string(to.id)) {
				t.Errorf("held: %v, cause %v", l.Held(), l.Cause())
			}
			if err := l.TransferTo(t.Context(), to.id); !errors.Is(err, tenure.ErrTransferred) {
				t.Errorf("of a term that has ended: %v", err)
			}
			time.Sleep(5 * time.Second) // virtual
			if !s.elector.Now().Leading {
				t.Error("passed on before the function has returned")
			}
			close(ended)
			return nil
		})
		<-ended
		next := c.campaignOn(to)
		if err := next.TransferTo(t.Context(), s.id); err != nil {
			t.Error(err)
		}
		if back := await(t, "another term of Lead", again); back.Token() <= next.Token() {
			t.Errorf("token %d, then %d", next.Token(), back.Token())
		}
		cancel()
		if err := await(t, "end of Lead", done); err != nil {
			t.Error(err)
		}
	})
}

// Whoever gets the leadership may give it back before the one that passed it on has looked: that is
// another leadership, of which Lead is about to begin a term.
func TestALeadershipThatIsGivenBackAtOnceIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.leader()
		to, third := c.others(s)[0], c.others(s)[1]
		pass := func(from, to *server) {
			if err := from.raft.LeadershipTransferToServer(to.id, to.addr).Error(); err != nil {
				t.Fatal(err)
			}
			c.leader(to)
		}
		before := s.elector.watch.now.Load()
		pass(s, to)
		pass(to, s)
		if err := s.elector.handOver(t.Context(), before, &to.id); err != nil || !s.elector.Now().Leading {
			t.Errorf("%v, and %v", err, s.elector.Now())
		}
		if err := s.elector.handOver(t.Context(), before, &third.id); !errors.Is(err, tenure.ErrWentElsewhere) || !s.elector.Now().Leading {
			t.Errorf("%v, and %v", err, s.elector.Now())
		}
		// Who resigns begins no other term.
		if err := s.elector.handOver(t.Context(), before, nil); err != nil || s.elector.Now().Leading {
			t.Errorf("%v, and %v", err, s.elector.Now())
		}
	})
}

func TestTransferToWhoCannotLeadIsRefusedAndTheTermGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3, nonvoters: 1})
		s, l := c.campaign()
		away := c.others(s)[0]
		c.net.cutOff(away)
		time.Sleep(2 * time.Second) // virtual
		for _, id := range []raft.ServerID{"unknown", "", "3", away.id} {
			if err := l.TransferTo(t.Context(), id); !errors.Is(err, tenure.ErrNotCandidate) {
				t.Errorf("to %q: %v", id, err)
			}
		}
		if err := l.TransferTo(t.Context(), s.id); err != nil {
			t.Errorf("to itself: %v", err)
		}
		if !l.Held() {
			t.Error(l.Cause())
		}
	})
}

// A term that has only begun may not have been answered by all.
func TestTransferToInANewTerm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.leader()
		to := c.others(s)[0]
		c.net.slow(func(r route) time.Duration {
			if r.from == to.addr {
				return 100 * time.Millisecond
			}
			return 0
		})
		s.disk.fail() // another election, in which one answers later
		s.raft.Apply(nil, 0)
		time.Sleep(time.Second) // virtual
		for range 20 {
			s, l := c.campaign()
			to := c.others(s)[0]
			if err := l.TransferTo(t.Context(), to.id); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// cannotWin makes what a server asks for votes get lost, so that it stands for election
// and fails.
func (s *server) cannotWin(cannot bool) {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	s.link.noVotes = cannot
}

func TestEachVoterIsTriedBeforeOneIsTriedAgain(t *testing.T) {
	successors := []raft.Server{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	tried := map[raft.ServerID]int{}
	for round := range 10 {
		for range successors {
			// In each raft term others have answered last.
			rand.Shuffle(len(successors), func(i, j int) { successors[i], successors[j] = successors[j], successors[i] })
			tried[leastTried(successors, tried).ID]++
		}
		for _, s := range successors {
			if tried[s.ID] != round+1 {
				t.Fatalf("in %d rounds: %v", round+1, tried)
			}
		}
	}
	if first := leastTried(successors, tried); first.ID != successors[0].ID {
		t.Errorf("%s is first, and not %s, that answered last", first.ID, successors[0].ID)
	}
}

func TestATransferWhoseTargetFailsIsTriedWithOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		others := c.others(s)
		others[0].cannotWin(true)
		began := time.Now()
		if err := l.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := s.elector.Now(); now.Leader != others[1].id {
			t.Error(now)
		}
		t.Logf("took %v", time.Since(began))
	})
}

func TestATransferToWhoFailsIsToldAndAnotherTermMayBegin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 10 {
			c := newCluster(t, setup{voters: 3})
			s, l := c.campaign()
			to := c.others(s)[0]
			to.cannotWin(true)
			began := time.Now()
			err := l.TransferTo(t.Context(), to.id)
			took := time.Since(began)
			switch now := s.elector.Now(); {
			case errors.Is(err, ErrNotTransferred):
				switch {
				case now.Leader != "" && !now.Leading:
					t.Errorf("%v, and %v", err, now)
				case now.Leading:
					// Of whom raft elects: the target may still be standing for election, and
					// then s leads no longer as soon as it hears of that.
					if _, next := c.campaign(); next.Token() <= l.Token() {
						t.Errorf("token %d, then %d", l.Token(), next.Token())
					}
				}
			case errors.Is(err, tenure.ErrWentElsewhere):
				if now.Leader == to.id || now.Leading {
					t.Errorf("%v, and %v", err, now)
				}
			default:
				t.Errorf("%v, and %v", err, now)
			}
			if took > l.e.transferTimeout() {
				t.Errorf("took %v", took)
			}
			c.close()
		}
	})
}

func TestATransferWhoseTargetIsCutOffHalfwayLeavesTheWorkWithSomebody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 20 {
			c := newCluster(t, setup{voters: 3})
			ctx, cancel := context.WithCancel(t.Context())
			terms := make(chan *Leadership, 100)
			var ends []<-chan error
			for _, s := range c.servers {
				ends = append(ends, lead(ctx, s, func(ctx context.Context, l tenure.Term) error {
					terms <- l.(*Leadership)
					<-ctx.Done()
					return nil
				}))
			}
			first := await(t, "term", terms)
			to := c.others(c.server(first.e.id))[0]
			if err := first.TransferTo(ctx, to.id); err != nil {
				t.Fatal(err)
			}
			// At that moment, or a little later, it is gone.
			c.net.slow(func(route) time.Duration { return 5 * time.Millisecond })
			time.Sleep(time.Duration(len(ends)) * time.Millisecond) // virtual
			c.net.cutOff(to)
			began := time.Now()
			var next *Leadership
			for next == nil || next.e.id == to.id {
				next = await(t, "next term", terms)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("nobody worked for %v", took)
			}
			if next.Token() <= first.Token() {
				t.Errorf("token %d, then %d", first.Token(), next.Token())
			}
			c.net.heal()
			cancel()
			for _, end := range ends {
				_ = await(t, "end of Lead", end)
			}
			c.close()
		}
	})
}

func TestWhatCannotBePassedOnIsTold(t *testing.T) {
	for name, give := range map[string]func(context.Context, *server) error{
		"Resign": func(ctx context.Context, s *server) error {
			l, err := s.elector.Campaign(ctx)
			if err != nil {
				return err
			}
			return l.Resign(ctx)
		},
		"Lead": func(ctx context.Context, s *server) error {
			return s.elector.Lead(ctx, func(context.Context, tenure.Term) error { return errDisk })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, setup{voters: 3, opts: Options{TransferTimeout: 7 * time.Second}})
				s := c.leader()
				for _, o := range c.others(s) {
					o.cannotWin(true)
				}
				began := time.Now()
				err := give(t.Context(), s)
				if !errors.Is(err, ErrNotTransferred) {
					t.Error(err)
				}
				if name == "Lead" && !errors.Is(err, errDisk) {
					t.Errorf("%v does not say what the function has returned", err)
				}
				if took := time.Since(began); took < 7*time.Second || took > 9*time.Second {
					t.Errorf("tried for %v, want 7s", took)
				}
				for _, o := range c.others(s) {
					o.cannotWin(false)
				}
				c.campaign()
			})
		})
	}
}

func TestTheContextOfResignBoundsItsWaitAndNotTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		for _, o := range c.others(s) {
			o.cannotWin(true)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Resign(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		mustEnd(t, l, tenure.ErrResigned)
		for _, o := range c.others(s) {
			o.cannotWin(false)
		}
		c.campaign()
	})
}

func (c *cluster) server(id raft.ServerID) *server {
	for _, s := range c.servers {
		if s.id == id {
			return s
		}
	}
	c.t.Fatalf("no server %q", id)
	return nil
}

// Raft v1.7.3 and v1.8.0 are lost when they are asked twice, in one term, to transfer the leadership to
// a server that does not catch up, and step down meanwhile: the next time that they lead they take
// everything for a part of that transfer, and refuse it, for ever.
func TestATransferToWhoDoesNotCatchUpNeverLeavesRaftUnableToLead(t *testing.T) {
	for range 10 {
		bubble(t, func(t *testing.T) {
			net := newNetwork()
			net.fast, net.patience = true, 10*time.Second
			c := newCluster(t, setup{voters: 3, net: net})
			s, l := c.campaign()
			hung, other := c.others(s)[0], c.others(s)[1]
			hung.disk.hang()
			for range 5 {
				if err := s.raft.Apply(nil, 0).Error(); err != nil {
					t.Fatal(err)
				}
			}
			result := make(chan error, 1)
			go func() { result <- l.TransferTo(t.Context(), hung.id) }()
			time.Sleep(2500 * time.Millisecond) // virtual: a transfer is given up after one second
			c.net.cutOff(s)
			hung.disk.goOn()
			c.leader(hung, other)
			c.net.heal()
			if err := await(t, "end of the transfer", result); err == nil {
				t.Fatal("was transferred")
			}
			time.Sleep(time.Minute) // virtual
			from, l := c.campaign()
			if from == s {
				return
			}
			if err := l.TransferTo(t.Context(), s.id); err != nil {
				t.Fatal(err)
			}
			c.campaignOn(s)
		})
	}
}

// loseTransfers makes each request to stand for election, from s to the other, fail at once.
func (c *cluster) loseTransfers(s, other *server) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.net.promptTransfers = true
	c.net.delay = func(r route) time.Duration {
		if r == (route{s.addr, other.addr}) {
			return 2 * time.Millisecond
		}
		return 0
	}
}

func TestResignGoesOnWithTheNextVoter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.leader()
		s.elector.Close()
		s.elector = must(New(s.raft, s.id, nil, Options{TrustRaft: true})) // without a Witness all seem equal
		l := c.campaignOn(s)
		first, second := c.others(s)[0], c.others(s)[1]
		c.loseTransfers(s, first)
		began := time.Now()
		if err := l.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := s.elector.Now(); now.Leader != second.id || time.Since(began) > time.Second {
			t.Errorf("%v after %v", now, time.Since(began))
		}
	})
}

func TestResignBeginsWithWhoAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		for _, dead := range []int{0, 1} {
			s, l := c.campaign()
			c.net.cutOff(c.others(s)[dead])
			time.Sleep(5 * time.Second) // virtual
			began := time.Now()
			if err := l.Resign(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 200*time.Millisecond {
				t.Errorf("took %v, with number %d cut off", took, dead)
			}
			c.net.heal()
			time.Sleep(time.Minute) // virtual
		}
	})
}

func TestATransferWaitsForOneThatRaftHasUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		hung, to := c.others(s)[0], c.others(s)[1]
		hung.disk.hang()
		for range 5 {
			if err := s.raft.Apply(nil, 0).Error(); err != nil {
				t.Fatal(err)
			}
		}
		s.raft.LeadershipTransferToServer(hung.id, hung.addr) // for one second, and in vain
		time.Sleep(time.Millisecond)                          // virtual
		if err := l.TransferTo(t.Context(), to.id); err != nil {
			t.Error(err)
		}
	})
}

func TestASecondTransferToWhoDoesNotCatchUpIsRefusedAndTheTermGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		net := newNetwork()
		net.fast, net.patience = true, 10*time.Second
		c := newCluster(t, setup{voters: 3, net: net})
		s, l := c.campaign()
		hung := c.others(s)[0]
		hung.disk.hang()
		for range 5 {
			if err := s.raft.Apply(nil, 0).Error(); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.TransferTo(t.Context(), hung.id); !errors.Is(err, ErrNotTransferred) {
			t.Fatal(err)
		}
		next := c.campaignOn(s)
		if err := next.TransferTo(t.Context(), hung.id); !errors.Is(err, tenure.ErrNotCandidate) || !next.Held() {
			t.Error(err, next.Cause())
		}
		hung.disk.goOn()
		if err := next.TransferTo(t.Context(), c.others(s)[1].id); err != nil { // another raft term
			t.Fatal(err)
		}
		other, l := c.campaign()
		if err := l.TransferTo(t.Context(), hung.id); err != nil {
			t.Errorf("from %s: %v", other.id, err)
		}
	})
}

func TestATransferThatFailsGoesToAnybodyWhenLeadsContextHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.leader()
		to := c.others(s)[0]
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.elector.Lead(ctx, func(ctx context.Context, l tenure.Term) error {
			c.loseTransfers(s, to)
			if err := l.(*Leadership).TransferTo(ctx, to.id); err != nil {
				t.Error(err)
			}
			cancel()
			return nil
		}); err != nil {
			t.Error(err)
		}
		if now := s.elector.Now(); now.Leader != c.others(s)[1].id {
			t.Error(now)
		}
	})
}

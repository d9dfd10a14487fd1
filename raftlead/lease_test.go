package raftlead

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

// patient is a raft that steps down as late as it may, so that the Lease comes first.
func patient(c *raft.Config) { c.LeaderLeaseTimeout = c.HeartbeatTimeout }

func TestATermEndsALeaseAfterTheLastHeartbeatThatAQuorumAnswered(t *testing.T) {
	for _, fault := range []struct {
		name string
		cut  func(*cluster, *server)
	}{
		{"cut off", func(c *cluster, s *server) { c.net.cutOff(s) }},
		{"is not heard", func(c *cluster, s *server) {
			for _, o := range c.others(s) {
				c.net.set(route{s.addr, o.addr}, true)
			}
		}},
		{"does not hear", func(c *cluster, s *server) {
			for _, o := range c.others(s) {
				c.net.set(route{o.addr, s.addr}, true)
			}
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, setup{voters: 5, conf: patient})
				s, l := c.campaign()
				time.Sleep(20 * time.Second) // virtual
				if !l.Held() {
					t.Fatal(l.Cause())
				}
				fault.cut(c, s)
				mustEnd(t, l, tenure.ErrUnproven)
				answered := 0
				for _, sent := range s.link.answers() {
					if time.Since(sent) <= l.e.lease() {
						answered++
					}
				}
				if answered != 2 {
					t.Errorf("it ended when %d of 4 had answered for the last Lease, want 2: with the other one that is no quorum any more", answered)
				}
			})
		})
	}
}

func TestATermLastsWhileAQuorumAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 5})
		s, l := c.campaign()
		for _, o := range c.others(s)[:2] {
			c.net.cutOff(o)
		}
		time.Sleep(5 * time.Minute) // virtual
		if !l.Held() {
			t.Error(l.Cause())
		}
	})
}

func TestALeaderWhoseDiskHangsAndThatIsCutOffHoldsNothingWhenAnotherIsElected(t *testing.T) {
	for name, opts := range map[string]Options{"witness": {}, "control: raft's word": {TrustRaft: true}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, setup{voters: 3, opts: opts})
				s := c.leader()
				if opts.TrustRaft {
					s.elector.Close()
					s.elector = must(New(s.raft, s.id, nil, opts))
				}
				l := c.campaignOn(s)
				s.disk.hang()
				s.raft.Apply(nil, 0)
				time.Sleep(5 * time.Second) // virtual
				if !l.Held() {
					t.Fatal("a disk that hangs is no loss while heartbeats are answered:", l.Cause())
				}
				c.net.cutOff(s)
				next := c.leader(c.others(s)...)
				held := l.Held()
				if s.raft.State() != raft.Leader {
					t.Error("raft has noticed, and was not to")
				}
				if held != opts.TrustRaft {
					t.Errorf("%s leads and %s holds its term: %v", next.id, s.id, held)
				}
				if !opts.TrustRaft {
					mustEnd(t, l, tenure.ErrUnproven)
				}
			})
		})
	}
}

func TestNonvotersDoNotKeepATerm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3, nonvoters: 4, conf: patient})
		s, l := c.campaign()
		time.Sleep(time.Second) // virtual
		for _, o := range c.servers[:3] {
			if o != s {
				c.net.cutOff(o)
			}
		}
		verified := l.Verify(t.Context())
		if verified == nil {
			t.Error("verified by servers that have no vote")
		}
		if !errors.Is(l.Cause(), tenure.ErrLost) {
			t.Error(l.Cause())
		}
	})
}

func TestAServerThatIsTheOnlyVoterHoldsItsTermWithoutAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1, nonvoters: 1})
		s, l := c.campaign()
		c.net.cutOff(s)
		time.Sleep(time.Hour) // virtual
		if !l.Held() {
			t.Error(l.Cause())
		}
		if left := time.Until(l.Until()); left != l.e.lease() {
			t.Errorf("Until is %v away, want a Lease", left)
		}
	})
}

func TestATermOutlivesTheGrowthAndShrinkageOfItsCluster(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1, conf: patient})
		s, l := c.campaign()
		change := func(f raft.IndexFuture) {
			t.Helper()
			if err := f.Error(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second) // virtual
			if !l.Held() {
				t.Fatal(l.Cause())
			}
		}
		second, third := c.start(nil), c.start(nil)
		change(s.raft.AddVoter(second.id, second.addr, 0, 0))
		if l.alone.Load() {
			t.Error("takes itself for a quorum with a second voter")
		}
		change(s.raft.AddNonvoter(third.id, third.addr, 0, 0))
		change(s.raft.AddVoter(third.id, third.addr, 0, 0))
		change(s.raft.DemoteVoter(third.id, 0, 0))
		change(s.raft.RemoveServer(third.id, 0, 0))
		change(s.raft.DemoteVoter(second.id, 0, 0))
		if !l.alone.Load() {
			t.Error("waits for answers where there is no other voter")
		}
		c.net.cutOff(s)
		time.Sleep(time.Hour) // virtual
		if !l.Held() {
			t.Error(l.Cause())
		}
		c.net.heal()
		time.Sleep(10 * time.Second) // virtual
		change(s.raft.AddVoter(second.id, second.addr, 0, 0))
		c.net.cutOff(s)
		mustEnd(t, l, tenure.ErrUnproven)
	})
}

func TestANewSecondVoterCountsFromTheMomentAtWhichItIsAdded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1, conf: patient})
		s, l := c.campaign()
		time.Sleep(time.Minute) // virtual
		second := c.start(nil)
		c.net.cutOff(second)
		s.raft.AddVoter(second.id, second.addr, 0, 0)
		time.Sleep(time.Millisecond) // virtual
		if left := time.Until(l.Until()); !l.Held() || left >= l.e.lease() {
			t.Errorf("%v, and %v are left: it takes itself for a quorum", l.Cause(), left)
		}
	})
}

// As it happens in virtual time.
func TestATermThatBeginsWhenTheClockDoesIsHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.servers[0]
		conf := s.raft.ReloadableConfig()
		conf.HeartbeatTimeout = 900 * time.Millisecond
		if err := s.raft.ReloadConfig(conf); err != nil { // at once it stands for election
			t.Fatal(err)
		}
		if l := c.campaignOn(s); !l.Held() {
			t.Error(l.Cause())
		}
	})
}

func TestASecondVoterThatNeverAnswersEndsTheTerm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1, nonvoters: 1, conf: patient})
		s, l := c.campaign()
		second := c.servers[1]
		time.Sleep(10 * time.Second) // virtual
		c.net.cutOff(second)
		added := time.Now()
		s.raft.AddVoter(second.id, second.addr, 0, 0)
		mustEnd(t, l, tenure.ErrLost)
		if took := time.Since(added); took > 2*l.e.lease() {
			t.Errorf("after %v, want two Leases at most", took)
		}
	})
}

func TestATermThatWasUnprovenIsFollowedByOneWithAHigherToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3, opts: Options{Lease: 200 * time.Millisecond}, conf: patient})
		s, first := c.campaign()
		time.Sleep(time.Second) // virtual
		c.net.cutOff(s)
		mustEnd(t, first, tenure.ErrUnproven)
		c.net.heal()
		second := c.campaignOn(s)
		if first.RaftTerm() != second.RaftTerm() {
			t.Fatalf("raft terms %d and %d, want one", first.RaftTerm(), second.RaftTerm())
		}
		if first.Token() >= second.Token() {
			t.Errorf("token %d, then %d", first.Token(), second.Token())
		}
	})
}

func TestALeaseFollowsAReloadOfTheHeartbeatTimeout(t *testing.T) {
	for name, opts := range map[string]Options{"by default": {}, "as was given": {Lease: 900 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, setup{voters: 3, opts: opts, conf: func(c *raft.Config) { c.LeaderLeaseTimeout = 300 * time.Millisecond }})
				s, l := c.campaign()
				for _, o := range c.servers {
					conf := o.raft.ReloadableConfig()
					conf.HeartbeatTimeout = 400 * time.Millisecond
					if err := o.raft.ReloadConfig(conf); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second) // virtual
				if left := time.Until(l.Until()); left >= 400*time.Millisecond {
					t.Errorf("held for another %v, with a heartbeat timeout of 400ms", left)
				}
				s.disk.hang()
				s.raft.Apply(nil, 0)
				c.net.cutOff(s)
				next := c.leader(c.others(s)...)
				if l.Held() {
					t.Errorf("%s leads and %s holds its term", next.id, s.id)
				}
			})
		})
	}
}

func TestVerifyEndsWithTheTermAlthoughRaftHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		s.disk.hang()
		s.raft.Apply(nil, 0)
		c.net.cutOff(s)
		asked := time.Now()
		if err := l.Verify(t.Context()); !errors.Is(err, tenure.ErrUnproven) {
			t.Error(err)
		}
		if took := time.Since(asked); took > l.e.lease() {
			t.Errorf("after %v", took)
		}
	})
}

// Raft counts the answer to a heartbeat that was sent before it was asked.
func TestVerifyIsNotFooledByALateAnswer(t *testing.T) {
	fooled := 0
	for runs := 0; runs < 100 || fooled == 0; runs++ {
		if runs == 10_000 {
			t.Fatal("raft was never fooled: this tests nothing")
		}
		bubble(t, func(t *testing.T) {
			net := newNetwork()
			net.patience = 10 * time.Second
			c := newCluster(t, setup{voters: 3, conf: patient, net: net})
			s, l := c.campaign()
			time.Sleep(time.Second) // virtual
			net.slow(func(r route) time.Duration {
				if r.to == s.addr {
					return rand.N(1500 * time.Millisecond)
				}
				return 0
			})
			time.Sleep(rand.N(300 * time.Millisecond)) // virtual
			for _, o := range c.others(s) {
				net.set(route{s.addr, o.addr}, true)
			}
			next := c.leader(c.others(s)...)
			asked := s.raft.VerifyLeader()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := l.Verify(ctx); err == nil {
				t.Errorf("verified while %s leads", next.id)
			}
			if asked.Error() == nil {
				fooled++
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestHeldAllocatesNothingWhileItIsTrue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		_, l := c.campaign()
		if n := testing.AllocsPerRun(1000, func() {
			if !l.Held() {
				t.Error(l.Cause())
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

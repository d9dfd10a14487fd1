package raftlead

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// What doc.go says under Limits, shown. None of it is wanted: should raft mend one, its test fails, and
// doc.go can promise more.

// overlaps runs a test up to a hundred times, until it says that two terms were held at once.
func overlaps(t *testing.T, f func(*testing.T) bool) {
	t.Helper()
	for range 100 {
		shown := false
		bubble(t, func(t *testing.T) { shown = f(t) })
		if shown || t.Failed() {
			return
		}
	}
	t.Error("no two terms were held at once: there is no such limit")
}

// deaf makes s late to hear what the other says, that it asks for votes, for example.
func (c *cluster) deaf(s, other *server) {
	c.net.slow(func(r route) time.Duration {
		if r == (route{other.addr, s.addr}) {
			return 100 * time.Millisecond
		}
		return 0
	})
}

func TestLimitATransferThatIsHandledLateElectsAnotherInATerm(t *testing.T) {
	overlaps(t, func(t *testing.T) bool {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		late := c.others(s)[0]
		s.link.lateTransfers(time.Minute)
		if err := l.TransferTo(t.Context(), late.id); err == nil {
			t.Fatal("was transferred")
		}
		next := c.campaignOn(s)
		c.deaf(s, late)
		other := c.campaignOn(late)
		held := next.Held() && other.Held()
		mustEnd(t, next, ErrSteppedDown)
		return held
	})
}

func TestLimitATransferBehindTheElectorsBackElectsAnotherInATerm(t *testing.T) {
	overlaps(t, func(t *testing.T) bool {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		to := c.others(s)[0]
		c.deaf(s, to)
		transfer := s.raft.LeadershipTransferToServer(to.id, to.addr)
		other := c.campaignOn(to)
		held := l.Held() && other.Held()
		if err := transfer.Error(); err != nil {
			t.Error(err)
		}
		mustEnd(t, l, ErrSteppedDown)
		return held
	})
}

// A server whose election timeout ends while it handles a heartbeat stands for election, and takes the
// old leader for the present one all the same. It refuses its vote to others for that, and for want of an
// entry others refuse it theirs. Where heartbeats are handled in turn, as with TCP in examples/raftkv, none of it happens.
func TestLimitAHeartbeatBesideTheMainLoopMayKeepRaftFromElectingAnybody(t *testing.T) {
	for name, beside := range map[string]bool{"beside the main loop": true, "in turn": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				net := newNetwork()
				net.fast = beside
				c := newCluster(t, setup{voters: 3, net: net, conf: func(c *raft.Config) { c.CommitTimeout = long }})
				s := c.leader()
				behind, other := c.others(s)[0], c.others(s)[1]
				time.Sleep(time.Second) // virtual
				h := &hold{held: make(chan struct{}), letGo: make(chan struct{})}
				behind.link.hold.Store(h)
				<-h.held
				net.set(route{s.addr, behind.addr}, true)
				if err := s.raft.Apply(nil, 0).Error(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second) // virtual
				close(h.letGo)
				time.Sleep(time.Second) // virtual
				net.cutOff(s)
				time.Sleep(long) // virtual
				elected := other.elector.Now().Leading
				if elected == beside {
					t.Errorf("elected: %v; %s is %v, and %v", elected, behind.id, behind.raft.State(), behind.elector.Now())
				}
				net.heal()
				c.campaign()
			})
		})
	}
}

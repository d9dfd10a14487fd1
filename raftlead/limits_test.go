package raftlead

import (
	"testing"
	"time"
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

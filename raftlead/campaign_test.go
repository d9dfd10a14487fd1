package raftlead

import (
	"testing"
	"testing/synctest"
)

// Who waits for the end of a term by its context, or finds it by Held, may campaign at once:
// there is no moment at which the term is lost, and still in the way.
func TestWhoHasLostATermMayCampaignAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, Options{})[0]
		for range 1000 {
			term, err := s.elector.Campaign(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go func() { term.end(ErrSteppedDown) }()
			<-term.Context().Done()
		}
	})
}

// Nor is there one before anybody has noticed the loss.
func TestATermThatRaftHasTakenIsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, Options{})[0]
		w := s.elector.watch
		for range 1000 {
			term, err := s.elector.Campaign(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.mu.Lock()
			w.append(Transition{Term: term.RaftTerm()})
			w.append(Transition{Term: term.RaftTerm(), Leading: true, Leader: s.id})
			w.mu.Unlock()
		}
	})
}

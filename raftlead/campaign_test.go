package raftlead

import "testing"

// There is no moment at which a term is lost, and still in the way, also where nobody has
// noticed yet.
func TestATermThatRaftHasTakenIsInNobodysWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newCluster(t, setup{voters: 1}).servers[0]
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

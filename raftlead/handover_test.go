package raftlead

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
)

// A quorum has answered when a term begins, and the server that is to lead next may not have yet.
func TestATransferRightAfterAnElectionWaitsForTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := newCluster(t, 3, Options{})
		late := servers[2]
		for _, s := range servers[:2] {
			s.net.Disconnect(late.net.LocalAddr())
			late.net.Disconnect(s.net.LocalAddr())
		}
		terms := make(chan *Leadership)
		for _, s := range servers[:2] {
			go func() {
				if term, err := s.elector.Campaign(t.Context()); err == nil {
					terms <- term
				}
			}()
		}
		term := <-terms
		if err := term.TransferTo(t.Context(), late.id); !errors.Is(err, tenure.ErrNotCandidate) || !term.Held() {
			t.Fatalf("to one that cannot be reached: %v, held: %v", err, term.Held())
		}
		if err := term.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		term = <-terms
		time.AfterFunc(term.e.lease()/2, func() {
			for _, s := range servers[:2] {
				s.net.Connect(late.net.LocalAddr(), late.net)
				late.net.Connect(s.net.LocalAddr(), s.net)
			}
		})
		if err := term.TransferTo(t.Context(), late.id); err != nil {
			t.Fatal(err)
		}
		if leader := term.e.Now().Leader; leader != late.id {
			t.Errorf("%q leads", leader)
		}
	})
}

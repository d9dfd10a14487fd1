package raftlead

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// scripted answers each heartbeat as it was told to.
type scripted struct {
	raft.Transport
	answer raft.AppendEntriesResponse
	err    error
	closed bool
}

func (s *scripted) AppendEntries(_ raft.ServerID, _ raft.ServerAddress, _ *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	*resp = s.answer
	return s.err
}

func (s *scripted) Close() error {
	s.closed = true
	return nil
}

func TestAWitnessCountsWhatSaysYesInTheLastTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &scripted{}
		w := NewWitness(inner)
		beat := func(term uint64, id raft.ServerID, yes bool, err error) {
			time.Sleep(time.Second) // virtual
			inner.answer, inner.err = raft.AppendEntriesResponse{Success: yes}, err
			var resp raft.AppendEntriesResponse
			if got := w.Transport().AppendEntries(id, "", &raft.AppendEntriesRequest{Term: term}, &resp); !errors.Is(got, err) || resp.Success != yes {
				t.Errorf("the answer has changed: %v, %+v", got, resp)
			}
		}
		heard := func(term uint64, id raft.ServerID, want time.Duration) {
			t.Helper()
			at, ok := w.heard(term, id)
			if got := time.Duration(at.Mono); ok != (want > 0) || ok && got != want {
				t.Errorf("in term %d %s was heard at %v, %v, want %v", term, id, got, ok, want)
			}
		}
		beat(5, "b", false, nil) // one of a newer term, for example
		beat(5, "b", true, errDisk)
		heard(5, "b", 0)
		beat(5, "b", true, nil)
		heard(5, "b", 3*time.Second)
		heard(4, "b", 0)
		heard(6, "b", 0)
		beat(6, "c", true, nil)
		heard(6, "c", 4*time.Second)
		heard(6, "b", 0)
		heard(5, "b", 0)
		beat(5, "b", true, nil) // late
		heard(6, "b", 0)
		heard(5, "b", 0)
	})
}

func TestAWitnessDoesWhatTheTransportDoes(t *testing.T) {
	inner := &scripted{}
	outer := NewWitness(inner).Transport()
	if _, ok := outer.(raft.WithPreVote); ok {
		t.Error("a pre-vote of a transport that has none")
	}
	if err := outer.(raft.WithClose).Close(); err != nil || !inner.closed {
		t.Error(err, inner.closed)
	}
	_, preVote := raft.NewInmemTransport("")
	outer = NewWitness(preVote).Transport()
	if _, ok := outer.(raft.WithPreVote); !ok {
		t.Error("no pre-vote of a transport that has one")
	}
	if err := outer.(raft.WithClose).Close(); err != nil {
		t.Error(err)
	}
}

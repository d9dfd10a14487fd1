package raftleadtest

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

var errCut = errors.New("raftleadtest: not connected")

// Disconnect cuts a server off from all others, in both directions. A Hold there is over, and
// what it keeps is lost, as if on its way: raft may send it again after Reconnect.
func (c *Cluster) Disconnect(id raft.ServerID) error { return c.setCut(id, true) }

// Reconnect undoes Disconnect. Raft tries ever more seldom to reach a server that it cannot, so it may
// take about as long as that was cut off, until it hears of what it has missed.
func (c *Cluster) Reconnect(id raft.ServerID) error { return c.setCut(id, false) }

func (c *Cluster) setCut(id raft.ServerID, cut bool) error {
	s, err := c.server(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut = cut; cut {
		s.endHold(errCut)
	}
	return nil
}

// AllowElections says whether every server may stand for election, as raft would have it. At first
// none may.
func (c *Cluster) AllowElections(allow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = allow
}

// transport is one in memory, that asks before each request whether it may pass.
type transport struct {
	*raft.InmemTransport
	s *Server
}

// connected refuses a request to a server that cannot be reached.
func (t *transport) connected(to raft.ServerID) error {
	other, err := t.s.c.server(to)
	if err != nil {
		return err
	}
	if !t.s.reachable() || !other.reachable() {
		return fmt.Errorf("%w: %q to %q", errCut, t.s.id, to)
	}
	return nil
}

// pass sends a request that may pass, and drops its answer if that may not.
func (t *transport) pass(to raft.ServerID, send func() error) error {
	if err := t.connected(to); err != nil {
		return err
	}
	if err := send(); err != nil {
		return err
	}
	return t.connected(to)
}

// mayStand refuses the request for a vote of a server that nobody wants to be elected.
func (t *transport) mayStand() error {
	c := t.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.s.id == c.candidate || c.free && c.candidate == "" {
		return nil
	}
	return fmt.Errorf("raftleadtest: server %q was not told to stand for election", t.s.id)
}

// deposedIn refuses what a leader sends that Depose has deposed: raft may send once more after
// it has stepped down, when a request had failed before.
func (s *Server) deposedIn(term uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if term <= s.deposed {
		return fmt.Errorf("%w: %q was deposed in term %d", errCut, s.id, s.deposed)
	}
	return nil
}

// AppendEntriesPipeline: one request at a time, so that Hold can stop it.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if err := t.s.deposedIn(args.Term); err != nil {
		return err
	}
	h := t.s.holds(args)
	if err := h.enqueued(); err != nil {
		return err
	}
	err := t.pass(id, func() error { return t.InmemTransport.AppendEntries(id, target, args, resp) })
	if err != nil || !resp.Success {
		return err
	}
	return h.appended(id)
}

func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if !args.LeadershipTransfer {
		if err := t.mayStand(); err != nil {
			return err
		}
	}
	return t.pass(id, func() error { return t.InmemTransport.RequestVote(id, target, args, resp) })
}

func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if err := t.mayStand(); err != nil {
		return err
	}
	return t.pass(id, func() error { return t.InmemTransport.RequestPreVote(id, target, args, resp) })
}

func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if err := t.s.deposedIn(args.Term); err != nil {
		return err
	}
	return t.pass(id, func() error { return t.InmemTransport.InstallSnapshot(id, target, args, resp, data) })
}

func (t *transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.pass(id, func() error { return t.InmemTransport.TimeoutNow(id, target, args, resp) })
}

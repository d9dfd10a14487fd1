package raftleadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// Elect makes a server the leader: it alone may stand for election, until all
// servers that can be reached follow it, and have an entry of its raft term in their logs. Raft tries
// as often as it takes. The server that is elected is not elected again by itself, should it
// lose the leadership.
//
// Errors: tenure.ErrInvalid if another server leads, or this one cannot be reached; ErrUnknown; ErrTimeout, also
// where others know of committed entries that it does not have; and that of ctx.
func (c *Cluster) Elect(ctx context.Context, id raft.ServerID) (*Leadership, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	l, err := c.elect(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("elect %q: %w", id, err)
	}
	return l, nil
}

func (c *Cluster) elect(ctx context.Context, id raft.ServerID) (*Leadership, error) {
	s, err := c.server(id)
	if err != nil {
		return nil, err
	}
	if !s.reachable() {
		return nil, invalid("it is down or disconnected; start or reconnect it first")
	}
	if leader := c.Leader(); leader != nil && leader != s {
		return nil, invalid("server %q leads; depose it first", leader.id)
	}
	for {
		expected, err := c.tracker.Expect(id, c.opts.Timeout)
		if err != nil {
			return nil, err
		}
		c.stand(id)
		l, err := expected.Done(ctx)
		c.stand("") // before it can lose the leadership, and regain it unexpected
		if err != nil {
			return nil, errors.Join(context.Cause(ctx), err)
		}
		err = c.await(ctx, func() bool { return isClosed(l.Lost()) || c.follow(s, l) })
		if err != nil {
			return nil, fmt.Errorf("not all others follow it: %w", err)
		}
		if !isClosed(l.Lost()) {
			return l, nil
		}
	}
}

func (c *Cluster) stand(id raft.ServerID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.candidate = id
}

// follow: every server that can be reached follows this one, and has got an entry from
// it.
func (c *Cluster) follow(leader *Server, l *Leadership) bool {
	return !slices.ContainsFunc(c.servers, func(s *Server) bool {
		if s == leader || !s.reachable() {
			return false
		}
		r := s.Raft()
		_, follows := r.LeaderWithID()
		var last raft.Log
		err := s.logs.GetLog(r.LastIndex(), &last)
		return follows != leader.id || r.State() != raft.Follower || err != nil || last.Term != l.RaftTerm()
	})
}

// Depose has the leader lose its leadership. It waits until all servers that can be reached have
// what is in the leader's log, so that each of them can be elected, but for what Hold keeps
// from them, which will never arrive. Then it cuts the leader off until raft steps down there, which takes
// Config.LeaderLeaseTimeout, and connects it again.
//
// Errors: tenure.ErrInvalid if nobody leads, or there is one server alone, which raft never
// deposes; ErrTimeout; and that of ctx.
func (c *Cluster) Depose(ctx context.Context) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	leader := c.Leader()
	switch {
	case leader == nil:
		return fmt.Errorf("depose: %w", invalid("nobody leads"))
	case len(c.servers) == 1:
		return fmt.Errorf("depose %q: %w", leader.id, invalid("it is the only server; give a cluster more of them"))
	}
	upTo := leader.sends()
	err := c.await(ctx, func() bool {
		return leader.Raft().State() != raft.Leader || !slices.ContainsFunc(c.servers, func(s *Server) bool {
			return s.reachable() && s.Raft().LastIndex() < upTo
		})
	})
	if err != nil {
		return fmt.Errorf("depose %q: not all others have its log: %w", leader.id, err)
	}
	leader.keepOut(true)
	defer leader.keepOut(false)
	err = c.await(ctx, func() bool { return leader.Raft().State() != raft.Leader && !c.tracker.leads(leader.id) })
	if err != nil {
		return fmt.Errorf("depose %q: %w", leader.id, err)
	}
	return nil
}

func (s *Server) keepOut(out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out = out; out {
		s.deposed = s.run.raft.CurrentTerm()
		s.endHold(errCut)
	}
}

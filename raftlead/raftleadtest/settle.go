package raftleadtest

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// Settle waits until the FSM of each server that can be reached has all commands that the
// leader was given before the call.
//
// Errors: tenure.ErrInvalid if nobody leads, what raft's Barrier returns, ErrTimeout, and that of ctx.
func (c *Cluster) Settle(ctx context.Context) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	if err := c.settle(ctx); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

func (c *Cluster) settle(ctx context.Context) error {
	leader := c.Leader()
	if leader == nil {
		return invalid("nobody leads; call Elect first")
	}
	r := leader.Raft()
	if err := ask(ctx, func() raft.Future { return r.Barrier(0) }); err != nil {
		return fmt.Errorf("barrier on %q: %w", leader.id, err)
	}
	upTo := r.AppliedIndex()
	var behind []raft.ServerID
	err := c.await(ctx, func() bool {
		behind = behind[:0]
		for _, s := range c.servers {
			if s.reachable() && !s.applied(upTo) {
				behind = append(behind, s.id)
			}
		}
		return len(behind) == 0
	})
	if err != nil {
		slices.Sort(behind)
		return fmt.Errorf("%q lack commands: %w", behind, err)
	}
	return nil
}

// applied: the FSM has all commands up to the index. Raft counts an entry as applied that
// is on its way to the FSM, and FSMs are given nothing but commands.
func (s *Server) applied(upTo uint64) bool {
	r := s.current()
	if r.raft.AppliedIndex() < upTo {
		return false
	}
	for index := upTo; index > 0; index-- {
		var log raft.Log
		if s.logs.GetLog(index, &log) != nil { // older ones are in a snapshot, and restored at once
			return true
		}
		if log.Type == raft.LogCommand {
			return r.fsm.has(index)
		}
	}
	return true
}

// Snapshot takes a snapshot of a server's FSM. Raft then drops all but
// Config.TrailingLogs entries of its log, so a server that needs them gets the snapshot.
//
// Errors: what raft's Snapshot returns, ErrUnknown, ErrTimeout, and that of ctx.
func (c *Cluster) Snapshot(ctx context.Context, id raft.ServerID) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	s, err := c.server(id)
	if err == nil {
		err = ask(ctx, func() raft.Future { return s.Raft().Snapshot() })
	}
	if err != nil {
		return fmt.Errorf("snapshot of %q: %w", id, err)
	}
	return nil
}

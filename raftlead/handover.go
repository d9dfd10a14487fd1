package raftlead

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

// toNamed is how often raft is asked to transfer the leadership to a server that was named.
// A transfer to anybody goes on for Options.TransferTimeout.
const toNamed = 2

// handOver makes another server the leader: to, or with nil whoever answers. It is over when this
// server knows of another leader. A transfer of raft's can go wrong halfway: the
// other server has been told to stand for election, and fails. Then raft is leaderless for a
// while, and may elect this server again, which tries again.
func (e *Elector) handOver(ctx context.Context, to *raft.ServerID) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.transferTimeout(), ErrNotTransferred)
	defer cancel()
	var last error
	for tried := 0; ; {
		at := e.watch.now.Load()
		switch {
		case at.err != nil:
			return at.err
		case at.Leading:
			successors := e.successors(at.Term)
			if len(successors) == 0 {
				return nil
			}
			if to != nil {
				successors = slices.DeleteFunc(successors, func(s raft.Server) bool { return s.ID != *to })
				if tried == toNamed || len(successors) == 0 {
					return errors.Join(ErrNotTransferred, last)
				}
			}
			err := e.transfer(ctx, at, successors[tried%len(successors)])
			switch {
			case errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
			default:
				tried++
				last = cmp.Or(err, last)
			}
		case at.Address == "": // an election goes on
		case to != nil && at.Leader != *to:
			return fmt.Errorf("%w: %s", tenure.ErrWentElsewhere, at.Leader)
		default:
			return nil
		}
		pause := time.NewTimer(e.pause())
		select {
		case <-at.gone:
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), last)
		}
	}
}

// transfer asks raft to make another server the leader, once it has all entries.
func (e *Elector) transfer(ctx context.Context, at *place, to raft.Server) error {
	_, err := e.ask(ctx, at.gone, func() raft.Future { return e.r.LeadershipTransferToServer(to.ID, to.Address) })
	if err != nil && !errors.Is(err, ErrSteppedDown) {
		e.opts.Logger.Debug("not transferred", "server", e.id, "raft_term", at.Term, "to", to.ID, "error", err)
		return fmt.Errorf("to %s: %w", to.ID, err)
	}
	return nil
}

// successors are the other voters, those first that have answered last.
func (e *Elector) successors(term uint64) []raft.Server {
	servers := slices.Clone(e.r.GetConfiguration().Configuration().Servers)
	servers = slices.DeleteFunc(servers, func(s raft.Server) bool { return s.ID == e.id || s.Suffrage != raft.Voter })
	if e.witness != nil {
		slices.SortStableFunc(servers, func(a, b raft.Server) int {
			heardA, _ := e.witness.heard(term, a.ID)
			heardB, _ := e.witness.heard(term, b.ID)
			return cmp.Compare(heardB.Mono, heardA.Mono)
		})
	}
	return servers
}

// canLead refuses a server that would not be elected. One that has not answered yet in a term that
// is younger than a Lease is given the time to.
func (l *Leadership) canLead(ctx context.Context, id raft.ServerID) error {
	e := l.e
	isID := func(s raft.Server) bool { return s.ID == id }
	if !slices.ContainsFunc(e.successors(l.at.Term), isID) {
		return fmt.Errorf("%w: %q is no voter of this cluster", tenure.ErrNotCandidate, id)
	}
	for e.witness != nil {
		now, lease := e.clockNow(), e.lease()
		heard, ok := e.witness.heard(l.at.Term, id)
		switch {
		case ok && now.Before(heard.Add(lease)):
			return nil
		case ok || !now.Before(l.began.Add(lease)):
			return fmt.Errorf("%w: %q has not answered for %v", tenure.ErrNotCandidate, id, lease)
		}
		pause := time.NewTimer(e.pause())
		select {
		case <-pause.C:
		case <-ctx.Done():
		case <-l.ctx.Done():
		}
		pause.Stop()
		if l.ctx.Err() != nil {
			return l.Cause()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

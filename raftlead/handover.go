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

// toNamed is how often raft is asked to transfer the leadership to a server that was named, if it
// says at once that it cannot. A transfer to anybody goes on for Options.TransferTimeout.
const toNamed = 2

// handOver makes another server the leader: to, or with nil whoever answers. It is over when this
// server knows of another leader, from one place of the list of transitions on. A transfer of raft's can go
// wrong halfway: the other server has been told to stand for election, and fails. Then raft is leaderless
// for a while, and may elect this server again, which tries again.
func (e *Elector) handOver(ctx context.Context, from *place, to *raft.ServerID) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.transferTimeout(), ErrNotTransferred)
	defer cancel()
	var last error
	tried := map[raft.ServerID]int{}
	for at := from; ; {
		// Whoever was named has got the leadership also if that was given back before anybody looked
		// here: what comes back then is another one, and to be kept. Whoever resigns is not going to
		// lead, and passes that on, too.
		for at.isGone() && (to == nil || at.Leading || at.Address == "") {
			at = at.next
		}
		switch {
		case at.err != nil:
			return at.err
		case at.Leading:
			successors := e.successors(at.Term)
			if len(successors) == 0 {
				return nil
			}
			successors = slices.DeleteFunc(successors, func(s raft.Server) bool { return e.hasStalled(at.Term, s.ID) })
			if to != nil {
				successors = slices.DeleteFunc(successors, func(s raft.Server) bool { return s.ID != *to })
				if tried[*to] == toNamed || len(successors) == 0 {
					return errors.Join(ErrNotTransferred, last)
				}
			}
			if len(successors) == 0 {
				break
			}
			next := leastTried(successors, tried)
			err := e.transfer(ctx, at, next)
			switch {
			case errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
			default:
				tried[next.ID]++
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

// leastTried is the first of those that were tried least. Who comes first changes with the raft term, so
// a place in that order, counted up, may be that of the same server each time.
func leastTried(successors []raft.Server, tried map[raft.ServerID]int) raft.Server {
	return slices.MinFunc(successors, func(a, b raft.Server) int { return cmp.Compare(tried[a.ID], tried[b.ID]) })
}

// transfer asks raft to make another server the leader, once it has all entries.
//
// Raft may be asked again in its term only if it has answered before it gave up. Otherwise, if
// the other server does not catch up, the second transfer may wait in raft for the first; and if raft
// steps down meanwhile, it waits for ever. Raft then refuses everything when it leads again.
func (e *Elector) transfer(ctx context.Context, at *place, to raft.Server) error {
	patience := e.r.ReloadableConfig().ElectionTimeout
	asked := time.Now()
	e.setStalled(at.Term, to.ID, true)
	_, err := e.ask(ctx, at.gone, func() raft.Future { return e.r.LeadershipTransferToServer(to.ID, to.Address) })
	if err == nil || errors.Is(err, ErrSteppedDown) {
		return nil
	}
	if ctx.Err() == nil && time.Since(asked) < patience {
		e.setStalled(at.Term, to.ID, false)
	}
	e.opts.Logger.Debug("not transferred", "server", e.id, "raft_term", at.Term, "to", to.ID, "error", err)
	return fmt.Errorf("to %s: %w", to.ID, err)
}

// hasStalled: a transfer to the server may not be over for raft, in this raft term.
func (e *Elector) hasStalled(term uint64, id raft.ServerID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stalled[id] == term
}

func (e *Elector) setStalled(term uint64, id raft.ServerID, stalled bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if delete(e.stalled, id); stalled {
		e.stalled[id] = term
	}
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

// canLead refuses a server that would not be elected. In a term that has only begun, none need
// have answered yet.
func (e *Elector) canLead(l *Leadership, id raft.ServerID) error {
	isID := func(s raft.Server) bool { return s.ID == id }
	if !slices.ContainsFunc(e.successors(l.at.Term), isID) {
		return fmt.Errorf("%w: %q is no voter of this cluster", tenure.ErrNotCandidate, id)
	}
	if e.hasStalled(l.at.Term, id) {
		return fmt.Errorf("%w: %q has not caught up for a transfer before; raft cannot be asked again in its term", tenure.ErrNotCandidate, id)
	}
	if e.witness == nil {
		return nil
	}
	heard, ok := e.witness.heard(l.at.Term, id)
	if !ok {
		heard = l.began
	}
	lease := e.lease()
	if !e.clockNow().Before(heard.Add(lease)) {
		return fmt.Errorf("%w: %q has not answered for %v", tenure.ErrNotCandidate, id, lease)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenure-go/tenure/raftlead"
)

// raftMoves measures how soon a named server leads, and works, after it was asked for. The
// others' is what programs do that read NotifyCh: a barrier comes before the work.
func (b *bench) raftMoves(ctx context.Context) error {
	t := newTable(fmt.Sprintf("A leadership passed on to a named server of %d, heartbeats %v: from the call", raftServers, raftBeat),
		"transport", "by", "until", "n", "p50", "p90", "max")
	for _, transport := range raftTransports {
		if err := b.movesOver(ctx, transport, t); err != nil {
			return fmt.Errorf("%s: %w", transport, err)
		}
	}
	t.print()
	return nil
}

func (b *bench) movesOver(ctx context.Context, transport string, t *table) (err error) {
	kinds := raftKinds(transport)
	var clusters []*raftCluster
	defer func() {
		for _, c := range clusters {
			err = errors.Join(err, c.close())
		}
	}()
	for _, k := range kinds {
		c, err := newRaftCluster(k)
		if err != nil {
			return err
		}
		clusters = append(clusters, c)
	}
	leader, err := clusters[0].firstLeader(ctx)
	if err != nil {
		return err
	}
	calls := clusters[1].lead()
	term, err := nextCall(ctx, calls)
	if err != nil {
		return err
	}
	told := &sample{what: "NotifyCh says so"}
	barrier := &sample{what: "NotifyCh says so, and a barrier is applied"}
	works := &sample{what: "Lead calls the next function"}
	err = inTurns(b.raft.moves, len(kinds), func(i, _ int) (err error) {
		drain(ctx, raftBeat/5)
		if i == 0 {
			leader, err = clusters[0].move(ctx, leader, told, barrier)
		} else {
			term, err = clusters[1].moveTerm(ctx, term, calls, works)
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, samples := range [][]*sample{{told, barrier}, {works}} {
		for _, s := range samples {
			t.row(transport, kinds[i], s.what, len(s.times), s.p(50), s.p(90), s.p(100))
		}
	}
	return nil
}

// after is the server that follows another in a round.
func (c *raftCluster) after(s *raftServer) *raftServer {
	for i := range c.servers {
		if c.servers[i] == s {
			return c.servers[(i+1)%len(c.servers)]
		}
	}
	return nil
}

// move has raft transfer the leadership. One that went elsewhere, or failed, is not counted.
func (c *raftCluster) move(ctx context.Context, from *raftServer, told, barrier *sample) (*raftServer, error) {
	to := c.after(from)
	for len(to.notify) > 0 {
		<-to.notify
	}
	for len(c.elected) > 0 {
		<-c.elected
	}
	began := time.Now()
	transfer := from.raft.LeadershipTransferToServer(to.id, to.addr)
	select {
	case leads := <-to.notify:
		heard := time.Since(began)
		if leads && to.raft.Barrier(raftPatience).Error() == nil {
			told.add(heard)
			barrier.add(time.Since(began))
			return to, transfer.Error()
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(10 * raftBeat):
	}
	for _, s := range c.servers {
		if s.raft.VerifyLeader().Error() == nil {
			return s, nil
		}
	}
	return c.firstLeader(ctx)
}

// moveTerm has a term transferred.
func (c *raftCluster) moveTerm(ctx context.Context, from called, calls <-chan called, works *sample) (called, error) {
	to := c.after(from.by)
	began := time.Now()
	if err := from.term.(*raftlead.Leadership).TransferTo(ctx, to.id); err != nil && from.term.Held() {
		return called{}, err
	}
	next, err := nextCall(ctx, calls)
	if err == nil && next.by == to {
		works.add(next.at.Sub(began))
	}
	return next, err
}

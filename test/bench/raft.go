package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tenure-go/tenure"
)

// raftPlan is how much is measured of the leadership of raft clusters.
type raftPlan struct {
	failOvers, moves int
	clusters         int // that do nothing, at a time
	idle             time.Duration
	looks            int // calls of Held
}

// raftPart is the part that needs no etcd.
const raftPart = "raft"

// raftBeat is the time-out of heartbeats and elections, and raft's lease.
const raftBeat = 50 * time.Millisecond

// raftClusters measures clusters of three servers with a log in memory, all in this process:
// raft alone, and with an Elector on each server.
func (b *bench) raftClusters(ctx context.Context) error {
	for _, part := range []func(context.Context) error{b.raftFailOvers, b.raftMoves, b.raftRest, b.raftHeld} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// raftKinds are the contenders over a transport.
func raftKinds(transport string) []raftKind {
	return []raftKind{{transport: transport, beat: raftBeat}, {transport: transport, beat: raftBeat, electors: true}}
}

var raftTransports = []string{"memory", "TCP"}

// raftEnd is how a leader ends.
type raftEnd struct {
	what string
	do   func(*raftServer)
}

var raftEnds = []raftEnd{
	{"shut down", func(s *raftServer) { s.wire.cut(); s.raft.Shutdown() }}, // as a process that dies
	{"cut off", func(s *raftServer) { s.wire.cut() }},
}

// raftFailOvers measures how soon the next server leads, and how soon it works.
func (b *bench) raftFailOvers(ctx context.Context) error {
	t := newTable(fmt.Sprintf("Fail-over of a raft cluster of %d, heartbeats, elections and lease %v: from the leader's end", raftServers, raftBeat),
		"transport", "the leader is", "by", "until", "n", "p50", "p90", "max")
	for _, transport := range raftTransports {
		for _, end := range raftEnds {
			led, applied := &sample{what: "raft leads"}, &sample{what: "a first Apply is committed"}
			ledToo, works, after := &sample{what: "raft leads"}, &sample{what: "Lead calls the next function"}, &sample{what: "of that: after raft leads"}
			for range b.raft.failOvers {
				if err := raftFailOver(ctx, transport, end, led, applied); err != nil {
					return fmt.Errorf("%s, %s, raft alone: %w", transport, end.what, err)
				}
				if err := leadFailOver(ctx, transport, end, ledToo, works, after); err != nil {
					return fmt.Errorf("%s, %s, raftlead: %w", transport, end.what, err)
				}
			}
			kinds := raftKinds(transport)
			for i, samples := range [][]*sample{{led, applied}, {ledToo, works, after}} {
				for _, s := range samples {
					t.row(transport, end.what, kinds[i], s.what, len(s.times), s.p(50), s.p(90), s.p(100))
				}
			}
		}
	}
	t.print()
	return nil
}

func raftFailOver(ctx context.Context, transport string, end raftEnd, led, applied *sample) (err error) {
	c, err := newRaftCluster(raftKinds(transport)[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	leader, err := c.firstLeader(ctx)
	if err != nil {
		return err
	}
	drain(ctx, rand.N(raftBeat)) // at another moment between two heartbeats
	began := time.Now()
	end.do(leader)
	for first := true; ; {
		next, err := c.next(ctx)
		if err != nil {
			return err
		}
		if next.by == leader {
			continue // before its end
		}
		if first {
			led.add(next.at.Sub(began))
			first = false
		}
		if next.by.raft.Apply(nil, raftPatience).Error() == nil {
			applied.add(time.Since(began))
			return nil
		}
	}
}

// firstLeader waits until raft leads, and all that it has to do first is done.
func (c *raftCluster) firstLeader(ctx context.Context) (*raftServer, error) {
	for {
		first, err := c.next(ctx)
		if err != nil {
			return nil, err
		}
		if first.by.raft.Barrier(raftPatience).Error() == nil {
			return first.by, nil
		}
	}
}

// called: a function of Lead was called.
type called struct {
	by   *raftServer
	term tenure.Term
	at   time.Time
}

// lead has each server call Lead, with a function that says that it was called.
func (c *raftCluster) lead() <-chan called {
	calls := make(chan called, 100)
	for _, s := range c.servers {
		c.running.Go(func() {
			_ = s.elector.Lead(context.Background(), func(ctx context.Context, t tenure.Term) error { // ends with Close
				calls <- called{s, t, time.Now()}
				<-ctx.Done()
				return nil
			})
		})
	}
	return calls
}

func nextCall(ctx context.Context, calls <-chan called) (called, error) {
	select {
	case c := <-calls:
		return c, nil
	case <-ctx.Done():
		return called{}, ctx.Err()
	case <-time.After(raftPatience):
		return called{}, errors.New("no function was called")
	}
}

func leadFailOver(ctx context.Context, transport string, end raftEnd, led, works, after *sample) (err error) {
	c, err := newRaftCluster(raftKinds(transport)[1])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	calls := c.lead()
	leader, err := nextCall(ctx, calls)
	if err != nil {
		return err
	}
	drain(ctx, rand.N(raftBeat))
	began := time.Now()
	end.do(leader.by)
	next := leader
	for next.by == leader.by { // or was elected once more, before its end
		if next, err = nextCall(ctx, calls); err != nil {
			return err
		}
	}
	works.add(next.at.Sub(began))
	for {
		e, err := c.next(ctx)
		if err != nil {
			return err
		}
		if e.at.After(began) && e.by != leader.by {
			led.add(e.at.Sub(began))
			after.add(next.at.Sub(e.at))
			return nil
		}
	}
}

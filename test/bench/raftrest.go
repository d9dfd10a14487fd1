package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// raftRest measures what servers take while nothing happens: raft alone, and with a Witness and
// an Elector on each, and a term on one of three.
func (b *bench) raftRest(ctx context.Context) error {
	t := newTable(fmt.Sprintf("%d raft clusters of %d that do nothing, in memory, heartbeats %v, for %v: a minute and server", b.raft.clusters, raftServers, raftBeat, b.raft.idle),
		"by", "messages sent", "CPU", "goroutines")
	for _, k := range raftKinds("memory") {
		if err := b.restOf(ctx, k, t); err != nil {
			return fmt.Errorf("%v: %w", k, err)
		}
	}
	t.print()
	return nil
}

func (b *bench) restOf(ctx context.Context, k raftKind, t *table) (err error) {
	var sent atomic.Int64
	k.wires = func(w raftWire) raftWire { return countedWire{w, &sent} }
	var clusters []*raftCluster
	defer func() {
		for _, c := range clusters {
			err = errors.Join(err, c.close())
		}
	}()
	before := measure()
	for range b.raft.clusters {
		c, err := newRaftCluster(k)
		if err != nil {
			return err
		}
		clusters = append(clusters, c)
		if !k.electors {
			_, err = c.firstLeader(ctx)
		} else {
			_, err = nextCall(ctx, c.lead())
		}
		if err != nil {
			return err
		}
	}
	drain(ctx, time.Second)
	var use usage
	use.since(before)
	usedBefore, err := takenBy(os.Getpid())
	unknown := errors.Is(err, errors.ErrUnsupported)
	if err != nil && !unknown {
		return err
	}
	sentBefore, began := sent.Load(), time.Now()
	drain(ctx, b.raft.idle)
	serverMinutes := time.Since(began).Minutes() * float64(b.raft.clusters*raftServers)
	messages := float64(sent.Load()-sentBefore) / serverMinutes
	cpu := "not known on " + runtime.GOOS
	if !unknown {
		usedAfter, err := takenBy(os.Getpid())
		if err != nil {
			return err
		}
		cpu = fmt.Sprintf("%.1f ms", ms(usedAfter.cpu-usedBefore.cpu)/serverMinutes)
	}
	t.row(k, fmt.Sprintf("%.0f", messages), cpu, fmt.Sprintf("%.1f", use.goroutines/float64(b.raft.clusters*raftServers)))
	return ctx.Err()
}

// raftHeld measures what it costs to ask whether a term is held, beside the clock.
func (b *bench) raftHeld(ctx context.Context) (err error) {
	c, err := newRaftCluster(raftKind{transport: "memory", electors: true, beat: time.Second})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	term, err := nextCall(ctx, c.lead())
	if err != nil {
		return err
	}
	held, clock := &sample{}, &sample{}
	for range 5 {
		for _, look := range []struct {
			into *sample
			at   func() bool
		}{{held, term.term.Held}, {clock, func() bool { return time.Now().IsZero() }}} {
			began := time.Now()
			for range b.raft.looks {
				_ = look.at()
			}
			look.into.add(time.Since(began) / time.Duration(b.raft.looks))
		}
	}
	if !term.term.Held() {
		return fmt.Errorf("the term has ended: %w", term.term.Cause())
	}
	fmt.Printf("\nHeld: %v; time.Now: %v; median of 5 in turns\n", held.p(50), clock.p(50))
	return nil
}

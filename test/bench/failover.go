package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// shortestTTL is what the servers grant: one and a half times their election
// timeout, in whole seconds.
const shortestTTL = time.Second

// failOvers measures how long after a leader's crash the next of three leads.
func (b *bench) failOvers(ctx context.Context) error {
	t := newTable(fmt.Sprintf("Fail-over: from the leader's crash to the next leader, TTL %v", shortestTTL),
		"what", "n", "p50", "p90", "p99")
	contenders := []contender{
		ourselves{endpoints: b.endpoints, ttl: shortestTTL, drain: work},
		concurrencyPackage{b.endpoints, shortestTTL, work, nil},
	}
	var samples []*sample
	for _, c := range contenders {
		samples = append(samples, &sample{what: c.String()})
	}
	for range b.plan.failOvers {
		for i, c := range contenders {
			took, err := b.failOver(ctx, c)
			if err != nil {
				return fmt.Errorf("%v: %w", c, err)
			}
			samples[i].add(took)
		}
	}
	peer, err := clientGo(ctx, b.plan.failOvers)
	if err != nil {
		return fmt.Errorf("client-go: %w", err)
	}
	for _, s := range append(samples, peer) {
		t.row(s.what, len(s.times), s.p(50), s.p(90), s.p(99))
	}
	t.print()
	return nil
}

func (b *bench) failOver(ctx context.Context, c contender) (_ time.Duration, err error) {
	f, err := c.enrol(ctx, b.election(), 3)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	drain(ctx, time.Duration(b.elections%10)*shortestTTL/10) // at another moment between two renewals
	return f.crash(ctx)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/tenure-go/tenure"
)

// sharing is how many members have a candidate in each of the elections.
const sharing = 3

// throughput counts hand-overs of many elections on a few sessions: whoever leads
// steps down at once, and queues again.
func (b *bench) throughput(ctx context.Context) error {
	t := newTable(fmt.Sprintf("Hand-overs a second of %d elections, each with %d candidates on %d sessions", b.shared, sharing, sharing),
		"run", "Tenure", "concurrency.Election", "ratio")
	for i := range b.runs {
		ours, err := b.rate(ctx, b.rotateTenure)
		if err != nil {
			return fmt.Errorf("ourselves: %w", err)
		}
		theirs, err := b.rate(ctx, b.rotateConcurrency)
		if err != nil {
			return fmt.Errorf("concurrency: %w", err)
		}
		t.row(i+1, fmt.Sprintf("%.0f", ours), fmt.Sprintf("%.0f", theirs), fmt.Sprintf("%.2f", ours/theirs))
	}
	t.print()
	return nil
}

// rate returns how many hand-overs a second run counts, once all are in line.
func (b *bench) rate(ctx context.Context, run func(context.Context, *atomic.Int64) error) (float64, error) {
	var count atomic.Int64
	life, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- run(life, &count) }()
	drain(ctx, b.busy/2)
	before, began := count.Load(), time.Now()
	drain(ctx, b.busy)
	n, took := count.Load()-before, time.Since(began)
	stop()
	return float64(n) / took.Seconds(), <-done
}

func (b *bench) rotateTenure(ctx context.Context, count *atomic.Int64) (err error) {
	var closers []func() error
	var loops sync.WaitGroup
	defer func() {
		loops.Wait()
		err = errors.Join(err, closeAll(closers))
	}()
	stores, err := openStores(ctx, b.endpoints, sharing, &closers)
	if err != nil {
		return err
	}
	base := b.election()
	for i, st := range stores {
		m, err := tenure.Join(ctx, st, tenure.Options{ID: fmt.Sprint(base, "-", i), TTL: handOverTTL})
		if err != nil {
			return err
		}
		closers = append(closers, m.Close)
		for e := range b.shared {
			loops.Go(func() {
				_ = m.Lead(ctx, fmt.Sprint(base, "-", e), func(context.Context, tenure.Term) error {
					count.Add(1)
					return nil
				}, tenure.LeadOptions{Requeue: true})
			})
		}
	}
	return nil
}

func (b *bench) rotateConcurrency(ctx context.Context, count *atomic.Int64) (err error) {
	var closers []func() error
	var loops sync.WaitGroup
	defer func() {
		loops.Wait()
		err = errors.Join(err, closeAll(closers))
	}()
	clients, err := openClients(b.endpoints, sharing, &closers)
	if err != nil {
		return err
	}
	base := b.election()
	for _, client := range clients {
		s, err := concurrency.NewSession(client, concurrency.WithTTL(int(handOverTTL/time.Second)))
		if err != nil {
			return err
		}
		closers = append(closers, s.Close)
		for e := range b.shared {
			loops.Go(func() {
				election := concurrency.NewElection(s, fmt.Sprint("concurrency/", base, "-", e))
				for ctx.Err() == nil {
					if election.Campaign(ctx, "") == nil {
						count.Add(1)
						_ = election.Resign(ctx)
					}
				}
			})
		}
	}
	return nil
}

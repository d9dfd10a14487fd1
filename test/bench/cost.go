package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// cost counts what the candidates of one election ask of etcd: to enrol, at a TTL that
// makes renewals rare; for a hand-over, beyond what they ask when nothing happens, with
// some rounds between two of them; and when nothing happens, at the default TTL.
func (b *bench) cost(ctx context.Context) error {
	t := newTable("What all candidates of one election send to etcd, and are sent",
		"candidates", "what", "per enrolment, with session and connection", "per hand-over and return", "per idle minute and candidate")
	for _, candidates := range b.sizes[:min(3, len(b.sizes))] {
		for _, of := range []func(time.Duration, *traffic) contender{
			func(ttl time.Duration, tr *traffic) contender {
				return ourselves{endpoints: b.endpoints, ttl: ttl, drain: work, options: tr.options()}
			},
			func(ttl time.Duration, tr *traffic) contender {
				return concurrencyPackage{b.endpoints, ttl, work, tr.options()}
			},
		} {
			if err := b.costOf(ctx, t, candidates, of); err != nil {
				return fmt.Errorf("%d candidates: %w", candidates, err)
			}
		}
	}
	t.print()
	return nil
}

const (
	defaultTTL = 10 * time.Second
	shortTTL   = 3 * time.Second
	longTTL    = time.Hour
	changes    = 10
	between    = 3 * time.Second / 2 // hand-overs
)

func (b *bench) costOf(ctx context.Context, t *table, candidates int, of func(time.Duration, *traffic) contender) error {
	n := float64(candidates)
	var enrolled, idle, changed rates
	for _, phase := range []struct {
		ttl     time.Duration
		measure func(field, *traffic) error
	}{
		{longTTL, func(_ field, tr *traffic) error {
			enrolled = tr.now().over(n)
			return nil
		}},
		{defaultTTL, func(_ field, tr *traffic) error {
			idle = b.idleRates(ctx, tr, b.idle)
			return nil
		}},
		{shortTTL, func(f field, tr *traffic) error {
			background := b.idleRates(ctx, tr, changes*between)
			before, began := tr.now(), time.Now()
			for range changes {
				if _, err := f.handOver(ctx); err != nil {
					return err
				}
				drain(ctx, between)
			}
			seconds := time.Since(began).Seconds()
			changed = tr.now().since(before).over(changes)
			changed.requests -= background.requests * seconds / changes
			changed.events -= background.events * seconds / changes
			return nil
		}},
	} {
		tr := &traffic{}
		c := of(phase.ttl, tr)
		f, err := c.enrol(ctx, b.election(), candidates)
		if err == nil {
			err = errors.Join(phase.measure(f, tr), f.close())
		}
		if err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
	}
	t.row(candidates, of(longTTL, &traffic{}).String(), enrolled.String(), changed.String(),
		fmt.Sprintf("%.0f messages", 60*(idle.requests+idle.events+idle.upkeep)/n))
	return nil
}

// idleRates measures what passes in a second when nothing happens.
func (b *bench) idleRates(ctx context.Context, tr *traffic, d time.Duration) rates {
	drain(ctx, between) // until those in line have found their places
	before, began := tr.now(), time.Now()
	drain(ctx, d)
	return tr.now().since(before).over(time.Since(began).Seconds())
}

// rates are counts divided by something.
type rates struct{ requests, events, upkeep float64 }

func (c counts) over(n float64) rates {
	return rates{float64(c.requests) / n, float64(c.events) / n, float64(c.upkeep) / n}
}

func (r rates) String() string {
	return fmt.Sprintf("%.1f requests, %.1f events", r.requests, r.events)
}

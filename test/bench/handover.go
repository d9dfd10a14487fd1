package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// handOverTTL makes the renewals of a thousand sessions a background that a
	// small machine bears.
	handOverTTL = 30 * time.Second
	work        = 5 * time.Millisecond // how long a leader's work takes to end
	block       = 10                   // hand-overs of one contender before it is another's turn

	term      = 200 * time.Millisecond // who has stepped down is in line again by then
	shortTerm = 30 * time.Millisecond  // and is hardly
)

// handOvers measures hand-overs at all sizes, the contenders in turns; and at the
// smallest once more, with terms that hardly last.
func (b *bench) handOvers(ctx context.Context, draw string) error {
	if err := b.handOversAfter(ctx, term, b.sizes, draw); err != nil {
		return err
	}
	return b.handOversAfter(ctx, shortTerm, b.sizes[:1], "")
}

func (b *bench) handOversAfter(ctx context.Context, term time.Duration, sizes []int, draw string) error {
	t := newTable(fmt.Sprintf("Hand-over, after %v: from the end of the leader's work to the next leader's", term),
		"candidates", "what", "n", "p50", "p90", "p99", "p50 / floor", "p99 / concurrency's")
	var chart []curve
	for _, n := range sizes {
		results, err := b.handOversOf(ctx, n, term)
		if err != nil {
			return fmt.Errorf("%d candidates: %w", n, err)
		}
		event, peer := results[0], results[len(results)-1]
		for i, r := range results {
			t.row(n, r.what, len(r.times), r.p(50), r.p(90), r.p(99), ratio(r.p(50), event.p(50)), ratio(r.p(99), peer.p(99)))
			if len(chart) <= i {
				chart = append(chart, curve{name: r.what})
			}
			chart[i].points = append(chart[i].points, point{n, r.p(50), r.p(99)})
		}
	}
	t.print()
	if draw == "" {
		return nil
	}
	return drawCurves(draw, "hand-over-etcd", "hand-over over etcd", "candidates", chart)
}

func (b *bench) handOversOf(ctx context.Context, n int, term time.Duration) (_ []*sample, err error) {
	f, err := newFloor(ctx, b.endpoints, b.election())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	put, alone, txn := &sample{what: "floor: put to event"}, &sample{what: "a put alone"}, &sample{what: "a hand-over's transaction to event"}
	samples := []*sample{put, alone, txn}
	turns := []func(context.Context) error{
		func(ctx context.Context) error {
			for range block {
				drain(ctx, term)
				event, call, err := f.put(ctx)
				if err != nil {
					return err
				}
				put.add(event)
				alone.add(call)
			}
			return nil
		},
		func(ctx context.Context) error {
			for range block {
				drain(ctx, term)
				event, _, err := f.txn(ctx)
				if err != nil {
					return err
				}
				txn.add(event)
			}
			return nil
		},
	}
	for _, c := range []contender{
		ourselves{endpoints: b.endpoints, ttl: handOverTTL, drain: work},
		ourselves{endpoints: b.endpoints, ttl: handOverTTL},
		ourselves{endpoints: b.endpoints, ttl: handOverTTL, drain: work, named: leader},
		ourselves{endpoints: b.endpoints, ttl: handOverTTL, named: operator},
		concurrencyPackage{b.endpoints, handOverTTL, work, nil},
	} {
		fld, err := c.enrol(ctx, b.election(), n)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", c, err)
		}
		defer func() { err = errors.Join(err, fld.close()) }()
		s := &sample{what: c.String()}
		samples = append(samples, s)
		turns = append(turns, func(ctx context.Context) error {
			for range block {
				drain(ctx, term)
				took, err := fld.handOver(ctx)
				if err != nil {
					return fmt.Errorf("%v: %w", c, err)
				}
				s.add(took)
			}
			return nil
		})
	}
	for done := 0; done < b.plan.handOvers; done += block {
		for _, turn := range turns {
			if err := turn(ctx); err != nil {
				return nil, err
			}
		}
	}
	return samples, nil
}

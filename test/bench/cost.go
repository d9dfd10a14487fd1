package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// cost counts what the candidates of one election ask of etcd.
func (b *bench) cost(ctx context.Context) error {
	t := newTable("What all candidates together send to etcd, and are sent on streams; default TTL",
		"candidates", "what", "per enrolment, with session and connection", "per hand-over", "per idle minute and candidate")
	for _, candidates := range b.sizes[1:min(3, len(b.sizes))] {
		if err := b.costOf(ctx, t, candidates); err != nil {
			return fmt.Errorf("%d candidates: %w", candidates, err)
		}
	}
	t.print()
	return nil
}

func (b *bench) costOf(ctx context.Context, t *table, candidates int) error {
	const changes = 20
	for _, c := range []func(*traffic) contender{
		func(tr *traffic) contender { return ourselves{b.endpoints, costTTL, work, tr.options()} },
		func(tr *traffic) contender { return concurrencyPackage{b.endpoints, costTTL, work, tr.options()} },
	} {
		tr := &traffic{}
		name := c(tr).String()
		err := func() (err error) {
			f, err := c(tr).enrol(ctx, b.election(), candidates)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.close()) }()
			enrolled := tr.now()
			began := time.Now()
			drain(ctx, b.idle)
			idle, minutes := tr.now().since(enrolled), time.Since(began).Minutes()
			before := tr.now()
			for range changes {
				if _, err := f.handOver(ctx); err != nil {
					return err
				}
				drain(ctx, rest)
			}
			changed := tr.now().since(before)
			n := float64(candidates)
			t.row(candidates, name, enrolled.per(n), changed.per(changes), idle.per(n*minutes))
			return nil
		}()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

const costTTL = 10 * time.Second

func (c counts) per(n float64) string {
	return fmt.Sprintf("%.1f sent, %.1f received", float64(c.requests)/n, float64(c.events)/n)
}

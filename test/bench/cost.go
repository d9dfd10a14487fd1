package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// cost counts what one election of ten candidates asks of etcd.
func (b *bench) cost(ctx context.Context) error {
	const candidates, changes = 10, 20
	t := newTable(fmt.Sprintf("What %d candidates send to etcd, and are sent on streams; default TTL", candidates),
		"what", "per enrolment, with session and connection", "per hand-over", "per idle minute and candidate")
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
			t.row(name, enrolled.per(candidates), changed.per(changes), idle.per(candidates*minutes))
			return nil
		}()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	t.print()
	return nil
}

const costTTL = 10 * time.Second

func (c counts) per(n float64) string {
	return fmt.Sprintf("%.1f sent, %.1f received", float64(c.requests)/n, float64(c.events)/n)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store/etcdstore"
)

// memory measures what many elections on one session cost a process: held by one
// member, and then waited for by another.
func (b *bench) memory(ctx context.Context) error {
	t := newTable(fmt.Sprintf("%d elections on one session, in one process", b.many),
		"what", "goroutines, each held", "bytes, each held", "goroutines, each waited for", "bytes, each waited for")
	for _, c := range []struct {
		what string
		run  func(ctx context.Context, base string, n int, held, waited *usage) error
	}{
		{"Tenure", b.fillTenure},
		{"concurrency.Election", b.fillConcurrency},
	} {
		var held, waited usage
		if err := c.run(ctx, b.election(), b.many, &held, &waited); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		n := float64(b.many)
		t.row(c.what, fmt.Sprintf("%.2f", held.goroutines/n), fmt.Sprintf("%.0f", held.bytes/n),
			fmt.Sprintf("%.2f", waited.goroutines/n), fmt.Sprintf("%.0f", waited.bytes/n))
	}
	t.print()
	return nil
}

// usage is how much more a process has come to use.
type usage struct{ goroutines, bytes float64 }

func measure() usage {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return usage{float64(runtime.NumGoroutine()), float64(m.HeapAlloc + m.StackInuse)}
}

func (u *usage) since(before usage) {
	now := measure()
	u.goroutines, u.bytes = now.goroutines-before.goroutines, now.bytes-before.bytes
}

// enrolAtOnce is how many campaigns begin at the same time.
const enrolAtOnce = 64

// each calls f for all elections, some at a time.
func each(n int, f func(i int) error) error {
	next := make(chan int)
	errs := make(chan error, enrolAtOnce)
	for range enrolAtOnce {
		go func() {
			var err error
			for i := range next {
				if e := f(i); err == nil {
					err = e
				}
			}
			errs <- err
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	var all []error
	for range enrolAtOnce {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func (b *bench) fillTenure(ctx context.Context, base string, n int, held, waited *usage) (err error) {
	var closers []func() error
	life, stop := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	defer func() {
		stop()
		waiting.Wait()
		err = errors.Join(err, closeAll(closers))
	}()
	stores, err := openStores(ctx, b.endpoints, 2, &closers)
	if err != nil {
		return err
	}
	var members []*tenure.Member
	for i, st := range stores {
		m, err := tenure.Join(ctx, st, tenure.Options{ID: fmt.Sprint(base, "-", i), TTL: handOverTTL})
		if err != nil {
			return err
		}
		closers = append(closers, m.Close)
		members = append(members, m)
	}
	name := func(i int) string { return fmt.Sprint(base, "-", i) }
	before := measure()
	terms := make([]*tenure.Leadership, n)
	err = each(n, func(i int) (err error) {
		terms[i], err = members[0].Campaign(ctx, name(i), tenure.CampaignOptions{})
		return err
	})
	if err != nil {
		return err
	}
	held.since(before)
	before = measure()
	for i := range n {
		waiting.Go(func() { _, _ = members[1].Campaign(life, name(i), tenure.CampaignOptions{}) })
	}
	if err := awaitKeys(ctx, b.endpoints, etcdstore.DefaultPrefix+"candidates/"+base+"-", 2*n); err != nil {
		return err
	}
	drain(ctx, time.Second)
	waited.since(before)
	runtime.KeepAlive(terms)
	return nil
}

func (b *bench) fillConcurrency(ctx context.Context, base string, n int, held, waited *usage) (err error) {
	var closers []func() error
	life, stop := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	defer func() {
		stop()
		waiting.Wait()
		err = errors.Join(err, closeAll(closers))
	}()
	clients, err := openClients(b.endpoints, 2, &closers)
	if err != nil {
		return err
	}
	var sessions []*concurrency.Session
	for _, c := range clients {
		s, err := concurrency.NewSession(c, concurrency.WithTTL(int(handOverTTL/time.Second)))
		if err != nil {
			return err
		}
		closers = append(closers, s.Close)
		sessions = append(sessions, s)
	}
	prefix := "concurrency/" + base + "/"
	name := func(i int) string { return fmt.Sprint(prefix, i) }
	before := measure()
	terms := make([]*concurrency.Election, n)
	err = each(n, func(i int) error {
		terms[i] = concurrency.NewElection(sessions[0], name(i))
		return terms[i].Campaign(ctx, "")
	})
	if err != nil {
		return err
	}
	held.since(before)
	before = measure()
	for i := range n {
		waiting.Go(func() { _ = concurrency.NewElection(sessions[1], name(i)).Campaign(life, "") })
	}
	if err := awaitKeys(ctx, b.endpoints, prefix, 2*n); err != nil {
		return err
	}
	drain(ctx, time.Second)
	waited.since(before)
	runtime.KeepAlive(terms)
	return nil
}

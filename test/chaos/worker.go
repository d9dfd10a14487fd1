//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/etcdstore"
	"github.com/tenure-go/tenure/tenuretest"
)

// Elections, and what their leaders do.
const (
	steady = "steady" // work until they are stopped
	brisk  = "brisk"  // return after a moment, and queue up again
	loose  = "loose"  // lead without a function, and resign or transfer after a moment
	prey   = "prey"   // as steady; third parties write behind the leader's back
)

const (
	ttl        = 2 * time.Second
	prefix     = "tenure/"
	writeEvery = 50 * time.Millisecond
	lingering  = 100 * time.Millisecond // that functions take to return, at most
	workerEnv  = "TENURE_CHAOS_WORKER"  // holds the orders of a worker
)

// orders are what a worker is started with.
type orders struct {
	ID        string
	Nth       int // start of this worker
	Endpoints []string
	Elections []string
	Broken    string // in which way; see broken.go
}

// worker is a process that wants to lead some elections, and observes them.
type worker struct {
	*printer
	orders
	*sampler
	st   store.Store
	m    *tenure.Member
	live sync.WaitGroup
}

// runWorker is what the process of a worker does. It ends when its standard input
// does; a line there says that its node is to be quiet.
func runWorker(text string) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	hush := make(chan struct{})
	go func() {
		in := bufio.NewReader(os.Stdin)
		if _, err := in.ReadString('\n'); err == nil {
			close(hush)
			_, _ = io.Copy(io.Discard, in)
		}
		cancel()
	}()
	out := newPrinter(os.Stdout)
	w := &worker{printer: out, orders: o, sampler: newSampler(out)}
	w.breakSampler()
	if err := w.join(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	w.print(report{What: joined})
	sampling, stop := context.WithCancel(context.Background()) // until all is closed
	var last sync.WaitGroup
	last.Go(func() { w.run(sampling) })
	last.Go(func() { w.breathe(sampling) })
	for _, election := range o.Elections {
		w.live.Go(func() { w.observe(ctx, election) })
		w.live.Go(func() { w.campaign(ctx, election) })
	}
	w.live.Go(func() { w.beNode(ctx, hush) })
	<-ctx.Done()
	err := w.m.Close()
	w.live.Wait()
	w.sample()
	stop()
	last.Wait()
	return errors.Join(err, w.st.Close())
}

// join opens the store and joins, also while etcd is not to be had.
func (w *worker) join(ctx context.Context) error {
	for {
		err := w.tryJoin(ctx)
		if err == nil || ctx.Err() != nil || !passes(err) {
			return err
		}
		w.print(report{What: tenuretest.Note.String(), Text: "cannot join"}.because(err))
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (w *worker) tryJoin(ctx context.Context) error {
	etcd, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: w.Endpoints, Prefix: prefix})
	if err != nil {
		return err
	}
	w.st = ledger{w.breakStore(etcd), w.printer}
	w.m, err = tenure.Join(ctx, w.st, tenure.Options{
		ID: w.ID, TTL: ttl, Trace: w.trace(),
		FlapLimit: -1, // here terms are lost more often than every fourth minute
	})
	if err != nil {
		return errors.Join(err, w.st.Close())
	}
	return nil
}

func (w *worker) trace() *tenure.Trace {
	note := func(err error, format string, args ...any) {
		w.print(report{What: tenuretest.Note.String(), Text: fmt.Sprintf(format, args...)}.because(err))
	}
	return &tenure.Trace{
		SessionStarted: func(s tenure.SessionInfo) { note(nil, "session %s begins", s.ID) },
		SessionLost:    func(s tenure.SessionInfo, err error) { note(err, "session %s is lost", s.ID) },
		Elected:        func(t tenure.TermInfo) { w.say(tenuretest.Elected, t.Election, t.Token) },
		Ended: func(t tenure.TermInfo, cause error) {
			w.print(report{What: tenuretest.Ended.String(), Election: t.Election, Token: t.Token}.because(cause))
		},
		DuplicateWait: func(_, _ string, atMost time.Duration) { note(nil, "waits for an older start, for at most %v", atMost) },
	}
}

func (w *worker) say(kind tenuretest.Kind, election string, token tenure.Token) {
	w.print(report{What: kind.String(), Election: election, Token: token})
}

func (w *worker) problem(election string, err error, format string, args ...any) {
	w.print(report{What: problem, Election: election, Text: fmt.Sprintf(format, args...)}.because(err))
}

// breathe lets the campaign know up to when it has heard everything.
func (w *worker) breathe(ctx context.Context) {
	every := time.NewTicker(200 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			w.print(report{What: alive})
		case <-ctx.Done():
			return
		}
	}
}

// observe tells of all that a View shows of an election.
func (w *worker) observe(ctx context.Context, election string) {
	w.say(tenuretest.Observing, election, 0)
	for ev, err := range tenure.NewView(w.st, election).Observe(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				w.problem(election, err, "the observer has ended")
			}
			return
		}
		r := report{What: tenuretest.ObservedNone.String(), Election: election, Token: ev.Leader.Token, Revision: ev.Revision}
		switch ev.Kind {
		case tenure.Elected:
			r.What, r.Text = tenuretest.ObservedLeader.String(), ev.Leader.Member
		case tenure.Gap:
			r.What = tenuretest.ObservedGap.String()
		}
		w.print(r)
	}
}

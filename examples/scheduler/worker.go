package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
)

// listen passes on what is dealt to this node, until ctx ends.
func (n *node) listen(ctx context.Context) error {
	var newest tenure.Token
	for ev, err := range n.cluster.Watch(ctx, handOf(n.id)) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		value := ev.Value
		switch ev.Kind {
		case cluster.Present, cluster.Added, cluster.Modified:
		case cluster.Deleted:
			value = ev.Old
		default:
			continue
		}
		var h hand
		if err := json.Unmarshal(value, &h); err != nil {
			return fmt.Errorf("hand dealt by %s: %w", ev.Node, err)
		}
		if h.Term < newest {
			continue // one that led before, and does not any more
		}
		newest = h.Term
		if ev.Kind == cluster.Deleted {
			h.Jobs = nil // the leader is gone, and what it has dealt goes with it
		}
		select {
		case n.dealt <- h:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// work does what is dealt, one job after the other, until ctx ends. A new hand replaces the
// old one. Of a job whose record has changed the leader hears by itself, and deals it
// again if it must; another this node keeps until it has done it.
func (n *node) work(ctx context.Context) {
	var h hand
	for ctx.Err() == nil {
		if len(h.Jobs) == 0 {
			select {
			case h = <-n.dealt:
			case <-ctx.Done():
			}
			continue
		}
		select {
		case h = <-n.dealt:
		default:
			next := h.Jobs[0]
			h.Jobs = h.Jobs[1:]
			err := n.do(ctx, next)
			if err == nil || errors.Is(err, errChanged) || ctx.Err() != nil {
				continue
			}
			n.say("leaves %s for later: %v", next.Name, err)
			h.Jobs = append(h.Jobs, next) // if its record is what it was, it is not dealt again
			pause(ctx, tick)
		}
	}
}

// do takes a job, does it, and records it.
func (n *node) do(ctx context.Context, j job) error {
	self := worker{Node: n.id, Incarnation: n.cluster.Self().Incarnation, PID: os.Getpid()}
	mine, err := n.jobs.change(ctx, j, record{Worker: self})
	if err != nil {
		return err // errChanged: somebody else has it; it was dealt long ago, or by two leaders
	}
	if j.Worker.Node != "" && j.Worker != self {
		n.say("takes over %s from %s (pid %d)", j.Name, j.Worker.Node, j.Worker.PID)
	}
	if !pause(ctx, n.nodeConfig.work) { // the work
		return ctx.Err()
	}
	if err := n.cluster.Healthy(); err != nil {
		return err // the others may not see this node: the job may be another's
	}
	if err := (result{Job: j.Name, Worker: self, Token: mine.Revision}).write(n.results); err != nil {
		return err
	}
	return n.record(ctx, mine)
}

// record says that a job is done. What is done must not be done again, so it asks the store
// until that has answered; one that is told to stop asks once more.
func (n *node) record(ctx context.Context, mine job) error {
	for first := true; ; first = false {
		_, err := n.jobs.change(context.WithoutCancel(ctx), mine, record{Worker: mine.Worker, Done: true})
		switch {
		case err == nil, errors.Is(err, errChanged) && !first:
			return nil // done now, or by a request whose answer was lost
		case errors.Is(err, errChanged):
			n.say("had done %s when it was taken from it", mine.Name)
			return nil
		case ctx.Err() != nil:
			return err
		}
		pause(ctx, tick)
	}
}

// pause waits. False: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// fleet is the cluster that all workers are nodes of, and its election.
const fleet = "fleet"

// keys are those that each node publishes; the store must escape two of them.
var keys = []string{"load", "jobs/1", "100%"}

const (
	publishEvery = 600 * time.Millisecond // a key, on average
	tagEvery     = 4 * time.Second
	tick         = 200 * time.Millisecond
	shortestLife = 10 * time.Second // of a node from Start to Stop
	longestLife  = 40 * time.Second
)

// node is what a worker is in the fleet. It starts, publishes, watches, stops, and starts
// again: each of these lives has a number that no other life of its id has, and so has
// each value that it puts.
type node struct {
	*worker
	*cluster.Clustered
	hush  <-chan struct{} // closed when it is to publish nothing new
	known *tenure.Leadership
	busy  atomic.Bool // with one of its routines
}

// beNode is the node's work until the context ends.
func (w *worker) beNode(ctx context.Context, hush <-chan struct{}) {
	n := &node{worker: w, hush: hush}
	var err error
	n.Clustered, err = cluster.New(w.st, fleet, w.ID, cluster.Options{
		Endpoint: w.ID, TTL: ttl, Tick: tick, Leader: n.leads, Follower: n.follows, Trace: n.trace(),
	})
	if err != nil {
		w.problem(fleet, err, "no node")
		return
	}
	for i := 1; ctx.Err() == nil; i++ {
		if err := n.begin(ctx); err != nil {
			if ctx.Err() == nil {
				w.problem(fleet, err, "the node does not start")
			}
			break
		}
		n.live(ctx, 1000*w.Nth+i)
	}
	if err := n.Close(); err != nil {
		w.problem(fleet, err, "the node does not close")
	}
}

// begin starts the node, also while etcd is not to be had.
func (n *node) begin(ctx context.Context) error {
	for {
		err := n.Start(ctx)
		if err == nil || ctx.Err() != nil || !passes(err) {
			return err
		}
		n.print(report{What: tenuretest.Note.String(), Text: "cannot start its node"}.because(err))
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// live is one life of the node, from after its Start.
func (n *node) live(ctx context.Context, life int) {
	n.print(report{What: up, Life: life})
	n.say(tenuretest.Wanted, fleet, 0)
	publishing, stop := context.WithCancel(ctx)
	var voices, watches sync.WaitGroup
	for _, key := range keys {
		voices.Go(func() { n.publish(publishing, life, key) })
	}
	voices.Go(func() { n.tag(publishing) })
	watches.Go(func() { n.watchState(life) })
	watches.Go(func() { n.watchNodes(life) })
	select {
	case <-time.After(shortestLife + rand.N(longestLife-shortestLife)):
	case <-n.hush:
		voices.Wait()
		n.print(report{What: quiet, Life: life})
		<-ctx.Done()
	case <-ctx.Done():
	}
	n.say(tenuretest.Unwanted, fleet, 0)
	n.print(report{What: down})
	if err := n.Stop(context.WithoutCancel(ctx)); err != nil {
		n.problem(fleet, err, "the node does not stop")
	}
	stop()
	voices.Wait()
	watches.Wait()
}

// publish puts one value after the other under a key, and deletes it at times. Nobody else
// does, so that the order of its calls is that of what is to be seen. It ends with the
// node's life, and when it is to be quiet and its last call has returned nil.
func (n *node) publish(ctx context.Context, life int, key string) {
	settled := true
	for i := 1; ; i++ {
		select {
		case <-time.After(rand.N(2 * publishEvery)):
		case <-n.hush:
			if settled {
				return
			}
		case <-ctx.Done():
			return
		}
		value := ""
		if rand.IntN(4) > 0 {
			value = fmt.Sprintf("%d.%d", life, i)
		}
		err := n.utter(ctx, report{Life: life, Key: key, N: i, Value: value})
		settled = err == nil
		switch {
		case errors.Is(err, cluster.ErrStopped), errors.Is(err, cluster.ErrClosed), ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, context.DeadlineExceeded): // such a call goes on
			n.problem(fleet, err, "nothing is published")
			return
		}
	}
}

// utter puts or deletes, says so before and after, and at times looks what has come of it.
func (n *node) utter(ctx context.Context, r report) error {
	ctx, cancel := context.WithTimeout(ctx, ttl/8+rand.N(4*ttl))
	defer cancel()
	r.What = attempted
	n.print(r)
	var err error
	if r.Value == "" {
		err = n.Delete(ctx, r.Key)
	} else {
		err = n.Put(ctx, r.Key, []byte(r.Value))
	}
	if err != nil {
		return err
	}
	r.What = acknowledged
	n.print(r)
	if rand.IntN(4) > 0 {
		return nil
	}
	if value, _, err := n.Get(ctx, r.Key); err == nil {
		r.What, r.Value = readBack, string(value)
		n.print(r)
	}
	return nil
}

// tag changes the node's record.
func (n *node) tag(ctx context.Context) {
	for i := 1; ; i++ {
		select {
		case <-time.After(rand.N(2 * tagEvery)):
		case <-n.hush:
			return
		case <-ctx.Done():
			return
		}
		_ = n.SetTags(ctx, map[string]string{"n": fmt.Sprint(i)}) // etcd's history says what came of it
	}
}

func (n *node) watchState(life int) {
	var end error
	for ev, err := range n.WatchPrefix(context.Background(), "") { // until the node stops
		if end = err; err != nil {
			continue // there must be nothing after it
		}
		n.print(report{
			What: toldState, Life: life, Kind: ev.Kind.String(), Node: ev.Node, Key: ev.Key,
			Value: string(ev.Value), Old: string(ev.Old), Revision: ev.Revision, Since: ev.Since,
		})
		dawdle()
	}
	n.print(report{What: watchEnded, Life: life, Kind: toldState}.because(end))
}

func (n *node) watchNodes(life int) {
	var end error
	for ev, err := range n.WatchNodes(context.Background()) {
		if end = err; err != nil {
			continue
		}
		r := report{
			What: toldNodes, Life: life, Kind: ev.Kind.String(), Node: ev.Node.ID, Role: string(ev.Node.Role),
			Revision: ev.Revision, Since: ev.Since,
		}
		switch ev.Kind {
		case cluster.NodePresent, cluster.NodeJoined:
			r.Value = self(ev.Node.Incarnation, ev.Node.Tags)
		case cluster.NodeChanged:
			r.Value, r.Old, r.OldRole = self(ev.Node.Incarnation, ev.Node.Tags), self(ev.Old.Incarnation, ev.Old.Tags), string(ev.Old.Role)
		case cluster.NodeLeft, cluster.NodeExpired, cluster.NodeGone:
			r.Old, r.OldRole, r.Role = self(ev.Node.Incarnation, ev.Node.Tags), string(ev.Node.Role), ""
		}
		n.print(r)
		dawdle()
	}
	n.print(report{What: watchEnded, Life: life, Kind: toldNodes}.because(end))
}

// self is what of a node's record may change, as one text.
func self(incarnation string, tags map[string]string) string {
	return fmt.Sprintf("%s tag %s", incarnation, tags["n"])
}

// dawdle makes a slow reader now and then.
func dawdle() {
	if rand.IntN(100) == 0 {
		time.Sleep(rand.N(ttl))
	}
}

// leads is the leader's routine.
func (n *node) leads(ctx context.Context, t tenure.Term) error {
	defer n.only("leader")()
	l := t.(*tenure.Leadership) // over a store all are
	if n.known != l {
		n.known = l
		n.track(l)
	}
	n.say(tenuretest.WorkBegan, fleet, l.Token())
	defer n.say(tenuretest.WorkReturned, fleet, l.Token())
	return work(ctx)
}

// follows is the follower's.
func (n *node) follows(ctx context.Context) error {
	defer n.only("follower")()
	return work(ctx)
}

// only has a routine run alone.
func (n *node) only(routine string) (returned func()) {
	if n.busy.Swap(true) {
		n.problem(fleet, nil, "the %s's routine runs beside another of its node", routine)
	}
	return func() { n.busy.Store(false) }
}

// work takes a moment, at times longer than a tick, and a moment more to stop.
func work(ctx context.Context) error {
	select {
	case <-time.After(rand.N(tick * 3 / 2)):
		return nil
	case <-ctx.Done():
		time.Sleep(rand.N(lingering))
		return ctx.Err()
	}
}

func (n *node) trace() *cluster.Trace {
	sessions := n.worker.trace()
	return &cluster.Trace{
		Leadership: sessions, Membership: sessions,
		Lost:     func(err error) { n.print(report{What: lost}.because(err)) },
		Rejoined: func(keys int) { n.print(report{What: rejoined, N: keys}) },
		Overrun: func(role cluster.Role, after time.Duration) {
			n.problem(fleet, nil, "the %s's routine still runs after %v", role, after)
		},
		TickDiffers: func(other cluster.Info) { n.problem(fleet, nil, "%s has a tick of %v", other.ID, other.Tick) },
	}
}

// passes reports whether an error of a start is one of a store that is away, or of an
// older start of the id that has not gone yet: etcd gives leases all of their time again
// when it elects a leader.
func passes(err error) bool {
	passing := []error{store.ErrUnavailable, context.DeadlineExceeded, tenure.ErrDuplicateMember}
	return slices.ContainsFunc(passing, func(p error) bool { return errors.Is(err, p) })
}

//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// orderly are the elections that nobody interferes with.
var (
	orderly       = []string{steady, brisk, loose}
	everyElection = []string{steady, brisk, loose, prey, fleet}
)

const (
	// recovery is within what time of the end of a fault every worker is back and every
	// election led, also on a machine that has other things to do: etcd's own election,
	// the TTL of a lease that etcd has begun anew, and the pauses between attempts to
	// connect, and to make a session.
	recovery = 30 * time.Second
	// progress is the same from a moment at which it has come to that.
	progress = 5 * time.Second
	// asking bounds a request of the campaign's own to etcd.
	asking = 10 * time.Second
	// misses is how often in a row a fault may fail, or strike no leader.
	misses = 5
)

// settings are what a campaign is run with.
type settings struct {
	seed    uint64
	length  time.Duration
	passes  int      // at most; 0: as many as there is time for
	network *network // nil: this host's
	faults  []fault
	broken  string // in which way all workers are
	log     func(format string, args ...any)
}

// campaign is a cluster of etcd, workers that elect leaders over it, and what goes
// wrong.
type campaign struct {
	settings
	ctx      context.Context // of run
	rand     *rand.Rand
	cluster  *etcdtest.Cluster
	client   *clientv3.Client
	account  *account
	recorder *recorder
	places   []*place
	tallies  map[string]*tally
	begun    int64
}

// place is a worker over all its starts.
type place struct {
	orders
	link    *link
	process *process
}

// run runs a campaign, and returns it with what is wrong.
func run(ctx context.Context, s settings) (c *campaign, err error) {
	c = &campaign{settings: s, rand: rand.New(&source{pcg: rand.NewPCG(s.seed, 0)}), account: newAccount(), tallies: map[string]*tally{}}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	opts := etcdtest.Options{Members: servers, StallableDisks: true, Partitions: s.network == nil}
	if s.network != nil {
		opts.Hosts = s.network.hosts()
	}
	if c.cluster, err = etcdtest.Start(c.ctx, opts); err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, c.cluster.Close()) }()
	if c.client, err = newClient(c.cluster.Endpoints()...); err != nil {
		return c, err
	}
	defer func() { _ = c.client.Close() }() // what it was asked for has been answered
	c.recorder = &recorder{client: c.client, account: c.account, seats: map[string]tenuretest.Event{}, news: make(chan struct{})}
	recorded := make(chan error, 1)
	recording, stop := context.WithCancel(c.ctx)
	go func() { recorded <- c.recorder.run(recording, 1) }()
	err = c.play()
	stop()
	return c, errors.Join(err, <-recorded)
}

func newClient(endpoints ...string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(), DialKeepAliveTime: asking, DialKeepAliveTimeout: time.Second,
	})
}

const servers = 3

// workers are those that stand in the elections that nobody interferes with, and those
// that stand in the other one: their sessions, too, are others' prey.
var workers = []orders{
	{ID: "w1", Elections: orderly}, {ID: "w2", Elections: orderly}, {ID: "w3", Elections: orderly}, {ID: "w4", Elections: orderly},
	{ID: "p1", Elections: []string{prey}}, {ID: "p2", Elections: []string{prey}},
}

// play starts the workers, lets things go wrong, and judges.
func (c *campaign) play() (err error) {
	c.begun = clock()
	defer func() { err = errors.Join(err, c.abandon()) }()
	for i, o := range workers {
		var h *host
		address := "127.0.0.1"
		if c.network != nil {
			h, address = c.network.workers[i], c.network.address
		}
		l, err := newLink(c.cluster, h, address)
		if err != nil {
			return err
		}
		o.Endpoints, o.Broken = l.endpoints(), c.broken
		p := &place{orders: o, link: l}
		c.places = append(c.places, p)
		if err := c.start(p); err != nil {
			return err
		}
	}
	if err := c.settle(c.begun); err != nil {
		return err
	}
	if err := c.strikeAll(); err != nil {
		return err
	}
	if err := c.agree(); err != nil {
		return err
	}
	if err := c.quieten(); err != nil {
		return err
	}
	return c.finish()
}

// start starts a worker, or starts it again.
func (c *campaign) start(p *place) (err error) {
	var before []string
	if p.link.host != nil {
		before = p.link.host.before()
	}
	p.Nth++
	p.process, err = start(c.account, p.orders, before)
	return err
}

// judge checks all that is known.
func (c *campaign) judge(x tenuretest.Expect) error {
	upTo := clock()
	for _, p := range c.places {
		upTo = min(upTo, p.process.heardUpTo())
	}
	if x.Finished {
		upTo = clock()
	}
	ctx, cancel := context.WithTimeout(c.ctx, recovery)
	defer cancel()
	asked := clock()
	if err := c.recorder.catchUp(ctx); err != nil {
		return err
	}
	rev, now := c.recorder.upTo(), clock() // what etcd has, a worker has said before it did it
	for _, p := range c.places {
		for !x.Finished && p.process.heardUpTo() < now {
			if !wait(ctx, ttl/20) {
				return fmt.Errorf("nothing was heard of %s for %v: %w", p.ID, recovery, errStuck)
			}
		}
	}
	return errors.Join(append(c.account.checkFleet(asked, store.Revision(rev), x.Finished), c.account.check(upTo, x))...)
}

// agree waits until every observer has been told of every leader so far, and a little
// longer: somebody must lead each election once all faults are over.
func (c *campaign) agree() error {
	c.account.record(tenuretest.Event{Kind: tenuretest.FaultsOver})
	over := clock()
	ctx, cancel := context.WithTimeout(c.ctx, recovery)
	defer cancel()
	if err := c.recorder.catchUp(ctx); err != nil {
		return err
	}
	newest := c.account.newest()
	for _, p := range c.places {
		for _, election := range p.Elections {
			for !c.account.hasObserved(p.ID, election, newest[election]) {
				if !wait(ctx, ttl/20) {
					return fmt.Errorf("%s has not observed token %d of %s within %v: %w", p.ID, newest[election], election, recovery, errStuck)
				}
			}
		}
	}
	wait(c.ctx, progress+fresh-time.Duration(clock()-over))
	return c.judge(tenuretest.Expect{Progress: progress})
}

// finish lets all workers leave, after which nothing may be left of them in etcd.
func (c *campaign) finish() error {
	var errs []error
	for _, p := range c.places {
		errs = append(errs, p.process.stdin.Close())
	}
	for _, p := range c.places {
		select {
		case <-p.process.ended:
			errs = append(errs, p.process.err)
		case <-time.After(recovery):
			errs = append(errs, fmt.Errorf("worker %s does not end", p.ID))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.ctx, recovery)
	defer cancel()
	for {
		res, err := c.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		var left []string
		for _, kv := range res.Kvs {
			if key := strings.TrimPrefix(string(kv.GetKey()), prefix); !strings.HasPrefix(key, writes) {
				left = append(left, key)
			}
		}
		if len(left) == 0 {
			break
		}
		if !wait(ctx, ttl/4) {
			return fmt.Errorf("left in etcd: %q", left)
		}
	}
	return c.judge(tenuretest.Expect{Progress: progress, Finished: true})
}

// abandon ends whatever still runs.
func (c *campaign) abandon() error {
	var errs []error
	for _, p := range c.places {
		if p.process != nil {
			p.process.kill()
		}
		errs = append(errs, p.link.close())
	}
	return errors.Join(errs...)
}

// isolate cuts a server off from its peers.
func (c *campaign) isolate(m *etcdtest.Member, sent, received bool) error {
	if c.network != nil {
		return c.network.isolate(slices.Index(c.cluster.Members, m), sent, received)
	}
	c.cluster.Isolate(m, sent, received)
	return nil
}

func (c *campaign) rejoin() error {
	if c.network != nil {
		return c.network.rejoin()
	}
	c.cluster.Rejoin()
	return nil
}

// wait lets time pass; false: the context has ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

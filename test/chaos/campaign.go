//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/tenuretest"
)

// orderly are the elections that nobody interferes with.
var orderly = []string{steady, brisk, loose}

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
	// misses is how often a fault may in a row not be possible, or strike no leader.
	misses = 5
)

// settings are what a campaign is run with.
type settings struct {
	seed   uint64
	length time.Duration
	passes int // at most; 0: as many as there is time for
	netns  bool
	faults []fault
	broken string // in which way all workers are
	log    io.Writer
}

// campaign is a cluster of etcd, workers that elect leaders over it, and what goes
// wrong.
type campaign struct {
	settings
	ctx      context.Context // of run
	rand     *rand.Rand
	network  *network // nil: this host's
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
	c = &campaign{settings: s, rand: rand.New(rand.NewPCG(s.seed, 0)), account: newAccount(), tallies: map[string]*tally{}}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	opts := etcdtest.Options{Members: servers, StallableDisks: true, Partitions: !s.netns}
	if s.netns {
		if c.network, err = newNetwork(servers, len(workers)); err != nil {
			return c, err
		}
		opts.Hosts = c.network.hosts()
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
	return c.finish()
}

// start starts a worker, or starts it again.
func (c *campaign) start(p *place) (err error) {
	var before []string
	if p.link.host != nil {
		before = p.link.host.before()
	}
	p.process, err = start(c.account, p.orders, before)
	return err
}

// strikeAll goes through the faults in random order, again and again, for as long as
// the campaign is to last, and at least once. After each pass everything is judged.
func (c *campaign) strikeAll() error {
	first := true
	for pass := 1; first || c.elapsed() < c.length && (c.passes == 0 || pass <= c.passes); pass++ {
		for _, i := range c.rand.Perm(len(c.faults)) {
			if !first && c.elapsed() >= c.length {
				break
			}
			if err := c.strike(&c.faults[i]); err != nil {
				return fmt.Errorf("%s: %w", c.faults[i].name, err)
			}
		}
		if err := c.judge(tenuretest.Expect{}); err != nil {
			return err
		}
		first = false
	}
	return nil
}

func (c *campaign) elapsed() time.Duration { return time.Duration(clock() - c.begun) }

// strike makes one fault, and waits until all is well again. The first time it is made
// until it strikes a leader in office.
func (c *campaign) strike(f *fault) error {
	t := c.tallies[f.name]
	if t == nil {
		t = &tally{}
		c.tallies[f.name] = t
	}
	for range misses {
		struck, err := c.try(f, t)
		if err != nil {
			return err
		}
		if struck || t.struck > 0 {
			return nil
		}
	}
	return fmt.Errorf("struck no leader in office in %d times", misses)
}

func (c *campaign) try(f *fault, t *tally) (struck bool, err error) {
	v, err := f.aim(c)
	if err != nil {
		return false, err
	}
	struck = c.strikes(v)
	lost, from := c.account.count("terms lost"), clock()
	event := tenuretest.Event{Kind: tenuretest.FaultBegan, Text: f.name, Member: v.String()}
	if v.worker == nil {
		event.Text, event.Member = strings.TrimSpace(f.name+" "+v.String()), ""
	}
	c.account.record(event)
	ctx, cancel := context.WithTimeout(c.ctx, asking)
	defer cancel()
	failed := f.begin(ctx, c, v)
	if failed == nil {
		wait(c.ctx, f.lasts[0]+c.upTo(f.lasts[1]-f.lasts[0]))
	}
	if f.end != nil {
		if err := f.end(c.ctx, c, v); err != nil {
			return false, err
		}
	}
	event.Kind = tenuretest.FaultEnded
	c.account.record(event)
	if err := c.settle(clock()); err != nil {
		return false, errors.Join(err, failed)
	}
	took := time.Duration(clock() - from).Round(time.Millisecond)
	if failed != nil {
		fmt.Fprintf(c.log, "%7.1fs  %s %v: %v\n", c.elapsed().Seconds(), f.name, v, failed)
		return false, c.ctx.Err()
	}
	lost = c.account.count("terms lost") - lost
	t.times++
	t.lost += lost
	t.spans = append(t.spans, span{from, clock()})
	if struck {
		t.struck++
	}
	fmt.Fprintf(c.log, "%7.1fs  %s %v: a leader in office: %v; %d terms lost; all well after %v\n", c.elapsed().Seconds(), f.name, v, struck, lost, took)
	wait(c.ctx, ttl/10+c.upTo(ttl/4))
	return struck, c.ctx.Err()
}

// settle waits until all servers serve, all workers are members, and every election has been led
// since a moment.
func (c *campaign) settle(since int64) error {
	ctx, cancel := context.WithTimeout(c.ctx, recovery)
	defer cancel()
	if err := c.cluster.Await(ctx, c.cluster.Members...); err != nil {
		return err
	}
	for {
		c.account.mu.Lock()
		news, problems := c.account.news, errors.Join(c.account.problems...)
		c.account.mu.Unlock()
		if problems != nil {
			return problems
		}
		waits := ""
		for _, p := range c.places {
			select {
			case <-p.process.ended:
				return fmt.Errorf("worker %s has ended: %w", p.ID, p.process.err)
			default:
			}
			if !p.process.isJoined() {
				waits = "worker " + p.ID + " to join"
			}
		}
		if waits == "" && c.account.ledSince(since, append(slices.Clone(orderly), prey)) {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("%v after a fault has ended, it still waits for %s; in office are %v: %w",
				recovery, orElse(waits, "leaders"), c.account.inOffice(), errStuck)
		}
	}
}

// errStuck: take-over is to be prompt.
var errStuck = errors.New("no progress")

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
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
	if err := c.recorder.catchUp(ctx); err != nil {
		return err
	}
	return c.account.check(upTo, x)
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

// upTo is a random time.
func (c *campaign) upTo(d time.Duration) time.Duration { return time.Duration(c.rand.Int64N(int64(d))) }

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

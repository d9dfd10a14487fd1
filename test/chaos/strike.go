//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tenure-go/tenure/tenuretest"
)

// strikeAll makes every fault once, in random order and alone, and judges. For as long as
// the campaign is to last it then makes those that strike workers together with others.
func (c *campaign) strikeAll() error {
	for _, i := range c.rand.Perm(len(c.faults)) {
		if err := c.strikeOnce(&c.faults[i]); err != nil {
			return err
		}
	}
	if err := c.judge(tenuretest.Expect{}); err != nil {
		return err
	}
	var ofWorkers, others []*fault
	for i := range c.faults {
		if f := &c.faults[i]; f.ofWorkers {
			ofWorkers = append(ofWorkers, f)
		} else {
			others = append(others, f)
		}
	}
	for pass := 2; c.passes == 0 || pass <= c.passes; pass++ {
		for i := range max(len(ofWorkers), len(others)) {
			if c.elapsed() >= c.length {
				return nil
			}
			if i%len(ofWorkers) == 0 {
				shuffle(c.rand, ofWorkers)
			}
			pair := []*fault{ofWorkers[i%len(ofWorkers)]}
			if len(others) > 0 {
				if i%len(others) == 0 {
					shuffle(c.rand, others)
				}
				pair = append(pair, others[i%len(others)])
				shuffle(c.rand, pair)
			}
			if _, err := c.strike(pair...); err != nil {
				return err
			}
		}
		if err := c.judge(tenuretest.Expect{}); err != nil {
			return err
		}
	}
	return nil
}

func (c *campaign) elapsed() time.Duration { return time.Duration(clock() - c.begun) }

// strikeOnce makes a fault until it strikes a leader in office.
func (c *campaign) strikeOnce(f *fault) error {
	for range misses {
		struck, err := c.strike(f)
		if struck || err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: struck no leader in office in %d times", f.name, misses)
}

// blow is one fault, made once.
type blow struct {
	*fault
	victim
	struck bool  // a leader in office
	failed error // it could not be made
	err    error // it could not be mended
}

// strike makes faults, each beginning while the one before it lasts, and waits until
// all is well again. It reports whether the last has struck a leader in office.
func (c *campaign) strike(fs ...*fault) (struck bool, err error) {
	lost, from := c.account.count("terms lost"), clock()
	var blows []*blow
	var all sync.WaitGroup
	for i, f := range fs {
		b := &blow{fault: f}
		blows = append(blows, b)
		after := time.Duration(i) * c.upTo(ttl/4)
		all.Go(func() {
			wait(c.ctx, after)
			b.err = c.make(b)
		})
	}
	all.Wait()
	for _, b := range blows {
		if b.err != nil {
			return false, fmt.Errorf("%v: %w", b, b.err)
		}
	}
	err = c.settle(clock())
	lost = c.account.count("terms lost") - lost
	took := time.Duration(clock() - from).Round(time.Millisecond)
	for _, b := range blows {
		c.log("%7.1fs %v; %d terms lost; all well after %v", c.elapsed().Seconds(), b, lost, took)
		if err != nil {
			err = fmt.Errorf("%v: %w", b, err)
		}
		if b.failed != nil {
			continue
		}
		t := c.tallies[b.name]
		if t == nil {
			t = &tally{}
			c.tallies[b.name] = t
		}
		t.times++
		t.lost += lost
		t.spans = append(t.spans, span{from, clock()})
		if struck = b.struck; struck {
			t.struck++
		}
	}
	wait(c.ctx, ttl/10+c.upTo(ttl/4))
	return struck, errors.Join(err, c.ctx.Err())
}

func (b *blow) String() string {
	text := strings.TrimSpace(b.name + " " + b.victim.String())
	switch {
	case b.failed != nil:
		return fmt.Sprintf("%s: %v", text, b.failed)
	case b.struck:
		return text + ": struck a leader in office"
	}
	return text
}

// make makes a fault, lets it last, and mends it.
func (c *campaign) make(b *blow) (err error) {
	if b.victim, err = b.aim(c); err != nil {
		return err
	}
	b.struck = c.strikes(b.victim)
	if b.election == prey {
		c.account.harry()
	}
	c.tell(b, tenuretest.FaultBegan)
	ctx, cancel := context.WithTimeout(c.ctx, asking)
	defer cancel()
	if b.failed = b.begin(ctx, c, b.victim); b.failed == nil {
		wait(c.ctx, b.lasts[0]+c.upTo(b.lasts[1]-b.lasts[0]))
	}
	if b.end != nil {
		err = b.end(c.ctx, c, b.victim)
	}
	c.tell(b, tenuretest.FaultEnded)
	return errors.Join(err, c.ctx.Err())
}

// tell records a fault: of a worker, or of all.
func (c *campaign) tell(b *blow, kind tenuretest.Kind) {
	e := tenuretest.Event{Kind: kind, Text: b.name}
	if b.worker != nil {
		e.Member = b.worker.ID
	} else {
		e.Text = strings.TrimSpace(b.name + " " + b.victim.String())
	}
	c.account.record(e)
}

// settle waits until all servers serve, all workers are members, and somebody is in
// office in every election, by what was said since a moment.
func (c *campaign) settle(since int64) error {
	ctx, cancel := context.WithTimeout(c.ctx, recovery)
	defer cancel()
	if err := c.cluster.Await(ctx, c.cluster.Members...); err != nil {
		return err
	}
	for {
		if err := c.account.problem(); err != nil {
			return err
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
			} else if !c.account.isThere(p.ID) {
				waits = "the node of " + p.ID
			}
		}
		if waits == "" && c.account.allLed(since, everyElection) {
			return nil
		}
		if !wait(ctx, ttl/200) {
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

package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/tenuretest"
)

// ballot is the election of one trial.
type ballot struct {
	*elections
	ctx      context.Context
	cancel   context.CancelFunc
	election string
	view     *tenure.View

	all    sync.WaitGroup // of the campaigns
	mu     sync.Mutex
	leader []*tenure.Leadership
}

func newBallot(ctx context.Context, e *elections, election string) *ballot {
	b := &ballot{elections: e, election: election, view: tenure.NewView(e.arena.Store(), election)}
	b.ctx, b.cancel = context.WithCancel(ctx)
	return b
}

// end ends all campaigns and terms.
func (b *ballot) end() {
	b.cancel()
	b.all.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), b.bounds.Crash)
	defer cancel()
	for _, l := range b.leader {
		_ = l.Resign(ctx) // where it is lost, there is nothing to resign
	}
}

// campaign is one member's candidacy.
type campaign struct {
	b    *ballot
	done chan struct{}
	l    *tenure.Leadership // once done is closed
	err  error
}

func (b *ballot) campaign(n *tenuretest.Node) *campaign {
	c := &campaign{b: b, done: make(chan struct{})}
	b.all.Go(func() {
		defer close(c.done)
		if c.l, c.err = n.Campaign(b.ctx, b.election, tenure.CampaignOptions{}); c.err == nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.leader = append(b.leader, c.l)
		}
	})
	return c
}

// elected waits for the end of a candidacy, and looks meanwhile at who holds what.
func (c *campaign) elected() (*tenure.Leadership, error) {
	look := time.NewTicker(max(c.b.opts.TTL/20, time.Millisecond))
	defer look.Stop()
	for {
		select {
		case <-c.done:
			c.b.arena.Sample()
			if c.err == nil && !c.l.Held() {
				return nil, fmt.Errorf("a term was over as soon as it had begun: %w", c.l.Cause())
			}
			return c.l, c.err
		case <-look.C:
			c.b.arena.Sample()
		}
	}
}

// lead lets a member win the vacant seat.
func (b *ballot) lead(n *tenuretest.Node) (*tenure.Leadership, error) { return b.campaign(n).elected() }

// line lets a member campaign, and waits until it is in line.
func (b *ballot) line(n *tenuretest.Node) (*campaign, error) {
	c := b.campaign(n)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		all, err := b.view.Candidates(b.ctx)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(c tenure.Candidate) bool { return c.Member == n.Name() && c.State == "waiting" }) {
			return c, nil
		}
		select {
		case <-look.C:
		case <-c.done:
			return nil, errors.Join(fmt.Errorf("%s did not wait although another led", n.Name()), c.err)
		case <-b.ctx.Done():
			return nil, fmt.Errorf("%s is not in line: %w", n.Name(), b.ctx.Err())
		}
	}
}

// led lets a lead and b wait.
func (b *ballot) led() (*tenure.Leadership, *campaign, error) {
	l, err := b.lead(b.a)
	if err != nil {
		return nil, nil, err
	}
	next, err := b.line(b.b)
	return l, next, err
}

// succeeds waits for the next leader, for which the bound is known.
func (b *ballot) succeeds(next *campaign, after *tenure.Leadership, since time.Time, bound time.Duration) error {
	l, err := next.elected()
	if err != nil {
		return err
	}
	took := time.Since(since)
	switch {
	case took > bound+b.opts.Slack:
		return fmt.Errorf("the next leader was elected after %v; the bound is %v, and %v more for the store and the host",
			took, bound, b.opts.Slack)
	case l.Token() <= after.Token():
		return fmt.Errorf("the next leader has token %d, after %d", l.Token(), after.Token())
	case after.Held():
		return fmt.Errorf("the former leader (token %d) still holds its term", after.Token())
	}
	return nil
}

func (b *ballot) vacantSeat() error {
	l, err := b.lead(b.a)
	if err != nil {
		return err
	}
	leader, ok, err := b.view.Read(b.ctx)
	switch {
	case err != nil:
		return err
	case !ok || leader.Member != l.Member() || leader.Token != l.Token():
		return fmt.Errorf("%s was elected with token %d, and who reads the seat sees %+v", l.Member(), l.Token(), leader)
	}
	return nil
}

func (b *ballot) handOver() error {
	l, next, err := b.led()
	if err != nil {
		return err
	}
	since := time.Now()
	if err := l.Resign(b.ctx); err != nil {
		return err
	}
	return b.succeeds(next, l, since, b.bounds.Clean)
}

func (b *ballot) transfer() error {
	l, _, err := b.led()
	if err != nil {
		return err
	}
	next, err := b.line(b.c)
	if err != nil {
		return err
	}
	since := time.Now()
	if err := l.TransferTo(b.ctx, b.c.Name()); err != nil {
		return err
	}
	return b.succeeds(next, l, since, b.bounds.Clean)
}

func (b *ballot) depose() error {
	l, next, err := b.led()
	if err != nil {
		return err
	}
	since := time.Now()
	if err := b.view.Depose(b.ctx, l.Token(), tenure.Reason{Why: "a trial"}); err != nil {
		return err
	}
	if err := b.succeeds(next, l, since, b.bounds.Crash); err != nil {
		return err
	}
	if !errors.Is(l.Cause(), tenure.ErrDeposed) {
		return fmt.Errorf("the term that was deposed has ended otherwise: %w", l.Cause())
	}
	return nil
}

func (b *ballot) fencing() error {
	const key = "fenced"
	l, next, err := b.led()
	if err != nil {
		return err
	}
	if err := b.a.Write(b.ctx, l, key); err != nil {
		return fmt.Errorf("a commit under the present term: %w", err)
	}
	if err := l.Resign(b.ctx); err != nil {
		return err
	}
	present, err := next.elected()
	if err != nil {
		return err
	}
	wrote, err := b.a.WriteAnyway(b.ctx, l, key)
	switch {
	case err != nil:
		return fmt.Errorf("a commit under an old term: %w", err)
	case wrote:
		return fmt.Errorf("a commit under token %d took effect when the leader had token %d", l.Token(), present.Token())
	}
	if err := b.b.Write(b.ctx, present, key); err != nil {
		return fmt.Errorf("a commit under the present term: %w", err)
	}
	return nil
}

// failOver leaves the leader's session to expire.
func (b *ballot) failOver() error {
	l, next, err := b.led()
	if err != nil {
		return err
	}
	since := time.Now()
	b.a.Crash()
	return b.succeeds(next, l, since, b.bounds.Crash)
}

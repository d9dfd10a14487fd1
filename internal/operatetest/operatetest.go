// Package operatetest is what operators do with elections, as one test for every
// store: in real time, with the history checked.
package operatetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

const election = "operated"

// patience is how late anything may come on a host that does other things as well.
const patience = 20 * time.Second

var reason = tenure.Reason{By: "eve", Why: "to try it"}

// Run operates on an election of three members over a store, of which open returns
// another handle at each call. It returns what is wrong.
func Run(ctx context.Context, open func() store.Store, ttl time.Duration) error {
	s := &scene{ttl: ttl, arena: tenuretest.NewArenaWith(tenuretest.ArenaOptions{Open: open}), nodes: map[string]*tenuretest.Node{}}
	s.view = tenure.NewView(s.arena.Store(), election)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.done = make(chan error, 3)
	err := s.play(ctx)
	cancel()
	for range s.nodes {
		if led := <-s.done; led != nil && !errors.Is(led, context.Canceled) {
			err = errors.Join(err, fmt.Errorf("a member that leads: %w", led))
		}
	}
	return errors.Join(err, s.arena.Close())
}

func (s *scene) play(ctx context.Context) error {
	for _, id := range []string{"a", "b", "c"} {
		if err := s.join(ctx, id); err != nil {
			return err
		}
	}
	s.arena.Observe("eve", election, nil)
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"transfer", s.transfer}, {"drain", s.drain}, {"pause", s.pause}, {"depose", s.depose}, {"depose who hangs", s.deposeTheHung},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return s.arena.Check(tenuretest.Expect{})
}

type scene struct {
	ttl   time.Duration
	arena *tenuretest.Arena
	nodes map[string]*tenuretest.Node
	done  chan error // of each Lead
	view  *tenure.View
	last  tenure.Leader
	hang  atomic.Pointer[chan struct{}] // until it is closed, no function returns
}

// join adds a member that always wants to lead, and writes when it does.
func (s *scene) join(ctx context.Context, id string) error {
	n, err := s.arena.Join(ctx, tenure.Options{ID: id, TTL: s.ttl})
	if err != nil {
		return err
	}
	s.nodes[id] = n
	go func() {
		s.done <- n.Lead(ctx, election, func(ctx context.Context, term tenure.Term) error {
			l := term.(*tenure.Leadership)
			_ = n.Write(ctx, l, "key") // the term may have ended already
			_ = l.Announce(ctx, []byte(id))
			<-ctx.Done()
			if hang := s.hang.Load(); hang != nil {
				<-*hang
				_, _ = n.WriteAnyway(context.WithoutCancel(ctx), l, "key") // the history says whether it took effect
			}
			return nil
		}, tenure.LeadOptions{})
	}()
	return nil
}

// next waits for another leader than the last.
func (s *scene) next(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.ttl+patience)
	defer cancel()
	l, err := s.view.Wait(ctx, s.last.Token)
	s.last = l
	return err
}

// another is a candidate that does not lead.
func (s *scene) another(ctx context.Context) (string, error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		all, err := s.view.Candidates(ctx)
		if err != nil {
			return "", err
		}
		for _, c := range all {
			if c.State == "waiting" {
				return c.Member, nil
			}
		}
		select {
		case <-time.After(s.ttl / 100): // for want of an event: whoever enrols
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "", errors.New("nobody waits")
}

func (s *scene) transfer(ctx context.Context) error {
	if err := s.next(ctx); err != nil {
		return err
	}
	from := s.last
	to, err := s.another(ctx)
	if err != nil {
		return err
	}
	l, err := s.view.Transfer(ctx, from.Token, to, reason)
	if err != nil || l.Member != to || l.Token <= from.Token {
		return fmt.Errorf("from %+v to %q: %+v, %w", from, to, l, err)
	}
	s.last = l
	if _, err := s.view.Transfer(ctx, from.Token, to, reason); !errors.Is(err, tenure.ErrChanged) {
		return fmt.Errorf("from who leads no longer: %w", err)
	}
	return nil
}

func (s *scene) drain(ctx context.Context) error {
	drained := s.last.Member
	if err := tenure.Drain(ctx, s.arena.Store(), drained, reason); err != nil {
		return err
	}
	if err := s.next(ctx); err != nil {
		return err
	}
	if s.last.Member == drained {
		return fmt.Errorf("%s leads, and is drained", drained)
	}
	if _, err := s.view.Transfer(ctx, 0, drained, reason); err == nil {
		return fmt.Errorf("the seat was transferred to %s, which is drained", drained)
	}
	return tenure.Undrain(ctx, s.arena.Store(), drained)
}

func (s *scene) pause(ctx context.Context) error {
	drained := s.last.Member
	if err := errors.Join(s.view.Pause(ctx, reason), tenure.Drain(ctx, s.arena.Store(), drained, reason)); err != nil {
		return err
	}
	while, cancel := context.WithTimeout(ctx, s.ttl)
	defer cancel()
	if l, err := s.view.Wait(while, s.last.Token); err == nil {
		return fmt.Errorf("%s was elected while the election was paused", l.Member)
	}
	if err := errors.Join(tenure.Undrain(ctx, s.arena.Store(), drained), s.view.Unpause(ctx)); err != nil {
		return err
	}
	return s.next(ctx)
}

func (s *scene) depose(ctx context.Context) error {
	if err := s.view.Depose(ctx, s.last.Token-1, reason); !errors.Is(err, tenure.ErrChanged) {
		return fmt.Errorf("somebody else than the caller saw: %w", err)
	}
	if err := s.view.Depose(ctx, s.last.Token, reason); err != nil {
		return err
	}
	return s.next(ctx)
}

// deposeTheHung deposes a leader whose function never looks at its context, and whose
// renewals go on.
func (s *scene) deposeTheHung(ctx context.Context) error {
	hang := make(chan struct{})
	s.hang.Store(&hang)
	defer close(hang)
	victim := s.last
	began := time.Now()
	if err := s.view.Depose(ctx, victim.Token, reason); err != nil {
		return err
	}
	if err := s.next(ctx); err != nil {
		return err
	}
	if took := time.Since(began); s.last.Member == victim.Member || took < victim.TTL {
		return fmt.Errorf("%s leads %v after %s was deposed, whose TTL is %v", s.last.Member, took, victim.Member, victim.TTL)
	}
	return s.nodes[victim.Member].Healthy() // its session is not what has ended
}

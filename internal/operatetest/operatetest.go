// Package operatetest is what operators do with elections, as one test for every
// store: in real time, with the history checked.
package operatetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
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
// another handle at each call.
func Run(t *testing.T, open func() store.Store, ttl time.Duration) {
	t.Helper()
	s := &scene{t: t, ttl: ttl, arena: tenuretest.NewArenaWith(tenuretest.ArenaOptions{Open: open}), nodes: map[string]*tenuretest.Node{}}
	s.view = tenure.NewView(s.arena.Store(), election)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 3)
	for _, id := range []string{"a", "b", "c"} {
		s.join(ctx, id, done)
	}
	s.arena.Observe("eve", election, nil)
	s.transfer()
	s.drain()
	s.pause()
	s.depose()
	s.deposeTheHung()
	if err := s.arena.Check(tenuretest.Expect{}); err != nil {
		t.Error(err)
	}
	cancel()
	for range 3 {
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Lead: %v", err)
		}
	}
	s.must(s.arena.Close())
}

type scene struct {
	t     *testing.T
	ttl   time.Duration
	arena *tenuretest.Arena
	nodes map[string]*tenuretest.Node
	view  *tenure.View
	last  tenure.Leader
	hang  atomic.Pointer[chan struct{}] // until it is closed, no function returns
}

// join adds a member that always wants to lead, and writes when it does.
func (s *scene) join(ctx context.Context, id string, done chan<- error) {
	n, err := s.arena.Join(ctx, tenure.Options{ID: id, TTL: s.ttl})
	s.must(err)
	s.nodes[id] = n
	go func() {
		done <- n.Lead(ctx, election, func(ctx context.Context, term tenure.Term) error {
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
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// next waits for another leader than the last.
func (s *scene) next(doing string) tenure.Leader {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*s.ttl+patience)
	defer cancel()
	l, err := s.view.Wait(ctx, s.last.Token)
	if err != nil {
		s.t.Fatalf("%s: nobody leads: %v", doing, err)
	}
	s.last = l
	return l
}

// another is a candidate that does not lead.
func (s *scene) another() string {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		all, err := s.view.Candidates(s.t.Context())
		s.must(err)
		for _, c := range all {
			if c.State == "waiting" {
				return c.Member
			}
		}
		time.Sleep(s.ttl / 100) // for want of an event: whoever enrols
	}
	s.t.Fatal("nobody waits")
	return ""
}

func (s *scene) transfer() {
	from := s.next("to begin with")
	to := s.another()
	l, err := s.view.Transfer(s.t.Context(), from.Token, to, reason)
	if err != nil || l.Member != to || l.Token <= from.Token {
		s.t.Errorf("transfer from %+v to %q: %+v, %v", from, to, l, err)
	}
	if _, err := s.view.Transfer(s.t.Context(), from.Token, to, reason); !errors.Is(err, tenure.ErrChanged) {
		s.t.Errorf("transfer from who leads no longer: %v", err)
	}
	s.last = l
}

func (s *scene) drain() {
	drained := s.last.Member
	s.must(tenure.Drain(s.t.Context(), s.arena.Store(), drained, reason))
	if l := s.next("drain"); l.Member == drained {
		s.t.Errorf("%s leads, and is drained", drained)
	}
	if _, err := s.view.Transfer(s.t.Context(), 0, drained, reason); err == nil {
		s.t.Errorf("the seat was transferred to %s, which is drained", drained)
	}
	s.must(tenure.Undrain(s.t.Context(), s.arena.Store(), drained))
}

func (s *scene) pause() {
	s.must(s.view.Pause(s.t.Context(), reason))
	s.must(tenure.Drain(s.t.Context(), s.arena.Store(), s.last.Member, reason)) // so that its term ends
	ctx, cancel := context.WithTimeout(s.t.Context(), s.ttl)
	defer cancel()
	if l, err := s.view.Wait(ctx, s.last.Token); err == nil {
		s.t.Errorf("%s was elected while the election was paused", l.Member)
	}
	s.must(tenure.Undrain(s.t.Context(), s.arena.Store(), s.last.Member))
	s.must(s.view.Unpause(s.t.Context()))
	s.next("unpause")
}

func (s *scene) depose() {
	s.must(s.view.Depose(s.t.Context(), s.last.Token, reason))
	if err := s.view.Depose(s.t.Context(), s.last.Token-1, reason); err == nil {
		s.t.Error("deposed somebody else than the caller saw")
	}
	s.next("depose")
}

// deposeTheHung deposes a leader whose function never looks at its context, and whose
// renewals go on.
func (s *scene) deposeTheHung() {
	hang := make(chan struct{})
	s.hang.Store(&hang)
	victim := s.last
	began := time.Now()
	s.must(s.view.Depose(s.t.Context(), victim.Token, reason))
	l := s.next("depose who hangs")
	if took := time.Since(began); l.Member == victim.Member || took < victim.TTL {
		s.t.Errorf("%s leads %v after %s was deposed, whose TTL is %v", l.Member, took, victim.Member, victim.TTL)
	}
	if err := s.nodes[victim.Member].Healthy(); err != nil {
		s.t.Errorf("the victim's session: %v", err)
	}
	close(hang)
}

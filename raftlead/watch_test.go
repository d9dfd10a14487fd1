package raftlead

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/hashicorp/raft"
)

func TestTransitionsBeginWithThePresentOneOfTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		s := c.leader()
		transitions := s.elector.Transitions(t.Context())
		at := s.elector.watch.now.Load()
		s.disk.fail()
		s.raft.Apply(nil, 0)
		lost(at)
		c.leader()
		for _, want := range [][]bool{{true, false, true}, {true}} { // a second loop begins with the present
			var seen []Transition
			for at, err := range transitions {
				if err != nil {
					t.Fatal(err)
				}
				if seen = append(seen, at); at == s.elector.Now() {
					break
				}
			}
			leading := slices.Collect(func(yield func(bool) bool) {
				for _, at := range seen {
					if !yield(at.Leading) {
						return
					}
				}
			})
			if !slices.Equal(leading, want) {
				t.Errorf("%v", seen)
			}
		}
	})
}

func TestTransitionsEndWithTheirContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		s := c.leader()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		n := 0
		for at, err := range s.elector.Transitions(ctx) {
			if n++; n == 1 && err != nil || n == 2 && !errors.Is(err, context.Canceled) || n == 3 {
				t.Fatal(n, at, err)
			}
		}
		for _, err := range s.elector.Transitions(ctx) {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}

func TestAServerFollowsWhomRaftDoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		for range 50 {
			s := c.leader()
			time.Sleep(time.Second) // virtual
			for _, o := range c.servers {
				address, id := o.raft.LeaderWithID()
				now := o.elector.Now()
				if now.Leader != id || now.Address != address || now.Leading != (o == s) || now.Term != o.raft.CurrentTerm() {
					t.Fatalf("%s: %+v, and raft says %q in term %d", o.id, now, id, o.raft.CurrentTerm())
				}
			}
			at := s.elector.watch.now.Load()
			_ = s.raft.LeadershipTransfer().Error()
			lost(at)
		}
	})
}

// Raft handles heartbeats beside its main loop: what this tells may come after what overtook it.
func TestAnElectionThatIsToldAfterItsLossChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.others(c.leader())[0]
		time.Sleep(time.Second) // virtual
		before := s.elector.Now()
		s.elector.watch.observe(raft.LeaderObservation{LeaderID: s.id, LeaderAddr: s.addr})
		if now := s.elector.Now(); now != before {
			t.Errorf("%v, and then %v", before, now)
		}
	})
}

// The same for a loss, of which the state alone may tell.
func TestALossThatOnlyTheStateTellsOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		s, l := c.campaign()
		s.elector.watch.observe(raft.Follower)
		if s.elector.Now().Leading || l.Held() {
			t.Error(s.elector.Now(), l.Cause())
		}
		mustEnd(t, l, ErrSteppedDown)
	})
}

func TestNothingFollowsTheEndOfAWatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		s := c.leader()
		w := NewWatch(s.raft, s.id)
		w.Close()
		end := w.now.Load()
		w.observe(raft.LeaderObservation{LeaderID: s.id, LeaderAddr: s.addr})
		w.observe(raft.Follower)
		w.observe(raft.Shutdown)
		w.Close()
		if w.now.Load() != end || !errors.Is(end.err, ErrClosed) {
			t.Error(w.Now(), end.err)
		}
	})
}

func TestAHeartbeatThatWasOnItsWayDuringAnElectionDoesNotHideIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		net := newNetwork()
		net.fast = true
		c := newCluster(t, setup{voters: 3, net: net, conf: func(c *raft.Config) { c.CommitTimeout = long }})
		old := c.leader()
		next := c.others(old)[0]
		time.Sleep(time.Second) // virtual
		h := &hold{held: make(chan struct{}), letGo: make(chan struct{})}
		next.link.hold.Store(h)
		<-h.held
		old.raft.LeadershipTransferToServer(next.id, next.addr)
		c.leader(next)
		close(h.letGo)
		time.Sleep(time.Second) // virtual
		if _, id := next.raft.LeaderWithID(); next.raft.State() != raft.Leader || id != old.id {
			t.Errorf("raft is %v, and takes %q for the leader: this tests nothing", next.raft.State(), id)
		}
		if now := next.elector.Now(); !now.Leading {
			t.Error(now)
		}
		if l := c.campaignOn(next); !l.Held() {
			t.Error(l.Cause())
		}
		// Who comes only now cannot know better than raft, but knows that this is no other id.
		late := must(New(next.raft, next.id, NewWitness(next.link), Options{}))
		defer late.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := late.Campaign(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// The list is what every reader hangs on; nothing must hang on the list.
func TestTransitionsThatWereReadAreGarbage(t *testing.T) {
	w := &Watch{id: "a"}
	w.now.Store(&place{Transition: Transition{Seq: 1}, gone: make(chan struct{})})
	first := weak.Make(w.now.Load())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := uint64(0)
	transitions := w.Transitions(ctx)
	for tr, err := range transitions {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; tr.Seq != seen {
			t.Fatalf("transition %d, want %d", tr.Seq, seen)
		}
		if seen == 100 {
			break
		}
		if seen == 50 {
			runtime.GC()
			if first.Value() != nil {
				t.Error("the first transition is kept by a reader that has passed it")
			}
		}
		w.mu.Lock()
		w.append(Transition{Term: seen, Leader: "b", Address: raft.ServerAddress("b")})
		w.mu.Unlock()
	}
	for tr, err := range transitions {
		if err != nil || tr.Seq != seen {
			t.Errorf("a second loop begins with transition %d and %v, want the present one, %d", tr.Seq, err, seen)
		}
		break
	}
}

func BenchmarkHeld(b *testing.B) {
	l := &Leadership{e: &Elector{witness: NewWitness(nil), watch: &Watch{}}}
	l.e.watch.now.Store(&place{gone: make(chan struct{})})
	l.deadline.Set(l.e.witness.clock.Now().Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if !l.Held() {
			b.Fatal("not held")
		}
	}
}

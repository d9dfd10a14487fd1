package raftlead

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

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
		for range 2 { // each loop for itself
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
			if !slices.Equal(leading, []bool{true, false, true}) {
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

func TestAWatchKeepsOnlyWhatAReaderHasNotReadYet(t *testing.T) {
	w := &Watch{}
	w.now.Store(&place{Transition: Transition{Seq: 1}, gone: make(chan struct{})})
	var freed atomic.Int32
	read := 0
	for at, err := range w.Transitions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if read++; int(at.Seq) != read {
			t.Fatalf("transition %d after %d", at.Seq, read-1)
		}
		if read == 1000 {
			break
		}
		w.append(Transition{Leading: read%2 == 0, Term: uint64(read)})
		runtime.AddCleanup(w.now.Load(), func(struct{}) { freed.Add(1) }, struct{}{})
		if read == 999 {
			for end := time.Now().Add(10 * time.Second); freed.Load() < 990 && time.Now().Before(end); {
				runtime.GC()
				time.Sleep(time.Millisecond) // cleanups run when the runtime likes
			}
			if n := freed.Load(); n < 990 {
				t.Errorf("%d of 1000 are garbage while the reader goes on", n)
			}
		}
	}
}

func BenchmarkHeld(b *testing.B) {
	l := &Leadership{e: &Elector{witness: NewWitness(nil), watch: &Watch{}}}
	l.at = &place{gone: make(chan struct{})}
	l.e.watch.now.Store(l.at)
	l.deadline.Set(l.e.witness.clock.Now().Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if !l.Held() {
			b.Fatal("not held")
		}
	}
}

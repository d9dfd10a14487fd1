package raftlead

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
)

func TestCloseEndsWhateverIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		other := c.others(s)[0]
		waiting := make(chan error, 1)
		go func() {
			_, err := other.elector.Campaign(t.Context())
			waiting <- err
		}()
		reading := make(chan error, 1)
		go func() {
			for _, err := range s.elector.Transitions(t.Context()) {
				if err != nil {
					reading <- err
				}
			}
		}()
		s.elector.Close()
		other.elector.Close()
		mustEnd(t, l, ErrClosed)
		if err := await(t, "end of Campaign", waiting); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := await(t, "end of Transitions", reading); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if s.elector.Now().Leading {
			t.Error("still leads")
		}
		if _, err := s.elector.Campaign(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := s.elector.Lead(t.Context(), idle); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := l.Resign(t.Context()); err != nil {
			t.Error(err)
		}
		if err := l.TransferTo(t.Context(), other.id); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := l.Verify(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		s.elector.Close()
		if err := s.raft.VerifyLeader().Error(); err != nil {
			t.Errorf("raft does not go on: %v", err)
		}
	})
}

func TestCloseInsideLeadEndsItAndWaitsForNoFunction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.leader()
		err := s.elector.Lead(t.Context(), func(_ context.Context, l tenure.Term) error {
			s.elector.Close()
			if l.Held() || !errors.Is(l.Cause(), ErrClosed) {
				t.Error(l.Held(), l.Cause())
			}
			return errDisk
		})
		if !errors.Is(err, errDisk) {
			t.Error(err)
		}
		if s.raft.State().String() != "Leader" {
			t.Error("was passed on")
		}
	})
}

// logged is told of all records, and takes its time.
type logged struct {
	took time.Duration
	n    *atomic.Int32
}

func (logged) Enabled(context.Context, slog.Level) bool { return true }
func (l logged) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l logged) WithGroup(string) slog.Handler          { return l }
func (l logged) Handle(context.Context, slog.Record) error {
	time.Sleep(l.took) // virtual
	l.n.Add(1)
	return nil
}

func TestNothingIsLoggedAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n atomic.Int32
		c := newCluster(t, setup{voters: 1, opts: Options{Logger: slog.New(logged{time.Second, &n})}})
		s, _ := c.campaign()
		s.elector.Close()
		if got := n.Load(); got != 2 {
			t.Errorf("%d records of the beginning and the end", got)
		}
		time.Sleep(time.Minute) // virtual
		if got := n.Load(); got != 2 {
			t.Errorf("%d records, some after Close", got)
		}
	})
}

func TestAFunctionThatRunsOnIsToldOfAndWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n atomic.Int32
		c := newCluster(t, setup{voters: 1, opts: Options{DrainTimeout: time.Minute, Logger: slog.New(logged{0, &n})}})
		s := c.leader()
		var after, before int32
		if err := s.elector.Lead(t.Context(), func(_ context.Context, l tenure.Term) error {
			_ = l.Resign(t.Context())
			time.Sleep(time.Minute - 1) // virtual
			before = n.Load()
			time.Sleep(time.Hour) // virtual
			after = n.Load()
			return errDisk
		}); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		if after != before+1 {
			t.Errorf("%d records before DrainTimeout had passed, and %d after", before, after)
		}
	})
}

// A term that begins while Close is under way.
func TestATermThatBeginsInCloseEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		s, first := c.campaign()
		close(s.elector.closed) // as Close does first
		l := s.elector.begin(newLeadership(t.Context(), s.elector, s.elector.watch.now.Load(), first.token+1, false, func() {}), s.witness.clock.Now())
		mustEnd(t, l, ErrClosed)
		s.elector.watch.Close() // and last
	})
}

func TestVerifyInAMomentInWhichTheTermIsAboutToEndReturnsItsCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		close(s.elector.closed) // as Close does first
		verified := make(chan error, 1)
		go func() { verified <- l.Verify(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-verified:
			t.Errorf("%v, and the term has not ended", err)
		default:
		}
		s.elector.watch.Close() // and last
		if err := await(t, "end of Verify", verified); !errors.Is(err, ErrClosed) || errors.Is(err, ErrSteppedDown) {
			t.Error(err)
		}
	})
}

func TestShutdownEndsWhateverIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s, l := c.campaign()
		other := c.others(s)[0]
		waiting := lead(t.Context(), other, idle)
		for _, s := range []*server{s, other} {
			if err := s.raft.Shutdown().Error(); err != nil {
				t.Fatal(err)
			}
		}
		mustEnd(t, l, ErrShutdown, ErrSteppedDown) // raft steps down for it
		if err := await(t, "end of Lead", waiting); !errors.Is(err, ErrShutdown) {
			t.Error(err)
		}
		for _, err := range s.elector.Transitions(t.Context()) {
			if !errors.Is(err, ErrShutdown) {
				t.Error(err)
			}
		}
		if _, err := s.elector.Campaign(t.Context()); !errors.Is(err, ErrShutdown) {
			t.Error(err)
		}
		if w := NewWatch(s.raft, s.id); w.Now().Leading {
			t.Error("leads after a shutdown")
		}
	})
}

func TestLeadInATermThatAShutdownEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 3})
		s := c.leader()
		began := make(chan tenure.Term, 1)
		done := lead(t.Context(), s, func(ctx context.Context, l tenure.Term) error {
			began <- l
			<-ctx.Done()
			return nil
		})
		l := await(t, "term", began)
		if err := s.raft.Shutdown().Error(); err != nil {
			t.Fatal(err)
		}
		if err := await(t, "end of Lead", done); !errors.Is(err, ErrShutdown) {
			t.Error(err)
		}
		mustEnd(t, l, ErrShutdown, ErrSteppedDown) // raft steps down for it
	})
}

// At a moment that chance picks: in a campaign, a barrier, a term, a transfer. What is left behind
// ends with a time-out of raft's, or the bubble panics.
func TestCloseAndShutdownAtAnyMoment(t *testing.T) {
	forgotten := 0
	for range 100 {
		bubble(t, func(t *testing.T) {
			c := newCluster(t, setup{voters: 3})
			c.net.slow(func(route) time.Duration { return rand.N(20 * time.Millisecond) })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var ends []<-chan error
			for _, s := range c.servers {
				ends = append(ends, lead(ctx, s, func(ctx context.Context, l tenure.Term) error {
					select {
					case <-ctx.Done():
					case <-time.After(rand.N(200 * time.Millisecond)):
						_ = l.(*Leadership).TransferTo(ctx, c.others(c.server(l.(*Leadership).e.id))[rand.N(2)].id)
					}
					return nil
				}))
			}
			c.leader()
			time.Sleep(rand.N(time.Second)) // virtual
			var closing sync.WaitGroup
			for _, s := range c.servers {
				if rand.N(2) == 0 {
					closing.Go(s.elector.Close)
				}
				if rand.N(2) == 0 {
					closing.Go(func() { _ = s.raft.Shutdown().Error() })
				}
				time.Sleep(rand.N(20 * time.Millisecond)) // virtual
			}
			closing.Wait()
			cancel()
			for _, end := range ends {
				_ = await(t, "end of Lead", end)
			}
			for _, s := range c.servers {
				began := time.Now()
				s.elector.Close()
				if time.Since(began) > 0 {
					forgotten++
				}
			}
		})
	}
	t.Logf("raft forgot what it was asked %d times", forgotten)
}

package interop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store/memstore"
)

// What docs/coming-from.md says of client-go, shown on client-go itself: over a
// lock in memory, and in a bubble, so that its seconds cost nothing. A test that
// fails after an upgrade says which sentence of the page is to be changed.

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// The durations that the core components of Kubernetes use.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// lease is the record that all candidates share; nothing is asked of it that an
// API server would not do.
type lease struct {
	mu      sync.Mutex
	record  *resourcelock.LeaderElectionRecord
	version int
}

// lock is one candidate's way to a lease.
type lock struct {
	*lease
	id string

	mu   sync.Mutex
	seen int           // the version that an update is conditional on
	slow time.Duration // replies to updates that have taken effect come so late
	cut  bool          // requests hang until their context ends
}

var leases = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

func (l *lock) set(slow time.Duration, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slow, l.cut = slow, cut
}

func (l *lock) state() (slow time.Duration, cut bool, seen int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slow, l.cut, l.seen
}

func (l *lock) saw(version int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = version
}

func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if _, cut, _ := l.state(); cut {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	l.lease.mu.Lock()
	defer l.lease.mu.Unlock()
	if l.record == nil {
		return nil, nil, apierrors.NewNotFound(leases, "jobs")
	}
	l.saw(l.version)
	r := *l.record
	return &r, fmt.Append(nil, l.version), nil
}

func (l *lock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.Update(ctx, r)
}

func (l *lock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	slow, cut, seen := l.state()
	if cut {
		<-ctx.Done()
		return ctx.Err()
	}
	l.lease.mu.Lock()
	if l.version != seen {
		l.lease.mu.Unlock()
		return apierrors.NewConflict(leases, "jobs", errors.New("modified"))
	}
	l.record = &r
	l.version++
	l.saw(l.version)
	l.lease.mu.Unlock()
	select {
	case <-time.After(slow):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lock) RecordEvent(string) {}
func (l *lock) Identity() string   { return l.id }
func (l *lock) Describe() string   { return "jobs" }

// elector is a candidate, and what its callbacks were told.
type elector struct {
	*leaderelection.LeaderElector
	lock    *lock
	started chan context.Context
	stopped chan struct{} // OnStoppedLeading was called
	ran     chan struct{} // Run has returned
}

func elect(t *testing.T, ctx context.Context, o *lease, id string, change func(*leaderelection.LeaderElectionConfig)) *elector {
	t.Helper()
	e := &elector{
		lock:    &lock{lease: o, id: id},
		started: make(chan context.Context, 1),
		stopped: make(chan struct{}),
		ran:     make(chan struct{}),
	}
	config := leaderelection.LeaderElectionConfig{
		Lock: e.lock, Name: "jobs",
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { e.started <- ctx },
			OnStoppedLeading: func() { close(e.stopped) },
		},
	}
	if change != nil {
		change(&config)
	}
	var err error
	if e.LeaderElector, err = leaderelection.NewLeaderElector(config); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(e.ran)
		e.Run(ctx)
	}()
	return e
}

// bubble runs f with a context that ends with it.
func bubble(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f(t, ctx)
	})
}

func elapse(d time.Duration) { time.Sleep(d) } // in a bubble, where it takes no time

// often makes the candidates poll so often that the bounds of the test hold
// whatever the jitter is.
func often(c *leaderelection.LeaderElectionConfig) { c.RetryPeriod = 500 * time.Millisecond }

func releaseOnCancel(c *leaderelection.LeaderElectionConfig) { c.ReleaseOnCancel = true }

// Nothing waits for the function of a term: not Run, and not the release.
func TestClientGoReleasesWhileTheWorkStillRuns(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var o lease
		first, stop := context.WithCancel(ctx)
		working := make(chan struct{})
		a := elect(t, first, &o, "a", func(c *leaderelection.LeaderElectionConfig) {
			c.ReleaseOnCancel = true
			c.Callbacks.OnStartedLeading = func(ctx context.Context) {
				<-ctx.Done()
				time.Sleep(time.Hour) // what it still has to write
				close(working)
			}
		})
		synctest.Wait()
		b := elect(t, ctx, &o, "b", nil)
		stop()
		<-a.ran
		<-b.started
		select {
		case <-working:
			t.Error("b led only when the work of a was done")
		default:
		}
		<-working
	})
}

// The deadline counts from the end of a slow renewal, others count from its
// effect.
func TestClientGoLeadsTwiceAfterASlowRenewal(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var o lease
		a := elect(t, ctx, &o, "a", often)
		work := <-a.started
		b := elect(t, ctx, &o, "b", often)
		elapse(time.Minute)
		a.lock.set(9*time.Second, false)
		time.Sleep(time.Second) // the slow renewal is under way, and is the last
		a.lock.set(0, true)
		<-b.started
		elected := time.Now()
		if work.Err() != nil || !a.IsLeader() {
			t.Fatal("a had stopped when b was elected")
		}
		<-work.Done()
		t.Logf("both led for %v", time.Since(elected))
	})
}

// With ReleaseOnCancel the context of the work ends after the attempt to release,
// which may take as long again as the renewal that failed.
func TestClientGoLeadsTwiceWhereTheReleaseHangs(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var o lease
		a := elect(t, ctx, &o, "a", func(c *leaderelection.LeaderElectionConfig) {
			often(c)
			releaseOnCancel(c)
		})
		work := <-a.started
		b := elect(t, ctx, &o, "b", often)
		elapse(time.Minute)
		a.lock.set(0, true)
		cut := time.Now()
		<-b.started
		elected := time.Now()
		if work.Err() != nil {
			t.Fatal("a had stopped when b was elected")
		}
		<-work.Done()
		if took := time.Since(cut); took < 2*renewDeadline {
			t.Errorf("the context of the work ended %v after the cut", took)
		}
		t.Logf("both led for %v", time.Since(elected))
	})
}

// The record has whole seconds: others wait for fewer than the holder thinks.
func TestClientGoCutsTheLeaseDurationToSeconds(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var o lease
		short := func(c *leaderelection.LeaderElectionConfig) {
			c.LeaseDuration, c.RenewDeadline, c.RetryPeriod = 1900*time.Millisecond, 1800*time.Millisecond, 100*time.Millisecond
		}
		a := elect(t, ctx, &o, "a", short)
		work := <-a.started
		b := elect(t, ctx, &o, "b", short)
		elapse(time.Minute)
		o.mu.Lock()
		got := o.record.LeaseDurationSeconds
		o.mu.Unlock()
		if got != 1 {
			t.Errorf("the record says %d s", got)
		}
		a.lock.set(0, true)
		<-b.started
		if work.Err() != nil {
			t.Error("a had stopped when b was elected")
		}
	})
}

func TestClientGoTellsOfAStopWithoutAStart(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var o lease
		a := elect(t, ctx, &o, "a", nil)
		<-a.started
		waiting, stop := context.WithCancel(ctx)
		b := elect(t, waiting, &o, "b", nil)
		elapse(time.Minute)
		stop()
		<-b.stopped
		select {
		case <-b.started:
			t.Error("b led")
		default:
		}
	})
}

// Run is over after one term, whatever ended it.
func TestClientGoRunsForOneTerm(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var o lease
		a := elect(t, ctx, &o, "a", nil)
		<-a.started
		a.lock.set(0, true)
		<-a.ran
		if ctx.Err() != nil {
			t.Error("its context has ended")
		}
		if !a.IsLeader() || a.GetLeader() != "a" {
			t.Error("it does not take itself for the leader any more: the page is to say so")
		}
	})
}

// The check of health fails only when the lease has run out, and passes again
// where nobody has led since.
func TestClientGoIsHealthyForLongAfterTheLastRenewal(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var o lease
		a := elect(t, ctx, &o, "a", nil)
		<-a.started
		a.lock.set(0, true)
		const timeout = 20 * time.Second
		<-a.ran
		if err := a.Check(timeout); err != nil {
			t.Errorf("after the loss: %v", err)
		}
		elapse(leaseDuration + timeout)
		if err := a.Check(timeout); err == nil {
			t.Error("healthy long after the loss")
		}
	})
}

// A candidate asks again after 1 to 2.2 RetryPeriods, and is told of nothing in
// between.
func TestClientGoPollsForAReleasedLease(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var longest time.Duration
		for range 50 {
			var o lease
			first, stop := context.WithCancel(ctx)
			second, end := context.WithCancel(ctx)
			a := elect(t, first, &o, "a", releaseOnCancel)
			<-a.started
			b := elect(t, second, &o, "b", nil)
			elapse(time.Minute)
			stop()
			released := time.Now()
			<-b.started
			longest = max(longest, time.Since(released))
			end()
		}
		if longest < retryPeriod || longest > 22*retryPeriod/10+time.Millisecond {
			t.Errorf("the longest of 50 hand-overs took %v", longest)
		}
		t.Logf("the longest of 50 hand-overs took %v", longest)
	})
}

// Who has the identity in the record takes the lease for his own.
func TestClientGoLetsTwoOfOneIdentityLead(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var o lease
		a := elect(t, ctx, &o, "twin", nil)
		b := elect(t, ctx, &o, "twin", nil)
		first, second := <-a.started, <-b.started
		elapse(time.Minute)
		if first.Err() != nil || second.Err() != nil {
			t.Error("one of them has stopped")
		}
	})
}

// both is the first release of a switch-over, as the page has it: it leads, and
// within the term it holds the Lease.
func both(ctx context.Context, m *tenure.Member, config leaderelection.LeaderElectionConfig, work func(context.Context) error) error {
	return m.Lead(ctx, "jobs", func(ctx context.Context, _ tenure.Term) error {
		// The Lease outlives the term, until work has returned.
		lease, release := context.WithCancel(context.WithoutCancel(ctx))
		started := make(chan context.Context, 1)
		config.Callbacks = leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { started <- ctx },
			OnStoppedLeading: func() {},
		}
		config.ReleaseOnCancel = true
		elector, err := leaderelection.NewLeaderElector(config)
		if err != nil {
			release()
			return err
		}
		ran := make(chan struct{})
		go func() {
			defer close(ran)
			elector.Run(lease)
		}()
		defer func() { release(); <-ran }()
		select {
		case <-ran: // lost before work has begun
			return nil
		case <-ctx.Done():
			return nil
		case held := <-started:
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(held, cancel)()
			return work(ctx)
		}
	}, tenure.LeadOptions{})
}

func TestSwitchOverFromALease(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var o lease
		st := memstore.New()
		defer st.Close()
		old, stopOld := context.WithCancel(ctx)
		before := elect(t, old, &o, "old", releaseOnCancel)
		<-before.started

		m, err := tenure.Join(ctx, st, tenure.Options{ID: "new"})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		config := leaderelection.LeaderElectionConfig{
			Lock: &lock{lease: &o, id: "new"}, Name: "jobs",
			LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		}
		upgraded, stopNew := context.WithCancel(ctx)
		working, returned, ran := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			ran <- both(upgraded, m, config, func(ctx context.Context) error {
				if old.Err() == nil {
					t.Error("the new one works while the old one leads")
				}
				close(working)
				<-ctx.Done()
				time.Sleep(time.Minute) // to drain
				close(returned)
				return nil
			})
		}()
		elapse(time.Minute)
		stopOld()
		<-working
		// And back: an old process leads only when the work of the new one has ended.
		again := elect(t, ctx, &o, "older", nil)
		stopNew()
		<-again.started
		select {
		case <-returned:
		default:
			t.Error("the old one leads while the new one works")
		}
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

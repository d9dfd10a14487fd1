package sqlitestore

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenure-go/tenure/store"
)

// fakeClock goes on when the test says so.
type fakeClock struct {
	name string
	t    atomic.Int64
}

func newFakeClock(name string, start time.Duration) *fakeClock {
	c := &fakeClock{name: name}
	c.advance(start)
	return c
}

func (c *fakeClock) id() string              { return c.name }
func (c *fakeClock) now() time.Duration      { return time.Duration(c.t.Load()) }
func (c *fakeClock) advance(d time.Duration) { c.t.Add(int64(d)) }

func TestClockIsSharedAndRuns(t *testing.T) {
	t.Parallel()
	a, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	if a.id() == "" || a.id() != b.id() {
		t.Errorf("ids %q and %q", a.id(), b.id())
	}
	for t1 := a.now(); b.now() <= t1; { // or the test hangs
	}
}

func TestLeaseLivesForItsTTL(t *testing.T) {
	t.Parallel()
	clk := newFakeClock("here", time.Hour)
	s := newFile(t).open(t, Options{clock: clk})
	lease := grant(t, s, time.Second)
	put(t, s, "k", "v", lease)
	step := func(d time.Duration, alive bool) {
		t.Helper()
		clk.advance(d)
		if l := list(t, s, store.Keys("k")); (l.Entry("k") != nil) != alive {
			t.Errorf("alive is %v, want %v", !alive, alive)
		}
	}
	step(999*time.Millisecond, true)
	if ttl, err := s.Renew(t.Context(), lease); err != nil || ttl != time.Second {
		t.Fatalf("Renew: %v, %v", ttl, err)
	}
	step(time.Second-1, true)
	step(1, false)
	if _, err := s.Renew(t.Context(), lease); !errors.Is(err, store.ErrLeaseNotFound) {
		t.Errorf("Renew of a dead lease: %v", err)
	}
	if err := s.Revoke(t.Context(), lease); !errors.Is(err, store.ErrLeaseNotFound) {
		t.Errorf("Revoke of a dead lease: %v", err)
	}
}

// Every kind of write finds dead leases gone, though nothing has ended them.
func TestWritesNeverSeeDeadLease(t *testing.T) {
	t.Parallel()
	clk := newFakeClock("here", 0)
	s := newFile(t).open(t, Options{clock: clk})
	dead := func() store.LeaseID {
		lease := grant(t, s, time.Second)
		put(t, s, "k", "v", lease)
		clk.advance(time.Second)
		return lease
	}
	lease := dead()
	if _, err := s.Renew(t.Context(), lease); !errors.Is(err, store.ErrLeaseNotFound) {
		t.Errorf("Renew: %v", err)
	}
	dead()
	commit(t, s, store.Tx{If: []store.Cond{store.Absent("k")}})
	lease = dead()
	if _, err := s.Commit(t.Context(), store.Tx{Then: []store.Op{store.Put("x", nil, lease)}}); !errors.Is(err, store.ErrLeaseNotFound) {
		t.Errorf("Put on it: %v", err)
	}
	dead()
	res, err := s.Commit(t.Context(), store.Tx{If: []store.Cond{store.Exists("k")}, Else: []string{"k"}})
	if err != nil || res.Committed || len(res.Entries) != 0 {
		t.Errorf("refused, reading it: %+v, %v", res, err)
	}
	if l := list(t, s, store.Prefix("")); l.Revision != res.Revision || len(l.Entries) != 0 {
		t.Errorf("what expired in a refused transaction is not gone: %+v, %+v", l, res)
	}
}

func TestEachLeaseEndsAtItsOwnRevision(t *testing.T) {
	t.Parallel()
	clk := newFakeClock("here", 0)
	s := newFile(t).open(t, Options{clock: clk})
	late, early, idle := grant(t, s, 2*time.Second), grant(t, s, time.Second), grant(t, s, time.Second)
	put(t, s, "a", "", late)
	put(t, s, "b", "", early)
	put(t, s, "c", "", idle)
	put(t, s, "c", "", early) // hangs on the last one named
	w := watch(t, s, "", 4)
	w.next(t)
	clk.advance(time.Minute)
	if res := commit(t, s, store.Tx{Then: []store.Op{store.Put("d", nil, store.NoLease)}}); res != 7 {
		t.Errorf("revision is %d, want 7", res)
	}
	for _, want := range []string{"-b -c", "-a", "+d"} {
		if got := describe(w.event(t)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func describe(ch store.Changes) string {
	var out []string
	for _, ev := range ch.Events {
		sign := "+"
		if ev.Deleted {
			sign = "-"
		}
		out = append(out, sign+ev.Entry.Key)
	}
	return strings.Join(out, " ")
}

func TestLongestLease(t *testing.T) {
	t.Parallel()
	clk := newFakeClock("here", time.Hour)
	f := newFile(t)
	s := f.open(t, Options{clock: clk})
	lease := grant(t, s, math.MaxInt64)
	put(t, s, "k", "", lease)
	clk.advance(math.MaxInt64 - time.Hour - 1)
	if _, err := s.Renew(t.Context(), lease); err != nil {
		t.Error(err)
	}
	f.open(t, Options{clock: newFakeClock("there", time.Hour)}) // no overflow there either
	last := f.open(t, Options{clock: clk})
	if l := list(t, last, store.Keys("k")); l.Entry("k") == nil {
		t.Error("it has ended")
	}
}

// A lease ends on its own while somebody watches, also in another handle, and
// by one commit, however many wait for it.
func TestLeaseEndsPromptlyUnderWatch(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	owner := f.open(t, Options{})
	var watches []*watching
	for range 5 {
		w := watch(t, f.open(t, Options{}), "", 0)
		w.next(t)
		watches = append(watches, w)
	}
	const ttl = 300 * time.Millisecond
	var late time.Duration
	for range 5 { // the host may have more to do than this
		before := owner.clock.now()
		lease := grant(t, owner, ttl)
		after := owner.clock.now()
		rev := put(t, owner, "k", "", lease)
		for _, w := range watches {
			w.event(t)
			if ch := w.event(t); describe(ch) != "-k" || ch.Revision != rev+1 {
				t.Fatalf("the end of the lease gave %+v", ch)
			}
		}
		now := owner.clock.now()
		if now-before < ttl {
			t.Fatalf("a lease of %v ended %v after Grant was sent", ttl, now-before)
		}
		if l := list(t, owner, store.Prefix("")); l.Revision != rev+1 {
			t.Errorf("revision is %d, want %d", l.Revision, rev+1)
		}
		if late = now - after - ttl; late < 50*time.Millisecond {
			return
		}
	}
	t.Errorf("no lease ended promptly, the last one %v late", late)
}

func TestIdleHandleDoesNothing(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	w := watch(t, s, "", 0)
	w.next(t)
	w.cancel()
	if err := w.end(t); !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
	s.running.Wait() // the feed has gone with its watch
	if s.feed != nil {
		t.Error("there is a feed without a watch")
	}
	put(t, s, "k", "v", store.NoLease)
	again := watch(t, s, "", 0)
	again.event(t)
}

// adopted has a store that was used here, and has now been opened there.
func adopted(t *testing.T) (here, there *Store, thereClock *fakeClock, lease store.LeaseID, f file) {
	t.Helper()
	f = newFile(t)
	hereClock := newFakeClock("here", 1000*time.Hour)
	thereClock = newFakeClock("there", time.Hour)
	here = f.open(t, Options{clock: hereClock})
	lease = grant(t, here, 10*time.Second)
	put(t, here, "k", "v", lease)
	hereClock.advance(9 * time.Second)
	there = f.open(t, Options{clock: thereClock})
	return here, there, thereClock, lease, f
}

func TestAdoptionGivesLeasesTheirTTL(t *testing.T) {
	t.Parallel()
	_, there, clk, lease, _ := adopted(t)
	clk.advance(10*time.Second - 1)
	if l := list(t, there, store.Keys("k")); l.Entry("k") == nil || l.Entry("k").Lease != lease {
		t.Fatalf("the lease ended early: %+v", l)
	}
	clk.advance(1)
	if l := list(t, there, store.Keys("k")); l.Entry("k") != nil {
		t.Error("the lease did not end")
	}
	if _, err := there.Renew(t.Context(), lease); !errors.Is(err, store.ErrLeaseNotFound) {
		t.Errorf("Renew: %v", err)
	}
}

func TestAdoptionEndsOlderHandles(t *testing.T) {
	t.Parallel()
	here, there, clk, lease, f := adopted(t)
	same := f.open(t, Options{clock: newFakeClock("there", clk.now())})
	for _, s := range []*Store{there, same} { // opening again under the same clock is no adoption
		if _, err := s.Renew(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
	}
	back := f.open(t, Options{clock: here.clock})
	commit(t, back, store.Tx{If: []store.Cond{store.Exists("k")}})
	// Nor does the handle of the first host come to life again.
	for name, s := range map[string]*Store{"here": here, "there": there, "same": same} {
		ctx := t.Context()
		_, commit := s.Commit(ctx, store.Tx{Then: []store.Op{store.Delete("k")}})
		_, list := s.List(ctx, store.Prefix(""))
		_, grant := s.Grant(ctx, time.Second)
		_, renew := s.Renew(ctx, lease)
		for i, err := range []error{commit, list, grant, renew, s.Revoke(ctx, lease), s.Compact(ctx), watch(t, s, "", 0).end(t)} {
			if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "another host or boot") {
				t.Errorf("%s, call %d: %v", name, i, err)
			}
		}
	}
	if l := list(t, back, store.Keys("k")); l.Entry("k") == nil {
		t.Error("an older handle has written")
	}
}

func TestAdoptionEndsWatches(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	here := f.open(t, Options{clock: newFakeClock("here", 0)})
	w := watch(t, here, "", 0)
	w.next(t)
	there := f.open(t, Options{clock: newFakeClock("there", 0)})
	put(t, there, "k", "v", store.NoLease) // or the slow round finds out
	if err := w.end(t); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "another host or boot") {
		t.Errorf("the watch ended with %v", err)
	}
}

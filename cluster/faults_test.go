package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

const faultTTL = 5 * time.Second

// scene is one node over a store that can go wrong, in virtual time.
type scene struct {
	*testing.T
	base *memstore.Store
	st   *faultstore.Store
	n    *cluster.Clustered
}

func play(t *testing.T, opts cluster.Options, limits memstore.Options, f func(*scene)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, base: memstore.NewWith(limits)}
		s.st = faultstore.New(s.base.Open())
		s.n = s.node("n", s.st, opts)
		f(s)
		s.must(s.n.Close())
		s.must(s.st.Close())
		s.must(s.base.Close())
	})
}

func (s *scene) node(id string, st store.Store, opts cluster.Options) *cluster.Clustered {
	s.Helper()
	opts.TTL = faultTTL
	n, err := cluster.New(st, "c", id, opts)
	s.must(err)
	return n
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) wants(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("got %v, want %v", err, want)
	}
}

func (s *scene) pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

// has checks a key of the node as others see it; "-" is none.
func (s *scene) has(key, want string) {
	s.Helper()
	value, ok, err := cluster.NewView(s.base, "c").GetFrom(s.Context(), "n", key)
	s.must(err)
	if got := string(value); ok != (want != "-") || ok && got != want {
		s.Errorf("%q is %q, %v; want %q", key, got, ok, want)
	}
}

// loseSession ends the session of the node's state.
func (s *scene) loseSession() {
	s.Helper()
	l, err := s.base.List(s.Context(), store.Keys("clusters/c/nodes/n"))
	s.must(err)
	if len(l.Entries) != 1 {
		s.Fatal("there is no record")
	}
	s.must(s.base.Revoke(s.Context(), l.Entries[0].Lease))
}

// writes matches the commits of a state.
func writes(prefix string) func(faultstore.Call) bool {
	return func(c faultstore.Call) bool {
		for _, op := range c.Tx.Then {
			if strings.HasPrefix(op.Key, "clusters/c/"+prefix) {
				return true
			}
		}
		return false
	}
}

func TestALatePutNeverReplacesALaterOne(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		s.st.Inject(faultstore.Fault{Kind: faultstore.Late, Ops: faultstore.OpCommit, Match: writes("state/"), Count: 1, Delay: time.Second})
		s.must(s.n.Put(s.Context(), "k", []byte("1")))
		s.must(s.n.Put(s.Context(), "k", []byte("2")))
		s.must(s.n.Delete(s.Context(), "k"))
		s.pass(2 * time.Second)
		s.has("k", "-")
	})
}

func TestALateRegistrationBringsNothingBack(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		s.must(s.n.Put(s.Context(), "k", []byte("1")))
		s.st.Inject(faultstore.Fault{Kind: faultstore.Late, Ops: faultstore.OpCommit, Match: writes("nodes/"), Count: 1, Delay: 2 * faultTTL, Name: "late"})
		s.loseSession()
		s.pass(faultTTL) // it is seen by the next round at the latest; the late one is not there yet
		s.must(s.n.Put(s.Context(), "k", []byte("2")))
		s.must(s.n.Delete(s.Context(), "k"))
		s.pass(2 * faultTTL)
		s.has("k", "-")
		if s.st.Hits("late") != 1 {
			s.Error("no registration was late")
		}
	})
}

// putThree has one value after the other put, of which the first is in flight or waits when
// the others come. All return, and the last one stays.
func (s *scene) putThree() {
	s.Helper()
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if err := s.n.Put(s.Context(), "k", fmt.Append(nil, i)); err != nil {
				s.Errorf("put %d: %v", i, err)
			}
		})
		synctest.Wait()
	}
	wg.Wait()
	s.has("k", "2")
}

func TestPutsInFlightAllReturn(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		for _, f := range []faultstore.Fault{
			{Kind: faultstore.Delay, Delay: time.Second}, {Kind: faultstore.LoseReply},
		} {
			f.Ops, f.Match, f.Count = faultstore.OpCommit, writes("state/"), 1
			s.st.Inject(f)
		}
		s.putThree()
	})
}

func TestAPutReplacesOneThatWaits(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		attempts := 0
		s.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpCommit, Count: 5, Match: writes("state/"), OnHit: func(c faultstore.Call) {
			// What may have taken effect is settled by the next commit: one for both keys.
			if attempts++; attempts > 1 && (len(c.Tx.Then) != 2 || !writes("nodes/")(c)) {
				s.Errorf("commit %d: %+v", attempts, c.Tx)
			}
		}})
		s.putThree()
	})
}

func TestAPutGoesOnWhenItsCallerHasGone(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		heal := s.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpCommit, Match: writes("")})
		ctx, cancel := context.WithTimeout(s.Context(), time.Second)
		defer cancel()
		err := s.n.Put(ctx, "k", []byte("v"))
		s.wants(err, context.DeadlineExceeded)
		s.wants(err, store.ErrUnavailable)
		s.has("k", "-")
		start := time.Now()
		s.wants(s.n.Put(s.Context(), "l", []byte("w")), context.DeadlineExceeded)
		if took := time.Since(start); took != 10*time.Second {
			s.Errorf("a put without a deadline took %v", took)
		}
		heal()
		s.pass(3 * time.Second)
		s.has("k", "v")
		s.has("l", "w")
	})
}

func TestARenewalThatFailsLosesNothing(t *testing.T) {
	lost := make(chan error, 10)
	play(t, cluster.Options{Trace: &cluster.Trace{Lost: func(err error) { lost <- err }}}, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		s.must(s.n.Put(s.Context(), "k", []byte("v")))
		for range 5 {
			s.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpRenew, Count: 2})
			s.pass(2 * faultTTL)
		}
		s.must(s.n.Healthy())
		if s.n.Self().Role != cluster.Leader {
			s.Error("it has lost the leadership")
		}
		select {
		case err := <-lost:
			s.Errorf("lost: %v", err)
		default:
		}
		s.has("k", "v")
	})
}

func TestAStoreThatTakesLess(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{MaxOps: 8, MaxValue: 1000}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if err := s.n.Put(s.Context(), fmt.Sprint(i), []byte("v")); err != nil {
					s.Errorf("put %d: %v", i, err)
				}
			})
		}
		wg.Go(func() { s.wants(s.n.Put(s.Context(), "large", make([]byte, 1001)), store.ErrTooLarge) })
		wg.Wait()
		s.loseSession()
		s.pass(2 * faultTTL)
		all, err := cluster.NewView(s.base, "c").GetAllPrefix(s.Context(), "")
		s.must(err)
		if len(all["n"]) != 50 {
			s.Errorf("%d keys", len(all["n"]))
		}
		s.has("large", "-")
	})
}

func TestStopIsBoundedWhenTheStoreIsAway(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		for _, kind := range []faultstore.Kind{faultstore.Fail, faultstore.Partition} {
			s.must(s.n.Start(s.Context()))
			s.must(s.n.Put(s.Context(), "k", []byte("v")))
			s.pass(time.Second)
			heal := s.st.Inject(faultstore.Fault{Kind: kind})
			ctx, cancel := context.WithTimeout(s.Context(), time.Second)
			start := time.Now()
			if err := s.n.Stop(ctx); err != nil {
				s.wants(err, context.DeadlineExceeded)
			}
			if took := time.Since(start); took > time.Second {
				s.Errorf("Stop took %v of the second it had", took)
			}
			cancel()
			s.must(s.n.Stop(s.Context()))
			if took := time.Since(start); took > 3*faultTTL+5*time.Second {
				s.Errorf("Stop took %v", took)
			}
			s.wants(s.n.Healthy(), cluster.ErrStopped)
			heal()
			s.pass(2 * faultTTL) // what it could not withdraw has ended
			nodes, err := cluster.NewView(s.base, "c").Nodes(s.Context())
			s.must(err)
			if len(nodes) != 0 {
				s.Errorf("left behind: %+v", nodes)
			}
		}
	})
}

func TestStartFailsWhileTheStoreIsAway(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		for _, match := range []func(faultstore.Call) bool{nil, writes("nodes/"), writes("members/")} {
			f := faultstore.Fault{Kind: faultstore.Partition, Match: match}
			if match != nil {
				f.Ops = faultstore.OpCommit
			}
			heal := s.st.Inject(f)
			start := time.Now()
			err := s.n.Start(s.Context())
			if err == nil || time.Since(start) > 30*time.Second {
				s.Errorf("after %v: %v", time.Since(start), err)
			}
			s.wants(s.n.Healthy(), cluster.ErrStopped)
			heal()
			s.pass(2 * faultTTL)
			s.must(s.n.Start(s.Context()))
			s.must(s.n.Stop(s.Context()))
		}
	})
}

func TestCloseEndsAStart(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		s.st.Inject(faultstore.Fault{Kind: faultstore.Partition})
		started := make(chan error)
		go func() { started <- s.n.Start(s.Context()) }()
		synctest.Wait()
		start := time.Now()
		go func() { _ = s.n.Close() }()
		s.wants(<-started, cluster.ErrClosed)
		if took := time.Since(start); took > faultTTL {
			s.Errorf("it took %v", took)
		}
	})
}

func TestANodeWhoseIDWasTakenEnds(t *testing.T) {
	for _, never := range []bool{false, true} {
		t.Run(fmt.Sprintf("NeverLead %v", never), func(t *testing.T) { idTaken(t, cluster.Options{NeverLead: never}) })
	}
}

func idTaken(t *testing.T, opts cluster.Options) {
	play(t, opts, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		s.pass(time.Second)
		ended := make(chan error, 1)
		go func() {
			for _, err := range s.n.Watch(s.Context(), "k") {
				if err != nil {
					ended <- err
				}
			}
		}()
		heal := s.st.Inject(faultstore.Fault{Kind: faultstore.Partition})
		s.pass(3 * faultTTL)
		s.wants(s.n.Healthy(), tenure.ErrSessionExpired)
		other := s.node("n", s.base, cluster.Options{})
		s.must(other.Start(s.Context()))
		heal()
		s.wants(<-ended, tenure.ErrDuplicateMember)
		s.pass(3 * faultTTL)
		s.wants(s.n.Healthy(), tenure.ErrDuplicateMember)
		s.wants(s.n.Put(s.Context(), "k", nil), tenure.ErrDuplicateMember)
		s.must(s.n.Stop(s.Context()))
		s.wants(s.n.Start(s.Context()), tenure.ErrDuplicateMember)
		s.must(other.Close())
		s.must(s.n.Start(s.Context()))
	})
}

// What lies under a node that is not there is not shown.
func TestStateOfNobody(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		_, err := s.base.Commit(s.Context(), store.Tx{Then: []store.Op{store.Put("clusters/c/state/k/nobody", []byte("v"), store.NoLease)}})
		s.must(err)
		all, err := s.n.GetAll(s.Context(), "k")
		s.must(err)
		if len(all) != 1 || len(all["n"]) != 0 {
			s.Errorf("got %+v", all)
		}
		_, _, err = s.n.GetFrom(s.Context(), "nobody", "k")
		s.wants(err, cluster.ErrNoNode)
	})
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	play(t, cluster.Options{}, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		for _, value := range []string{"{", `{"v":2}`} {
			_, err := s.base.Commit(s.Context(), store.Tx{Then: []store.Op{store.Put("clusters/c/nodes/odd", []byte(value), store.NoLease)}})
			s.must(err)
			nodes, err := s.n.Nodes(s.Context())
			s.wants(err, tenure.ErrCorrupt)
			if len(nodes) != 1 || nodes[0].ID != "n" {
				s.Errorf("got %+v", nodes)
			}
			var end error
			for _, err := range s.n.WatchNodes(s.Context()) {
				end = err
			}
			s.wants(end, tenure.ErrCorrupt)
			all, err := s.n.GetAll(s.Context(), "k")
			s.wants(err, tenure.ErrCorrupt)
			if _, listed := all["n"]; !listed {
				s.Errorf("got %+v", all)
			}
		}
		s.must(s.n.Healthy())
	})
}

func TestAPanicOfACallbackIsReported(t *testing.T) {
	told := make(chan error, 10)
	trace := &cluster.Trace{
		Role:    func(cluster.Role) { panic("oh") },
		Trouble: func(_ string, err error) { told <- err },
	}
	play(t, cluster.Options{Trace: trace}, memstore.Options{}, func(s *scene) {
		s.must(s.n.Start(s.Context()))
		var p *tenure.PanicError
		if err := <-told; !errors.As(err, &p) || p.Value != "oh" {
			s.Errorf("told %v", err)
		}
	})
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	defer func() { _ = st.Close() }()
	long := strings.Repeat("x", cluster.MaxName+1)
	for want, f := range map[string]func() error{
		"nil store":          func() error { _, err := cluster.New(nil, "c", "n", cluster.Options{}); return err },
		"empty cluster name": func() error { _, err := cluster.New(st, "", "n", cluster.Options{}); return err },
		"limit is 256":       func() error { _, err := cluster.New(st, "c", long, cluster.Options{}); return err },
		"tick of -1s":        func() error { _, err := cluster.New(st, "c", "n", cluster.Options{Tick: -time.Second}); return err },
		"drain timeout":      func() error { _, err := cluster.New(st, "c", "n", cluster.Options{DrainTimeout: -1}); return err },
		"TTL of 1ms":         func() error { _, err := cluster.New(st, "c", "n", cluster.Options{TTL: time.Millisecond}); return err },
		"margin":             func() error { _, err := cluster.New(st, "c", "n", cluster.Options{Margin: time.Hour}); return err },
		"preemption": func() error {
			_, err := cluster.New(st, "c", "n", cluster.Options{Campaign: tenure.CampaignOptions{PreemptAfter: -1}})
			return err
		},
		"limit is 65536": func() error {
			_, err := cluster.NewStandalone("n", cluster.Options{Version: strings.Repeat("v", cluster.MaxRecord+1)})
			return err
		},
		"not UTF-8": func() error {
			_, err := cluster.NewStandalone("n", cluster.Options{Tags: map[string]string{"t": "\xff"}})
			return err
		},
		"empty node id": func() error { _, err := cluster.NewStandalone("", cluster.Options{}); return err },
	} {
		if err := f(); !errors.Is(err, tenure.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ErrInvalid with %q", err, want)
		}
	}
}

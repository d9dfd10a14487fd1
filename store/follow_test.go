package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// following is one run of Follow over a store with faults.
type following struct {
	base   *memstore.Store
	st     *faultstore.Store
	cancel context.CancelFunc

	mu      sync.Mutex
	batches []store.Batch // those with events, and those of a List
	reports []error
	err     error // that it ended with
	ended   bool
}

func (f *following) report(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports = append(f.reports, err)
}

// step notes one element of Follow.
func (f *following) step(b store.Batch, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err = err; err == nil && (b.Listed || len(b.Events) > 0) {
		f.batches = append(f.batches, b)
	}
}

func (f *following) reported() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.reports)
}

// end reports whether Follow has ended, and with what.
func (f *following) end() (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended, f.err
}

// follow runs f in a bubble, with a Follow that prepare has set the scene for.
func follow(t *testing.T, prepare func(f *following), f func(t *testing.T, f *following)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		base := memstore.New()
		ctx, cancel := context.WithCancel(t.Context())
		fl := &following{base: base, st: faultstore.New(base.Open()), cancel: cancel}
		prepare(fl)
		go func() {
			for b, err := range store.Follow(ctx, fl.st, "p/", fl.report) {
				fl.step(b, err)
			}
			fl.mu.Lock()
			defer fl.mu.Unlock()
			fl.ended = true
		}()
		synctest.Wait()
		f(t, fl)
		cancel()
		synctest.Wait()
		if ended, _ := fl.end(); !ended {
			t.Error("did not end with its context")
		}
		if err := fl.st.Close(); err != nil {
			t.Error(err)
		}
	})
}

// take returns what has come since the last call, as "listed 0-2: put a@1 ...".
func (f *following) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, b := range f.batches {
		what := "watched"
		if b.Listed {
			what = "listed"
		}
		s := fmt.Sprintf("%s %d-%d:", what, b.Since, b.Revision)
		for _, ev := range b.Events {
			op := "put"
			if ev.Deleted {
				op = "delete"
			}
			s += fmt.Sprintf(" %s %s@%d", op, strings.TrimPrefix(ev.Entry.Key, "p/"), ev.Entry.Modified)
		}
		all = append(all, s)
	}
	f.batches = nil
	return strings.Join(all, "; ")
}

func (f *following) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	if got := f.take(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func nothing(*following) {}

func TestFollowListsAndThenWatches(t *testing.T) {
	t.Parallel()
	follow(t, func(f *following) {
		put(t, f.base, "p/b")
		put(t, f.base, "q/a")
		put(t, f.base, "p/a")
	}, func(t *testing.T, f *following) {
		f.want(t, "listed 0-3: put a@3 put b@1")
		put(t, f.base, "p/c")
		f.want(t, "watched 3-4: put c@4")
		put(t, f.base, "q/b")
		commit(t, f.base, store.Delete("p/a"), store.Put("p/b", nil, store.NoLease))
		f.want(t, "watched 4-6: delete a@6 put b@6")
		if len(f.reported()) > 0 || f.st.Calls().List != 1 || f.st.Calls().Watch != 1 {
			t.Errorf("reported %v after %+v", f.reported(), f.st.Calls())
		}
	})
}

func TestFollowOfNothingSaysSo(t *testing.T) {
	t.Parallel()
	follow(t, nothing, func(t *testing.T, f *following) {
		f.want(t, "listed 0-0:")
	})
}

// Nothing is lost between two watches, and nothing is listed again.
func TestFollowCarriesOnAfterALostWatch(t *testing.T) {
	t.Parallel()
	follow(t, nothing, func(t *testing.T, f *following) {
		put(t, f.base, "p/a")
		f.want(t, "listed 0-0:; watched 0-1: put a@1")
		f.st.Inject(faultstore.Fault{Kind: faultstore.Break, Count: 3})
		put(t, f.base, "p/b")
		commit(t, f.base, store.Delete("p/a"))
		time.Sleep(time.Minute) // virtual
		f.want(t, "watched 1-2: put b@2; watched 2-3: delete a@3")
		if got := f.reported(); len(got) != 3 || !errors.Is(got[2], store.ErrUnavailable) {
			t.Errorf("reported %v, want three outages", got)
		}
		if calls := f.st.Calls(); calls.List != 1 || calls.Watch != 4 {
			t.Errorf("made %+v, want one List and four Watch", calls)
		}
	})
}

// The reason for Follow: a delete that was compacted away before the watch could
// see it must not be lost.
func TestFollowAfterCompactionYieldsTheDifference(t *testing.T) {
	t.Parallel()
	follow(t, func(f *following) {
		for _, key := range []string{"changed", "deleted/1", "deleted/2", "deleted/3", "kept", "made-again"} {
			put(t, f.base, "p/"+key)
		}
	}, func(t *testing.T, f *following) {
		f.take()
		heal := f.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
		f.st.Inject(faultstore.Fault{Kind: faultstore.Break, Count: 1})
		commit(t, f.base, store.Delete("p/deleted/1"), store.Delete("p/deleted/2"), store.Delete("p/deleted/3"))
		put(t, f.base, "p/changed")
		commit(t, f.base, store.Delete("p/made-again"))
		put(t, f.base, "p/made-again")
		put(t, f.base, "p/brief")
		commit(t, f.base, store.Delete("p/brief"))
		put(t, f.base, "p/ab")
		f.base.Compact(12) // of 13
		f.want(t, "")
		heal()
		time.Sleep(time.Minute) // virtual
		f.want(t, "listed 6-13: put ab@13 put changed@8 delete deleted/1@13 delete deleted/2@13 delete deleted/3@13 put made-again@10")
		put(t, f.base, "p/deleted/1")
		f.want(t, "watched 13-14: put deleted/1@14")
		if err := errors.Join(f.reported()...); !errors.Is(err, store.ErrCompacted) {
			t.Errorf("reported %v, want ErrCompacted", err)
		}
	})
}

// What the watch said in between is part of what is known.
func TestFollowTakesTheDifferenceToWhatTheWatchSaid(t *testing.T) {
	t.Parallel()
	follow(t, func(f *following) { put(t, f.base, "p/a") }, func(t *testing.T, f *following) {
		put(t, f.base, "p/b")
		commit(t, f.base, store.Delete("p/a"))
		f.want(t, "listed 0-1: put a@1; watched 1-2: put b@2; watched 2-3: delete a@3")
		heal := f.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
		f.st.Inject(faultstore.Fault{Kind: faultstore.Break, Count: 1})
		put(t, f.base, "q/x")
		f.base.Compact(4)
		heal()
		time.Sleep(time.Minute) // virtual
		f.want(t, "listed 3-4:")
	})
}

func TestFollowRetriesTheListing(t *testing.T) {
	t.Parallel()
	follow(t, func(f *following) {
		put(t, f.base, "p/a")
		f.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpList, Count: 3})
	}, func(t *testing.T, f *following) {
		time.Sleep(time.Minute) // virtual
		f.want(t, "listed 0-1: put a@1")
		if got := f.reported(); len(got) != 3 {
			t.Errorf("reported %v, want three outages", got)
		}
	})
}

// A request that is never answered must not stop Follow for good.
func TestFollowGivesUpAListingThatHangs(t *testing.T) {
	t.Parallel()
	follow(t, func(f *following) {
		f.st.Inject(faultstore.Fault{Kind: faultstore.Late, Hang: true, Ops: faultstore.OpList, Count: 1})
	}, func(t *testing.T, f *following) {
		f.want(t, "")
		time.Sleep(time.Minute) // virtual
		f.want(t, "listed 0-0:")
		if got := f.reported(); len(got) != 1 || !errors.Is(got[0], context.DeadlineExceeded) {
			t.Errorf("reported %v, want one deadline", got)
		}
	})
}

func TestFollowBacksOff(t *testing.T) {
	t.Parallel()
	follow(t, func(f *following) {
		f.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpList})
	}, func(t *testing.T, f *following) {
		first := f.st.Calls().List
		time.Sleep(time.Second) // virtual
		second := f.st.Calls().List
		time.Sleep(time.Hour) // virtual
		hour := f.st.Calls().List - second
		if first != 1 || second < 4 || second > 15 {
			t.Errorf("%d attempts at once and %d in the first second, want 1 and a few", first, second)
		}
		if hour < 1200 || hour > 3600 {
			t.Errorf("%d attempts in the next hour, want one every 1 to 3 s", hour)
		}
	})
}

// The pause is short again once the store has answered.
func TestFollowForgetsOldTrouble(t *testing.T) {
	t.Parallel()
	follow(t, nothing, func(t *testing.T, f *following) {
		heal := f.st.Inject(faultstore.Fault{Kind: faultstore.Break})
		time.Sleep(time.Hour) // virtual
		heal()
		time.Sleep(time.Minute) // virtual
		f.take()
		put(t, f.base, "p/a")
		f.want(t, "watched 0-1: put a@1")
		f.st.Inject(faultstore.Fault{Kind: faultstore.Break, Count: 1})
		put(t, f.base, "p/b")
		time.Sleep(50 * time.Millisecond) // virtual
		f.want(t, "watched 1-2: put b@2")
	})
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(f *following){
		"while it watches": nothing,
		"while it lists": func(f *following) {
			f.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Ops: faultstore.OpList})
		},
		"while it pauses": func(f *following) {
			f.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpList})
		},
		"while its watch hangs": func(f *following) { f.st.Inject(faultstore.Fault{Kind: faultstore.Stall}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			follow(t, prepare, func(t *testing.T, f *following) {
				f.cancel()
				synctest.Wait()
				if ended, err := f.end(); !ended || !errors.Is(err, context.Canceled) {
					t.Errorf("ended: %v, with %v; want the context's error", ended, err)
				}
			})
		})
	}
}

func TestFollowEndsWithWhatWillNotHeal(t *testing.T) {
	t.Parallel()
	for _, want := range []error{store.ErrUnsupported, store.ErrInvalid, store.ErrClosed} {
		for name, fault := range map[string]faultstore.Fault{
			"List":  {Kind: faultstore.Fail, Ops: faultstore.OpList, Err: want},
			"Watch": {Kind: faultstore.Break, Err: want},
		} {
			t.Run(fmt.Sprint(name, " ", want), func(t *testing.T) {
				t.Parallel()
				follow(t, func(f *following) { f.st.Inject(fault) }, func(t *testing.T, f *following) {
					ended, err := f.end()
					if got := f.reported(); !ended || !errors.Is(err, want) || len(got) > 0 {
						t.Errorf("ended: %v, with %v, reported %v; want %v", ended, err, got, want)
					}
				})
			})
		}
	}
}

func TestFollowIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := faultstore.New(memstore.New())
		defer func() { _ = st.Close() }()
		for b, err := range store.Follow(t.Context(), st, "", nil) {
			if err != nil || !b.Listed {
				t.Errorf("began with %+v, %v", b, err)
			}
			break
		}
		for b, err := range store.Follow(t.Context(), st, "", nil) {
			if err != nil {
				t.Error(err)
			}
			if !b.Listed {
				break // at the first step of the watch
			}
		}
		if calls := st.Calls(); calls.List != 2 || calls.Watch != 1 {
			t.Errorf("made %+v, want two List and one Watch", calls)
		}
	})
}

// A nil report is allowed.
func TestFollowWithoutReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := faultstore.New(memstore.New())
		defer func() { _ = st.Close() }()
		st.Inject(faultstore.Fault{Kind: faultstore.Fail, Count: 1})
		for b, err := range store.Follow(t.Context(), st, "", nil) {
			if err != nil || !b.Listed {
				t.Errorf("got %+v, %v", b, err)
			}
			break
		}
	})
}

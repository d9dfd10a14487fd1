package tenure_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// 1.6: relations between options are checked, and messages carry the numbers.
func TestJoinRefusesOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		opts tenure.Options
		says []string // what the message must name
	}{
		"negative TTL":          {tenure.Options{TTL: -time.Second}, []string{"TTL of -1s", "100ms", "1h"}},
		"tiny TTL":              {tenure.Options{TTL: time.Nanosecond}, []string{"TTL of 1ns", "100ms", "1h"}},
		"short TTL":             {tenure.Options{TTL: tenure.MinTTL - 1}, []string{"TTL", "100ms"}},
		"endless TTL":           {tenure.Options{TTL: 100 * 365 * 24 * time.Hour}, []string{"TTL of 876000h", "1h"}},
		"negative margin":       {tenure.Options{Margin: -1}, []string{"margin of -1ns", "not be negative"}},
		"endless margin":        {tenure.Options{Margin: math.MaxInt64}, []string{"margin of 2562047h", "100ms of the TTL of 10s"}},
		"margin beyond TTL/4":   {tenure.Options{TTL: 8 * time.Second, Margin: 2 * time.Second}, []string{"margin of 2s", "quarter of the TTL, 2s"}},
		"margin and drift":      {tenure.Options{TTL: 8 * time.Second, Margin: 1921 * time.Millisecond}, []string{"margin of 1.921s", "drift of 0.01, which is 80ms of the TTL of 8s", "a quarter of the TTL, 2s", "lower them or lengthen the TTL"}},
		"margin and much drift": {tenure.Options{TTL: time.Minute, Drift: 0.1, Margin: 10 * time.Second}, []string{"margin of 10s", "drift of 0.1, which is 6s of the TTL of 1m0s", "a quarter of the TTL, 15s"}},
		"negative drift":        {tenure.Options{Drift: -0.01}, []string{"drift of -0.01", "0 to 0.1"}},
		"too much drift":        {tenure.Options{Drift: 0.11}, []string{"drift of 0.11", "0 to 0.1"}},
		"no drift at all":       {tenure.Options{Drift: math.NaN()}, []string{"drift of NaN", "0 to 0.1"}},
		"long id":               {tenure.Options{ID: strings.Repeat("x", 1025)}, []string{"member id of 1025 bytes", "1024"}},
		"id with NUL":           {tenure.Options{ID: "a\x00b"}, []string{"member id", `"a\x00b"`, "NUL"}},
		"id not UTF-8":          {tenure.Options{ID: "a\xff"}, []string{"member id", `"a\xff"`, "UTF-8"}},
		"long endpoint":         {tenure.Options{Endpoint: strings.Repeat("x", 4097)}, []string{"endpoint of 4097 bytes", "4096"}},
		"endpoint not UTF-8":    {tenure.Options{Endpoint: "\xff"}, []string{"endpoint", "UTF-8"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := faultstore.New(memstore.New())
			defer st.Close()
			m, err := tenure.Join(t.Context(), st, tt.opts)
			mustRefuse(t, err, tt.says...)
			if m != nil {
				t.Error("a member beside the error")
			}
			if n := st.Calls().Total(); n != 0 {
				t.Errorf("%d calls of the store", n)
			}
			b, err := tt.opts.Bounds()
			mustRefuse(t, err, tt.says...)
			if b != (tenure.Bounds{}) {
				t.Errorf("bounds beside the error: %+v", b)
			}
		})
	}
}

// mustRefuse fails unless err is ErrInvalid and its message says all of that.
func mustRefuse(t *testing.T, err error, says ...string) {
	t.Helper()
	if !errors.Is(err, tenure.ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}

func TestJoinRefusesNoStore(t *testing.T) {
	t.Parallel()
	_, err := tenure.Join(t.Context(), nil, tenure.Options{})
	mustRefuse(t, err, "nil store")
}

func TestZeroOptionsAreTheDefaults(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n, err := w.tryJoin(tenure.Options{})
		w.must(err)
		if n.ID() == "" {
			t.Error("no id")
		}
		other, err := w.tryJoin(tenure.Options{})
		w.must(err)
		if n.ID() == other.ID() {
			t.Errorf("two members are called %s", n.ID())
		}
		synctest.Wait()
		equal(t, "told", n.told.all(), []string{"session of 10s"})
	})
}

// lacking is a store with other capabilities than it has.
type lacking struct {
	store.Store
	caps store.Capabilities
}

func (l lacking) Capabilities() store.Capabilities { return l.caps }

func TestJoinRefusesStoresThatLackWhatAnElectionNeeds(t *testing.T) {
	t.Parallel()
	whole := memstore.New().Capabilities()
	tests := map[string]struct {
		less func(*store.Capabilities)
		want error
	}{
		"nothing":                   {func(*store.Capabilities) {}, nil},
		"enough writes":             {func(c *store.Capabilities) { c.MaxOps = 7 }, nil},
		"several keys":              {func(c *store.Capabilities) { c.MultiKey = false }, store.ErrUnsupported},
		"another's lease":           {func(c *store.Capabilities) { c.ForeignLease = false }, store.ErrUnsupported},
		"writes for a hand-over":    {func(c *store.Capabilities) { c.MaxOps = 6 }, store.ErrUnsupported},
		"leases as short as wanted": {func(c *store.Capabilities) { c.MinTTL = time.Minute }, tenure.ErrInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caps := whole
			tt.less(&caps)
			m, err := tenure.Join(t.Context(), lacking{memstore.New(), caps}, tenure.Options{TTL: time.Second})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil {
				defer m.Close()
			}
		})
	}
}

func TestTTLDefaultsToTheShortestThatTheStoreGives(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.prepare()
		caps := n.st.Capabilities()
		caps.MinTTL = time.Minute
		m, err := tenure.Join(t.Context(), lacking{n.st, caps}, tenure.Options{Trace: n.told.trace()})
		w.must(err)
		w.must(m.Close())
		equal(t, "told", n.told.all(), []string{"session of 1m0s"})
	})
}

// A store may grant more than was asked for; what was granted counts.
func TestTheGrantedTTLCounts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		st := memstore.NewWith(memstore.Options{MinTTL: time.Minute})
		caps := st.Capabilities()
		caps.MinTTL = 0
		m, err := tenure.Join(t.Context(), lacking{st, caps}, tenure.Options{ID: "a"})
		w.must(err)
		defer m.Close()
		l, err := m.Campaign(t.Context(), "x", tenure.CampaignOptions{})
		w.must(err)
		if left := time.Until(l.Until()); left < 50*time.Second || left > time.Minute {
			t.Errorf("trusted for %v", left)
		}
	})
}

func TestJoinWithAContextThatHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n := w.prepare()
		_, err := tenure.Join(ctx, n.st, tenure.Options{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if calls := n.st.Calls().Total(); calls != 0 {
			t.Errorf("%d calls of the store", calls)
		}
	})
}

// 1.7: what Join leaves behind when it fails is nothing.
func TestJoinThatFailsLeavesNothingBehind(t *testing.T) {
	tests := map[string]faultstore.Fault{
		"grant refused":         {Kind: faultstore.Fail, Ops: faultstore.OpGrant},
		"registration refused":  {Kind: faultstore.Fail, Ops: faultstore.OpCommit},
		"registration unknown":  {Kind: faultstore.LoseReply, Ops: faultstore.OpCommit},
		"registration too late": {Kind: faultstore.Late, Ops: faultstore.OpCommit, Delay: 2 * ttl},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				n := w.prepare()
				remove := n.st.Inject(fault)
				err := n.join(tenure.Options{ID: "a"})
				if !errors.Is(err, store.ErrUnavailable) {
					t.Fatalf("got %v", err)
				}
				equal(t, "keys", w.keys(""), nil) // at once, and later
				if c := n.st.Calls(); c.Revoke != min(c.Commit, 1) {
					t.Errorf("calls %+v", c)
				}
				remove()
				w.pass(5 * ttl)
				equal(t, "keys", w.keys(""), nil)
				w.must(n.join(tenure.Options{ID: "a"}))
			})
		})
	}
}

func TestJoinGivesUpOnASilentStoreWhenItsContextEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.prepare()
		n.cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := tenure.Join(ctx, n.st, tenure.Options{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// 3.4, "id already alive": refused, but not before a dead owner would be gone.
func TestASecondMemberOfOneIDIsRefusedAfterTheTTL(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, err := w.tryJoin(tenure.Options{ID: "a", Endpoint: "10.0.0.1:80"})
		w.must(err)
		l := a.campaign("x")
		started := time.Now()
		b, err := w.tryJoin(tenure.Options{ID: "a"})
		if !errors.Is(err, tenure.ErrDuplicateMember) || !strings.Contains(err.Error(), "10.0.0.1:80") {
			t.Errorf("got %v", err)
		}
		w.about("refused", time.Since(started), ttl, 2*time.Second)
		equal(t, "told", b.told.all(), []string{"waiting for a, 11.1s"})
		if err := a.Healthy(); err != nil || !l.Held() {
			t.Errorf("the first is disturbed: %v", err)
		}
	})
}

// 1.10: a restart within the TTL waits for its own dead incarnation, and joins.
func TestARestartAfterACrashWaitsAndJoins(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		a.campaign("x")
		w.pass(2 * time.Second)
		a.crash()
		other := w.join("ab") // whose leaving must not be taken for the other's
		time.AfterFunc(time.Second, func() { _ = other.Close() })
		started := time.Now()
		b := w.join("a")
		w.about("joined", time.Since(started), ttl-2*time.Second, time.Second)
		b.campaign("x")
	})
}

// A member's own record is no other member's: a session that is remade while the
// store still holds the old one does not wait for it.
func TestARemadeSessionDoesNotWaitForTheOldOne(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		l := a.campaign("x") // so that the old lease is not revoked
		heal := a.cut()
		w.lost(l, tenure.ErrSessionExpired)
		heal()
		w.pass(100 * time.Millisecond)
		w.must(a.Healthy())
		if w.leader("x") != "a" { // by the old lease
			t.Error("the old lease has ended by now")
		}
	})
}

func TestARestartAfterCloseJoinsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		started := time.Now()
		for range 3 {
			w.must(w.join("a").Close())
		}
		w.about("joined three times", time.Since(started), 0, 0)
	})
}

// A store that cannot be watched says nothing about the owner of the id.
func TestJoinDoesNotTakeSilenceForAnotherMember(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.join("a"), w.prepare()
		remove := b.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Match: func(c faultstore.Call) bool {
			return c.Op == faultstore.OpWatch || len(c.Query.Prefixes) > 0
		}})
		defer remove()
		go func() {
			w.pass(time.Second)
			w.must(a.Close())
		}()
		w.must(b.join(tenure.Options{ID: "a"}))
	})
}

func TestJoinWaitingForItsIDObeysItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.join("a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := tenure.Join(ctx, w.st, tenure.Options{ID: "a"})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestIDsThatArePrefixesOfOthersAreNotTheirs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		started := time.Now()
		for _, id := range []string{"ab", "a", "a/b", "abc", "a%2Fb"} {
			w.join(id)
		}
		w.about("all joined", time.Since(started), 0, 0)
	})
}

// Two restarts that wait for one dead owner do not both get its id.
func TestOnlyOneOfTwoRestartsGetsTheID(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.join("a").crash()
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := w.tryJoin(tenure.Options{ID: "a"})
				errs <- err
			}()
		}
		first, second := <-errs, <-errs
		if (first == nil) == (second == nil) || !errors.Is(errors.Join(first, second), tenure.ErrDuplicateMember) {
			t.Errorf("got %v and %v", first, second)
		}
	})
}

func TestHealthyFollowsTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		w.must(a.Healthy()) // from the moment that Join returns
		heal := a.cut()
		w.pass(trust - round)
		w.must(a.Healthy()) // one renewal that is late is no loss
		w.pass(2 * round)
		if err := a.Healthy(); !errors.Is(err, tenure.ErrSessionExpired) {
			t.Errorf("cut off: %v", err)
		}
		heal()
		w.pass(ttl)
		w.must(a.Healthy())
		w.must(a.Close())
		if err := a.Healthy(); !errors.Is(err, tenure.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// A member whose id has passed to another while it was cut off is no member.
func TestAMemberWhoseIDWasTakenSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, waiting := w.join("a"), w.join("z")
		waiting.campaign("x")
		q := a.queue("x", 0)
		heal := a.cut()
		w.join("a")
		heal()
		w.pass(3 * ttl)
		if err := a.Healthy(); !errors.Is(err, tenure.ErrDuplicateMember) {
			t.Errorf("Healthy: %v", err)
		}
		await(w, "end of q", q.done)
		if !errors.Is(q.err, tenure.ErrDuplicateMember) {
			t.Errorf("the campaign that waited: %v", q.err)
		}
		if _, err := a.Campaign(t.Context(), "y", tenure.CampaignOptions{}); !errors.Is(err, tenure.ErrDuplicateMember) {
			t.Errorf("a new campaign: %v", err)
		}
		w.must(a.Close())
	})
}

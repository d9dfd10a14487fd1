package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
)

func TestListOfManyKeys(t *testing.T) {
	t.Parallel()
	s := opened(t, plain.config(t))
	var keys []string
	var ops []store.Op
	for i := range 300 {
		keys = append(keys, fmt.Sprintf("key/%05d", i))
		ops = append(ops, store.Put(keys[i], nil, store.NoLease))
	}
	for len(ops) > 0 {
		n := min(len(ops), maxOps)
		if _, err := s.Commit(t.Context(), store.Tx{Then: ops[:n]}); err != nil {
			t.Fatal(err)
		}
		ops = ops[n:]
	}
	for _, n := range []int{1, maxOps - 1, maxOps, maxOps + 1, 2 * maxOps, 300} {
		q := store.Query{Keys: append([]string{"none"}, keys[:n]...), Prefixes: []string{"none/", keys[0]}}
		l, err := s.List(t.Context(), q)
		if err != nil || len(l.Entries) != n || l.Entries[0].Key != keys[0] || l.Entries[n-1].Key != keys[n-1] {
			t.Errorf("%d keys gave %d entries, %v", n, len(l.Entries), err)
		}
	}
}

// A transaction over etcd's limit of a request is refused, by etcd or before.
func TestLargeTransactionsAreRefused(t *testing.T) {
	t.Parallel()
	s := opened(t, plain.config(t))
	for _, size := range []int{1600 << 10, 4 << 20} {
		var tx store.Tx
		const values = 8
		for i := range values {
			tx.Then = append(tx.Then, store.Put(fmt.Sprint(i), make([]byte, size/values), store.NoLease))
		}
		if _, err := s.Commit(t.Context(), tx); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if l, err := s.List(t.Context(), store.Prefix("")); err != nil || len(l.Entries) != 0 {
		t.Errorf("%d entries, %v", len(l.Entries), err)
	}
}

func TestCompareFences(t *testing.T) {
	t.Parallel()
	conf := plain.config(t)
	s, client := opened(t, conf), newClient(t, conf)
	first := put(t, s, "seat", "1", store.NoLease)
	second := put(t, s, "seat", "2", store.NoLease)
	put(t, s, "other", "2", store.NoLease)
	for _, c := range []struct {
		cond  store.Cond
		holds bool
	}{
		{store.ModifiedAt("seat", second), true},
		{store.ModifiedAt("seat", first), false},
		{store.ModifiedAt("seat", 0), false},
		{store.ModifiedAt("none", 0), false},
		{store.ModifiedAt("none", -1), false},
		{store.Exists("seat"), true},
		{store.Exists("none"), false},
		{store.Absent("none"), true},
		{store.Absent("seat"), false},
		{store.Cond{Key: "seat"}, false},
	} {
		res, err := client.Txn(t.Context()).If(s.Compare(c.cond)).Then(clientv3.OpPut(conf.Prefix+"-mine", "x")).Commit()
		if err != nil || res.Succeeded != c.holds {
			t.Errorf("%+v: %v, %v", c.cond, res.Succeeded, err)
		}
	}
}

// A server that is stopped keeps its connections. Calls end in time, also those
// whose context has no end.
func TestCallsEndWhileTheServerIsStopped(t *testing.T) {
	t.Parallel()
	opts := etcdtest.Options{}
	c := newCluster(t, opts)
	s := opened(t, configOf(t, c, opts))
	s.timeout = 300 * time.Millisecond
	lease, err := s.Grant(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Members[0].Stop(); err != nil {
		t.Fatal(err)
	}
	for what, f := range map[string]func(context.Context) error{
		"commit": func(ctx context.Context) error { return second(s.Commit(ctx, store.Tx{})) },
		"list":   func(ctx context.Context) error { return second(s.List(ctx, store.Query{})) },
		"grant":  func(ctx context.Context) error { return second(s.Grant(ctx, time.Hour)) },
		"renew":  func(ctx context.Context) error { return second(s.Renew(ctx, lease.ID)) },
		"revoke": func(ctx context.Context) error { return s.Revoke(ctx, lease.ID) },
	} {
		begun := time.Now()
		if err := f(t.Context()); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), "no answer within 300ms") {
			t.Errorf("%s: %v", what, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := f(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s, with a deadline: %v", what, err)
		}
		cancel()
		if took := time.Since(begun); took > patience/2 {
			t.Errorf("%s took %v", what, took)
		}
	}
	if err := c.Members[0].Cont(); err != nil {
		t.Fatal(err)
	}
	s.timeout = patience
	put(t, s, "a", "1", store.NoLease)
}

func TestWatchOfAStoppedServerEnds(t *testing.T) {
	t.Parallel()
	opts := etcdtest.Options{}
	c := newCluster(t, opts)
	s := opened(t, configOf(t, c, opts))
	s.quiet = 300 * time.Millisecond
	w := watch(t, s, "", 0)
	put(t, s, "a", "1", store.NoLease)
	w.event(t)
	if err := c.Members[0].Stop(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for name, w := range map[string]*watching{"running": w, "new": watch(t, s, "", 0)} {
		if err := w.end(t); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "no sign of life") {
			t.Errorf("the %s watch ended with %v", name, err)
		}
	}
	if took := time.Since(begun); took < s.quiet || took > patience/2 {
		t.Errorf("the watches ended after %v", took)
	}
}

// A watch that nothing happens to lives on, and says so.
func TestIdleWatchesShowSignsOfLife(t *testing.T) {
	t.Parallel()
	opts := etcdtest.Options{}
	s := opened(t, configOf(t, newCluster(t, opts), opts)) // where nobody else writes
	s.quiet = 200 * time.Millisecond
	rev := put(t, s, "a", "1", store.NoLease)
	w := watch(t, s, "", rev)
	for range 5 {
		select {
		case ch := <-w.changes:
			if len(ch.Events) != 0 || ch.Revision != rev {
				t.Errorf("got %+v, want a sign of life at %d", ch, rev)
			}
		case err := <-w.ended:
			t.Fatalf("the watch ended: %v", err)
		case <-time.After(patience):
			t.Fatal("no sign of life")
		}
	}
	rev = put(t, s, "b", "1", store.NoLease)
	if ch := w.event(t); ch.Revision != rev {
		t.Errorf("got %+v, want revision %d", ch, rev)
	}
}

// Watches that are spread over three servers go on when one is stopped, and when
// another is killed.
func TestFollowGoesOnWithAnotherServer(t *testing.T) {
	t.Parallel()
	opts := etcdtest.Options{Members: 3}
	c := newCluster(t, opts)
	s := opened(t, configOf(t, c, opts))
	s.quiet = 500 * time.Millisecond
	followers := 0
	seen := make(chan store.Revision, 1000)
	reports := make(chan error, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	follow := func() {
		followers++
		running.Go(func() {
			for batch, err := range store.Follow(ctx, s, "", func(err error) { reports <- err }) {
				if err != nil {
					return
				}
				for _, ev := range batch.Events {
					seen <- ev.Entry.Modified
				}
			}
		})
	}
	defer running.Wait()
	defer cancel()
	// The client goes round the servers.
	withLeader := func() *etcdtest.Member {
		leader, err := c.Leader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "a watch with etcd's leader", func() bool {
			if leader.Watchers(t.Context()) > 0 {
				return true
			}
			follow()
			return false
		})
		return leader
	}
	all := func(when string) {
		t.Helper()
		var rev store.Revision
		eventually(t, "a commit, "+when, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			res, err := s.Commit(ctx, store.Tx{Then: []store.Op{store.Put("a", []byte(when), store.NoLease)}})
			rev = res.Revision
			return err == nil
		})
		timeout := time.After(patience)
		for left := followers; left > 0; {
			select {
			case at := <-seen:
				if at == rev {
					left--
				}
			case <-timeout:
				t.Fatalf("%s: %d of %d followers have seen nothing", when, left, followers)
			}
		}
	}
	for round := 1; ; round++ {
		leader := withLeader()
		all("at first")
		if err := leader.Stop(); err != nil {
			t.Fatal(err)
		}
		all("while the leader is stopped")
		var told []error
		for range len(reports) {
			told = append(told, <-reports)
		}
		if err := leader.Cont(); err != nil {
			t.Fatal(err)
		}
		if err := c.Await(t.Context(), c.Members...); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprint(told), "no sign of life") {
			break
		}
		// On a busy host etcd elects another leader now and then, and its watches go.
		if round == 5 {
			t.Fatalf("no watch was with the stopped server: %v", told)
		}
	}
	leader := withLeader()
	leader.Kill()
	all("while the leader is dead")
	if len(reports) == 0 {
		t.Error("no watch was with the killed server")
	}
}

// A lease outlives the leaders by whose clocks it lived.
func TestLeasesOutliveTheLeader(t *testing.T) {
	t.Parallel()
	opts := etcdtest.Options{Members: 3}
	c := newCluster(t, opts)
	s := opened(t, configOf(t, c, opts))
	const ttl = 4 * time.Second
	lease, err := s.Grant(t.Context(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	rev := put(t, s, "a", "1", lease.ID)
	var sent time.Time
	renew := func() {
		t.Helper()
		eventually(t, "a renewal", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			sent = time.Now()
			_, err := s.Renew(ctx, lease.ID)
			if errors.Is(err, store.ErrLeaseNotFound) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	for range 2 {
		leader, err := c.Leader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leader.Kill()
		renew()
		if err := leader.Start(); err != nil {
			t.Fatal(err)
		}
		if err := c.Await(t.Context(), c.Members...); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(ttl / 2) // a new leader gives the full TTL; so that the renewal counts
	renew()
	ch := watch(t, s, "", rev).event(t)
	if lived := time.Since(sent); !ch.Events[0].Deleted || lived < ttl {
		t.Errorf("%v after the last renewal: %+v", lived, ch)
	}
}

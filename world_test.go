package tenure_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// The helpers of the tests of this package: members over one store in memory,
// each behind faults of its own, in a bubble in which time costs nothing. A
// bubble ends only when all of its goroutines have ended: every test in one is a
// test that Close leaves nothing behind.

const (
	ttl   = tenure.DefaultTTL
	round = ttl / 3
	// trust is how long a renewal counts, with the default margin and drift.
	trust = ttl - time.Second - ttl/100
)

type world struct {
	t  *testing.T
	st *memstore.Store
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, st: memstore.New()}
		t.Cleanup(func() { w.must(w.st.Close()) })
		f(t, w)
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pass lets time go by, and everything happen that is due by then.
func (w *world) pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

// await waits for what must come. Virtual time never runs out, so without a bound
// a test would not fail but run for ever.
func await(w *world, what string, done <-chan struct{}) {
	w.t.Helper()
	select {
	case <-done:
	case <-time.After(20 * ttl):
		w.t.Fatalf("no %s", what)
	}
}

// node is a member, its store with faults, and what its Trace was told.
type node struct {
	*tenure.Member
	w    *world
	st   *faultstore.Store
	told *told
}

// join makes a member. The end of the test closes it.
func (w *world) join(id string) *node {
	w.t.Helper()
	n, err := w.tryJoin(tenure.Options{ID: id})
	w.must(err)
	return n
}

func (w *world) tryJoin(opts tenure.Options) (*node, error) {
	w.t.Helper()
	n := w.prepare()
	return n, n.join(opts)
}

// prepare makes a node that has not joined, so that its store can be broken.
func (w *world) prepare() *node {
	n := &node{w: w, st: faultstore.New(w.st.Open()), told: &told{}}
	w.t.Cleanup(func() { w.must(n.st.Close()) })
	return n
}

func (n *node) join(opts tenure.Options) (err error) {
	if opts.Trace == nil {
		opts.Trace = n.told.trace()
	}
	n.Member, err = tenure.Join(n.w.t.Context(), n.st, opts)
	if err == nil {
		n.w.t.Cleanup(func() { _ = n.Close() })
	}
	return err
}

// crash cuts a member off for good: to all others, it is dead.
func (n *node) crash() { n.cut() }

// cut partitions a member from the store until heal is called.
func (n *node) cut() (heal func()) {
	return n.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Name: "partition"})
}

// campaign waits for leadership, which nothing is in the way of.
func (n *node) campaign(election string) *tenure.Leadership {
	n.w.t.Helper()
	l, err := n.Campaign(n.w.t.Context(), election, tenure.CampaignOptions{})
	n.w.must(err)
	if !l.Held() {
		n.w.t.Fatalf("%s has won %s and does not hold it: %v", n.ID(), election, l.Cause())
	}
	return l
}

// queue campaigns in the background, and returns once it has enrolled.
func (n *node) queue(election string, priority int) *queued {
	q := &queued{w: n.w, done: make(chan struct{})}
	var ctx context.Context
	ctx, q.cancel = context.WithCancel(n.w.t.Context())
	go func() {
		defer close(q.done)
		q.l, q.err = n.Campaign(ctx, election, tenure.CampaignOptions{Priority: priority})
		q.won = time.Now()
	}()
	synctest.Wait()
	return q
}

type queued struct {
	w      *world
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is valid
	l      *tenure.Leadership
	err    error
	won    time.Time
}

// leads returns the leadership, which must have been won and be held by now.
func (q *queued) leads() *tenure.Leadership {
	q.w.t.Helper()
	synctest.Wait()
	select {
	case <-q.done:
	default:
		q.w.t.Fatal("still waiting")
	}
	q.w.must(q.err)
	if !q.l.Held() {
		q.w.t.Fatalf("not held: %v", q.l.Cause())
	}
	return q.l
}

// waits fails if the campaign is over.
func (q *queued) waits() {
	q.w.t.Helper()
	synctest.Wait()
	select {
	case <-q.done:
		q.w.t.Fatalf("no longer waiting: %v, %v", q.l, q.err)
	default:
	}
}

// leader returns the id of the leader according to the store, "" for none.
func (w *world) leader(election string) string {
	w.t.Helper()
	l, _, err := tenure.NewView(w.st, election).Read(w.t.Context())
	w.must(err)
	return l.Member
}

// keys lists all keys under the prefixes.
func (w *world) keys(prefixes ...string) []string {
	w.t.Helper()
	l, err := w.st.List(w.t.Context(), store.Prefix(prefixes...))
	w.must(err)
	var keys []string
	for _, e := range l.Entries {
		keys = append(keys, e.Key)
	}
	return keys
}

// mustBeClean fails if anything of an election is left in the store but the marks
// of those who have left, which end with their sessions.
func (w *world) mustBeClean() {
	w.t.Helper()
	left := w.keys("leaders/", "sessions/")
	all, err := tenure.Survey(w.t.Context(), w.st)
	w.must(err)
	for _, s := range all {
		for _, c := range s.Candidates {
			if c.State != "withdrawn" {
				left = append(left, c.Member+" is "+c.State+" in "+s.Election)
			}
		}
	}
	if left != nil {
		w.t.Errorf("left in the store: %q", left)
	}
}

// commit writes behind everybody's back.
func (w *world) commit(ops ...store.Op) {
	w.t.Helper()
	_, err := w.st.Commit(w.t.Context(), store.Tx{Then: ops})
	w.must(err)
}

// revoke ends the lease on which a key hangs.
func (w *world) revoke(key string) {
	w.t.Helper()
	l, err := w.st.List(w.t.Context(), store.Keys(key))
	w.must(err)
	if len(l.Entries) == 0 {
		w.t.Fatalf("no key %q", key)
	}
	w.must(w.st.Revoke(w.t.Context(), l.Entries[0].Lease))
}

// told is what a Trace was told, in order.
type told struct {
	mu   sync.Mutex
	list []string
}

func (o *told) add(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, fmt.Sprintf(format, args...))
}

// all returns what has been told so far.
func (o *told) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.list)
}

// count returns how often a line was told.
func (o *told) count(line string) int {
	n := 0
	for _, l := range o.all() {
		if l == line {
			n++
		}
	}
	return n
}

// trace notes what depends neither on tokens nor on times.
func (o *told) trace() *tenure.Trace {
	return &tenure.Trace{
		SessionStarted: func(s tenure.SessionInfo) { o.add("session of %v", s.TTL) },
		SessionLost:    func(_ tenure.SessionInfo, err error) { o.add("session lost: %v", err) },
		Elected:        func(t tenure.TermInfo) { o.add("elected %s", t.Election) },
		Ended:          func(t tenure.TermInfo, err error) { o.add("ended %s: %v", t.Election, err) },
		Overrun:        func(t tenure.TermInfo, d time.Duration) { o.add("overrun %s after %v", t.Election, d) },
		Trouble: func(election, request string, err error) {
			if strings.Contains(request, "history") { // others are of chance
				o.add("trouble %s: %s: %v", election, request, err)
			}
		},
		DuplicateWait: func(id, _ string, d time.Duration) { o.add("waiting for %s, %v", id, d) },
	}
}

// about fails if a duration is below at or more than slack above it.
func (w *world) about(what string, d, at, slack time.Duration) {
	w.t.Helper()
	if d < at || d > at+slack {
		w.t.Errorf("%s after %v; want %v, at most %v later", what, d, at, slack)
	}
}

// equal fails if two lists differ.
func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

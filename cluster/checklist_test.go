package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
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

// What gigo-lib's cluster does wrong, where neither the cases of internal/clustertest nor
// the tests of single faults show it. docs/testing.md has the list of which test is for what.
//
// All of it is in virtual time, over one store in memory, where each node is behind faults
// of its own. A bubble ends only when all goroutines in it have: each test is one that
// nothing is left behind, too.

type lab struct {
	t  *testing.T
	st *memstore.Store
}

func inLab(t *testing.T, opts memstore.Options, f func(*testing.T, *lab)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, st: memstore.NewWith(opts)}
		t.Cleanup(func() { l.ok(l.st.Close()) })
		f(t, l)
	})
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// pass lets time go by, and everything happen that is due by then.
func (l *lab) pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

// subject is a node, and the store behind which it can be harmed.
type subject struct {
	*cluster.Clustered
	l  *lab
	st *faultstore.Store
}

const labCluster = "c"

// node returns a node that does not run. The end of the test closes it.
func (l *lab) node(id string, opts cluster.Options) *subject {
	l.t.Helper()
	s := &subject{l: l, st: faultstore.New(l.st.Open())}
	var err error
	s.Clustered, err = cluster.New(s.st, labCluster, id, opts)
	l.ok(err)
	l.t.Cleanup(func() {
		_ = s.Close() // what it says is no matter of every test
		l.ok(s.st.Close())
	})
	return s
}

func (l *lab) start(id string, opts cluster.Options) *subject {
	l.t.Helper()
	s := l.node(id, opts)
	l.ok(s.Start(l.t.Context()))
	synctest.Wait()
	return s
}

func (s *subject) put(key, value string) {
	s.l.t.Helper()
	s.l.ok(s.Put(s.l.t.Context(), key, []byte(value)))
	synctest.Wait()
}

// cut parts a node from the store until it is healed.
func (s *subject) cut() (heal func()) {
	return s.st.Inject(faultstore.Fault{Kind: faultstore.Partition})
}

// revoke ends the lease that a key hangs on, as an operator might.
func (l *lab) revoke(key string) {
	l.t.Helper()
	found, err := l.st.List(l.t.Context(), store.Keys(key))
	l.ok(err)
	if len(found.Entries) != 1 || found.Entries[0].Lease == store.NoLease {
		l.t.Fatalf("%s: no key on a lease: %+v", key, found.Entries)
	}
	l.ok(l.st.Revoke(l.t.Context(), found.Entries[0].Lease))
}

func (l *lab) view() *cluster.View { return cluster.NewView(l.st, labCluster) }

// value is what a node publishes, as it is read from outside.
func (l *lab) value(id, key string) string {
	l.t.Helper()
	value, ok, err := l.view().GetFrom(l.t.Context(), id, key)
	l.ok(err)
	if !ok {
		return "nothing"
	}
	return string(value)
}

// journal collects what a watch tells, as text.
type journal struct {
	mu   sync.Mutex
	told []string
}

func (j *journal) add(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told = append(j.told, what)
}

// since returns what was told after the last call, once all is quiet.
func (j *journal) since() []string {
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	told := j.told
	j.told = nil
	return told
}

// keep writes a sequence into a journal, until it ends.
func keep[T any](seq iter.Seq2[T, error], text func(T) string) *journal {
	j := &journal{}
	go func() {
		for ev, err := range seq {
			if err != nil {
				j.add("end")
				return
			}
			j.add(text(ev))
		}
	}()
	return j
}

func textOf(ev cluster.Event) string {
	return strings.TrimSpace(fmt.Sprintf("%v %s %s %s>%s", ev.Kind, ev.Node, ev.Key, ev.Old, ev.Value))
}

func textOfNode(ev cluster.NodeEvent) string {
	return strings.TrimSpace(fmt.Sprint(ev.Kind, " ", ev.Node.ID, " ", ev.Node.Role))
}

func (l *lab) told(j *journal, want ...string) {
	l.t.Helper()
	if got := j.since(); !slices.Equal(got, want) {
		l.t.Errorf("told %q, want %q", got, want)
	}
}

// 3.2: theirs may hang for ever. Whatever a node is, and however it ends, what is away
// delays it for so long and no longer.
func TestStopTakesATTLAndTenSecondsAtMost(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		const bound = tenure.DefaultTTL + 10*time.Second
		first := l.start("first", cluster.Options{}) // so that the others follow
		for what, n := range map[string]*subject{
			"leader": first, "follower": l.start("a", cluster.Options{}), "observer": l.start("b", cluster.Options{NeverLead: true}),
		} {
			n.put("k", "v")
			heal := n.cut()
			began := time.Now()
			l.ok(n.Stop(t.Context()))
			if took := time.Since(began); took > bound {
				t.Errorf("%s: Stop took %v", what, took)
			}
			heal()
			l.ok(n.Start(t.Context()))
			n.put("k", "again")
			if got := l.value(n.ID(), "k"); got != "again" {
				t.Errorf("%s: started again, it publishes %q", what, got)
			}
			n.cut()
			began = time.Now()
			l.ok(n.Close())
			if took := time.Since(began); took > bound {
				t.Errorf("%s: Close took %v", what, took)
			}
		}
	})
}

// 3.3: there one lease carries all.
func TestLosingTheLeadershipLosesNoState(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		var lost []error
		a := l.start("a", cluster.Options{Trace: &cluster.Trace{Lost: func(err error) { lost = append(lost, err) }}})
		a.put("k", "v")
		b := l.start("b", cluster.Options{})
		before := a.Self()
		state := keep(b.WatchPrefix(t.Context(), ""), textOf)
		nodes := keep(b.WatchNodes(t.Context()), textOfNode)
		l.told(state, "present a k >v", "ready   >")
		l.told(nodes, "present a leader", "present b follower", "ready")

		l.revoke("leaders/" + labCluster)
		l.pass(tenure.DefaultTTL)
		l.told(state)
		for _, event := range nodes.since() {
			if !strings.HasPrefix(event, "changed ") {
				t.Errorf("of the nodes it was told: %s", event)
			}
		}
		if id, ok, err := b.ReadLeader(t.Context()); id != "b" || !ok || err != nil {
			t.Errorf("then %q leads, %v, %v", id, ok, err)
		}
		if after := a.Self(); after.Incarnation != before.Incarnation || after.Revision != before.Revision || after.Role != cluster.Follower {
			t.Errorf("a was %+v and is %+v", before, after)
		}
		if lost != nil || a.Healthy() != nil {
			t.Errorf("lost %v, healthy %v", lost, a.Healthy())
		}
	})
}

// 3.3: a new leader that finds the dead one among the nodes gives it work.
func TestANodeThatDiedIsGoneWhenTheNextLeads(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		first := make(chan []cluster.Info, 1)
		a := l.start("a", cluster.Options{})
		var b *subject
		b = l.node("b", cluster.Options{Leader: func(ctx context.Context, _ tenure.Term) error {
			nodes, err := b.Nodes(ctx)
			select {
			case first <- nodes:
			default:
			}
			return err
		}})
		l.ok(b.Start(t.Context()))
		a.cut()
		nodes := <-first
		if len(nodes) != 1 || nodes[0].ID != "b" || nodes[0].Role != cluster.Leader {
			t.Errorf("the new leader sees %+v", nodes)
		}
	})
}

// 3.4: there two nodes of one id overwrite each other.
func TestASecondNodeOfAnIDIsRefusedAndHarmsNothing(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		a := l.start("a", cluster.Options{Endpoint: "one"})
		a.put("k", "v")
		before := a.Self()
		state := keep(a.WatchPrefix(t.Context(), ""), textOf)
		l.told(state, "present a k >v", "ready   >")

		second := l.node("a", cluster.Options{Endpoint: "two"})
		if err := second.Start(t.Context()); !errors.Is(err, tenure.ErrDuplicateMember) {
			t.Errorf("the second: %v", err)
		}
		l.told(state)
		info, _, err := l.view().Node(t.Context(), "a")
		if err != nil || info.Incarnation != before.Incarnation || info.Endpoint != "one" || a.Healthy() != nil {
			t.Errorf("the first is %+v, %v, %v", info, err, a.Healthy())
		}
	})
}

// 3.6: there a watch ends without a word where history is gone, and one that is slow
// holds up the node.
func TestAWatchThatFellBehindTellsOfAGapAndTheDifference(t *testing.T) {
	inLab(t, memstore.Options{History: 8}, func(t *testing.T, l *lab) {
		a := l.start("a", cluster.Options{})
		for _, key := range []string{"changed", "deleted", "same"} {
			a.put(key, "old")
		}
		next := make(chan bool)
		told := &journal{}
		go func() {
			for ev, err := range a.WatchPrefix(t.Context(), "") {
				if err != nil {
					return
				}
				told.add(textOf(ev))
				if ev.Kind == cluster.Ready {
					<-next // as slow as it likes
				}
			}
		}()
		l.told(told, "present a changed >old", "present a deleted >old", "present a same >old", "ready   >")
		for i := range 100 {
			a.put("changed", fmt.Sprint(i))
		}
		l.ok(a.Delete(t.Context(), "deleted"))
		a.put("new", "new")
		close(next)
		l.pass(time.Minute)
		l.told(told, "gap   >", "modified a changed old>99", "deleted a deleted old>", "added a new >new")
		a.put("same", "not any more")
		l.told(told, "modified a same old>not any more")
	})
}

// 3.7: there the routine's context does not end while it runs.
func TestALeadersRoutineEndsBeforeTheNextOnesBegins(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		var mu sync.Mutex
		var order []string
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
		}
		options := func(id string) cluster.Options {
			return cluster.Options{Leader: func(ctx context.Context, t tenure.Term) error {
				note(id + " begins")
				<-ctx.Done()
				note(fmt.Sprint(id, " ends, lost ", errors.Is(context.Cause(ctx), tenure.ErrLost), ", held ", t.Held()))
				return ctx.Err()
			}}
		}
		a := l.start("a", options("a"))
		l.start("b", options("b"))
		a.cut()
		l.pass(3 * tenure.DefaultTTL)
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"a begins", "a ends, lost true, held false", "b begins"}; !slices.Equal(order, want) {
			t.Errorf("got %q, want %q", order, want)
		}
	})
}

// 3.7: each call is measured, and one that takes longer than its tick is no other's beside
// it.
func TestARoutineThatTakesLongerThanItsTickIsMeasured(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		told := make(chan cluster.RoutineInfo, 100)
		running, calls := 0, 0
		l.start("a", cluster.Options{
			Tick: time.Second,
			Leader: func(context.Context, tenure.Term) error {
				if running++; running > 1 {
					t.Error("two at a time")
				}
				defer func() { running-- }()
				if calls++; calls == 2 {
					time.Sleep(3500 * time.Millisecond) // virtual
				}
				return nil
			},
			Trace: &cluster.Trace{Routine: func(r cluster.RoutineInfo) { told <- r }},
		})
		began := time.Now()
		const long = 3500 * time.Millisecond
		for i, want := range []struct{ took, at time.Duration }{{0, 0}, {long, time.Second + long}, {0, time.Second + long}, {0, 2*time.Second + long}} {
			r := <-told
			if r.Took != want.took || r.Over != max(want.took-time.Second, 0) || time.Since(began) != want.at {
				t.Errorf("call %d took %v, over by %v, and ended at %v", i, r.Took, r.Over, time.Since(began))
			}
		}
	})
}

// 3.9: there an idle node takes a core, and writes to etcd once a second. Whatever span in
// a bubble, time would stand still if anything span there.
func TestAnIdleNodeRenewsItsSessionsAndAsksForNothingElse(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		idle := func(context.Context) error { return nil }
		opts := cluster.Options{
			TTL: 12 * time.Second, NodeTTL: 9 * time.Second, // a round every 4 s and every 3 s
			Follower: idle, Leader: func(ctx context.Context, _ tenure.Term) error { return idle(ctx) },
		}
		var nodes []*subject
		for _, id := range []string{"leads", "follows", "follows too"} {
			nodes = append(nodes, l.start(id, opts))
			nodes[len(nodes)-1].put("k", "v")
		}
		l.pass(time.Minute)
		before := make([]faultstore.Calls, len(nodes))
		for i, n := range nodes {
			before[i] = n.st.Calls()
		}
		l.pass(time.Hour)
		const rounds = 3600/4 + 3600/3
		for i, n := range nodes {
			now := n.st.Calls()
			if renew, list := now.Renew-before[i].Renew, now.List-before[i].List; renew != rounds || list > rounds {
				t.Errorf("%s: %d renewals and %d reads in an hour; want %d of each at most", n.ID(), renew, list, rounds)
			}
			if rest := now.Total() - before[i].Total() - (now.Renew - before[i].Renew) - (now.List - before[i].List); rest != 0 {
				t.Errorf("%s: %d other requests in an hour: %+v after %+v", n.ID(), rest, now, before[i])
			}
		}
	})
}

// 3.10: that nobody leads is one thing, and that it cannot be known another.
func TestNoLeaderAndNoAnswerAreToldApart(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		n := l.start("n", cluster.Options{NeverLead: true})
		if id, ok, err := n.ReadLeader(t.Context()); id != "" || ok || err != nil {
			t.Errorf("nobody leads: %q, %v, %v", id, ok, err)
		}
		a := l.start("a", cluster.Options{})
		if id, ok := n.Leader(); id != "a" || !ok {
			t.Errorf("seen: %q, %v", id, ok)
		}
		heal := n.st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpList})
		if _, ok, err := n.ReadLeader(t.Context()); ok || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("no answer: %v, %v", ok, err)
		}
		if id, ok := n.Leader(); id != "a" || !ok {
			t.Errorf("seen, and remembered: %q, %v", id, ok)
		}
		heal()
		l.ok(a.Stop(t.Context()))
		synctest.Wait()
		if id, ok := n.Leader(); ok {
			t.Errorf("vacated, and yet %q is seen", id)
		}
	})
}

// 3.11: theirs tells of neither.
func TestWhoLeavesIsToldFromWhoDies(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		a := l.start("a", cluster.Options{})
		nodes := keep(a.WatchNodes(t.Context()), textOfNode)
		state := keep(a.WatchPrefix(t.Context(), ""), textOf)
		l.told(nodes, "present a leader", "ready")
		l.told(state, "ready   >")
		b, c := l.start("b", cluster.Options{}), l.start("c", cluster.Options{})
		b.put("k", "v")
		c.put("k", "v")
		l.told(nodes, "joined b follower", "joined c follower")
		l.told(state, "added b k >v", "added c k >v")
		l.ok(b.Stop(t.Context()))
		l.told(nodes, "left b follower")
		l.told(state, "deleted b k v>")
		c.cut()
		l.pass(2 * tenure.DefaultTTL)
		l.told(nodes, "expired c follower")
		l.told(state, "deleted c k v>")
	})
}

// 3.12: there all that was put is gone after an outage, and nobody is told.
func TestAnOwnerIsToldWhenItsNodeIsNotSeenAndWhenItIsAgain(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		var told []string
		a := l.start("a", cluster.Options{NeverLead: true, Trace: &cluster.Trace{
			Lost:     func(err error) { told = append(told, fmt.Sprint("lost ", errors.Is(err, tenure.ErrSessionExpired))) },
			Rejoined: func(keys int) { told = append(told, fmt.Sprint("rejoined ", keys)) },
		}})
		a.put("k", "v")
		a.put("deleted meanwhile", "v")
		heal := a.cut()
		l.pass(2 * tenure.DefaultTTL)
		if err := a.Healthy(); !errors.Is(err, tenure.ErrSessionExpired) {
			t.Errorf("healthy while it is not seen: %v", err)
		}
		if _, ok, err := l.view().Node(t.Context(), "a"); ok || err != nil {
			t.Errorf("it is seen: %v, %v", ok, err)
		}
		for key, do := range map[string]func(context.Context, string) error{
			"put meanwhile":     func(ctx context.Context, key string) error { return a.Put(ctx, key, []byte("w")) },
			"deleted meanwhile": a.Delete,
		} {
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := do(short, key); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", key, err)
			}
			cancel()
		}
		heal()
		l.pass(tenure.DefaultTTL)
		if want := []string{"lost true", "rejoined 2"}; !slices.Equal(told, want) || a.Healthy() != nil {
			t.Errorf("told %q, want %q; healthy: %v", told, want, a.Healthy())
		}
		all, err := l.view().GetAllPrefix(t.Context(), "")
		if values := all["a"]; err != nil || len(values) != 2 || values[0].Key != "k" || values[1].Key != "put meanwhile" {
			t.Errorf("published is %+v, %v", all, err)
		}
	})
}

// 3.13: there a name with a slash reaches into others' keys, and an empty one into all.
func TestNamesStayApartAndThoseThatCannotBeAreRefused(t *testing.T) {
	inLab(t, memstore.Options{}, func(t *testing.T, l *lab) {
		ctx := t.Context()
		for what, bad := range map[string]string{
			"empty": "", "NUL": "a\x00b", "not UTF-8": "\xff", "long": strings.Repeat("x", cluster.MaxKey+1),
		} {
			view := cluster.NewView(l.st, bad)
			_, noCluster := cluster.New(l.st, bad, "n", cluster.Options{})
			_, noID := cluster.New(l.st, "c", bad, cluster.Options{})
			_, noStandalone := cluster.NewStandalone(bad, cluster.Options{})
			_, noNodes := view.Nodes(ctx)
			_, _, noNode := l.view().Node(ctx, bad)
			_, noKey := l.view().GetAll(ctx, bad)
			for i, err := range []error{noCluster, noID, noStandalone, noNodes, noNode, noKey, view.Put(ctx, "n", "k", nil)} {
				if !errors.Is(err, tenure.ErrInvalid) {
					t.Errorf("%s, %d: %v", what, i, err)
				}
			}
		}

		// Names made of what keys are made of.
		names := []string{"/", "//", "a/nodes/b", "%2F", "a", "a/", "..", "nodes", "state"}
		for i, name := range names {
			n, err := cluster.New(l.st, name, names[len(names)-1-i], cluster.Options{})
			l.ok(err)
			l.ok(n.Start(ctx))
			defer func() { l.ok(n.Close()) }()
			for _, key := range names {
				l.ok(n.Put(ctx, key, []byte(name+" and "+key)))
			}
		}
		synctest.Wait()
		for i, name := range names {
			id, view := names[len(names)-1-i], cluster.NewView(l.st, name)
			nodes, err := view.Nodes(ctx)
			if err != nil || len(nodes) != 1 || nodes[0].ID != id {
				t.Errorf("cluster %q: nodes %+v, %v", name, nodes, err)
			}
			if leader, _, err := view.ReadLeader(ctx); err != nil || leader != id {
				t.Errorf("cluster %q: leader %q, %v", name, leader, err)
			}
			for _, key := range names {
				all, err := view.GetAll(ctx, key)
				if values := all[id]; err != nil || len(all) != 1 || len(values) != 1 || string(values[0].Data) != name+" and "+key {
					t.Errorf("cluster %q, key %q: %+v, %v", name, key, all, err)
				}
			}
		}
	})
}

package etcdstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
)

// What gigo-lib tries of its cluster, over a real etcd: one long run of three nodes and a
// fourth; and what it had to leave out, a leader that stalls. Nothing is assumed of how
// long things take: what comes is waited for, and what a busy machine may add (a term
// more, a node not seen for a while) is let by.

const nodesTick = 200 * time.Millisecond

// countingNode is a node that counts what its routines do.
type countingNode struct {
	*cluster.Clustered
	leading, following atomic.Int64
	term               atomic.Pointer[tenure.Term] // of the last call of the leader's
}

// nodeTrial is one cluster of them.
type nodeTrial struct {
	t      *testing.T
	conf   Config
	nodes  []*countingNode // all, before any of them runs
	atWork atomic.Int32    // leaders' routines that run
}

func newNodeTrial(t *testing.T, c *etcdtest.Cluster) *nodeTrial {
	return &nodeTrial{t: t, conf: configOf(t, c, etcdtest.Options{})}
}

// node returns a node that does not run, with connections of its own. The end of the test closes it.
func (tr *nodeTrial) node(number int64, endpoint string, opts cluster.Options) *countingNode {
	tr.t.Helper()
	conf := tr.conf
	conf.Endpoints = []string{endpoint}
	k := &countingNode{}
	opts.TTL, opts.Tick, opts.Endpoint = electionTTL, nodesTick, fmt.Sprint("127.0.0.1:", 8000+number)
	opts.Leader = func(_ context.Context, t tenure.Term) error {
		defer tr.atWork.Add(-1)
		if tr.atWork.Add(1) > 1 {
			tr.t.Error("two leaders' routines at a time")
		}
		for _, other := range tr.nodes {
			if old := other.term.Load(); other != k && old != nil && (*old).Held() && t.Held() {
				tr.t.Errorf("%s works with token %d, and %s still holds %d", k.ID(), t.Token(), other.ID(), (*old).Token())
			}
		}
		k.term.Store(&t)
		k.leading.Add(1)
		return nil
	}
	opts.Follower = func(context.Context) error {
		k.following.Add(1)
		return nil
	}
	var err error
	if k.Clustered, err = cluster.New(opened(tr.t, conf), "nodes", strconv.FormatInt(number, 10), opts); err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(func() {
		if err := k.Close(); err != nil {
			tr.t.Error(err)
		}
	})
	tr.nodes = append(tr.nodes, k)
	return k
}

func (tr *nodeTrial) start(nodes ...*countingNode) {
	tr.t.Helper()
	for _, k := range nodes {
		tr.ok(k.Start(tr.t.Context()))
	}
}

func (tr *nodeTrial) ok(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

// leader waits until one of the nodes leads, all that run agree on it, and all others
// follow.
func (tr *nodeTrial) leader(of ...*countingNode) *countingNode {
	tr.t.Helper()
	var found *countingNode
	eventually(tr.t, "one leads, the others follow, and all know who it is", func() bool {
		var leaders []*countingNode
		following := 0
		for _, k := range of {
			switch k.Self().Role {
			case cluster.Leader:
				leaders = append(leaders, k)
			case cluster.Follower:
				following++
			}
		}
		if len(leaders) != 1 || following != len(of)-1 {
			return false
		}
		found = leaders[0]
		for _, k := range of {
			seen, _ := k.Leader()
			read, _, err := k.ReadLeader(tr.t.Context())
			if err != nil || seen != found.ID() || read != found.ID() {
				return false
			}
		}
		return true
	})
	return found
}

// listed waits until each of the nodes lists these, and one of them as the leader.
func (tr *nodeTrial) listed(by ...*countingNode) {
	tr.t.Helper()
	var want []string
	for _, k := range by {
		want = append(want, k.ID()+" at "+k.Self().Endpoint)
	}
	slices.Sort(want)
	for _, k := range by {
		eventually(tr.t, fmt.Sprintf("%s lists %q", k.ID(), want), func() bool {
			nodes, err := k.Nodes(tr.t.Context())
			var got []string
			leaders := 0
			for _, n := range nodes {
				got = append(got, n.ID+" at "+n.Endpoint)
				if n.Role == cluster.Leader {
					leaders++
				}
				one, ok, err := k.Node(tr.t.Context(), n.ID)
				if err != nil || !ok || one.Incarnation != n.Incarnation || one.Started.IsZero() || one.Tick != nodesTick {
					return false
				}
			}
			return err == nil && leaders == 1 && slices.Equal(got, want)
		})
	}
}

// tell writes what a watch of a node tells into a channel, until the test is over.
func (tr *nodeTrial) tell(k *countingNode, key string) <-chan cluster.Event {
	events := make(chan cluster.Event, 1000)
	ctx, cancel := context.WithCancel(tr.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ev, err := range k.Watch(ctx, key) {
			if err == nil {
				events <- ev
			}
		}
	}()
	tr.t.Cleanup(func() {
		cancel()
		<-done
	})
	return events
}

// next returns the first event that is wanted.
func (tr *nodeTrial) next(from <-chan cluster.Event, wanted func(cluster.Event) bool) cluster.Event {
	tr.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case ev := <-from:
			if wanted(ev) {
				return ev
			}
		case <-timeout:
			tr.t.Fatal("no such event in time")
		}
	}
}

func TestAClusterOfThreeAndAFourth(t *testing.T) {
	t.Parallel()
	c := plain.cluster(t)
	tr := newNodeTrial(t, c)
	ctx := t.Context()
	// The record and the state outlast what a busy machine does to a session of 2 s.
	opts := cluster.Options{NodeTTL: patience}
	one, two, three, four := tr.node(1, c.Endpoints()[0], opts), tr.node(2, c.Endpoints()[0], opts), tr.node(3, c.Endpoints()[0], opts), tr.node(4, c.Endpoints()[0], opts)
	first := []*countingNode{one, two, three}
	tr.start(first...)

	// Roles and routines: the leader leads, the others follow, each on its ticks.
	leader := tr.leader(first...)
	eventually(t, "five calls of each routine", func() bool {
		leader = tr.leader(first...)
		return !slices.ContainsFunc(first, func(k *countingNode) bool {
			if k == leader {
				return k.leading.Load() < 5
			}
			return k.following.Load() < 5
		})
	})
	tr.listed(first...)

	// State.
	changes := tr.tell(two, "load")
	of := func(kind cluster.EventKind) func(cluster.Event) bool {
		return func(ev cluster.Event) bool { return ev.Kind == kind }
	}
	tr.next(changes, of(cluster.Ready))
	expect := func(n *countingNode, key, want string, there bool) {
		t.Helper()
		for _, k := range first {
			value, ok, err := k.GetFrom(ctx, n.ID(), key)
			if err != nil || ok != there || string(value) != want {
				t.Errorf("%s gets %q of %s: %q, %v, %v; want %q, %v", k.ID(), key, n.ID(), value, ok, err, want, there)
			}
		}
		value, ok, err := n.Get(ctx, key)
		if err != nil || ok != there || string(value) != want {
			t.Errorf("%s gets its own %q: %q, %v, %v", n.ID(), key, value, ok, err)
		}
	}
	tells := func(kind cluster.EventKind, value, old string) {
		t.Helper()
		ev := tr.next(changes, func(cluster.Event) bool { return true })
		if ev.Kind != kind || ev.Node != "1" || ev.Key != "load" || string(ev.Value) != value || string(ev.Old) != old || ev.Revision == 0 {
			t.Errorf("told %+v, want %v of 1, %q, was %q", ev, kind, value, old)
		}
	}
	expect(one, "load", "", false)
	tr.ok(one.Put(ctx, "load", []byte("0.3")))
	expect(one, "load", "0.3", true)
	tells(cluster.Added, "0.3", "")
	tr.ok(one.Put(ctx, "load/of all", []byte("another key")))
	tr.ok(one.Put(ctx, "load", []byte("0.4")))
	expect(one, "load", "0.4", true)
	tells(cluster.Modified, "0.4", "0.3")
	all, err := three.GetAll(ctx, "load")
	if v := all["1"]; err != nil || len(all) != 3 || len(v) != 1 || len(all["2"])+len(all["3"]) != 0 ||
		v[0].Node != "1" || v[0].Key != "load" || string(v[0].Data) != "0.4" || v[0].Revision == 0 {
		t.Errorf("of all: %+v, %v", all, err)
	}
	all, err = three.GetAllPrefix(ctx, "load")
	if err != nil || len(all["1"]) != 2 {
		t.Errorf("of all, with a prefix: %+v, %v", all, err)
	}
	tr.ok(one.Delete(ctx, "load"))
	expect(one, "load", "", false)
	tells(cluster.Deleted, "", "0.4")

	// The leader stops, and another leads.
	leader = tr.leader(first...)
	tr.ok(leader.Put(ctx, "last", []byte("word")))
	tr.ok(leader.Stop(ctx))
	calls := leader.leading.Load() + leader.following.Load()
	left := slices.DeleteFunc(slices.Clone(first), func(k *countingNode) bool { return k == leader })
	if second := tr.leader(left...); second == leader {
		t.Errorf("%s leads", second.ID())
	}
	tr.listed(left...)
	if _, _, err := left[0].GetFrom(ctx, leader.ID(), "last"); err == nil {
		t.Error("what it had published is still there")
	}

	// A fourth comes, and follows.
	tr.ok(four.Start(ctx))
	left = append(left, four)
	if tr.leader(left...) == four {
		t.Log("the fourth leads: the machine is so busy that the others have lost a session")
	}
	tr.listed(left...)
	eventually(t, "the fourth works", func() bool { return four.following.Load()+four.leading.Load() > 0 })

	// The one that stopped comes back.
	if n := leader.leading.Load() + leader.following.Load(); n != calls {
		t.Errorf("%d calls of routines after Stop", n-calls)
	}
	tr.ok(leader.Start(ctx))
	tr.listed(append(left, leader)...)
	tr.leader(append(left, leader)...)
}

// The leader is cut off from etcd until another leads and nobody sees it any more, and then
// is not; then both of its sessions are revoked behind its back. Each time its term is over
// and somebody leads, and all that it had published is there again, although it has done
// nothing for that.
func TestAClusterWhoseLeaderStalls(t *testing.T) {
	t.Parallel()
	c := plain.cluster(t)
	tr := newNodeTrial(t, c)
	var nodes []*countingNode
	cables := map[*countingNode]*etcdtest.Proxy{}
	rejoined := make(chan int, 100)
	for number := range int64(3) {
		cable, err := etcdtest.NewProxy(c.Endpoints()[0])
		tr.ok(err)
		t.Cleanup(func() {
			if err := cable.Close(); err != nil {
				t.Error(err)
			}
		})
		k := tr.node(number+1, cable.Endpoint, cluster.Options{NodeTTL: electionTTL, Trace: &cluster.Trace{Rejoined: func(keys int) { rejoined <- keys }}})
		t.Cleanup(cable.Heal) // before it is closed
		cables[k] = cable
		nodes = append(nodes, k)
	}
	tr.start(nodes...)
	for _, k := range nodes {
		tr.ok(k.Put(t.Context(), "of", []byte(k.ID())))
	}
	published := func(of *countingNode) func() bool {
		return func() bool {
			all, err := of.GetAll(t.Context(), "of")
			return err == nil && len(all) == len(nodes) && !slices.ContainsFunc(nodes, func(k *countingNode) bool {
				values := all[k.ID()]
				return len(values) != 1 || string(values[0].Data) != k.ID()
			})
		}
	}
	eventually(t, "all see all", published(nodes[0]))

	for _, stall := range []struct {
		what    string
		harm    func(leader *countingNode) (heal func())
		another bool // must lead: the leader cannot
	}{
		{"cut off", func(leader *countingNode) func() {
			cables[leader].Cut()
			return cables[leader].Heal
		}, true},
		{"revoked", func(leader *countingNode) func() {
			st := opened(t, tr.conf)
			l, err := st.List(t.Context(), store.Keys("leaders/nodes", "clusters/nodes/members/"+leader.ID()))
			tr.ok(err)
			for _, e := range l.Entries {
				_ = st.Revoke(t.Context(), e.Lease) // it may have ended by itself, meanwhile
			}
			return func() {}
		}, false},
	} {
		leader := tr.leader(nodes...)
		others := slices.DeleteFunc(slices.Clone(nodes), func(k *countingNode) bool { return k == leader })
		changes := tr.tell(others[0], "of")
		tr.next(changes, func(ev cluster.Event) bool { return ev.Kind == cluster.Ready })
		its := func(kind cluster.EventKind) func(cluster.Event) bool {
			return func(ev cluster.Event) bool { return ev.Kind == kind && ev.Node == leader.ID() }
		}
		eventually(t, "the leader works", func() bool { return leader.term.Load() != nil })
		old := *leader.term.Load()
		heal := stall.harm(leader)
		tr.next(changes, its(cluster.Deleted))
		if stall.another {
			next := tr.leader(others...)
			t.Logf("%s: %s led, and now %s does", stall.what, leader.ID(), next.ID())
		}
		eventually(t, "its term is over", func() bool { return !old.Held() })
		heal()
		ev := tr.next(changes, its(cluster.Added))
		if string(ev.Value) != leader.ID() || ev.Key != "of" {
			t.Errorf("%s: told %+v", stall.what, ev)
		}
		for keys := range rejoined {
			if keys == 1 {
				break
			}
			t.Errorf("%s: %d keys are there again", stall.what, keys)
		}
		tr.leader(nodes...)
		tr.listed(nodes...)
		eventually(t, stall.what+": all see all", published(leader))
	}
}

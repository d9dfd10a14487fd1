package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// manyChecks hold for nodes over a store.
var manyChecks = []check{
	{"many/join-and-leave", "Who joins, leaves and expires is told, each apart from the others.", joinAndLeave},
	{"many/roles", "One node leads and the others follow; when it stops, another leads.", roles},
	{"many/routines-apart", "No leader's routine runs while another's may; on a node no two run at a time.", routinesApart},
	{"many/never-lead", "A node that is not to lead never does.", neverLead},
	{"many/state", "A key of another node is read by its id; every live node is in the answer for a key or a prefix.", stateOfMany},
	{"many/watch", "A watch tells the changes of all nodes, and what went with a node.", watchMany},
	{"many/leadership-lost", "Losing the leadership loses no state, and no node.", leadershipLost},
	{"many/session-lost", "A node whose session was lost is seen again with all its state, and is told so.", sessionLost},
	{"many/session-lost-together", "The loss of both sessions of a leader is another's election, and no state is lost for good.", bothLost},
	{"many/record-deleted", "A record that somebody deletes comes back.", recordDeleted},
	{"many/written-by-others", "What is put in a node's name is its own: it changes it, and publishes it again after a loss.", writtenByOthers},
	{"many/duplicate", "An id that is alive is refused to another.", duplicate},
	{"many/ticks", "Ticks that differ are told to both, and nobody ends.", ticks},
	{"many/apart", "Clusters over one store know nothing of each other, whatever their names.", apart},
	{"many/follower-hangs", "A node whose follower's routine does not return hands the leadership on.", followerHangs},
	{"many/view", "A view from outside reads what nodes do.", viewFromOutside},
}

// view looks at the cluster from outside.
func (e *env) view() *cluster.View { return cluster.NewView(e.st, clusterName) }

func (e *env) watchAll(n interface {
	WatchPrefix(context.Context, string) iter.Seq2[cluster.Event, error]
}) *stream[cluster.Event] {
	return watch(e, func(ctx context.Context) iter.Seq2[cluster.Event, error] { return n.WatchPrefix(ctx, "") })
}

// until returns the first event that f wants.
func (s *stream[T]) until(what string, f func(T) bool) T {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if v := s.take(); f(v) {
			return v
		}
	}
	s.e.fail("after %v: not told: %s", patience, what)
	panic("not reached")
}

// entry returns a key of the cluster as it is in the store.
func (e *env) entry(key string) *store.Entry {
	k := "clusters/" + protocol.Escape(clusterName) + "/" + key
	l, err := e.st.List(e.ctx, store.Keys(k))
	e.ok(err)
	return l.Entry(k)
}

// revoke ends a session of a node behind its back.
func (e *env) revoke(id string, leader bool) {
	if leader {
		l, err := e.st.List(e.ctx, store.Keys(protocol.SeatKey(clusterName)))
		e.ok(err)
		e.check(len(l.Entries) == 1, "nobody leads")
		e.ok(e.st.Revoke(e.ctx, l.Entries[0].Lease))
		return
	}
	record := e.entry("nodes/" + protocol.Escape(id))
	e.check(record != nil, "%s has no record", id)
	e.ok(e.st.Revoke(e.ctx, record.Lease))
}

// waits waits until a node is in line.
func (e *env) waits(n cluster.Node) {
	e.await(n.ID()+" is in line", func() (bool, error) {
		all, err := tenure.NewView(e.st, clusterName).Candidates(e.ctx)
		return slices.ContainsFunc(all, func(c tenure.Candidate) bool {
			return c.Member == clusterName+"/"+n.ID() && c.State == "waiting"
		}), err
	})
}

func joinAndLeave(e *env) {
	a := e.start("a", cluster.Options{})
	e.leads(a)
	s := watch(e, e.view().WatchNodes)
	e.expectNodes(s, "present a", "ready ")
	b := e.start("b", cluster.Options{Endpoint: "b:1", NeverLead: true})
	ev := s.take()
	e.check(ev.Kind == cluster.NodeJoined && ev.Node.ID == "b" && ev.Node.Endpoint == "b:1" && ev.Node.Role == cluster.Follower, "got %+v", ev)
	e.ok(b.Stop(e.ctx))
	ev = s.take()
	e.check(ev.Kind == cluster.NodeLeft && ev.Node.Endpoint == "b:1", "got %+v", ev)
	e.ok(b.Start(e.ctx))
	e.expectNodes(s, "joined b")
	e.revoke("b", false)
	e.expectNodes(s, "expired b", "joined b")
	nodes, err := a.Nodes(e.ctx)
	e.ok(err)
	e.check(len(nodes) == 2 && nodes[0].ID == "a" && nodes[1].ID == "b", "got %+v", nodes)
}

func roles(e *env) {
	nodes := map[string]cluster.Node{}
	var cause atomic.Value
	for _, id := range []string{"a", "b", "c"} {
		nodes[id] = e.start(id, cluster.Options{Follower: func(ctx context.Context) error {
			<-ctx.Done()
			if err := context.Cause(ctx); !errors.Is(err, cluster.ErrStopped) {
				cause.Store(err)
			}
			return nil
		}})
	}
	s := watch(e, e.view().WatchNodes)
	var former string
	for len(nodes) > 0 {
		var leader string
		e.await("one leads, and the others follow", func() (bool, error) {
			count := map[cluster.Role]int{}
			for id, n := range nodes {
				role := n.Self().Role
				if count[role]++; role == cluster.Leader {
					leader = id
				}
			}
			return count[cluster.Leader] == 1 && count[cluster.Follower] == len(nodes)-1, nil
		})
		for _, n := range nodes {
			id, ok, err := n.ReadLeader(e.ctx)
			e.ok(err)
			e.check(ok && id == leader, "%s reads that %q leads, %v; it is %s", n.ID(), id, ok, leader)
			e.await("all know who leads", func() (bool, error) {
				id, ok := n.Leader()
				return ok && id == leader, nil
			})
		}
		e.check(leader != former, "%s leads again", leader)
		s.until(leader+" is told to lead", func(ev cluster.NodeEvent) bool { return ev.Node.ID == leader && ev.Node.Role == cluster.Leader })
		e.await("a follower's context ended because it was elected", func() (bool, error) {
			err, _ := cause.Load().(error)
			return former == "" || errors.Is(err, cluster.ErrElected), nil
		})
		e.ok(nodes[leader].Close())
		delete(nodes, leader)
		former = leader
	}
}

func routinesApart(e *env) {
	var leading atomic.Int32
	var wrong atomic.Value
	var calls atomic.Int32
	var nodes []cluster.Node
	for i := range 3 {
		var here atomic.Int32
		enter := func(most int32, n *atomic.Int32) {
			if now := n.Add(1); now > most {
				wrong.Store(fmt.Errorf("%d routines at a time", now))
			}
		}
		nodes = append(nodes, e.start(fmt.Sprint(i), cluster.Options{
			Tick: time.Millisecond,
			Leader: func(ctx context.Context, t tenure.Term) error {
				enter(1, &here)
				enter(1, &leading)
				calls.Add(1)
				<-ctx.Done() // as late as it may be
				leading.Add(-1)
				here.Add(-1)
				return nil
			},
			Follower: func(ctx context.Context) error {
				enter(1, &here)
				here.Add(-1)
				return nil
			},
		}))
	}
	for round := int32(1); round <= 10; round++ {
		e.await("the routine of the next leader", func() (bool, error) { return calls.Load() >= round, nil })
		i := slices.IndexFunc(nodes, func(n cluster.Node) bool { return n.Self().Role == cluster.Leader })
		if i < 0 {
			continue // it has just lost the leadership
		}
		e.ok(nodes[i].Stop(e.ctx))
		e.ok(nodes[i].Start(e.ctx))
	}
	if err, _ := wrong.Load().(error); err != nil {
		e.ok(err)
	}
}

func neverLead(e *env) {
	n := e.start("n", cluster.Options{NeverLead: true})
	led := e.start("a", cluster.Options{})
	e.leads(led)
	e.await("it follows", func() (bool, error) { return n.Self().Role == cluster.Follower, nil })
	e.ok(led.Stop(e.ctx))
	_, ok, err := n.ReadLeader(e.ctx)
	e.ok(err)
	e.check(!ok && n.Self().Role == cluster.Follower, "it leads")
}

func stateOfMany(e *env) {
	a, b, c := e.start("a", cluster.Options{}), e.start("b/1", cluster.Options{}), e.start("c", cluster.Options{})
	e.ok(a.Put(e.ctx, "k", []byte("of a")))
	e.ok(b.Put(e.ctx, "k", nil))
	e.ok(b.Put(e.ctx, "k2", []byte("2")))
	value, ok, err := c.GetFrom(e.ctx, "a", "k")
	e.ok(err)
	e.check(ok && string(value) == "of a", "got %q, %v", value, ok)
	_, ok, err = c.GetFrom(e.ctx, "c", "k")
	e.ok(err)
	e.check(!ok, "c has it")
	all, err := c.GetAll(e.ctx, "k")
	e.ok(err)
	_, listed := all["c"]
	e.check(len(all) == 3 && string(all["a"][0].Data) == "of a" && len(all["b/1"]) == 1 && len(all["b/1"][0].Data) == 0 && listed && len(all["c"]) == 0, "got %+v", all)
	all, err = c.GetAllPrefix(e.ctx, "k")
	e.ok(err)
	e.check(len(all) == 3 && len(all["a"]) == 1 && len(all["b/1"]) == 2 && all["b/1"][1].Key == "k2", "got %+v", all)
	e.ok(b.Stop(e.ctx))
	all, err = c.GetAll(e.ctx, "k")
	e.ok(err)
	_, listed = all["b/1"]
	e.check(len(all) == 2 && !listed, "got %+v", all)
	_, _, err = c.GetFrom(e.ctx, "b/1", "k")
	e.check(errors.Is(err, cluster.ErrNoNode), "from a node that left: %v", err)
}

func watchMany(e *env) {
	a, b := e.start("a", cluster.Options{}), e.start("b", cluster.Options{})
	e.ok(a.Put(e.ctx, "k", []byte("1")))
	s := e.watchAll(b)
	e.expect(s, `present a k: "1"`, "ready")
	e.ok(b.Put(e.ctx, "k", []byte("2")))
	e.ok(a.Put(e.ctx, "k", []byte("3")))
	e.ok(b.Delete(e.ctx, "k"))
	e.ok(a.Put(e.ctx, "l", nil))
	e.expect(s, `added b k: "2"`, `modified a k: "1" to "3"`, `deleted b k: "2"`, `added a l: ""`)
	e.ok(a.Stop(e.ctx))
	gone := []string{told(s.take()), told(s.take())}
	slices.Sort(gone)
	e.check(slices.Equal(gone, []string{`deleted a k: "3"`, `deleted a l: ""`}), "got %q", gone)
}

func leadershipLost(e *env) {
	a := e.start("a", cluster.Options{})
	e.leads(a)
	b := e.start("b", cluster.Options{})
	e.waits(b)
	e.ok(a.Put(e.ctx, "k", []byte("v")))
	s, nodes := e.watchAll(b), watch(e, b.WatchNodes)
	e.expect(s, `present a k: "v"`, "ready")
	e.expectNodes(nodes, "present a", "present b", "ready ")
	e.revoke("a", true)
	e.leads(b)
	nodes.until("b leads", func(ev cluster.NodeEvent) bool {
		e.check(ev.Kind == cluster.NodeChanged, "got %+v", ev)
		return ev.Node.ID == "b" && ev.Node.Role == cluster.Leader
	})
	e.await("a follows", func() (bool, error) { return a.Self().Role == cluster.Follower, nil })
	e.ok(a.Healthy())
	e.ok(a.Put(e.ctx, "k", []byte("w")))
	e.expect(s, `modified a k: "v" to "w"`) // and nothing before
}

func sessionLost(e *env) {
	lost, back := make(chan error, 10), make(chan int, 10)
	a := e.start("a", cluster.Options{Trace: &cluster.Trace{
		Lost:     func(err error) { lost <- err },
		Rejoined: func(keys int) { back <- keys },
	}})
	e.leads(a)
	const keys = 250 // more than one commit takes
	for i := range keys {
		e.ok(a.Put(e.ctx, fmt.Sprint(i), fmt.Append(nil, i)))
	}
	e.ok(a.Delete(e.ctx, "7"))
	s := e.watchAll(e.view())
	for range keys - 1 {
		e.check(s.take().Kind == cluster.Present, "not present")
	}
	e.expect(s, "ready")
	e.revoke("a", false)
	e.check(errors.Is(receive(e, lost), tenure.ErrSessionExpired), "another cause")
	e.check(receive(e, back) == keys-1, "another number of keys")
	for _, kind := range []cluster.EventKind{cluster.Deleted, cluster.Added} {
		seen := map[string]bool{}
		for range keys - 1 {
			ev := s.take()
			e.check(ev.Kind == kind && ev.Key != "7" && !seen[ev.Key], "got %s, want %v", told(ev), kind)
			seen[ev.Key] = true
		}
	}
	e.check(a.Self().Role == cluster.Leader, "losing the state's session has lost the leadership")
	e.ok(a.Healthy())
	all, err := a.GetAllPrefix(e.ctx, "")
	e.ok(err)
	e.check(len(all["a"]) == keys-1, "%d keys", len(all["a"]))
	for _, v := range all["a"] {
		e.check(v.Key == string(v.Data), "got %+v", v)
	}
}

func bothLost(e *env) {
	a := e.start("a", cluster.Options{})
	e.leads(a)
	b := e.start("b", cluster.Options{})
	e.waits(b)
	e.ok(a.Put(e.ctx, "k", []byte("v")))
	s := e.watchAll(b)
	e.expect(s, `present a k: "v"`, "ready")
	e.revoke("a", true)
	e.revoke("a", false)
	e.leads(b)
	e.expect(s, `deleted a k: "v"`, `added a k: "v"`)
}

func recordDeleted(e *env) {
	a := e.start("a", cluster.Options{})
	e.leads(a)
	e.ok(a.Put(e.ctx, "k", []byte("v")))
	s := watch(e, e.view().WatchNodes)
	e.expectNodes(s, "present a", "ready ")
	key := e.entry("nodes/a").Key
	_, err := e.st.Commit(e.ctx, store.Tx{Then: []store.Op{store.Delete(key)}})
	e.ok(err)
	e.expectNodes(s, "expired a", "joined a")
	e.ok(a.Put(e.ctx, "k", []byte("w")))
	value, ok, err := a.Get(e.ctx, "k")
	e.ok(err)
	e.check(ok && string(value) == "w", "got %q, %v", value, ok)
}

func writtenByOthers(e *env) {
	back := make(chan int, 10)
	a := e.start("a", cluster.Options{Trace: &cluster.Trace{Rejoined: func(keys int) { back <- keys }}})
	e.leads(a)
	v := e.view()
	e.ok(a.Put(e.ctx, "own", []byte("1")))
	e.ok(a.Put(e.ctx, "gone", []byte("1")))
	s := e.watchAll(v)
	e.expect(s, `present a gone: "1"`, `present a own: "1"`, "ready")
	e.ok(v.Put(e.ctx, "a", "given", []byte("x")))
	e.ok(v.Put(e.ctx, "a", "own", []byte("2")))
	e.ok(v.Delete(e.ctx, "a", "gone"))
	e.expect(s, `added a given: "x"`, `modified a own: "1" to "2"`, `deleted a gone: "1"`)
	e.ok(a.Put(e.ctx, "own", []byte("1"))) // which is news again, once the node has heard
	e.expect(s, `modified a own: "2" to "1"`)
	e.await("the node has taken note", func() (bool, error) {
		return !bytes.Contains(e.entry("nodes/a").Value, []byte("written")), nil
	})
	e.revoke("a", false)
	e.check(receive(e, back) == 2, "another number of keys")
	all, err := a.GetAllPrefix(e.ctx, "")
	e.ok(err)
	e.check(len(all["a"]) == 2 && string(all["a"][0].Data) == "x" && string(all["a"][1].Data) == "1", "got %+v", all)
	err = v.Put(e.ctx, "nobody", "k", nil)
	e.check(errors.Is(err, cluster.ErrNoNode), "put for nobody: %v", err)
	err = v.Put(e.ctx, "a", "k", make([]byte, cluster.MaxValue+1))
	e.check(errors.Is(err, store.ErrTooLarge), "too large: %v", err)
}

func duplicate(e *env) {
	a := e.start("a", cluster.Options{Endpoint: "host-of-a"})
	err := e.node("a", cluster.Options{}).Start(e.ctx)
	e.check(errors.Is(err, tenure.ErrDuplicateMember), "another of this id: %v", err)
	e.ok(a.Healthy())
	e.ok(a.Put(e.ctx, "k", nil))
}

func ticks(e *env) {
	told := make(chan string, 10)
	opts := func(me string, tick time.Duration) cluster.Options {
		return cluster.Options{Tick: tick, Trace: &cluster.Trace{TickDiffers: func(n cluster.Info) { told <- me + " of " + n.ID + n.Tick.String() }}}
	}
	a, b := e.start("a", opts("a", time.Second)), e.start("b", opts("b", time.Minute))
	e.start("c", opts("c", time.Second))
	got := []string{receive(e, told), receive(e, told), receive(e, told), receive(e, told)}
	slices.Sort(got)
	e.check(slices.Equal(got, []string{"a of b1m0s", "b of a1s", "b of c1s", "c of b1m0s"}), "told %q", got)
	e.ok(a.Healthy())
	e.ok(b.Healthy())
}

func apart(e *env) {
	e.ok(e.start("a", cluster.Options{}).Put(e.ctx, "k", nil))
	for _, name := range []string{clusterName + "/", clusterName + "%2F", "a cluster"} {
		n, err := cluster.New(e.st, name, "a", cluster.Options{TTL: e.h.TTL})
		e.ok(err)
		e.nodes = append(e.nodes, n)
		e.ok(n.Start(e.ctx))
		e.leads(n)
		all, err := n.GetAllPrefix(e.ctx, "")
		e.ok(err)
		e.check(len(all) == 1 && len(all["a"]) == 0, "cluster %q: %+v", name, all)
	}
}

func followerHangs(e *env) {
	a := e.start("a", cluster.Options{})
	e.leads(a)
	hang, began := make(chan struct{}), make(chan struct{})
	var once sync.Once
	e.start("b", cluster.Options{
		DrainTimeout: 20 * time.Millisecond,
		Leader:       func(context.Context, tenure.Term) error { return nil },
		Follower: func(context.Context) error {
			once.Do(func() { close(began) })
			<-hang
			return nil
		},
	})
	receive(e, began)
	e.ok(a.Stop(e.ctx))
	e.ok(a.Start(e.ctx))
	e.leads(a) // b had it, or not, and cannot work
	close(hang)
}

func viewFromOutside(e *env) {
	v := e.view()
	nodes, err := v.Nodes(e.ctx)
	e.ok(err)
	e.check(len(nodes) == 0, "got %+v", nodes)
	_, ok, err := v.ReadLeader(e.ctx)
	e.ok(err)
	e.check(!ok, "somebody leads")
	a := e.start("a", cluster.Options{})
	e.leads(a)
	e.ok(a.Put(e.ctx, "k", []byte("v")))
	info, ok, err := v.Node(e.ctx, "a")
	e.ok(err)
	e.check(ok && info.Role == cluster.Leader, "got %+v, %v", info, ok)
	value, ok, err := v.GetFrom(e.ctx, "a", "k")
	e.ok(err)
	e.check(ok && string(value) == "v", "got %q, %v", value, ok)
	leader, ok, err := tenure.NewView(e.st, clusterName).Read(e.ctx)
	e.ok(err)
	e.check(ok && leader.Member == clusterName+"/a", "in the election leads %q, %v", leader.Member, ok)
	_, err = cluster.NewView(e.st, "").Nodes(e.ctx)
	e.check(errors.Is(err, tenure.ErrInvalid), "no name: %v", err)
}

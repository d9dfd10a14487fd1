package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strconv"
	"strings"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// The Examples run over a store in memory. A real program opens one that all nodes see:
// etcdstore.Open, sqlitestore.Open or embedded.Start; nothing else is different.

// Three nodes publish how busy they are, and the one that leads gives a job to whoever is
// least so.
func Example() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()

	jobs := make(chan string, 1)
	for i, load := range []string{"0.9", "0.2", "0.5"} {
		var n *cluster.Clustered
		n, err := cluster.New(st, "billing", fmt.Sprint("node-", i+1), cluster.Options{
			Tick: 10 * time.Millisecond,
			Leader: func(ctx context.Context, _ tenure.Term) error {
				loads, err := n.GetAll(ctx, "load") // of every live node
				if err != nil {
					return err
				}
				idle, least, reports := "", "1", 0
				for id, values := range loads {
					for _, v := range values { // one, or none if the node has put nothing yet
						if reports++; string(v.Data) < least {
							idle, least = id, string(v.Data)
						}
					}
				}
				if reports == 3 {
					select {
					case jobs <- "a job for " + idle:
					default: // there is one already
					}
				}
				return nil
			},
		})
		if err != nil {
			log.Fatal(err)
		}
		if err := n.Start(ctx); err != nil {
			log.Fatal(err)
		}
		defer n.Close()
		if err := n.Put(ctx, "load", []byte(load)); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(<-jobs)
	// Output: a job for node-2
}

// A node leads, follows, or has not seen a leader yet.
func ExampleNew() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()

	n, err := cluster.New(st, "billing", "node-1", cluster.Options{Endpoint: "10.0.0.1:80", Version: "v1.2"})
	if err != nil {
		log.Fatal(err)
	}
	defer n.Close()
	fmt.Println(n.Healthy())
	if err := n.Start(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(n.Healthy())
	fmt.Println(elected(ctx, n), "leads")

	other, err := cluster.New(st, "billing", "node-2", cluster.Options{NeverLead: true, Version: "v1.3"})
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close()
	if err := other.Start(ctx); err != nil {
		log.Fatal(err)
	}
	nodes, err := n.Nodes(ctx)
	for _, info := range nodes {
		fmt.Println(info.ID, info.Version, info.Role)
	}
	fmt.Println(err)
	// Output:
	// cluster: node is not running
	// <nil>
	// node-1 leads
	// node-1 v1.2 leader
	// node-2 v1.3 follower
	// <nil>
}

// elected waits until somebody leads, and returns who it is.
func elected(ctx context.Context, n cluster.Node) string {
	for ev, err := range n.WatchNodes(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if ev.Node.Role == cluster.Leader {
			return ev.Node.ID
		}
	}
	return "" // not reached: a watch ends with an error
}

// start returns a node that runs.
func start(ctx context.Context, st store.Store, id string, opts cluster.Options) *cluster.Clustered {
	n, err := cluster.New(st, "billing", id, opts)
	if err != nil {
		log.Fatal(err)
	}
	if err := n.Start(ctx); err != nil {
		log.Fatal(err)
	}
	return n
}

// A second node of an id is refused for as long as the first one lives. After Stop the
// id is free at once.
func ExampleNew_duplicate() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	first := start(ctx, st, "node-1", cluster.Options{TTL: 3 * time.Second})
	defer first.Close()

	second, err := cluster.New(st, "billing", "node-1", cluster.Options{TTL: 3 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()
	err = second.Start(ctx) // waits a NodeTTL: it might be this program, killed and restarted
	fmt.Println(errors.Is(err, tenure.ErrDuplicateMember))

	if err := first.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(second.Start(ctx))
	// Output:
	// true
	// <nil>
}

// Alone, a node is leader and follower in turn, and the same program runs without a
// store.
func ExampleNewStandalone() {
	ctx := context.Background()
	calls := make(chan string)
	say := func(ctx context.Context, what string) error {
		select {
		case calls <- what:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	n, err := cluster.NewStandalone("node-1", cluster.Options{
		Tick:     time.Millisecond,
		Leader:   func(ctx context.Context, _ tenure.Term) error { return say(ctx, "leading") },
		Follower: func(ctx context.Context) error { return say(ctx, "following") },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer n.Close()
	if err := n.Start(ctx); err != nil {
		log.Fatal(err)
	}
	seen := map[string]bool{}
	for len(seen) < 2 {
		seen[<-calls] = true
	}
	fmt.Println("leading:", seen["leading"], "following:", seen["following"])

	if err := n.Put(ctx, "load", []byte("0.3")); err != nil {
		log.Fatal(err)
	}
	all, err := n.GetAll(ctx, "load")
	fmt.Printf("%s %v\n", all["node-1"][0].Data, err)
	// Output:
	// leading: true following: true
	// 0.3 <nil>
}

// Each node has both routines, and calls the one of its role on every tick. The leader's
// has a context that ends with the leadership, and a term whose token whatever it writes
// to can compare.
func ExampleOptions_routines() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()

	did := make(chan string)
	options := func(id string) cluster.Options {
		say := func(ctx context.Context, what string) error {
			select {
			case did <- id + " " + what:
			case <-ctx.Done(): // the role is lost
			}
			return ctx.Err()
		}
		return cluster.Options{
			Tick: 10 * time.Millisecond,
			Leader: func(ctx context.Context, t tenure.Term) error {
				return say(ctx, fmt.Sprint("leads: ", t.Held()))
			},
			Follower: func(ctx context.Context) error { return say(ctx, "follows") },
		}
	}
	await := func(what string) {
		for now := range did {
			if now == what {
				fmt.Println(what)
				return
			}
		}
	}
	a := start(ctx, st, "a", options("a"))
	defer a.Close()
	await("a leads: true")
	b := start(ctx, st, "b", options("b"))
	defer b.Close()
	await("b follows")
	await("a leads: true") // still

	if err := a.Stop(ctx); err != nil { // its routine returns, and then another may lead
		log.Fatal(err)
	}
	await("b leads: true")
	// Output:
	// a leads: true
	// b follows
	// a leads: true
	// b leads: true
}

// Ids that were numbers become text. They are sorted as text, so that padding keeps
// their order.
func ExampleNew_numberedNodes() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	for _, number := range []int64{2, 10} {
		n := start(ctx, st, strconv.FormatInt(number, 10), cluster.Options{})
		defer n.Close()
		padded := start(ctx, st, fmt.Sprintf("node-%03d", number), cluster.Options{})
		defer padded.Close()
	}
	nodes, err := cluster.NewView(st, "billing").Nodes(ctx)
	for _, info := range nodes {
		fmt.Println(info.ID)
	}
	fmt.Println(err)
	number, err := strconv.ParseInt(nodes[0].ID, 10, 64)
	fmt.Println(number, err)
	// Output:
	// 10
	// 2
	// node-002
	// node-010
	// <nil>
	// 10 <nil>
}

// A node can be stopped and started again; after Close it cannot.
func ExampleNode_stop() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	n := start(ctx, st, "node-1", cluster.Options{})
	if err := n.Put(ctx, "load", []byte("0.3")); err != nil {
		log.Fatal(err)
	}

	fmt.Println(n.Stop(ctx), n.Healthy())
	fmt.Println(n.Stop(ctx)) // it is stopped already
	fmt.Println(n.Start(ctx), n.Healthy())
	_, ok, err := n.Get(ctx, "load")
	fmt.Println("what it had published:", ok, err)
	fmt.Println(n.Close(), n.Close())
	fmt.Println(n.Start(ctx))
	// Output:
	// <nil> cluster: node is not running
	// <nil>
	// <nil> <nil>
	// what it had published: false <nil>
	// <nil> <nil>
	// start: cluster "billing": cluster: node closed
}

// What is absent can be told from what is empty, a node that has no such key from one that
// is not there, and each from a read that failed.
func ExampleNode_put() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	n := start(ctx, st, "node-1", cluster.Options{})
	defer n.Close()
	other := start(ctx, st, "node-2", cluster.Options{})
	defer other.Close()

	show := func() {
		value, ok, err := other.GetFrom(ctx, "node-1", "load")
		fmt.Printf("%q %v %v\n", value, ok, err)
	}
	show()
	for _, value := range []string{"0.3", ""} {
		if err := n.Put(ctx, "load", []byte(value)); err != nil {
			log.Fatal(err)
		}
		show()
	}
	if err := n.Delete(ctx, "load"); err != nil {
		log.Fatal(err)
	}
	show()
	fmt.Println(n.Delete(ctx, "load")) // again

	_, ok, err := n.Get(ctx, "load")
	fmt.Println(ok, err)
	_, _, err = n.GetFrom(ctx, "node-3", "load")
	fmt.Println(err, errors.Is(err, cluster.ErrNoNode))
	// Output:
	// "" false <nil>
	// "0.3" true <nil>
	// "" true <nil>
	// "" false <nil>
	// <nil>
	// false <nil>
	// get: cluster "billing": cluster: no such node: "node-3" true
}

// What cannot be published is refused with the limit, and nothing has changed.
func ExampleNode_limits() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	n := start(ctx, st, "node-1", cluster.Options{})

	err := n.Put(ctx, "report", make([]byte, cluster.MaxValue+1))
	fmt.Println(err)
	fmt.Println(errors.Is(err, store.ErrTooLarge))
	fmt.Println(n.Put(ctx, "", nil))
	_ = n.Close()
	fmt.Println(errors.Is(n.Put(ctx, "report", nil), cluster.ErrClosed))
	// Output:
	// put: cluster "billing": store: too large: value of 524289 bytes under key "report"; the limit is 524288, so keep it elsewhere and publish where
	// true
	// put: cluster "billing": tenure: invalid: empty key; give it from 1 to 1024 bytes
	// true
}

// One read asks for a key, or for all that begin with a prefix, of all nodes. Every live
// node is in the answer.
func ExampleNode_getAll() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	a := start(ctx, st, "a", cluster.Options{})
	defer a.Close()
	b := start(ctx, st, "b", cluster.Options{})
	defer b.Close()
	for key, value := range map[string]string{"job/7": "running", "job/8": "queued", "job": "both"} {
		if err := a.Put(ctx, key, []byte(value)); err != nil {
			log.Fatal(err)
		}
	}

	all, err := b.GetAllPrefix(ctx, "job/")
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		fmt.Println(id, "has", len(all[id]))
		for _, v := range all[id] { // sorted by key
			fmt.Printf("  %s: %s\n", v.Key, v.Data)
		}
	}
	one, err := b.GetAll(ctx, "job") // this key alone: none lies under another
	fmt.Printf("%d nodes, %s, %v\n", len(one), one["a"][0].Data, err)
	// Output:
	// a has 2
	//   job/7: running
	//   job/8: queued
	// b has 0
	// 2 nodes, both, <nil>
}

// A watch tells the present state first, and then each change with what was before, of
// all nodes. What a node has published goes when it leaves.
func ExampleNode_watch() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	a := start(ctx, st, "a", cluster.Options{})
	defer a.Close()
	b := start(ctx, st, "b", cluster.Options{})
	defer b.Close()
	put := func(n cluster.Node, value string) {
		if err := n.Put(ctx, "load", []byte(value)); err != nil {
			log.Fatal(err)
		}
	}
	put(a, "0.3")

	events := 0
	for ev, err := range b.Watch(ctx, "load") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v: %s %s, %q, was %q\n", ev.Kind, ev.Node, ev.Key, ev.Value, ev.Old)
		switch events++; events {
		case 2: // ready: all that was present has been told
			put(b, "0.1")
			put(a, "0.4")
			put(a, "0.4") // no change
			_ = b.Delete(ctx, "load")
			_ = a.Stop(ctx)
		case 6:
			return
		}
	}
	// Output:
	// present: a load, "0.3", was ""
	// ready:  , "", was ""
	// added: b load, "0.1", was ""
	// modified: a load, "0.4", was "0.3"
	// deleted: b load, "", was "0.1"
	// deleted: a load, "", was "0.4"
}

// A watch ends with an error, which says why. Two of them see the same: neither takes
// from the other.
func ExampleNode_watchEnds() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	n := start(ctx, st, "node-1", cluster.Options{})
	defer n.Close()

	const watches, keys = 2, 3
	begun, saw, ends := make(chan bool), make(chan bool), make(chan error)
	for range watches {
		go func() {
			seen := 0
			for ev, err := range n.WatchPrefix(ctx, "") {
				switch {
				case err != nil:
					ends <- err
				case ev.Kind == cluster.Ready:
					begun <- true
				default:
					if seen++; seen == keys {
						saw <- true
					}
				}
			}
		}()
		<-begun
	}
	for _, key := range []string{"x", "y", "z"} {
		if err := n.Put(ctx, key, nil); err != nil {
			log.Fatal(err)
		}
	}
	for range watches {
		fmt.Println("saw all:", <-saw)
	}
	if err := n.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	for range watches {
		fmt.Println(<-ends)
	}
	// Output:
	// saw all: true
	// saw all: true
	// watch: cluster "billing": cluster: node is not running
	// watch: cluster "billing": cluster: node is not running
}

// Who joins, changes, leaves or dies is told, each apart from the others.
func ExampleNode_watchNodes() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	a := start(ctx, st, "a", cluster.Options{})
	defer a.Close()
	elected(ctx, a)
	b, err := cluster.New(st, "billing", "b", cluster.Options{NeverLead: true})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	for ev, err := range a.WatchNodes(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v: %s %s %v\n", ev.Kind, ev.Node.ID, ev.Node.Role, ev.Node.Tags)
		switch ev.Kind {
		case cluster.NodesReady:
			err = b.Start(ctx)
		case cluster.NodeJoined:
			err = b.SetTags(ctx, map[string]string{"zone": "west"})
		case cluster.NodeChanged:
			err = b.Stop(ctx)
		case cluster.NodeLeft: // NodeExpired, had it died
			return
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// present: a leader map[]
	// ready:   map[]
	// joined: b follower map[]
	// changed: b follower map[zone:west]
	// left: b follower map[zone:west]
}

// Who leads is known without asking, as of what the node has seen last; ReadLeader asks
// the store. That nobody leads is an answer, not an error.
func ExampleNode_leader() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	seen := make(chan bool)
	var b *cluster.Clustered
	b, err := cluster.New(st, "billing", "b", cluster.Options{
		NeverLead: true,
		Follower: func(ctx context.Context) error { // it follows: so it has seen a leader
			id, ok := b.Leader()
			fmt.Println("the leader:", id, ok)
			select {
			case seen <- ok:
			case <-ctx.Done():
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	if err := b.Start(ctx); err != nil {
		log.Fatal(err)
	}
	id, ok, err := b.ReadLeader(ctx)
	fmt.Printf("%q %v %v\n", id, ok, err)

	a := start(ctx, st, "a", cluster.Options{})
	defer a.Close()
	<-seen
	id, ok, err = b.ReadLeader(ctx)
	fmt.Printf("%q %v %v\n", id, ok, err)
	// Output:
	// "" false <nil>
	// the leader: a true
	// "a" true <nil>
}

// What a node says of itself can be read by all, from a node or from outside.
func ExampleNode_setTags() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	n := start(ctx, st, "node-1", cluster.Options{Endpoint: "10.0.0.1:80", Tags: map[string]string{"zone": "west"}})
	defer n.Close()

	show := func() {
		info, ok, err := cluster.NewView(st, "billing").Node(ctx, "node-1")
		fmt.Println(info.Endpoint, info.Tags, ok, err)
	}
	show()
	if err := n.SetTags(ctx, map[string]string{"zone": "west", "draining": "yes"}); err != nil {
		log.Fatal(err)
	}
	show()
	fmt.Println(n.Self().Tags["draining"], n.Self().Incarnation != "")
	_, ok, err := n.Node(ctx, "node-2")
	fmt.Println(ok, err)
	// Output:
	// 10.0.0.1:80 map[zone:west] true <nil>
	// 10.0.0.1:80 map[draining:yes zone:west] true <nil>
	// yes true
	// false <nil>
}

// An Info is a plain value; encoding/json writes and reads it.
func ExampleInfo() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	n := start(ctx, st, "node-1", cluster.Options{Endpoint: "10.0.0.1:80"})
	defer n.Close()
	elected(ctx, n)

	info, _, err := n.Node(ctx, "node-1")
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.Marshal(info)
	fmt.Println(strings.HasPrefix(string(text), `{"ID":"node-1","Endpoint":"10.0.0.1:80","Role":"leader",`), err)
	var same cluster.Info
	err = json.Unmarshal(text, &same)
	fmt.Println(same.Started.Equal(info.Started), same.Incarnation == info.Incarnation, err)
	// Output:
	// true <nil>
	// true true <nil>
}

// A View looks at a cluster from outside, without a node of its own.
func ExampleView() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	n := start(ctx, st, "node-1", cluster.Options{})
	defer n.Close()
	elected(ctx, n)
	if err := n.Put(ctx, "load", []byte("0.3")); err != nil {
		log.Fatal(err)
	}

	view := cluster.NewView(st, "billing")
	leader, _, err := view.ReadLeader(ctx)
	fmt.Println(leader, err)
	value, _, err := view.GetFrom(ctx, leader, "load")
	fmt.Println(string(value), err)
	nodes, err := cluster.NewView(st, "another").Nodes(ctx)
	fmt.Println(len(nodes), err)
	// Output:
	// node-1 <nil>
	// 0.3 <nil>
	// 0 <nil>
}

// An operator may put a key in the name of a node, for as long as that runs. The node
// takes it for its own.
func ExampleView_Put() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	n := start(ctx, st, "node-1", cluster.Options{})
	defer n.Close()

	view := cluster.NewView(st, "billing")
	if err := view.Put(ctx, "node-1", "log level", []byte("debug")); err != nil {
		log.Fatal(err)
	}
	value, ok, err := n.Get(ctx, "log level")
	fmt.Printf("%s %v %v\n", value, ok, err)
	err = view.Put(ctx, "node-2", "log level", []byte("debug"))
	fmt.Println(errors.Is(err, cluster.ErrNoNode))
	// Output:
	// debug true <nil>
	// true
}

// A node whose session was lost makes another and publishes everything again. Its owner
// is told of both.
func ExampleTrace() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	told := make(chan string, 10)
	n := start(ctx, st, "node-1", cluster.Options{
		TTL: 3 * time.Second,
		Trace: &cluster.Trace{
			Lost:     func(err error) { told <- fmt.Sprint("lost: ", errors.Is(err, tenure.ErrSessionExpired)) },
			Rejoined: func(keys int) { told <- fmt.Sprint("seen again, keys: ", keys) },
		},
	})
	defer n.Close()
	if err := n.Put(ctx, "load", []byte("0.3")); err != nil {
		log.Fatal(err)
	}

	revokeSession(ctx, st, "node-1")
	fmt.Println(<-told)
	fmt.Println(<-told)
	value, ok, err := n.Get(ctx, "load")
	fmt.Printf("%s %v %v\n", value, ok, err)
	// Output:
	// lost: true
	// seen again, keys: 1
	// 0.3 true <nil>
}

// revokeSession ends a node's session, as "etcdctl lease revoke" would.
func revokeSession(ctx context.Context, st store.Store, id string) {
	l, err := st.List(ctx, store.Keys("clusters/billing/members/"+id))
	if err != nil {
		log.Fatal(err)
	}
	if err := st.Revoke(ctx, l.Entries[0].Lease); err != nil {
		log.Fatal(err)
	}
}

// Ticks that differ are told, and keep no node out.
func ExampleTrace_ticksDiffer() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	told := make(chan cluster.Info)
	a := start(ctx, st, "a", cluster.Options{
		Tick:  time.Second,
		Trace: &cluster.Trace{TickDiffers: func(other cluster.Info) { told <- other }},
	})
	defer a.Close()
	b := start(ctx, st, "b", cluster.Options{Tick: time.Minute})
	defer b.Close()

	other := <-told
	fmt.Println(other.ID, "has a tick of", other.Tick)
	fmt.Println(a.Healthy(), b.Healthy())
	// Output:
	// b has a tick of 1m0s
	// <nil> <nil>
}

// An error or a panic of a routine is told, and the routine called again after a pause
// that grows. The node goes on.
func ExampleTrace_routineFails() {
	st := memstore.New()
	defer st.Close()
	told := make(chan cluster.RoutineInfo, 100)
	calls := 0
	n := start(context.Background(), st, "node-1", cluster.Options{
		Tick: time.Millisecond,
		Leader: func(context.Context, tenure.Term) error {
			switch calls++; calls {
			case 1:
				return errors.New("no queue")
			case 2:
				panic("no luck")
			}
			return nil
		},
		Trace: &cluster.Trace{Routine: func(r cluster.RoutineInfo) {
			select {
			case told <- r:
			default:
			}
		}},
	})
	defer n.Close()

	fmt.Println((<-told).Err)
	var p *tenure.PanicError
	fmt.Println(errors.As((<-told).Err, &p), p.Value)
	third := <-told
	fmt.Println(third.Role, third.Err, n.Healthy())
	// Output:
	// no queue
	// true no luck
	// leader <nil> <nil>
}

// Whatever the names of clusters, nodes and keys contain, they stay apart.
func ExampleNode_names() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	for _, name := range []string{"billing", "billing/nodes"} {
		n, err := cluster.New(st, name, "rack 1/node 2", cluster.Options{})
		if err != nil {
			log.Fatal(err)
		}
		defer n.Close()
		if err := n.Start(ctx); err != nil {
			log.Fatal(err)
		}
		for _, key := range []string{"tick", "tick/7", "100 %"} {
			if err := n.Put(ctx, key, []byte(name)); err != nil {
				log.Fatal(err)
			}
		}
		all, err := n.GetAllPrefix(ctx, "")
		for _, v := range all["rack 1/node 2"] {
			fmt.Printf("%s: %s\n", v.Key, v.Data)
		}
		fmt.Println(len(all), err)
	}
	_, err := cluster.New(st, "", "node-1", cluster.Options{})
	fmt.Println(errors.Is(err, tenure.ErrInvalid))
	// Output:
	// 100 %: billing
	// tick: billing
	// tick/7: billing
	// 1 <nil>
	// 100 %: billing/nodes
	// tick: billing/nodes
	// tick/7: billing/nodes
	// 1 <nil>
	// true
}

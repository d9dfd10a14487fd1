package cluster_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// The simulation runs nodes over a store that goes wrong in every way, in virtual time,
// as a seed has it. One who sees every commit keeps the truth. Its rules:
//
//	watch      each watch tells, from one Gap to the next, exactly the changes of values
//	           that there were, in their order, and across a Gap what they came to
//	order      what a node publishes under a key never goes back to an earlier Put, and,
//	           once a Put or Delete has returned nil, to none before that one
//	settled    when the faults have ended, the store has for each key of each node what its
//	           last Put or Delete said, whatever that has returned; every view of a watch
//	           is what the store has; one node leads, and all know who
//	apart      no two leaders' routines run at a time, nor two of a node
//	told       a node's joins and ends alternate

var (
	schedules = flag.Int("cluster.schedules", 100, "how many schedules")
	firstSeed = flag.Uint64("cluster.seed", 1, "of the first schedule")
)

func TestSchedules(t *testing.T) {
	t.Parallel()
	total := map[string]int{}
	for i := range uint64(*schedules) {
		seed := *firstSeed + i
		s := simulate(t, seed, nil)
		for what, n := range s.count {
			total[what] += n
		}
		for _, p := range s.problems {
			t.Errorf("seed %d: %s", seed, p)
		}
		if t.Failed() {
			t.Fatalf("replay it: go test ./cluster -run '^TestSchedules$' -cluster.schedules 1 -cluster.seed %d", seed)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(total)) {
		t.Logf("%8d  %s", total[what], what)
	}
	if *schedules >= 100 {
		for _, what := range []string{"gaps", "rejoins", "puts that failed", "lost replies", "late requests", "changes of the leader", "lost sessions"} {
			if total[what] == 0 {
				t.Errorf("no %s in %d schedules: the faults do not hit what they are for", what, *schedules)
			}
		}
	}
}

// Each control breaks something, and the rules must notice.
func TestScheduleControls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrap func(store.Store) store.Store
		rule string
	}{
		"commits ignore their conditions": {func(st store.Store) store.Store { return unconditional{st} }, "order"},
		"watches lose events":             {func(st store.Store) store.Store { return &forgetful{Store: st} }, "watch"},
		"watches repeat events":           {func(st store.Store) store.Store { return &stuttering{Store: st} }, "watch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(300) {
				for _, p := range simulate(t, seed, c.wrap).problems {
					if strings.HasPrefix(p, c.rule+": ") {
						return
					}
				}
			}
			t.Errorf("300 schedules, and the rule %q was never broken", c.rule)
		})
	}
}

const (
	simTTL  = 3 * time.Second
	simName = "sim"
	simKeys = 4
	// simSettle is within what time of the end of all faults everything has settled:
	// late requests, sessions that end, requests that time out, and pauses between attempts.
	simSettle = 40 * time.Second
)

// simulation is one schedule.
type simulation struct {
	r *rand.Rand // of the one goroutine that decides
	// interfere: somebody ends the leaders' leases, whose routines then end as soon as
	// they learn of it, and not before.
	interfere bool
	base      *memstore.Store
	wrap      func(store.Store) store.Store
	ctx       context.Context
	live      sync.WaitGroup
	nodes     []*simNode

	leading atomic.Int32 // leader's routines

	mu       sync.Mutex
	problems []string
	count    map[string]int
	truth    []store.Changes // every commit of the cluster
	watches  []*simWatch
	heal     []func()
}

type simNode struct {
	s    *simulation
	id   string
	st   *faultstore.Store
	node cluster.Node
	here atomic.Int32 // routines
	ops  sync.WaitGroup

	mu      sync.Mutex
	started bool
	seq     int
	run     int
	last    map[string]simOp    // the newest of each key, in this run
	acked   map[string][]simAck // by key
}

type simOp struct {
	seq    int
	delete bool
}

// simAck is an op that returned nil, and up to where the store was then.
type simAck struct {
	run, seq int
	rev      store.Revision
}

func (s *simulation) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func (s *simulation) tally(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[what] += n
}

func simulate(t *testing.T, seed uint64, wrap func(store.Store) store.Store) *simulation {
	s := &simulation{r: rand.New(rand.NewPCG(seed, 3)), wrap: wrap, count: map[string]int{}}
	s.interfere = s.r.IntN(2) == 0
	if wrap == nil {
		s.wrap = func(st store.Store) store.Store { return strict{st, s} }
	}
	synctest.Test(t, func(*testing.T) {
		s.base = memstore.New()
		ctx, cancel := context.WithCancel(context.Background())
		s.ctx = ctx
		s.live.Go(s.keepTruth)
		s.play()
		cancel()
		for _, n := range s.nodes {
			n.ops.Wait()
			_ = n.node.Close()
		}
		s.live.Wait()
		for _, n := range s.nodes {
			_ = n.st.Close()
		}
		s.judge()
		_ = s.base.Close()
	})
	return s
}

// keepTruth sees every commit of the cluster: nothing is compacted before it has.
func (s *simulation) keepTruth() {
	for ch, err := range s.base.Watch(s.ctx, "clusters/"+simName+"/", 0) {
		if err != nil {
			if s.ctx.Err() == nil {
				s.problem("watch: the truth is lost: %v", err)
			}
			return
		}
		s.mu.Lock()
		s.truth = append(s.truth, ch)
		s.mu.Unlock()
	}
}

func (s *simulation) play() {
	for i := range 2 + s.r.IntN(3) {
		s.add(fmt.Sprint("n", i))
	}
	for range 2 {
		st := faultstore.New(s.wrap(s.base.Open()))
		s.watch("from outside", cluster.NewView(st, simName), time.Duration(s.r.Int64N(int64(time.Second))))
		s.live.Go(func() {
			<-s.ctx.Done()
			_ = st.Close()
		})
	}
	for range 40 + s.r.IntN(40) {
		s.act()
		time.Sleep(s.pause()) // virtual
		synctest.Wait()
	}
	for _, heal := range s.heal {
		heal()
	}
	for _, n := range s.nodes {
		n.start()
	}
	time.Sleep(simSettle) // virtual
	synctest.Wait()
	s.settled()
}

func (s *simulation) pause() time.Duration {
	switch s.r.IntN(4) {
	case 0:
		return 0
	case 1:
		return time.Duration(s.r.Int64N(int64(20 * time.Millisecond)))
	case 2:
		return time.Duration(s.r.Int64N(int64(simTTL / 3)))
	default:
		return time.Duration(s.r.Int64N(int64(2 * simTTL)))
	}
}

func (s *simulation) add(id string) {
	n := &simNode{s: s, id: id, st: faultstore.New(s.wrap(s.base.Open())), last: map[string]simOp{}, acked: map[string][]simAck{}}
	enter := func(count *atomic.Int32, what string) {
		if now := count.Add(1); now > 1 {
			s.problem("apart: %d %s at a time", now, what)
		}
	}
	var err error
	n.node, err = cluster.New(n.st, simName, id, cluster.Options{
		TTL: simTTL, Tick: 100 * time.Millisecond,
		Leader: func(ctx context.Context, _ tenure.Term) error {
			if !s.interfere {
				enter(&s.leading, "leaders' routines")
				defer s.leading.Add(-1)
			}
			enter(&n.here, "routines of a node")
			<-ctx.Done()
			n.here.Add(-1)
			return nil
		},
		Follower: func(ctx context.Context) error {
			enter(&n.here, "routines of a node")
			defer n.here.Add(-1)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			return nil
		},
		Trace: &cluster.Trace{
			Rejoined: func(int) { s.tally("rejoins", 1) },
			Lost:     func(error) { s.tally("lost sessions", 1) },
			Role: func(r cluster.Role) {
				if r == cluster.Leader {
					s.tally("changes of the leader", 1)
				}
			},
		},
	})
	if err != nil {
		s.problem("settled: %v", err)
		return
	}
	s.nodes = append(s.nodes, n)
	n.start()
}

// start starts a node that does not run, however long that takes.
func (n *simNode) start() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.started {
		return
	}
	n.started = true
	n.run++
	n.last = map[string]simOp{}
	n.ops.Go(func() {
		for n.s.ctx.Err() == nil {
			err := n.node.Start(n.s.ctx)
			if err == nil || errors.Is(err, cluster.ErrRunning) {
				n.s.watch(n.id, n.node, 0)
				return
			}
			n.s.tally("starts that failed", 1)
			time.Sleep(100 * time.Millisecond) // virtual
		}
	})
}

// stop stops a node, and waits: what it then puts belongs to another run.
func (n *simNode) stop() {
	n.ops.Wait()
	if err := n.node.Stop(context.Background()); err != nil {
		n.s.problem("settled: stop: %v", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.started = false
}

func (n *simNode) runs() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.started
}

// change puts or deletes a key. Calls of one key are told apart by their place in line, so
// each is made when the one before it has returned, or is known to wait.
func (n *simNode) change(key string, remove bool) {
	n.mu.Lock()
	if !n.started || n.node.Self().Incarnation == "" {
		n.mu.Unlock()
		return // it does not run yet
	}
	n.seq++
	op, run := simOp{n.seq, remove}, n.run
	n.last[key] = op
	n.mu.Unlock()
	n.ops.Go(func() {
		var err error
		if remove {
			err = n.node.Delete(n.s.ctx, key)
		} else {
			err = n.node.Put(n.s.ctx, key, fmt.Appendf(nil, "%d.%d", run, op.seq))
		}
		if err != nil {
			n.s.tally("puts that failed", 1)
			return
		}
		n.s.tally("puts", 1)
		l, err := n.s.base.List(context.Background(), store.Query{})
		if err != nil {
			n.s.problem("order: %v", err)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.acked[key] = append(n.acked[key], simAck{run, op.seq, l.Revision})
	})
	synctest.Wait() // it is in line
}

// act does one thing.
func (s *simulation) act() {
	n := s.nodes[s.r.IntN(len(s.nodes))]
	key := fmt.Sprintf("k/%d", s.r.IntN(simKeys))
	switch s.r.IntN(16) {
	case 0, 1, 2, 3:
		n.change(key, false)
	case 4:
		n.change(key, true)
	case 5: // many at once
		for k := range simKeys {
			n.change(fmt.Sprintf("k/%d", k), s.r.IntN(3) == 0)
		}
	case 6:
		s.inject(n, "lost replies", faultstore.Fault{Kind: faultstore.LoseReply, Count: 1 + s.r.IntN(4)})
	case 7:
		s.inject(n, "late requests", faultstore.Fault{Kind: faultstore.Late, Ops: faultstore.OpCommit, Count: 1 + s.r.IntN(3),
			Delay: time.Duration(s.r.Int64N(int64(2 * simTTL))), Hang: s.r.IntN(2) == 0})
	case 8:
		s.inject(n, "failures", faultstore.Fault{Kind: faultstore.Fail, Count: 1 + s.r.IntN(8)})
	case 9:
		s.inject(n, "delays", faultstore.Fault{Kind: faultstore.Delay, Count: 1 + s.r.IntN(8), Delay: time.Duration(s.r.Int64N(int64(simTTL)))})
	case 10:
		s.inject(n, "partitions", faultstore.Fault{Kind: faultstore.Partition})
	case 11:
		s.inject(n, "stalls", faultstore.Fault{Kind: faultstore.Stall})
	case 12:
		s.inject(n, "broken watches", faultstore.Fault{Kind: faultstore.Break, Count: 1 + s.r.IntN(4)})
	case 13:
		s.revoke(n)
	case 14:
		if n.runs() && s.r.IntN(2) == 0 {
			s.stop(n)
		} else {
			n.start()
		}
	case 15:
		s.compact()
	}
}

// stop stops a node beside everything else.
func (s *simulation) stop(n *simNode) {
	n.stop()
	s.tally("stops", 1)
}

// inject puts a fault in place, for a while.
func (s *simulation) inject(n *simNode, name string, f faultstore.Fault) {
	hit := sync.OnceFunc(func() { s.tally(name, 1) })
	f.OnHit = func(faultstore.Call) { hit() }
	remove := n.st.Inject(f)
	time.AfterFunc(time.Duration(s.r.Int64N(int64(3*simTTL))), remove)
	s.heal = append(s.heal, remove)
}

// revoke ends a session of a node: of its state, or of the leader.
func (s *simulation) revoke(n *simNode) {
	key := "clusters/" + simName + "/nodes/" + n.id
	if s.interfere && s.r.IntN(2) == 0 {
		key = "leaders/" + simName
	}
	l, err := s.base.List(context.Background(), store.Keys(key))
	if err == nil && len(l.Entries) == 1 {
		_ = s.base.Revoke(context.Background(), l.Entries[0].Lease)
		s.tally("revoked leases", 1)
	}
}

// compact forgets the history, and ends the watches of one who then needs it.
func (s *simulation) compact() {
	n := s.nodes[s.r.IntN(len(s.nodes))]
	remove := n.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Ops: faultstore.OpWatch})
	breaks := n.st.Inject(faultstore.Fault{Kind: faultstore.Break})
	time.Sleep(simTTL) // virtual
	synctest.Wait()
	l, err := s.base.List(context.Background(), store.Query{})
	if err == nil {
		s.base.Compact(l.Revision)
	}
	breaks()
	remove()
	s.tally("compactions", 1)
}

// simWatch is what one watch of all state, and one of all nodes, have told.
type simWatch struct {
	whose  string
	events []cluster.Event
	nodes  []cluster.NodeEvent
	err    error
	ended  bool
}

type watches interface {
	WatchPrefix(context.Context, string) iter.Seq2[cluster.Event, error]
	WatchNodes(context.Context) iter.Seq2[cluster.NodeEvent, error]
}

// watch keeps what a view tells until it ends; the consumer takes its time.
func (s *simulation) watch(whose string, v watches, slow time.Duration) {
	w := &simWatch{whose: whose}
	s.mu.Lock()
	s.watches = append(s.watches, w)
	s.mu.Unlock()
	s.live.Go(func() {
		for ev, err := range v.WatchPrefix(s.ctx, "k") {
			s.mu.Lock()
			if w.err, w.ended = err, err != nil; err == nil {
				w.events = append(w.events, ev)
			}
			s.mu.Unlock()
			time.Sleep(slow / 10) // virtual
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !w.ended {
			s.problems = append(s.problems, "watch: "+whose+": ended without an error")
		}
	})
	s.live.Go(func() {
		for ev, err := range v.WatchNodes(s.ctx) {
			if err == nil {
				s.mu.Lock()
				w.nodes = append(w.nodes, ev)
				s.mu.Unlock()
			}
		}
	})
}

// settled checks what must be so once nothing goes wrong any more.
func (s *simulation) settled() {
	v := cluster.NewView(s.base, simName)
	all, err := v.GetAllPrefix(s.ctx, "")
	if err != nil {
		s.problem("settled: %v", err)
		return
	}
	var leader []string
	for _, n := range s.nodes {
		if err := n.node.Healthy(); err != nil {
			s.problem("settled: node %s: %v", n.id, err)
		}
		if n.node.Self().Role == cluster.Leader {
			leader = append(leader, n.id)
		}
		n.mu.Lock()
		want := map[string]string{}
		for key, op := range n.last {
			if !op.delete {
				want[key] = fmt.Sprintf("%d.%d", n.run, op.seq)
			}
		}
		n.mu.Unlock()
		got := map[string]string{}
		for _, value := range all[n.id] {
			got[value.Key] = string(value.Data)
		}
		if _, listed := all[n.id]; !listed || !maps.Equal(got, want) {
			s.problem("settled: node %s publishes %v, want %v", n.id, got, want)
		}
	}
	if len(leader) != 1 {
		s.problem("settled: leaders: %q", leader)
		return
	}
	for _, n := range s.nodes {
		if id, _ := n.node.Leader(); id != leader[0] {
			s.problem("settled: %s sees %q lead, and it is %q", n.id, id, leader[0])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watches {
		if w.ended {
			continue
		}
		view := fold(w.events)
		for id, values := range all {
			for _, value := range values {
				if k := id + " " + value.Key; !bytes.Equal(view[k], value.Data) || view[k] == nil {
					s.problems = append(s.problems, fmt.Sprintf("settled: the view %s has %q for %s, and the store %q", w.whose, view[k], k, value.Data))
				}
				delete(view, id+" "+value.Key)
			}
		}
		if len(view) > 0 {
			s.problems = append(s.problems, fmt.Sprintf("settled: the view %s has %q, and the store has not", w.whose, view))
		}
		if nodes := foldNodes(w.nodes); !slices.Equal(slices.Sorted(maps.Keys(nodes)), slices.Sorted(maps.Keys(all))) {
			s.problems = append(s.problems, fmt.Sprintf("settled: the view %s has the nodes %v", w.whose, nodes))
		}
	}
}

// fold is what the events come to.
func fold(events []cluster.Event) map[string][]byte {
	view := map[string][]byte{}
	for _, ev := range events {
		switch ev.Kind {
		case cluster.Present, cluster.Added, cluster.Modified:
			view[ev.Node+" "+ev.Key] = ev.Value
		case cluster.Deleted:
			delete(view, ev.Node+" "+ev.Key)
		}
	}
	return view
}

func foldNodes(events []cluster.NodeEvent) map[string]bool {
	view := map[string]bool{}
	for _, ev := range events {
		switch ev.Kind {
		case cluster.NodePresent, cluster.NodeJoined:
			view[ev.Node.ID] = true
		case cluster.NodeLeft, cluster.NodeExpired, cluster.NodeGone:
			delete(view, ev.Node.ID)
		}
	}
	return view
}

// judge holds what was told against the truth.
func (s *simulation) judge() {
	steps := s.values()
	for _, w := range s.watches {
		if err := judgeWatch(w.events, steps, w.ended); err != nil {
			s.problem("watch: %s: %v", w.whose, err)
		}
		there := map[string]bool{}
		for _, ev := range w.nodes {
			id, begins := ev.Node.ID, ev.Kind == cluster.NodePresent || ev.Kind == cluster.NodeJoined
			switch {
			case id == "": // ready, or a gap
			case there[id] == begins:
				s.problem("told: %s: %v %s twice", w.whose, ev.Kind, id)
			case ev.Kind != cluster.NodeChanged:
				there[id] = begins
			}
		}
		for _, ev := range w.events {
			if ev.Kind == cluster.Gap {
				s.count["gaps"]++
			}
		}
	}
	for _, n := range s.nodes {
		s.judgeOrder(n, steps)
	}
}

// step is all that has changed at one revision.
type step struct {
	rev    store.Revision
	events []cluster.Event
}

// values is the truth as changes of values.
func (s *simulation) values() []step {
	known := map[string][]byte{}
	var steps []step
	prefix := "clusters/" + simName + "/state/"
	for _, ch := range s.truth {
		st := step{rev: ch.Revision}
		for _, e := range ch.Events {
			k, ok := strings.CutPrefix(e.Entry.Key, prefix)
			if !ok {
				continue
			}
			key, id, _ := strings.Cut(k, "/")
			ev := cluster.Event{Key: strings.ReplaceAll(key, "%2F", "/"), Node: id, Revision: ch.Revision, Old: known[k]}
			old, was := known[k]
			switch {
			case e.Deleted && was:
				ev.Kind = cluster.Deleted
				delete(known, k)
			case e.Deleted, was && bytes.Equal(old, e.Entry.Value):
				continue
			default:
				if ev.Kind = cluster.Added; was {
					ev.Kind = cluster.Modified
				}
				ev.Value, known[k] = e.Entry.Value, e.Entry.Value
			}
			st.events = append(st.events, ev)
		}
		if st.events != nil {
			slices.SortFunc(st.events, byKey)
			steps = append(steps, st)
		}
	}
	return steps
}

func byKey(a, b cluster.Event) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Node, b.Node))
}

// at is what the steps up to a revision come to.
func at(steps []step, rev store.Revision) map[string][]byte {
	var events []cluster.Event
	for _, st := range steps {
		if st.rev <= rev {
			events = append(events, st.events...)
		}
	}
	return fold(events)
}

func equalEvents(a, b cluster.Event) bool {
	return a.Kind == b.Kind && a.Node == b.Node && a.Key == b.Key && bytes.Equal(a.Value, b.Value) && bytes.Equal(a.Old, b.Old) && a.Revision == b.Revision
}

// judgeWatch goes through what a watch has told, beside the steps of the truth.
func judgeWatch(events []cluster.Event, steps []step, ended bool) error {
	view := map[string][]byte{}
	var upto store.Revision // all that happened so far has been told
	apply := func(ev cluster.Event) {
		maps.Copy(view, fold([]cluster.Event{ev}))
		if ev.Kind == cluster.Deleted {
			delete(view, ev.Node+" "+ev.Key)
		}
	}
	same := func(rev store.Revision) error {
		if want := at(steps, rev); !maps.EqualFunc(view, want, bytes.Equal) {
			return fmt.Errorf("at %d it has %q, and the truth is %q", rev, view, want)
		}
		return nil
	}
	next := func(rev store.Revision) *step { // the first after upto, if it is not beyond
		for i := range steps {
			if steps[i].rev > upto && steps[i].rev <= rev {
				return &steps[i]
			}
		}
		return nil
	}
	for i := 0; i < len(events); {
		ev := events[i]
		switch ev.Kind {
		case cluster.Present:
			apply(ev)
			i++
		case cluster.Ready:
			upto = ev.Revision
			i++
			if err := same(upto); err != nil {
				return err
			}
		case cluster.Gap:
			if st := next(ev.Since); st != nil {
				return fmt.Errorf("the gap since %d comes without %v at %d", ev.Since, st.events, st.rev)
			}
			for i++; i < len(events) && events[i].Revision <= ev.Revision && events[i].Kind != cluster.Gap; i++ {
				apply(events[i])
			}
			upto = ev.Revision
			if err := same(upto); err != nil && (i < len(events) || !ended) {
				return fmt.Errorf("after the gap since %d: %w", ev.Since, err)
			}
		default:
			st := next(1 << 60)
			if st == nil || st.rev != ev.Revision {
				return fmt.Errorf("event %+v at %d, and the next that happened is %+v", ev, ev.Revision, st)
			}
			var told []cluster.Event
			for ; i < len(events) && events[i].Revision == st.rev && events[i].Kind != cluster.Gap; i++ {
				told = append(told, events[i])
				apply(events[i])
			}
			slices.SortFunc(told, byKey)
			if !slices.EqualFunc(told, st.events, equalEvents) && (i < len(events) || !ended) {
				return fmt.Errorf("at %d it told %v, and what happened is %v", st.rev, told, st.events)
			}
			upto = st.rev
		}
	}
	if st := next(1 << 60); st != nil && !ended {
		return fmt.Errorf("it never told %+v", st)
	}
	return nil
}

// judgeOrder holds what a node has published against the order of its calls.
func (s *simulation) judgeOrder(n *simNode, steps []step) {
	last := map[string][2]int{}
	for _, st := range steps {
		for _, ev := range st.events {
			if ev.Node != n.id || ev.Kind == cluster.Deleted {
				continue
			}
			run, seq, _ := strings.Cut(string(ev.Value), ".")
			now := [2]int{atoi(run), atoi(seq)}
			if slices.Compare(now[:], sliceOf(last[ev.Key])) < 0 {
				s.problem("order: %s %s: %v at %d comes after %v", n.id, ev.Key, now, st.rev, last[ev.Key])
			}
			last[ev.Key] = now
			for _, ack := range n.acked[ev.Key] {
				if st.rev > ack.rev && slices.Compare(now[:], []int{ack.run, ack.seq}) < 0 {
					s.problem("order: %s %s: %v at %d, and %+v had returned", n.id, ev.Key, now, st.rev, ack)
				}
			}
		}
	}
}

func sliceOf(p [2]int) []int { return p[:] }

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// strict takes it amiss when it is asked for what cannot be.
type strict struct {
	store.Store
	s *simulation
}

func (c strict) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	res, err := c.Store.Commit(ctx, tx)
	if errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrTooLarge) {
		c.s.problem("settled: a commit that cannot be: %v", err)
	}
	return res, err
}

// unconditional commits whatever the conditions say.
type unconditional struct{ store.Store }

func (u unconditional) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	if len(tx.Then) > 0 && strings.HasPrefix(tx.Then[0].Key, "clusters/") {
		tx.If = nil
	}
	return u.Store.Commit(ctx, tx)
}

// forgetful loses one event of state in ten.
type forgetful struct {
	store.Store
	n atomic.Int64
}

func (f *forgetful) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		for ch, err := range f.Store.Watch(ctx, prefix, after) {
			if strings.Contains(prefix, "/state/") && len(ch.Events) > 0 && f.n.Add(1)%10 == 0 {
				ch.Events = nil
			}
			if !yield(ch, err) {
				return
			}
		}
	}
}

// stuttering tells one event of state in ten again.
type stuttering struct {
	store.Store
	n atomic.Int64
}

func (f *stuttering) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		var last store.Changes
		for ch, err := range f.Store.Watch(ctx, prefix, after) {
			if !yield(ch, err) {
				return
			}
			if strings.Contains(prefix, "/state/") && len(last.Events) > 0 && f.n.Add(1)%10 == 0 && !yield(last, nil) {
				return
			}
			last = ch
		}
	}
}

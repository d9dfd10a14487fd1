package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// nodesPlan is how much is measured of clusters of nodes.
type nodesPlan struct {
	nodes, keys    int
	joins, changes int // of each contender
	idle           time.Duration
}

// apart is how long after one change of a cluster the next one comes.
const apart = 20 * time.Millisecond

// nodes measures clusters of nodes over etcd and over SQLite, all nodes in this process,
// each with a handle of its own: how soon all know of one that joins or leaves, and of a
// value that has changed; a key of all of them in one read; and what they take when
// nothing happens. The same done with the store alone stands beside it.
func (b *bench) nodes(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "tenure-nodes")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := b.cluster
	times := newTable(fmt.Sprintf("%d nodes, %d keys of 100 bytes each, each with a watch of all nodes and of one key of all", p.nodes, p.keys),
		"store", "what", "by", "n", "p50", "p90", "p99", "p50 / floor")
	figures := newTable(fmt.Sprintf("The same nodes when nothing happens, for %v, and before", p.idle), "store", "figure", "value", "wanted")
	for _, pl := range []place{
		{"etcd", strings.Join(b.endpoints, ",")},
		{"SQLite", filepath.Join(dir, "nodes.db")},
	} {
		if err := b.nodesOver(ctx, pl, times, figures); err != nil {
			return fmt.Errorf("%s: %w", pl.kind, err)
		}
	}
	times.print()
	figures.print()
	return nil
}

func (b *bench) nodesOver(ctx context.Context, pl place, times, figures *table) (err error) {
	var closers []func() error
	defer func() { err = errors.Join(err, closeAll(closers)) }()
	w := &wide{bench: b, place: pl, name: b.election(), asked: newTally(), wire: &traffic{}, figures: figures}
	handles, err := pl.openAll(ctx, b.cluster.nodes+1, w.asked, &closers, append(w.wire.options(), countMarked())...)
	if err != nil {
		return err
	}
	before := measure()
	ours, err := newTenureNodes(w.name, handles)
	if err != nil {
		return err
	}
	closers = append(closers, ours.close)
	if err := w.begin(ctx, ours); err != nil {
		return err
	}
	w.each.since(before)
	if err := w.rest(ctx); err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	all := []peers{ours}
	alone, err := newBare(ctx, "the store alone", viaStore(handles), b.election(), b.cluster.nodes)
	if err != nil {
		return err
	}
	closers = append(closers, alone.close)
	all = append(all, alone)
	if handles[0].client != nil {
		floor, err := newBare(ctx, "etcd's client", viaClient(handles), b.election(), b.cluster.nodes)
		if err != nil {
			return err
		}
		closers = append(closers, floor.close)
		all = append(all, floor)
	}
	return w.turns(ctx, ours, all, times)
}

// wide is a measurement of one cluster.
type wide struct {
	*bench
	place
	name    string
	asked   *tally   // by all its nodes
	wire    *traffic // of theirs with etcd
	each    usage
	figures *table
}

func (w *wide) figure(what, value, wanted string) { w.figures.row(w.kind, what, value, wanted) }

// begin has the nodes join, publish and watch.
func (w *wide) begin(ctx context.Context, ours *tenureNodes) error {
	p := w.cluster
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{fmt.Sprintf("all %d nodes started at once, until the last has joined", p.nodes), ours.start},
		{fmt.Sprintf("all of them publish %d keys each, until the last is there", p.keys), func(ctx context.Context) error { return ours.publish(ctx, p.keys) }},
		{"all of them begin to watch, until each knows what is there", ours.watchAll},
	} {
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		w.figure(step.what, fmt.Sprintf("%.2f s", time.Since(began).Seconds()), "")
	}
	asked, _ := w.asked.now()
	w.figure("Commits of one node for all that", perNode(asked["Commit"], p.nodes), "")
	return nil
}

func perNode(n, nodes int) string { return fmt.Sprintf("%.1f", float64(n)/float64(nodes)) }

// taken is what a process has used and holds.
type taken struct {
	cpu time.Duration
	rss int64
}

// rest counts what the nodes ask for while nothing happens, and what they take: those in
// this process, and one more in a process of its own.
func (w *wide) rest(ctx context.Context) (err error) {
	o, err := startOwn(ctx, w.place, w.name, w.cluster.keys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.stop()) }()
	drain(ctx, 2*between) // until it has found its place in line, and the others have heard of it
	wire, began := w.wire.now(), time.Now()
	asked, watches := w.asked.now()
	takenBefore, err := w.taken(o)
	if err != nil {
		return err
	}
	drain(ctx, w.cluster.idle)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	minutes := time.Since(began).Minutes()
	takenAfter, err := w.taken(o)
	if err != nil {
		return err
	}
	after, _ := w.asked.now()
	each := minutes * float64(w.cluster.nodes)
	requests := 0.0
	for _, what := range slices.Sorted(maps.Keys(after)) {
		n := float64(after[what]-asked[what]) / each
		if what != changesTold && what != signsOfLife {
			requests += n
		}
		if n > 0 {
			w.figure(what+", a minute and node", fmt.Sprintf("%.1f", n), "")
		}
	}
	w.figure("requests of the store in all, a minute and node", fmt.Sprintf("%.1f", requests), "")
	if c := w.wire.now().since(wire); c != (counts{}) {
		w.figure("messages to and from etcd, a minute and node", fmt.Sprintf("%.1f", float64(c.requests+c.events+c.upkeep)/each), "")
	}
	w.figure("watches that a node has open", perNode(watches, w.cluster.nodes), "")
	w.figure("goroutines of a node in this process", fmt.Sprintf("%.1f", w.each.goroutines/float64(w.cluster.nodes)), "")
	w.figure("Go heap and stacks of a node in this process", fmt.Sprintf("%.2f MB", w.each.bytes/1e6/float64(w.cluster.nodes)), "")
	if takenAfter == nil {
		w.figure("CPU and memory of a process", "not known on "+runtime.GOOS, "")
		return nil
	}
	share := func(i, nodes int) string {
		used := takenAfter[i].cpu - takenBefore[i].cpu
		return fmt.Sprintf("%.2f %% of a core", 100*used.Minutes()/minutes/float64(nodes))
	}
	w.figure("CPU of one more node in a process of its own", share(0, 1), "1 %")
	w.figure("memory (RSS) of that process", fmt.Sprintf("%.1f MB", float64(takenAfter[0].rss)/1e6), "")
	w.figure(fmt.Sprintf("CPU of this process, with %d nodes, a node", w.cluster.nodes), share(1, w.cluster.nodes), "1 %")
	return nil
}

// taken is what a node's own process has taken, and this one; nil where the system does
// not say.
func (w *wide) taken(o *own) ([]taken, error) {
	var all []taken
	for _, pid := range []int{o.cmd.Process.Pid, os.Getpid()} {
		t, err := takenBy(pid)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// turns measures the contenders, the last of which is the floor.
func (w *wide) turns(ctx context.Context, ours *tenureNodes, all []peers, times *table) error {
	p := w.cluster
	var comings, changes, reads [][]*sample // of each contender
	for _, c := range all {
		comings = append(comings, samples(c,
			fmt.Sprintf("join: from before Start to seen by all %d", p.nodes), "join: until Start returns",
			fmt.Sprintf("leave: from before Stop to seen by all %d", p.nodes), "leave: until Stop returns"))
		changes = append(changes, samples(c, fmt.Sprintf("change: from before Put to seen by all %d", p.nodes), "change: until Put returns"))
		reads = append(reads, samples(c, fmt.Sprintf("GetAll: one key of all %d", p.nodes)))
	}
	for done := 0; done < p.joins; done += block {
		for i, c := range all {
			for n := range min(block, p.joins-done) {
				if err := comeAndGo(ctx, c, fmt.Sprint("extra-", done+n), p.nodes, comings[i]); err != nil {
					return fmt.Errorf("%v: %w", c, err)
				}
			}
		}
	}
	for done := 0; done < p.changes; done += block {
		for i, c := range all {
			for n := range min(block, p.changes-done) {
				if err := change(ctx, c, done+n, p.nodes, changes[i]); err != nil {
					return fmt.Errorf("%v: change: %w", c, err)
				}
			}
		}
	}
	var asked mark
	for done := 0; done < p.changes; done += block {
		for i, c := range all {
			marked := ctx
			if i == 0 {
				marked = asked.on(ctx)
			}
			for n := range min(block, p.changes-done) {
				if err := read(marked, c.getAll, (done+n)%p.nodes, p.nodes, reads[i][0]); err != nil {
					return fmt.Errorf("%v: GetAll: %w", c, err)
				}
			}
		}
	}
	w.requests("GetAll", &asked, p.changes)
	everything := &sample{what: fmt.Sprintf("GetAllPrefix: all %d keys of all %d", p.keys, p.nodes), by: ours.String()}
	asked = mark{}
	for n := range p.joins {
		if err := read(asked.on(ctx), ours.getEverything, n%p.nodes, p.nodes*p.keys, everything); err != nil {
			return fmt.Errorf("GetAllPrefix: %w", err)
		}
	}
	w.requests("GetAllPrefix", &asked, p.joins)
	for _, group := range [][][]*sample{comings, changes, reads} {
		for figure, floor := range group[len(group)-1] {
			for _, of := range group {
				s := of[figure]
				times.row(w.kind, s.what, s.by, len(s.times), s.p(50), s.p(90), s.p(99), ratio(s.p(50), floor.p(50)))
			}
		}
	}
	s := everything
	times.row(w.kind, s.what, s.by, len(s.times), s.p(50), s.p(90), s.p(99), ratio(s.p(50), 0))
	return nil
}

func samples(by peers, what ...string) []*sample {
	var all []*sample
	for _, w := range what {
		all = append(all, &sample{what: w, by: by.String()})
	}
	return all
}

// requests says how many requests a call made, of the store and of etcd.
func (w *wide) requests(what string, m *mark, calls int) {
	value := fmt.Sprintf("%d", m.store.Load())
	if w.kind == "etcd" {
		value += fmt.Sprintf(", and %d of etcd's client", m.wire.Load())
	}
	w.figure(fmt.Sprintf("requests of %d calls of %s", calls, what), value, fmt.Sprint(calls))
}

// comeAndGo has one more node join, and leave again.
func comeAndGo(ctx context.Context, c peers, id string, nodes int, into []*sample) error {
	for i, step := range []struct {
		seen string
		do   func() error
	}{
		{joined(id), func() error { return c.join(ctx, id) }},
		{left(id), func() error { return c.leave(ctx) }},
	} {
		drain(ctx, apart)
		returned, seen, err := c.watchers().seeing(ctx, step.seen, nodes, step.do)
		if err != nil {
			return fmt.Errorf("%s: %w", step.seen, err)
		}
		into[2*i].add(seen)
		into[2*i+1].add(returned)
	}
	return nil
}

// change has one of the nodes, another each time, change its key.
func change(ctx context.Context, c peers, n, nodes int, into []*sample) error {
	drain(ctx, apart)
	value := valueOf(1_000_000 + n)
	returned, seen, err := c.watchers().seeing(ctx, value, nodes, func() error { return c.put(ctx, n%nodes, value) })
	if err != nil {
		return err
	}
	into[0].add(seen)
	into[1].add(returned)
	return nil
}

// read has one of the nodes read so many values.
func read(ctx context.Context, get func(context.Context, int) (int, error), node, want int, into *sample) error {
	drain(ctx, apart/10)
	began := time.Now()
	n, err := get(ctx, node)
	if err == nil && n != want {
		err = fmt.Errorf("%d values of %d", n, want)
	}
	into.add(time.Since(began))
	return err
}

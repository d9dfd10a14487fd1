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
		"store", "what", "by", "n", "the call returns, p50", "p99", "all have seen it, p50", "p99", "p50 / floor")
	var figures figures
	places := []place{{"etcd", strings.Join(b.endpoints, ",")}, {"SQLite", filepath.Join(dir, "nodes.db")}}
	for _, pl := range places {
		if err := b.nodesOver(ctx, pl, times, &figures); err != nil {
			return fmt.Errorf("%s: %w", pl.kind, err)
		}
	}
	times.print()
	figures.print(fmt.Sprintf("The same nodes: how they came to be, and %v in which nothing happens", p.idle), places)
	return nil
}

func (b *bench) nodesOver(ctx context.Context, pl place, times *table, figures *figures) (err error) {
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
	figures *figures
}

func (w *wide) figure(what, value, wanted string) { w.figures.add(w.kind, what, value, wanted) }

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
		before, _ := w.asked.now()
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		took := time.Since(began)
		after, _ := w.asked.now()
		w.figure(step.what, fmt.Sprintf("%.2f s, %.1f requests each", took.Seconds(), float64(requests(after)-requests(before))/float64(p.nodes)), "")
	}
	return nil
}

// taken is what a process has used and holds.
type taken struct {
	cpu              time.Duration
	resident, shared int64 // bytes
}

func inMB(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

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
	for _, what := range slices.Sorted(maps.Keys(after)) {
		if n := after[what] - asked[what]; n > 0 {
			w.figure(what+", a minute and node", fmt.Sprintf("%.1f", float64(n)/each), "")
		}
	}
	w.figure("requests of the store in all, a minute and node", fmt.Sprintf("%.1f", float64(requests(after)-requests(asked))/each), "")
	if c := w.wire.now().since(wire); c != (counts{}) {
		w.figure("messages to and from etcd, a minute and node", fmt.Sprintf("%.1f", float64(c.requests+c.events+c.upkeep)/each), "")
	}
	w.figure("watches that a node has open", fmt.Sprintf("%.1f", float64(watches)/float64(w.cluster.nodes)), "")
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
	w.figure("memory (RSS) of that process", inMB(takenAfter[0].resident), "")
	w.figure("of which not shared: without the program's own pages", inMB(takenAfter[0].resident-takenAfter[0].shared), "")
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
	var asked mark // by our GetAll
	for _, part := range []struct {
		what []string
		n    int
		once func(ctx context.Context, c peers, n int, into []*timing) error
	}{
		{[]string{"join (Start)", "leave (Stop)"}, p.joins, func(ctx context.Context, c peers, n int, into []*timing) error {
			return comeAndGo(ctx, c, fmt.Sprint("extra-", n), p.nodes, into[0], into[1])
		}},
		{[]string{"change (Put)"}, p.changes, func(ctx context.Context, c peers, n int, into []*timing) error {
			return change(ctx, c, n, p.nodes, into[0])
		}},
		{[]string{"GetAll, one key"}, p.changes, func(ctx context.Context, c peers, n int, into []*timing) error {
			if c == ours {
				ctx = asked.on(ctx)
			}
			return read(ctx, c.getAll, n%p.nodes, p.nodes, into[0])
		}},
	} {
		of := make([][]*timing, len(all)) // of each contender
		for i, c := range all {
			for _, what := range part.what {
				of[i] = append(of[i], &timing{what: what, by: c.String()})
			}
		}
		err := inTurns(part.n, len(all), func(i, n int) error { return part.once(ctx, all[i], n, of[i]) })
		if err != nil {
			return fmt.Errorf("%s: %w", part.what[0], err)
		}
		for k, floor := range of[len(all)-1] {
			for i := range all {
				of[i][k].row(times, w.kind, floor)
			}
		}
	}
	w.requests("GetAll", &asked, p.changes)
	everything := &timing{what: "GetAllPrefix, all keys", by: ours.String()}
	asked = mark{}
	for n := range p.joins {
		if err := read(asked.on(ctx), ours.getEverything, n%p.nodes, p.nodes*p.keys, everything); err != nil {
			return fmt.Errorf("%s: %w", everything.what, err)
		}
	}
	everything.row(times, w.kind, &timing{})
	w.requests("GetAllPrefix", &asked, p.joins)
	return nil
}

// inTurns has each contender do something so many times, a block at a time.
func inTurns(times, contenders int, once func(contender, n int) error) error {
	for done := 0; done < times; done += block {
		for i := range contenders {
			for n := done; n < min(done+block, times); n++ {
				if err := once(i, n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// timing is how long something took, until the call returned, and until all had seen it.
type timing struct {
	what, by       string
	returned, seen sample
}

func (m *timing) row(t *table, kind string, floor *timing) {
	p50, p99, by := "-", "-", ratio(m.returned.p(50), floor.returned.p(50))
	if len(m.seen.times) > 0 {
		p50, p99, by = inMs(m.seen.p(50)), inMs(m.seen.p(99)), ratio(m.seen.p(50), floor.seen.p(50))
	}
	t.row(kind, m.what, m.by, len(m.returned.times), m.returned.p(50), m.returned.p(99), p50, p99, by)
}

// requests says how many requests a call made, of the store and of etcd.
func (w *wide) requests(what string, m *mark, calls int) {
	value := fmt.Sprintf("%d", m.store.Load())
	if w.kind == "etcd" {
		value += fmt.Sprintf(", and %d of etcd's client", m.wire.Load())
	}
	w.figure(fmt.Sprintf("requests of %d calls of %s", calls, what), value, fmt.Sprintf("%d", calls))
}

// comeAndGo has one more node join, and leave again.
func comeAndGo(ctx context.Context, c peers, id string, nodes int, coming, going *timing) error {
	if err := coming.shown(ctx, c, joined(id), nodes, func() error { return c.join(ctx, id) }); err != nil {
		return err
	}
	return going.shown(ctx, c, left(id), nodes, func() error { return c.leave(ctx) })
}

// change has one of the nodes, another each time, change its key.
func change(ctx context.Context, c peers, n, nodes int, into *timing) error {
	value := valueOf(1_000_000 + n)
	return into.shown(ctx, c, value, nodes, func() error { return c.put(ctx, n%nodes, value) })
}

// shown times something that all nodes see.
func (m *timing) shown(ctx context.Context, c peers, what string, nodes int, call func() error) error {
	drain(ctx, apart)
	returned, seen, err := c.watchers().seeing(ctx, what, nodes, call)
	if err != nil {
		return fmt.Errorf("%v: %q: %w", c, what, err)
	}
	m.returned.add(returned)
	m.seen.add(seen)
	return nil
}

// read has one of the nodes read so many values.
func read(ctx context.Context, get func(context.Context, int) (int, error), node, want int, into *timing) error {
	drain(ctx, apart/10)
	began := time.Now()
	n, err := get(ctx, node)
	into.returned.add(time.Since(began))
	if err == nil && n != want {
		err = fmt.Errorf("%d values of %d", n, want)
	}
	return err
}

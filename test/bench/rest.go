package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"
)

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
	nodeMinutes := minutes * float64(w.cluster.nodes)
	for _, what := range slices.Sorted(maps.Keys(after)) {
		if n := after[what] - asked[what]; n > 0 {
			w.figure(what+", a minute and node", fmt.Sprintf("%.1f", float64(n)/nodeMinutes), "")
		}
	}
	w.figure("requests of the store in all, a minute and node", fmt.Sprintf("%.1f", float64(requests(after)-requests(asked))/nodeMinutes), "")
	if c := w.wire.now().since(wire); c != (counts{}) {
		w.figure("messages to and from etcd, a minute and node", fmt.Sprintf("%.1f", float64(c.requests+c.events+c.upkeep)/nodeMinutes), "")
	}
	w.figure("watches that a node has open", fmt.Sprintf("%.1f", float64(watches)/float64(w.cluster.nodes)), "")
	w.figure("goroutines of a node in this process", fmt.Sprintf("%.1f", w.took.goroutines/float64(w.cluster.nodes)), "")
	w.figure("Go heap and stacks of a node in this process", fmt.Sprintf("%.2f MB", w.took.bytes/1e6/float64(w.cluster.nodes)), "")
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

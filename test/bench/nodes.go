package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// nodesPlan is how much is measured of clusters of nodes.
type nodesPlan struct {
	nodes, keys    int
	joins, changes int // of each contender
	idle           time.Duration
}

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
	w.took.since(before)
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
	took    usage    // by all its nodes, in this process
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

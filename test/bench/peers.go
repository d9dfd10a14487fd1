package main

import (
	"context"
	"fmt"
	"sync"
)

// peers is a cluster of nodes, each of which watches all nodes, and one key of all nodes.
// The last of its handles is for one more node, which comes and goes and watches nothing.
// What the others see they tell an audience: what joined and left have for a node, and the
// new value of the key.
type peers interface {
	String() string
	// join makes one more node.
	join(ctx context.Context, id string) error
	// leave takes it away.
	leave(ctx context.Context) error
	// put changes the key that all watch, of one node.
	put(ctx context.Context, node int, value string) error
	// getAll reads that key of all nodes, as one node, and returns how many have it.
	getAll(ctx context.Context, node int) (int, error)
	watchers() *audience
	close() error
}

func joined(id string) string { return "joined " + id }
func left(id string) string   { return "left " + id }

const ready = "ready" // what watchers tell first, each of its two watches

func nodeID(i int) string  { return fmt.Sprint("node-", i) }
func keyName(i int) string { return fmt.Sprint("key-", i) }

// valueOf is what is published: 100 bytes, no two of them the same.
func valueOf(i int) string { return fmt.Sprintf("%0100d", i) }

// life is what the kinds of peers have in common: their watches, and who hears of them.
type life struct {
	*audience
	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup
}

func newLife() *life {
	l := &life{audience: newAudience()}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *life) watchers() *audience { return l.audience }

// watch runs a watch until it ends.
func (l *life) watch(run func(context.Context) error) {
	l.loops.Go(func() { l.fail(l.ctx, run(l.ctx)) })
}

func (l *life) end() {
	l.cancel()
	l.loops.Wait()
}

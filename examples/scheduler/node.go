package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/etcdstore"
)

const (
	clusterName = "scheduler"
	// ttl is how long a dead leader keeps its seat, nodeTTL how long a dead node is
	// taken for one that lives, and keeps its jobs.
	ttl     = 4 * time.Second
	nodeTTL = 3 * time.Second
	// tick is how often the leader deals.
	tick = 250 * time.Millisecond
)

// nodeConfig is what a node process is started with.
type nodeConfig struct {
	id      string
	store   string        // the URL of an etcd server
	results string        // the file that results go to
	work    time.Duration // that a job takes
}

func (c nodeConfig) args() []string {
	return []string{"node", "-id", c.id, "-store", c.store, "-results", c.results, "-work", c.work.String()}
}

func parseNode(args []string) (nodeConfig, error) {
	var c nodeConfig
	flags := flag.NewFlagSet("scheduler node", flag.ContinueOnError)
	flags.StringVar(&c.id, "id", "", "of the node")
	flags.StringVar(&c.store, "store", "", "`URL` of an etcd server")
	flags.StringVar(&c.results, "results", "", "`file` that a line is appended to for each job")
	flags.DurationVar(&c.work, "work", 0, "that a job takes")
	return c, flags.Parse(args)
}

// node is one node of the scheduler.
type node struct {
	nodeConfig
	jobs    jobs
	cluster cluster.Node
	dealt   chan hand // what the leader has dealt this node, as it comes

	// Of the leader alone: the term in which it has dealt last, and what to each node.
	term      tenure.Token
	published map[string][]byte
}

// runNode is a node process.
func runNode(c nodeConfig) error {
	ctx, stop := nodeContext()
	defer stop()
	st, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: []string{c.store}})
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, st, c), st.Close())
}

// nodeContext ends when the process is told to stop: by SIGTERM, or by the end of its
// standard input, which ends with the process that has started it, however that ends.
func nodeContext() (context.Context, context.CancelFunc) {
	signal.Ignore(os.Interrupt) // a terminal sends that to all: the one that started it decides
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	go func() { // until the process ends: nothing interrupts a read of a pipe
		_, _ = os.Stdin.Read(make([]byte, 1)) // nothing is ever written
		cancel()
	}()
	return ctx, func() { cancel(); stop() }
}

// serve is a node of the cluster until ctx ends.
func serve(ctx context.Context, st store.Store, c nodeConfig) error {
	n := &node{nodeConfig: c, jobs: jobsIn(st), dealt: make(chan hand)}
	member, err := cluster.New(st, clusterName, c.id, cluster.Options{
		TTL: ttl, NodeTTL: nodeTTL, Tick: tick,
		Leader: n.deal,
		Trace: &cluster.Trace{
			Routine:  n.dealtBadly,
			Lost:     func(err error) { n.say("is cut off: %v", err) },
			Rejoined: func(int) { n.say("is back") },
		},
	})
	if err != nil {
		return err
	}
	n.cluster = member
	err = member.Start(ctx) // it waits for the session of a predecessor to end
	switch {
	case ctx.Err() != nil:
		return member.Close()
	case err != nil:
		return err
	}
	n.say("joins")
	ctx, cancel := context.WithCancel(ctx)
	listened := make(chan error, 1)
	go func() {
		defer cancel() // a node that cannot listen does not work
		listened <- n.listen(ctx)
	}()
	n.work(ctx)
	return errors.Join(<-listened, member.Close())
}

// say tells people.
func (n *node) say(format string, args ...any) {
	say("%s (pid %d) %s", n.id, os.Getpid(), fmt.Sprintf(format, args...))
}

func (n *node) dealtBadly(r cluster.RoutineInfo) {
	if r.Err != nil {
		n.say("does not deal: %v", r.Err)
	}
}

// Command bench measures Tenure beside etcd's own election package, and client-go's
// where that is fair, on one etcd cluster of three members that it starts, in
// turns; clusters of nodes, there and on SQLite; and the leadership of raft clusters. It
// prints tables and can draw them.
//
//	make etcd && cd test/bench && go run . [-short] [-only PART] [-candidates N] [-draw DIR]
//
// Times depend on the machine and on what else it does. What counts is how they
// compare within one run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

// plan is how much is measured.
type plan struct {
	sizes     []int // candidates of an election
	handOvers int   // of each size and contender
	failOvers int
	shared    int           // elections on shared sessions
	busy      time.Duration // for how long they are handed over
	runs      int           // so many times
	idle      time.Duration
	many      int // elections for the memory
	cluster   nodesPlan
	raft      raftPlan
}

var (
	full  = plan{[]int{2, 10, 100, 1000}, 100, 10, 1000, 10 * time.Second, 5, 20 * time.Second, 10_000, nodesPlan{50, 100, 100, 500, time.Minute}, raftPlan{20, 100, 10, time.Minute, 5_000_000}}
	short = plan{[]int{2, 10}, 20, 1, 20, time.Second, 1, 3 * time.Second, 100, nodesPlan{5, 10, 5, 10, 2 * time.Second}, raftPlan{2, 5, 2, 2 * time.Second, 10_000}}
)

func main() {
	brief := flag.Bool("short", false, "a little of everything, to see that it works")
	draw := flag.String("draw", "", "a folder for pictures")
	only := flag.String("only", "", "one part: handover, legs, failover, throughput, cost, memory, nodes or raft")
	candidates := flag.Int("candidates", 0, "only this size of an election")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := full
	if *brief {
		p = short
	}
	if *candidates != 0 {
		p.sizes = []int{*candidates}
	}
	var err error
	if flag.Arg(0) == ownNode {
		err = beOwn(ctx, flag.Args()[1:])
	} else {
		err = run(ctx, p, *only, *draw)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, p plan, only, draw string) (err error) {
	fmt.Printf("%s, %s/%s, %d cores, %s; etcd: 3 members on this host, without fsync\n",
		time.Now().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	b := &bench{plan: p}
	if only != raftPart {
		cluster, err := etcdtest.Start(ctx, etcdtest.Options{Members: 3})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, cluster.Close()) }()
		b.endpoints = cluster.Endpoints()
	}
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"handover", func(ctx context.Context) error { return b.handOvers(ctx, draw) }},
		{"legs", b.legs},
		{"failover", b.failOvers},
		{"throughput", b.throughput},
		{"cost", b.cost},
		{"memory", b.memory},
		{"nodes", b.nodes},
		{raftPart, b.raftClusters},
	} {
		if only != "" && only != part.name {
			continue
		}
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// bench is what all parts need.
type bench struct {
	plan
	endpoints []string
	elections int
}

// election returns a name that no other part uses.
func (b *bench) election() string {
	b.elections++
	return fmt.Sprintf("e%d", b.elections)
}

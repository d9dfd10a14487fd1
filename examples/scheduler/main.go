package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/tenure-go/tenure/embedded"
	"github.com/tenure-go/tenure/store"
)

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "node" {
		err = nodeMain(os.Args[2:])
	} else {
		err = schedulerMain(os.Args[1:])
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "scheduler:", err)
		os.Exit(1)
	}
}

func nodeMain(args []string) error {
	c, err := parseNode(args)
	if err != nil {
		return err
	}
	return runNode(c)
}

// config is what the command is started with.
type config struct {
	jobs, nodes int
	work        time.Duration
	dir         string
}

func schedulerMain(args []string) (err error) {
	var c config
	flags := flag.NewFlagSet("scheduler", flag.ContinueOnError)
	flags.IntVar(&c.jobs, "jobs", 100, "how many jobs there are")
	flags.IntVar(&c.nodes, "nodes", 3, "how many nodes share them")
	flags.DurationVar(&c.work, "work", 500*time.Millisecond, "how long each job takes")
	flags.StringVar(&c.dir, "dir", "", "where the store and the results are kept, for the next start to go on with (default a temporary `directory`)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "scheduler"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.run(ctx); ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	say("stopped")
	return nil
}

// run starts a store, and over it the nodes, until all jobs are done or ctx ends.
func (c config) run(ctx context.Context) (err error) {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	server, err := embedded.Start(ctx, embedded.Config{Name: "a", Dir: filepath.Join(c.dir, "store"), Client: address})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	st, err := server.Store(ctx, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	say("the store: %s", server.Endpoint())

	jobs := jobsIn(st)
	if err := jobs.add(ctx, c.jobs); err != nil {
		return err
	}
	say("%d jobs; kill a node and see: kill -9 PID", c.jobs)
	if err := c.share(ctx, server, jobs); err != nil {
		return err
	}
	return summary(context.WithoutCancel(ctx), jobs, c.results())
}

// resultsFile is the file of the results, in the directory.
const resultsFile = "results.txt"

func (c config) results() string { return filepath.Join(c.dir, resultsFile) }

// share has the nodes do all jobs. When it returns, no node is left.
func (c config) share(ctx context.Context, server *embedded.Server, jobs jobs) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(ctx, func() { say("the nodes stop") })()
	var nodes sync.WaitGroup
	defer nodes.Wait()
	defer cancel(nil)
	for i := range c.nodes {
		n := nodeConfig{id: fmt.Sprintf("node-%d", i+1), store: server.Endpoint(), results: c.results(), work: c.work}
		nodes.Go(func() { supervise(ctx, n) })
	}
	nodes.Go(func() {
		select {
		case <-server.Done():
			cancel(server.Err())
		case <-ctx.Done():
		}
	})
	err := allDone(ctx, jobs)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// allDone waits until all jobs are done.
func allDone(ctx context.Context, jobs jobs) error {
	open, told := map[string]bool{}, 0
	for batch, err := range store.Follow(ctx, jobs.st, "", nil) {
		if err != nil {
			return err
		}
		for _, ev := range batch.Events {
			var r record
			if err := json.Unmarshal(ev.Entry.Value, &r); err != nil {
				return fmt.Errorf("%s: %w", ev.Entry.Key, err)
			}
			open[ev.Entry.Key] = !r.Done
		}
		done := 0
		for _, is := range open {
			if !is {
				done++
			}
		}
		if done == len(open) {
			return nil
		}
		if done >= told+10 {
			told = done
			say("%d of %d jobs are done", done, len(open))
		}
	}
	return ctx.Err()
}

// summary compares what was done with what was recorded.
func summary(ctx context.Context, jobs jobs, file string) error {
	all, err := jobs.list(ctx)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was read only
	results, err := readResults(f)
	if err != nil {
		return err
	}
	times := map[string]int{}
	for _, r := range results {
		times[r.Job]++
	}
	for _, j := range all {
		if times[j.Name] == 0 {
			return fmt.Errorf("%s is recorded as done by %s (pid %d), and was not done", j.Name, j.Worker.Node, j.Worker.PID)
		}
	}
	say("all %d jobs are done, %d of them again because a node died before it had recorded them", len(all), len(results)-len(all))
	for _, r := range results {
		if times[r.Job] > 1 {
			say("%s was done by %s (pid %d)", r.Job, r.Worker.Node, r.Worker.PID)
		}
	}
	return nil
}

// say tells people, in one write, because processes share the terminal.
func say(format string, args ...any) {
	fmt.Printf("%s %s\n", time.Now().Format("15:04:05.0"), fmt.Sprintf(format, args...))
}

// freeAddress is one at which nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

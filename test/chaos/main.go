//go:build unix

// Command chaos lets everything go wrong that it can with three real etcd servers and
// six real processes that elect leaders over them, and checks the history of all that
// they saw with package tenuretest. See docs/testing.md.
//
//	make chaos CHAOS=3m
//
// It fails if a rule is broken, and if a fault never struck a leader in office.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if text := os.Getenv(workerEnv); text != "" {
		if err := runWorker(text); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		return
	}
	s := settings{faults: faults, log: func(string, ...any) {}}
	flag.DurationVar(&s.length, "for", 30*time.Minute, "how long things go wrong; every fault is made once in any case")
	flag.Uint64Var(&s.seed, "seed", rand.Uint64()%1e6, "of the order of faults and of whom they strike")
	network := flag.String("net", "auto", "what partitions are made of: proxy; netns, network namespaces and nft, for root on Linux; auto, the latter where it can be made")
	history := flag.String("history", "", "a `file` for the whole history")
	flag.StringVar(&s.broken, "broken", "", "break all workers, to see that it is found: "+strings.Join([]string{believer, unfenced, overtrusting, deaf, stale}, ", "))
	verbose := flag.Bool("v", false, "tell of each fault")
	flag.Parse()
	if *verbose {
		s.log = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	}
	if *network != "proxy" {
		s.network = networkOrNot(*network == "netns")
	}
	if err := tell(s, *history); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// impossible is the exit code of a process that has entered, and cannot make a network.
const impossible = 75

// networkOrNot returns a network for this process, if it is one that has entered its
// own namespaces, and otherwise ends with what such a process comes to. Where
// that cannot be it returns nil, or fails.
func networkOrNot(must bool) *network {
	if entered() {
		n, err := newNetwork(servers, len(workers))
		if err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			os.Exit(impossible)
		}
		return n
	}
	code, err := enter()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
	case code != impossible:
		os.Exit(code)
	}
	if must {
		os.Exit(1)
	}
	fmt.Println("there is no network of namespaces: partitions are made by proxies alone")
	return nil
}

// tell runs a campaign and prints what came of it.
func tell(s settings, history string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	partitions := "partitions by proxies"
	if s.network != nil {
		partitions = "partitions by nft, in network namespaces"
	}
	fmt.Printf("seed %d, %v, %s\n", s.seed, s.length, partitions)
	c, err := run(ctx, s)
	table, missed := c.table()
	fmt.Printf("\n%s%v\n", table, time.Since(began).Round(time.Second))
	if len(missed) > 0 && err == nil {
		err = fmt.Errorf("these struck no leader in office: %s", strings.Join(missed, ", "))
	}
	if err == nil {
		fmt.Println("no rule was broken")
	} else {
		err = fmt.Errorf("seed %d: %w", s.seed, err)
	}
	if history != "" {
		err = errors.Join(err, c.account.save(history))
	}
	return err
}

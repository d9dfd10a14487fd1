package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "raftkv:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 {
		return demonstrate(ctx)
	}
	c, err := parse(args)
	if err != nil {
		return err
	}
	if c.attached {
		signal.Ignore(os.Interrupt) // a terminal sends that to all: the one that started it decides
		ctx = untilEOF(ctx)
	}
	s, err := open(ctx, c)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil // it was told to stop before it has started
	case err != nil:
		return err
	}
	return s.serve(ctx)
}

// config is what a server is started with.
type config struct {
	id        raft.ServerID
	dir       string
	peers     peers
	token     string // of the service; writes need it
	audit     string
	every     time.Duration // is swept
	heartbeat time.Duration // raft's HeartbeatTimeout, the same on all servers
	attached  bool

	reach raft.ServerAddressProvider // where the others are, if not where they listen: tests put something between
}

// peers are the addresses of all servers.
type peers map[raft.ServerID]peer

type peer struct {
	raft raft.ServerAddress
	http string
}

func (p peers) String() string {
	var all []string
	for id, at := range p {
		all = append(all, fmt.Sprintf("%s=%s/%s", id, at.raft, at.http))
	}
	return strings.Join(all, ",")
}

// Set implements flag.Value.
func (p peers) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		id, addresses, _ := strings.Cut(one, "=")
		raftAddress, httpAddress, ok := strings.Cut(addresses, "/")
		if !ok || id == "" {
			return fmt.Errorf("%q is not ID=RAFT/HTTP, like a=127.0.0.1:7001/127.0.0.1:8001", one)
		}
		p[raft.ServerID(id)] = peer{raft.ServerAddress(raftAddress), httpAddress}
	}
	return nil
}

func parse(args []string) (config, error) {
	c := config{peers: peers{}}
	var tokenFile string
	flags := flag.NewFlagSet("raftkv", flag.ContinueOnError)
	flags.StringVar((*string)(&c.id), "id", "", "of this server, one of those in -peers")
	flags.StringVar(&c.dir, "dir", "", "`directory` for what raft keeps")
	flags.Var(c.peers, "peers", "the `servers`: ID=RAFT/HTTP,... with the addresses at which each listens; the same everywhere")
	flags.StringVar(&tokenFile, "token-file", "", "`file` with the token that writes need")
	flags.StringVar(&c.audit, "audit", "", "`file` to which whoever leads appends a line for each sweep")
	flags.DurationVar(&c.every, "every", 200*time.Millisecond, "how often keys whose lifetime is over are swept")
	flags.DurationVar(&c.heartbeat, "heartbeat", 500*time.Millisecond, "raft's HeartbeatTimeout; the same everywhere")
	flags.BoolVar(&c.attached, "attached", false, "stop when standard input ends")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if _, ok := c.peers[c.id]; !ok || c.dir == "" || c.audit == "" {
		return c, errors.New("a server needs -dir, -audit, and an -id that is in -peers")
	}
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return c, fmt.Errorf("-token-file: %w", err)
	}
	if c.token = strings.TrimSpace(string(token)); c.token == "" {
		return c, fmt.Errorf("-token-file: %s is empty; write a secret into it", tokenFile)
	}
	return c, nil
}

// untilEOF ends when standard input does: when it is closed by the process that has started
// this one, or that process has ended, however it did.
func untilEOF(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // until the process ends: nothing interrupts a read of a pipe
		_, _ = os.Stdin.Read(make([]byte, 1)) // nothing is ever written
		cancel()
	}()
	return ctx
}

// say tells people.
func say(format string, args ...any) {
	fmt.Printf("%s %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

// pause waits. False: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure/raftlead"
)

// The test binary is also the command, whose work is recorded.
const (
	processEnv = "TENURE_RAFTKV_PROCESS" // what is to be wrong with it
	reachEnv   = "TENURE_RAFTKV_REACH"   // how it reaches the others: peers
)

// What may be wrong with a server.
const (
	whole    = "nothing"
	stubborn = "works on when its term has ended"
)

func TestMain(m *testing.M) {
	switch what := os.Getenv(processEnv); what {
	case "":
		os.Exit(m.Run())
	default:
		if err := serveRecorded(what); err != nil {
			fmt.Fprintln(os.Stderr, "raftkv:", err)
			os.Exit(1)
		}
	}
}

// serveRecorded is run, for a server whose work is recorded.
func serveRecorded(what string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := parse(os.Args[1:])
	if err != nil {
		return err
	}
	if text := os.Getenv(reachEnv); text != "" {
		through := reach{}
		if err := peers(through).Set(text); err != nil {
			return err
		}
		c.reach = through
	}
	ctx = untilEOF(ctx)
	s, err := open(ctx, c)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil
	case err != nil:
		return err
	}
	file := traceOf(c.dir+"/..", c.id)
	if what == stubborn {
		s.work = s.stubbornly(file)
	} else {
		s.work = s.recorded(file)
	}
	return s.serve(ctx)
}

// reach is how servers are reached through something that may cut them off.
type reach peers

// ServerAddr implements raft.ServerAddressProvider.
func (r reach) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	at, ok := r[id]
	if !ok {
		return "", fmt.Errorf("no server %q", id)
	}
	return at.raft, nil
}

const (
	// steps and step make a unit long enough to be in the middle of one when
	// something happens.
	steps = 5
	step  = time.Millisecond
)

// recorded sweeps, goes on a little for as long as it may, and records all that.
func (s *server) recorded(file string) func(context.Context, *raftlead.Leadership) error {
	return func(ctx context.Context, term *raftlead.Leadership) error {
		u := unit{token: term.Token(), by: s.id, begin: monotonic()}
		if !term.Held() {
			return nil
		}
		err := s.sweep(ctx, term)
		u.end = monotonic()
		for range steps {
			pause(ctx, step)
			if !term.Held() {
				break
			}
			u.end = monotonic()
		}
		return errors.Join(err, u.write(file))
	}
}

// overtime is how long a stubborn server works after its term, if it is not killed before.
const overtime = 30 * time.Second

// stubbornly does not ask whether it may.
func (s *server) stubbornly(file string) func(context.Context, *raftlead.Leadership) error {
	return func(ctx context.Context, term *raftlead.Leadership) error {
		over := context.WithoutCancel(ctx)
		var until time.Time
		for until.IsZero() || time.Now().Before(until) {
			u := unit{token: term.Token(), by: s.id, begin: monotonic()}
			pause(over, steps*step)
			u.end = monotonic()
			if err := u.write(file); err != nil {
				return err
			}
			if until.IsZero() && ctx.Err() != nil {
				until = time.Now().Add(overtime)
			}
		}
		return nil
	}
}

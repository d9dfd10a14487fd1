//go:build unix

package main

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/shellcmd"
)

// healthCheck is --health-cmd as the library calls it: every third of the TTL, for as
// long as the member lives, with a context that ends after as much.
type healthCheck struct {
	line   string
	env    func() []string // of the next call
	joined <-chan struct{} // closed when env may be called

	once sync.Once
	good chan struct{} // closed when a call has succeeded
}

func newHealthCheck(line string, joined <-chan struct{}, env func() []string) *healthCheck {
	return &healthCheck{line: line, joined: joined, env: env, good: make(chan struct{})}
}

func (h *healthCheck) check(ctx context.Context) error {
	select {
	case <-h.joined:
	case <-ctx.Done():
		return ctx.Err()
	}
	until, _ := ctx.Deadline() // which a check always has
	run := shellcmd.Command{Guard: guardCommand(), Line: h.line, Env: h.env()}
	err := run.Run(ctx, func() time.Time { return until }, nil)
	if err == nil && ctx.Err() == nil {
		h.once.Do(func() { close(h.good) })
	}
	return err
}

// awaitHealth waits until this member has been seen to be healthy. The library takes a
// member for healthy until its check fails, and one that never was should not be elected.
func (r *runner) awaitHealth(ctx context.Context) error {
	if r.health == nil {
		return nil
	}
	select {
	case <-r.health.good:
		return nil
	default:
	}
	r.tell.tell("health", "member %s waits for its health command to succeed", plain(r.member))
	select {
	case <-r.health.good:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// healthEnv is the environment of a health command now.
func (r *runner) healthEnv() []string { return r.environment(tenure.Token(r.token.Load())) }

// guardCommand makes this program a guard.
func guardCommand() []string { return []string{os.Args[0], guardArg} }

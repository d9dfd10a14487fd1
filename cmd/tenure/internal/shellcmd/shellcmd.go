//go:build unix

// Package shellcmd runs a command of the shell beside CMD: a health check, or what is to
// be done before CMD is stopped.
//
// It runs under a guard of its own. So it ends, with everything in its process group, at
// its time-out and when the process that started it does, however that happens.
package shellcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

// Command is a command line of the shell. Its standard input is empty.
type Command struct {
	Guard []string // the command line that makes this program a guard
	Line  string   // for /bin/sh -c
	Env   []string
	// Out has its output, standard and error. Nil: the last line of that is told where
	// the command fails, and the rest is dropped.
	Out *os.File
}

// ErrOverrun is of a command that was killed because it had not ended in time.
var ErrOverrun = errors.New("has not ended in time, and was killed")

// Run runs the command until it has ended, with all of its process group. It is killed when
// ctx ends, and at the deadline, which is asked for again whenever moved says so.
func (c Command) Run(ctx context.Context, deadline func() time.Time, moved <-chan struct{}) error {
	if c.Out != nil {
		return c.run(ctx, deadline, moved, c.Out)
	}
	said, err := newLastLine()
	if err != nil {
		return err
	}
	err = c.run(ctx, deadline, moved, said.in)
	if line := said.end(); err != nil && line != "" {
		return fmt.Errorf("%w: %s", err, line)
	}
	return err
}

func (c Command) run(ctx context.Context, deadline func() time.Time, moved <-chan struct{}, out *os.File) error {
	guard.ReapOrphans() // of earlier ones
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer func() { _ = nothing.Close() }() // nothing was written
	g, err := guard.StartWith(ctx, guard.Streams{In: nothing, Out: out, Err: out}, c.Guard...)
	if err != nil {
		return overrun(ctx, err)
	}
	defer g.Close()
	cmd := guard.Command{Args: []string{"/bin/sh", "-c", c.Line}, Env: c.Env}
	if _, err := g.Run(cmd, guard.DeadlineAt(deadline())); err != nil {
		return overrun(ctx, err)
	}
	done := ctx.Done()
	for {
		select {
		case <-moved:
			_ = g.Extend(guard.DeadlineAt(deadline())) // or the old one goes on to hold
		case <-done:
			done = nil // once
			g.Kill()
		case <-g.Done():
			return verdict(g.Wait())
		}
	}
}

// overrun is what a command that could not be started in time has in common with one
// that has not ended in time.
func overrun(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, guard.ErrDeadline) {
		return ErrOverrun
	}
	return err
}

func verdict(exit guard.Exit) error {
	switch {
	case exit.Killed == guard.ByLoss:
		return fmt.Errorf("%s: %s", exit.Killed, exit.Detail)
	case exit.Killed != guard.NotKilled:
		return ErrOverrun
	case exit.Signal != 0:
		return fmt.Errorf("ended by signal %d", exit.Signal)
	case exit.Code != 0:
		return fmt.Errorf("exit code %d", exit.Code)
	}
	return nil
}

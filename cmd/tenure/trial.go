package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/scratch"
	"github.com/tenure-go/tenure/store"
)

const (
	// graceTime is how long what is under way may take to end when the user, or the
	// clock, says so.
	graceTime = 10 * time.Second
	// lastTime is how long it may take after it has been cut off.
	lastTime = 15 * time.Second
	// clearTime bounds the removal of what a trial has made.
	clearTime = 30 * time.Second
)

// errAbandoned: the store does not let go of those who have called it. They end with
// this process.
var errAbandoned = errors.New("the store keeps a call that was ended, and so the trial did not come to its end")

// after tells when so much time has passed since the end of ctx.
func after(ctx context.Context, d time.Duration) <-chan struct{} {
	passed := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(d, func() { close(passed) }) })
	return passed
}

// trialFlags are what commands have that try a store out.
type trialFlags struct {
	*common
	ttl     time.Duration
	timeout time.Duration
	quiet   bool
}

func (f *trialFlags) add(cmd *cobra.Command, timeout time.Duration) {
	flags := cmd.Flags()
	flags.DurationVar(&f.ttl, "ttl", 0, "TTL of the sessions in the trial (default 1s, or the store's shortest if that is longer)")
	flags.DurationVar(&f.timeout, "timeout", timeout, "give up after so long")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing on standard error but errors")
}

func (f *trialFlags) check(cmd *cobra.Command) error {
	switch {
	case cmd.Flags().Changed("ttl") && (f.ttl < tenure.MinTTL || f.ttl > tenure.MaxTTL):
		return fmt.Errorf("--ttl is %v; give one from %v to %v", f.ttl, tenure.MinTTL, tenure.MaxTTL)
	case f.timeout <= 0:
		return fmt.Errorf("--timeout is %v; give one above zero", f.timeout)
	}
	return nil
}

// trial is a store, and the part of it that is for trials.
type trial struct {
	url   string
	caps  store.Capabilities
	ttl   time.Duration // as the store grants it
	space *scratch.Space
	*progress
}

// run does something with a part of the store that is as empty afterwards as it was
// before, and that is told so. The first signal ends it cleanly, the second at once.
func (f *trialFlags) run(cmd *cobra.Command, name string, requests int64, do func(context.Context, *trial) error) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)
	// Or who reads no further would end this process before it has cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("not done within %v; see --timeout", f.timeout))
	defer cancel()

	url, err := f.storeURL()
	if err != nil {
		return err
	}
	t := &trial{url: absolute(url), progress: newProgress(f.quiet, f.json)}
	open := func(ctx context.Context) (store.Store, error) { return openStore(ctx, url) }
	t.space = scratch.New(name, open, requests)
	defer t.space.CutAfter(ctx, graceTime)()
	if err := t.look(ctx, open, f.ttl); err != nil {
		return interrupted(ctx, err)
	}
	defer t.end()
	done := make(chan error, 1)
	go func() { done <- do(ctx, t) }()
	select {
	case err = <-done:
	case <-after(ctx, graceTime+lastTime):
		err = errAbandoned
	}
	err = interrupted(ctx, err)
	t.end()
	clearing, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTime)
	defer cancel()
	return errors.Join(err, t.space.Clear(clearing))
}

// look asks the store what it is.
func (t *trial) look(ctx context.Context, open scratch.Opener, ttl time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, scratch.OpenTimeout, fmt.Errorf("store %q: no answer within %v", redacted(t.url), scratch.OpenTimeout))
	defer cancel()
	st, err := open(ctx)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer func() { _ = st.Close() }() // nothing was written
	t.caps = st.Capabilities()
	if ttl == 0 {
		ttl = max(time.Second, t.caps.MinTTL)
	}
	lease, err := st.Grant(ctx, ttl)
	if err != nil {
		return interrupted(ctx, err)
	}
	t.ttl = lease.TTL
	return st.Revoke(context.WithoutCancel(ctx), lease.ID)
}

// interrupted is err, or why ctx has ended if it has and that made the error.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, scratch.ErrCut)) {
		return context.Cause(ctx)
	}
	return err
}

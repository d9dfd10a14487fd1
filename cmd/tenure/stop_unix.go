//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	// sameSignal is how soon a second signal is the first again: timeout(1) sends its
	// signal twice, and a terminal may, too.
	sameSignal = 200 * time.Millisecond
	// forcedEnd is how long what a second signal has left to do may take.
	forcedEnd = time.Second
)

// stopper ends a command that runs until it is told to stop: with the first signal
// cleanly, with the second at once.
type stopper struct {
	ctx    context.Context // until the first; its cause says which
	cancel context.CancelCauseFunc
	ch     chan os.Signal
	quit   chan struct{}
	wg     sync.WaitGroup
	first  time.Time // when it came; serve's own

	mu     sync.Mutex
	atOnce func()
	forced syscall.Signal // the second; 0: there was none
}

// stopOnSignals takes over the signals that end a process, and SIGPIPE: an end of the
// reader of what is printed is none.
func stopOnSignals(ctx context.Context) *stopper {
	s := &stopper{ch: make(chan os.Signal, 16), quit: make(chan struct{}), atOnce: func() {}}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE} {
		if !signal.Ignored(sig) { // as nohup has it
			signal.Notify(s.ch, sig)
		}
	}
	s.wg.Go(s.serve)
	return s
}

// toldToStop is the cause of an end that a signal has asked for.
func toldToStop(sig syscall.Signal) error { return fmt.Errorf("told to stop by a signal: %v", sig) }

// release gives the signals back.
func (s *stopper) release() {
	signal.Stop(s.ch)
	close(s.quit)
	s.wg.Wait()
	s.cancel(nil)
}

// second says what a second signal does first. It must not block.
func (s *stopper) second(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atOnce = f
}

func (s *stopper) serve() {
	for {
		select {
		case sig := <-s.ch:
			if n, ok := sig.(syscall.Signal); ok && n != syscall.SIGPIPE {
				s.take(n)
			}
		case <-s.quit:
			return
		}
	}
}

func (s *stopper) take(sig syscall.Signal) {
	switch {
	case s.first.IsZero():
		s.first = time.Now()
		s.cancel(toldToStop(sig))
		return
	case time.Since(s.first) < sameSignal:
		return
	}
	s.mu.Lock()
	s.forced = sig
	atOnce := s.atOnce
	s.mu.Unlock()
	atOnce()
	select { // what has not been handed over by then ends with its lease
	case <-time.After(forcedEnd):
		os.Exit(128 + int(sig))
	case <-s.quit:
	}
}

// result is what a command returns that has ended with err.
func (s *stopper) result(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stopped := s.ctx.Err() != nil && (errors.Is(err, s.ctx.Err()) || errors.Is(err, context.Cause(s.ctx)))
	if stopped || s.forced != 0 {
		err = nil // it says no more than the exit code
	}
	if s.forced != 0 {
		return &exitError{128 + int(s.forced), nil}
	}
	return err
}

//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

// signals passes signals on to CMD, and ends the run on those that ask for it.
type signals struct {
	ch   chan os.Signal
	quit chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	cmd     *guard.Guard // nil while nothing runs
	held    bool         // CMD is being started: what is for it waits in kept
	kept    []syscall.Signal
	asked   bool           // CMD has been asked to end
	stopped syscall.Signal // that ends the run; 0: none has
	when    time.Time      // it came
	cancel  context.CancelFunc
}

// catchSignals takes over all signals of the process.
func catchSignals() *signals {
	s := &signals{ch: make(chan os.Signal, 64), quit: make(chan struct{}), cancel: func() {}}
	signal.Notify(s.ch)
	s.wg.Go(s.serve)
	return s
}

// stop gives the signals back.
func (s *signals) stop() {
	signal.Stop(s.ch)
	close(s.quit)
	s.wg.Wait()
}

// context returns one that ends with the signal that ends the run.
func (s *signals) context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = func() { cancel(toldToStop(s.stopped)) }
	if s.stopped != 0 {
		s.cancel()
	}
	return ctx, func() { cancel(nil) }
}

// code is the exit code of a run that a signal has ended before CMD could say
// anything; without one, the run has failed.
func (s *signals) code() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped == 0 {
		return exitRunFailed
	}
	return 128 + int(s.stopped)
}

// ending reports whether a signal has ended the run.
func (s *signals) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped != 0
}

// hold keeps what is for CMD until forwardTo says who that is.
func (s *signals) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// forwardTo makes g the receiver of what is passed on; nil: nobody.
func (s *signals) forwardTo(g *guard.Guard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.kept
	s.cmd, s.held, s.asked, s.kept = g, false, false, nil
	for _, sig := range kept {
		s.takeLocked(sig)
	}
}

func (s *signals) serve() {
	for {
		select {
		case sig := <-s.ch:
			if n, ok := sig.(syscall.Signal); ok && forwardable(n) {
				s.take(n)
			}
		case <-s.quit:
			return
		}
	}
}

func (s *signals) take(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeLocked(sig)
}

func (s *signals) takeLocked(sig syscall.Signal) {
	ends := sig == syscall.SIGTERM || sig == syscall.SIGINT
	waiting := s.cmd == nil && !s.held && (sig == syscall.SIGHUP || sig == syscall.SIGQUIT)
	switch {
	case ends && sig == s.stopped && time.Since(s.when) < sameSignal:
		// not asked twice
	case ends && s.stopped != 0 && s.cmd != nil:
		s.cmd.Kill() // asked twice
	case ends && s.stopped != 0:
		os.Exit(128 + int(sig)) // what has not been handed over ends with its lease
	case s.stopped == 0 && (ends || waiting):
		s.stopped, s.when = sig, time.Now()
		s.cancel() // the term ends, and end passes the signal on ...
		if s.asked {
			_ = s.cmd.Signal(sig) // ... unless it has ended before
		}
	case s.held:
		s.kept = append(s.kept, sig)
	case s.cmd != nil:
		_ = s.cmd.Signal(sig) // CMD has ended, or its guard is lost, and that shows
	}
}

// end stops CMD with the signal that has ended the run, or TERM if it goes on without
// CMD, and kills it when its grace is over.
func (s *signals) end(g *guard.Guard, grace time.Duration) {
	s.mu.Lock()
	sig := s.stopped
	s.asked = true
	s.mu.Unlock()
	if sig == 0 || sig == syscall.SIGTERM {
		g.Stop(grace)
		return
	}
	_ = g.Signal(sig) // if that fails, what follows does not
	s.wg.Go(func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			g.Kill()
		case <-g.Done():
		}
	})
}

// forwardable reports whether a signal to "tenure run" is meant for CMD.
func forwardable(sig os.Signal) bool {
	switch sig {
	case syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG, syscall.SIGTTOU, syscall.SIGTTIN, syscall.SIGTSTP, syscall.SIGCONT:
		return false // about this process, or the runtime's own
	}
	return true
}

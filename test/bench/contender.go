package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// contender is an implementation of elections.
type contender interface {
	String() string
	// enrol makes the candidates of an election. It returns when one leads and the
	// others are in line.
	enrol(ctx context.Context, election string, n int) (field, error)
}

// field is the candidates of one election.
type field interface {
	// handOver tells the leader to step down, and to come back to the end of the
	// line. It returns how long after the leader's work had ended another led.
	handOver(ctx context.Context) (time.Duration, error)
	// crash cuts the leader's session off, so that its lease is renewed no more. It
	// returns how long after that another led.
	crash(ctx context.Context) (time.Duration, error)
	close() error
}

// won says who leads, and since when.
type won struct {
	who int
	at  time.Time
}

// line is what the fields of contenders have in common: each candidate runs a loop
// that campaigns, says that it has won, and waits to be told to step down.
type line struct {
	elected chan won
	leave   []chan chan time.Time // to each candidate: send when your work has ended
	failed  chan error
	leader  int
	ended   time.Time // the work of the last one that stepped down
}

func newLine(n int) *line {
	l := &line{elected: make(chan won), failed: make(chan error, n)}
	for range n {
		l.leave = append(l.leave, make(chan chan time.Time))
	}
	return l
}

// patience bounds every wait for a leader.
const patience = time.Minute

func (l *line) next(ctx context.Context) (won, error) {
	select {
	case w := <-l.elected:
		l.leader = w.who
		return w, nil
	case err := <-l.failed:
		return won{}, err
	case <-time.After(patience):
		return won{}, fmt.Errorf("nobody leads after %v", patience)
	case <-ctx.Done():
		return won{}, ctx.Err()
	}
}

func (l *line) handOver(ctx context.Context) (time.Duration, error) {
	ended := make(chan time.Time, 1)
	select {
	case l.leave[l.leader] <- ended:
	case err := <-l.failed:
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	w, err := l.next(ctx)
	if err != nil {
		return 0, err
	}
	l.ended = <-ended
	return w.at.Sub(l.ended), nil
}

// replaced waits for whom the leader's crash makes lead.
func (l *line) replaced(ctx context.Context, crashed time.Time) (time.Duration, error) {
	w, err := l.next(ctx)
	return w.at.Sub(crashed), err
}

// hold says that a candidate leads, and waits until it is told to step down.
func (l *line) hold(ctx context.Context, who int) (ended chan time.Time, err error) {
	select {
	case l.elected <- won{who, time.Now()}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case ended = <-l.leave[who]:
		return ended, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fail reports what has ended a candidate's loop.
func (l *line) fail(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		l.failed <- err
	}
}

// drain is how long a leader's work takes to end once it is told to.
func drain(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// closeAll calls them, the last first.
func closeAll(closers []func() error) error {
	var errs []error
	for _, f := range slices.Backward(closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

package raftleadtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

var errStopped = fmt.Errorf("%w: raft does not lead there any more", tenure.ErrLost)

// Future is a leadership that was expected of a server.
type Future struct {
	server   raft.ServerID
	deadline time.Time
	timer    *time.Timer

	done       chan struct{}
	leadership *Leadership // these two are set before done is closed
	err        error
}

// Expect expects a server to lead within a time that is counted from this call. One that
// leads already satisfies it at once. Any number of Futures may wait, for one
// server or for several.
//
// Errors: ErrUnknown for a server that was never tracked, ErrIgnored, ErrClosed,
// tenure.ErrInvalid.
func (t *Tracker) Expect(id raft.ServerID, timeout time.Duration) (*Future, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.servers[id]
	switch {
	case t.unusable != nil:
		return nil, fmt.Errorf("expect %q: %w", id, t.unusable)
	case t.closed:
		return nil, fmt.Errorf("expect %q: %w", id, ErrClosed)
	case t.ignored:
		return nil, fmt.Errorf("expect %q: %w", id, ErrIgnored)
	case timeout <= 0:
		return nil, fmt.Errorf("expect %q: %w", id, invalid("the timeout is %v; give a positive one", timeout))
	case s == nil:
		return nil, fmt.Errorf("expect %q: %w; call Track first", id, ErrUnknown)
	}
	timeout = scaled(timeout, t.scale)
	f := &Future{server: id, deadline: time.Now().Add(timeout), done: make(chan struct{})}
	if s.leadership != nil {
		f.end(s.leadership, nil)
		return f, nil
	}
	s.waiting = append(s.waiting, f)
	f.timer = time.AfterFunc(timeout, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		f.end(nil, fmt.Errorf("server %q was not elected within %v: %w", id, timeout, ErrTimeout))
		s.waiting = slices.DeleteFunc(s.waiting, func(other *Future) bool { return other == f })
	})
	return f, nil
}

// end is the end of the wait; the first one counts. The Tracker's mutex is held.
func (f *Future) end(l *Leadership, err error) {
	if isClosed(f.done) {
		return
	}
	if f.timer != nil {
		f.timer.Stop()
	}
	f.leadership, f.err = l, err
	close(f.done)
}

// Done waits until the server leads. It may be called any number of times, from many
// goroutines, and returns the same to all.
//
// Errors: ErrTimeout, ErrIgnored, ErrClosed, and that of ctx, which only ends this
// wait.
func (f *Future) Done(ctx context.Context) (*Leadership, error) {
	select {
	case <-f.done:
	case <-ctx.Done():
		if !isClosed(f.done) {
			return nil, fmt.Errorf("expect %q: %w", f.server, ctx.Err())
		}
	}
	return f.leadership, f.err
}

// Leadership is one that a server has acquired.
type Leadership struct {
	server raft.ServerID
	term   uint64
	lost   chan struct{}
	cause  error // set before lost is closed
}

// Server is the one that leads, or has led.
func (l *Leadership) Server() raft.ServerID { return l.server }

// RaftTerm is the raft term in which it was elected.
func (l *Leadership) RaftTerm() uint64 { return l.term }

// Lost is closed when the leadership is lost, and when the Tracker is closed.
func (l *Leadership) Lost() <-chan struct{} { return l.lost }

// Cause says why Lost is closed; it is nil while it is not. It is a tenure.ErrLost, whose text says
// what the server knows instead, or what the source has ended with, or ErrClosed.
func (l *Leadership) Cause() error {
	if !isClosed(l.lost) {
		return nil
	}
	return l.cause
}

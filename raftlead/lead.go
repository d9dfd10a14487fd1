package raftlead

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/tenure-go/tenure"
)

// Lead calls work whenever this server leads, with a barrier applied before; see Campaign. The
// context given to work ends when the term does. The Term given to it is a *Leadership.
//
// When work returns by itself, or because ctx has ended or Resign was called, the leadership is
// passed on, as Resign does it, and Lead returns what work has returned; a panic of work is
// returned as a *tenure.PanicError. When the term was ended by others or by TransferTo, Lead
// campaigns again, once work has returned: it never calls work twice at a time.
//
// Raft elects whom it likes: it may elect a server on which nobody campaigns, and then nobody works.
// So call Lead on every voter, for as long as its raft lives, and again after an error.
//
// Errors, besides those of work: those of Campaign; ErrNotTransferred joined with what work has
// returned.
func (e *Elector) Lead(ctx context.Context, work func(context.Context, tenure.Term) error) error {
	if work == nil {
		return fail("lead", invalid("nil function; give one to call while this server leads"))
	}
	if err := e.enter(); err != nil {
		return fail("lead", err)
	}
	defer e.leave()
	for {
		l, err := e.await(ctx, true, func() {})
		if err != nil {
			return fail("lead", errors.Join(err, e.decline(ctx)))
		}
		again, err := l.lead(ctx, work)
		if !again {
			return err
		}
	}
}

// decline passes on a leadership of which no term has begun, and none will, as ctx has ended.
func (e *Elector) decline(ctx context.Context) error {
	at := e.watch.now.Load()
	if ctx.Err() == nil || !at.Leading {
		return nil
	}
	return e.handOver(context.WithoutCancel(ctx), at, nil)
}

// lead calls work for one term. It returns what Lead returns, unless there is to be another.
func (l *Leadership) lead(ctx context.Context, work func(context.Context, tenure.Term) error) (again bool, err error) {
	stop := context.AfterFunc(ctx, func() { l.giveUp(context.Cause(ctx), nil) })
	defer stop()
	if l.Held() {
		result := make(chan error, 1)
		go call(l, work, result)
		err = l.outcome(result)
	}
	if l.Held() {
		l.giveUp(tenure.ErrResigned, nil)
	}
	<-l.ctx.Done() // at once
	cause := l.Cause()
	if l.lost && errors.Is(cause, ErrClosed) {
		return false, err
	}
	if l.lost || l.to != nil {
		if l.to != nil {
			_ = l.passOn(ctx) // it is led here again, then
		}
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, cause) {
			l.e.opts.Logger.Warn("the function failed", "server", l.e.id, "token", l.token, "error", err)
		}
		if ctx.Err() == nil {
			return true, nil
		}
		return false, errors.Join(err, l.e.decline(ctx))
	}
	if late := l.passOn(ctx); late != nil {
		err = errors.Join(err, fail("resign", late))
	}
	return false, err
}

// passOn makes another server the leader, also when ctx has ended: the time for it is bounded.
func (l *Leadership) passOn(ctx context.Context) error {
	err := l.handOver(context.WithoutCancel(ctx))
	if err != nil {
		l.e.opts.Logger.Warn("the leadership was not passed on", "server", l.e.id, "raft_term", l.at.Term, "error", err)
	}
	return err
}

// outcome waits for what work returns, for as long as it takes.
func (l *Leadership) outcome(result <-chan error) error {
	select {
	case err := <-result:
		return err
	case <-l.ctx.Done():
	}
	overrun := time.NewTimer(l.e.opts.DrainTimeout)
	defer overrun.Stop()
	select {
	case err := <-result:
		return err
	case <-overrun.C:
	}
	l.e.opts.Logger.Warn("the function still runs after its drain time", "server", l.e.id, "raft_term", l.at.Term, "token", l.token)
	return <-result
}

// call turns every way in which a function can end into an error.
func call(l *Leadership, work func(context.Context, tenure.Term) error, result chan<- error) {
	var err error
	ended := false
	defer func() {
		if !ended {
			err = &tenure.PanicError{Value: recover(), Stack: debug.Stack()}
		}
		result <- err
	}()
	err = work(l.ctx, l)
	ended = true
}

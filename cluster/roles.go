package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
)

// maxBackoff is the longest pause after routines that failed, unless the tick is longer.
const maxBackoff = time.Minute

// roles is what a node is in its cluster, and the routines that go with it:
//
//	unknown --> follower --> leader --> unknown --> ...
//
// A node follows from when it sees that another leads until it is elected itself. It
// leads from the beginning of its term until its routine has returned.
type roles struct {
	r         *run
	ctx       context.Context // of all routines
	cancel    context.CancelCauseFunc
	abandoned chan struct{} // closed when nobody waits any longer for a routine that overran
	wg        sync.WaitGroup

	mu    sync.Mutex
	role  Role
	leave context.CancelCauseFunc // ends the present role
	seen  string                  // who leads; "": nobody
	token tenure.Token            // of the newest term that was seen
}

func newRoles(r *run) *roles {
	s := &roles{r: r, abandoned: make(chan struct{}), leave: func(error) {}}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

func (s *roles) present() Role {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role
}

func (s *roles) leader() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// sees takes note of who leads.
func (s *roles) sees(leader string, token tenure.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = leader
	s.token = max(s.token, token)
	if leader != "" && leader != s.r.n.id && s.role == Unknown {
		s.follow()
	}
}

// lead is the node's work while it leads.
func (s *roles) lead(ctx context.Context, t tenure.Term) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.begin(t, cancel)
	defer s.end(t)
	routine := s.r.n.opts.Leader
	if routine == nil {
		<-ctx.Done()
		return nil
	}
	return s.tick(ctx, Leader, func(ctx context.Context) error {
		if !t.Held() {
			// The process was stopped, and others may lead; its context ends in a moment.
			<-ctx.Done()
			return nil
		}
		return routine(ctx, t)
	})
}

func (s *roles) begin(t tenure.Term, leave context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(ErrElected)
	s.leave = leave
	s.token = max(s.token, t.Token())
	s.become(Leader)
}

func (s *roles) end(t tenure.Term) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token > t.Token() && s.seen != "" && s.seen != s.r.n.id {
		s.follow()
		return
	}
	s.become(Unknown)
}

// follow begins to follow. mu is held.
func (s *roles) follow() {
	s.become(Follower)
	routine := s.r.n.opts.Follower
	if routine == nil || s.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	s.leave = cancel
	s.wg.Go(func() {
		defer cancel(nil)
		s.tickOn(ctx, Follower, routine)
	})
}

// alone gives the role to a node that cannot have another.
func (s *roles) alone(role Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.become(role)
}

// become changes the role. mu is held.
func (s *roles) become(role Role) {
	if s.role != role {
		s.role = role
		s.r.notes.role(role)
	}
}

// tick calls a routine until ctx ends. A node whose former routine does not return in its
// drain time cannot do the work of its role: that is the error.
func (s *roles) tick(ctx context.Context, role Role, routine func(context.Context) error) error {
	tick := s.r.n.opts.Tick
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failures := 0; ; {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		if mine, err := s.turn(ctx); err != nil || !mine {
			return err
		}
		start := time.Now()
		err := s.call(ctx, role, routine)
		took := time.Since(start)
		if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
			err = nil // it was told to stop
		}
		s.r.notes.routine(RoutineInfo{Role: role, Took: took, Over: max(took-tick, 0), Err: err})
		pause := tick
		if failures++; err == nil {
			failures = 0
		} else {
			pause = backoff(tick, failures)
		}
		timer.Reset(max(pause-took, 0))
	}
}

// tickOn is tick, of one who has nobody to leave the work to.
func (s *roles) tickOn(ctx context.Context, role Role, routine func(context.Context) error) {
	for ctx.Err() == nil {
		_ = s.tick(ctx, role, routine) // that a routine still runs was told
	}
}

// turn waits until no routine of this node runs, and takes the turn. False: ctx has ended.
func (s *roles) turn(ctx context.Context) (bool, error) {
	limit := s.r.n.opts.DrainTimeout
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.r.n.turn:
	case <-ctx.Done():
		return false, nil
	case <-timer.C:
		return false, fmt.Errorf("%w: the routine of the node's former role still runs, %v after its end", tenure.ErrDrainTimeout, limit)
	}
	if ctx.Err() != nil {
		s.r.n.turn <- struct{}{}
		return false, nil
	}
	return true, nil
}

// call calls a routine and waits for it, unless that was given up. The routine has the
// turn until it returns.
func (s *roles) call(ctx context.Context, role Role, routine func(context.Context) error) error {
	result := make(chan error, 1)
	go func() {
		err := error(&tenure.PanicError{}) // of one that leaves its goroutine
		defer func() {
			result <- err
			s.r.n.turn <- struct{}{}
		}()
		err = guarded(func() error { return routine(ctx) })
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	limit := s.r.n.opts.DrainTimeout
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-result:
		return err
	case <-timer.C:
	case <-s.abandoned:
	}
	s.r.notes.overrun(role, limit)
	select {
	case err := <-result:
		return err
	case <-s.abandoned:
		return tenure.ErrDrainTimeout
	}
}

// drain ends all routines, and the leadership by release, which waits for the leader's.
func (s *roles) drain(release func() error) error {
	overdue := time.NewTimer(s.r.n.opts.DrainTimeout)
	defer overdue.Stop()
	s.mu.Lock()
	s.leave(ErrStopped)
	s.cancel(ErrStopped) // nobody begins to follow any more
	s.mu.Unlock()
	err := release()
	drained := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(drained)
	}()
	if err == nil {
		select {
		case <-drained:
			return nil
		case <-overdue.C:
			err = tenure.ErrDrainTimeout
		}
	}
	close(s.abandoned)
	<-drained
	return err
}

// backoff is how long to wait after so many failures, one after the other.
func backoff(tick time.Duration, failures int) time.Duration {
	limit := max(tick, maxBackoff)
	pause := limit
	if failures < 16 {
		pause = min(limit, tick<<failures)
	}
	return pause/2 + rand.N(pause/2+1)
}

// guarded calls what is the user's, and turns a panic into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &tenure.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}

package raftleadtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure/raftlead"
)

// Source tells who leads, as one server knows it: *raftlead.Elector and *raftlead.Watch do.
// The sequence must end when ctx does.
type Source interface {
	Transitions(ctx context.Context) iter.Seq2[raftlead.Transition, error]
}

// TrackerOptions tune a Tracker. The zero value works.
type TrackerOptions struct {
	// Strict: a leadership that no Future is waiting for is a violation, ErrUnexpected.
	Strict bool
	// Violated, if not nil, is called with each violation, before what comes after
	// it on the same server is looked at. To stop there, panic in it.
	Violated func(error)
	// Scale multiplies the time-outs of Expect. By default it is that of the
	// environment; see Scale.
	Scale float64
}

// Tracker follows who leads on the servers of one cluster. Its methods may be
// called from many goroutines. Close ends its own.
type Tracker struct {
	opts     TrackerOptions
	scale    float64
	unusable error // the scale cannot be read

	ctx    context.Context // of the sources
	cancel context.CancelFunc

	mu         sync.Mutex
	servers    map[raft.ServerID]*tracked
	leaders    map[uint64]raft.ServerID // by raft term
	violations []error
	ignored    bool
	closed     bool
}

// tracked is what is known of one server.
type tracked struct {
	id         raft.ServerID
	last       raftlead.Transition // of the present source
	heard      bool                // there is a last one
	leadership *Leadership         // nil: it does not lead
	waiting    []*Future
	ended      chan struct{} // closed when the source has ended
}

// NewTracker makes a Tracker that follows nothing yet.
func NewTracker(opts TrackerOptions) *Tracker {
	t := &Tracker{opts: opts, servers: map[raft.ServerID]*tracked{}, leaders: map[uint64]raft.ServerID{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.scale, t.unusable = scaleOr(opts.Scale)
	return t
}

// Track follows a server, from what the source says is the present state. It may be
// called at any time, also when leaderships are expected already, and again for a server that
// was restarted, once Ended says that its earlier source has ended.
//
// Errors: ErrTracked, ErrClosed, tenure.ErrInvalid.
func (t *Tracker) Track(id raft.ServerID, source Source) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.servers[id]
	switch {
	case t.unusable != nil:
		return fmt.Errorf("track %q: %w", id, t.unusable)
	case t.closed:
		return fmt.Errorf("track %q: %w", id, ErrClosed)
	case id == "":
		return fmt.Errorf("track: %w", invalid("no id; give raft's Config.LocalID"))
	case source == nil:
		return fmt.Errorf("track %q: %w", id, invalid("no source; give the server's Elector or Watch"))
	case s != nil && !isClosed(s.ended):
		return fmt.Errorf("track %q: %w; wait for its source to end", id, ErrTracked)
	}
	if s == nil {
		s = &tracked{id: id}
		t.servers[id] = s
	}
	s.heard = false
	ended := make(chan struct{})
	s.ended = ended
	transitions := source.Transitions(t.ctx) // from the state at this call
	go func() {
		defer close(ended)
		t.follow(s, transitions)
	}()
	return nil
}

// follow sees each transition of a source.
func (t *Tracker) follow(s *tracked, transitions iter.Seq2[raftlead.Transition, error]) {
	cause := errors.New("raftleadtest: the source has ended without an error")
	for tr, err := range transitions {
		if err != nil {
			cause = err
			break
		}
		for _, v := range t.see(s, tr) {
			if t.opts.Violated != nil {
				t.opts.Violated(v)
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.lose(cause)
}

// see takes note of a transition, and returns what it violates.
func (t *Tracker) see(s *tracked, tr raftlead.Transition) (violations []error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	violated := func(rule error) {
		if !t.ignored {
			violations = append(violations, fmt.Errorf("server %q: %w: it %v", s.id, rule, tr))
		}
	}
	defer func() { t.violations = append(t.violations, violations...) }()

	last := s.last
	if s.heard {
		if tr.Seq != last.Seq+1 && tr.Seq != 0 {
			violated(fmt.Errorf("%w after %d, before %d", ErrLeftOut, last.Seq, tr.Seq))
		}
		if tr.Term < last.Term {
			violated(fmt.Errorf("%w from %d", ErrTermFell, last.Term))
		}
		switch last.Seq = tr.Seq; {
		case tr.Leading && last.Leading:
			violated(ErrAcquiredTwice)
		case tr == last:
			violated(ErrLostTwice)
		}
	}
	s.last, s.heard = tr, true

	if s.leadership != nil && (!tr.Leading || tr.Term != s.leadership.term) {
		s.lose(fmt.Errorf("%w: it %v", errStopped, tr))
	}
	if !tr.Leading || s.leadership != nil {
		return violations
	}
	if other, ok := t.leaders[tr.Term]; ok && other != s.id {
		violated(fmt.Errorf("%w, the other is %q", ErrTwoLeaders, other))
	}
	t.leaders[tr.Term] = s.id
	s.leadership = &Leadership{server: s.id, term: tr.Term, lost: make(chan struct{})}
	expected := false
	for _, f := range s.waiting {
		if time.Now().Before(f.deadline) {
			expected = true
			f.end(s.leadership, nil)
		}
	}
	s.waiting = nil // those that are too late have a timer
	if t.opts.Strict && !expected {
		violated(ErrUnexpected)
	}
	return violations
}

// lose ends the leadership of a server, if it has one. The mutex is held.
func (s *tracked) lose(cause error) {
	if s.leadership != nil {
		s.leadership.cause = cause
		close(s.leadership.lost)
		s.leadership = nil
	}
}

// Ended is closed when the source of a server has ended, as it does when its raft is
// shut down, and all of its transitions were looked at. It is closed for a server that is
// not tracked.
func (t *Tracker) Ended(id raft.ServerID) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.servers[id]; s != nil {
		return s.ended
	}
	none := make(chan struct{})
	close(none)
	return none
}

// Err joins all violations so far: ErrTwoLeaders, ErrAcquiredTwice, ErrLostTwice, ErrTermFell,
// ErrLeftOut, and of a Strict Tracker ErrUnexpected. It is nil if there were none.
func (t *Tracker) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.violations...)
}

// Ignore: what comes now is no violation, and satisfies nobody. All Futures that
// wait end with ErrIgnored. Leaderships still tell of their loss. Call it before the
// servers are shut down in an order that matters to nobody.
func (t *Tracker) Ignore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ignored = true
	t.giveUp(ErrIgnored)
}

// giveUp ends all Futures that wait. The mutex is held.
func (t *Tracker) giveUp(err error) {
	for _, s := range t.servers {
		for _, f := range s.waiting {
			f.end(nil, fmt.Errorf("expect %q: %w", s.id, err))
		}
		s.waiting = nil
	}
}

// closePatience is how long Close waits for a source whose context has ended.
const closePatience = 10 * time.Second

// Close ends the Tracker: Futures that wait and leaderships that are not lost end with ErrClosed.
// It waits for its goroutines, and may be called again.
//
// Errors: ErrTimeout for a source that does not end with its context, and for a
// Violated that does not return.
func (t *Tracker) Close() error {
	t.mu.Lock()
	t.closed = true
	t.giveUp(ErrClosed)
	for _, s := range t.servers {
		s.lose(ErrClosed)
	}
	servers := make([]*tracked, 0, len(t.servers))
	for _, s := range t.servers {
		servers = append(servers, s)
	}
	t.mu.Unlock()
	t.cancel()

	patience := time.NewTimer(scaled(closePatience, max(t.scale, 1)))
	defer patience.Stop()
	for _, s := range servers {
		select {
		case <-s.ended:
		case <-patience.C:
			return fmt.Errorf("close: the source of %q goes on after its context has ended: %w", s.id, ErrTimeout)
		}
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// leads: the server leads, as far as the Tracker has seen.
func (t *Tracker) leads(id raft.ServerID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.servers[id]
	return s != nil && s.leadership != nil
}

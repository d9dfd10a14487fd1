package tenure

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure/internal/inbox"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

const (
	revokeTimeout = 5 * time.Second
	reopenMin     = 50 * time.Millisecond // between attempts to remake a session
	reopenMax     = 5 * time.Second
)

// Member is a process that may lead: an identity and a session, which it keeps
// alive and remakes when it is lost. Any number of elections share the session,
// its one renewal loop and its few watches. All methods may be called from many
// goroutines.
type Member struct {
	st       store.Store
	opts     Options
	instance string
	notes    *inbox.Inbox[func()]
	history  *historian // nil: not wanted

	mu         sync.Mutex
	session    *session      // nil while it is being remade
	changed    chan struct{} // closed, and replaced, when there is one, or will be none
	candidates map[string]*candidacy
	flaps      map[string]*flaps // by election
	unwell     error             // why the member must lead nothing
	closing    bool
	err        error // the member cannot have a session any more

	ctx       context.Context // until Close has drained every candidacy
	cancel    context.CancelFunc
	abandoned chan struct{} // Close waits no longer for functions that overran
	live      sync.WaitGroup
	closed    chan struct{} // Close has ended
	closeErr  error
}

// Join makes this process a member over st, which stays the caller's to close,
// after the member. It returns once the member has a session. If another start
// with the same ID still owns it (a process that has just crashed, most often),
// Join waits for that one's session to end, for its TTL and a little more.
//
// Errors: ErrInvalid for options, ErrDuplicateMember when the other owner turns
// out to be alive (or seems so, where the store gave its session more time meanwhile,
// as etcd does when it elects a leader: try again), store.ErrUnsupported when the store lacks what an election
// needs, ErrCorrupt, and those of the store and of ctx.
func Join(ctx context.Context, st store.Store, opts Options) (*Member, error) {
	m, err := join(ctx, st, opts)
	if err != nil {
		return nil, &Error{Op: "join", Err: err}
	}
	return m, nil
}

func join(ctx context.Context, st store.Store, opts Options) (*Member, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if st == nil {
		return nil, invalid("nil store; open one first")
	}
	if err := checkStore(st); err != nil {
		return nil, err
	}
	opts, err := opts.withDefaults(st.Capabilities())
	if err != nil {
		return nil, err
	}
	m := &Member{
		st:         st,
		opts:       opts,
		instance:   nonce(),
		notes:      inbox.New[func()](),
		candidates: map[string]*candidacy{},
		flaps:      map[string]*flaps{},
		changed:    make(chan struct{}),
		abandoned:  make(chan struct{}),
		closed:     make(chan struct{}),
	}
	if opts.History {
		m.history = newHistorian(m)
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	ended := make(chan struct{})
	m.live.Go(func() { m.notes.Each(ended, m.notify) })
	s, err := m.openSession(ctx)
	if err != nil {
		m.cancel()
		close(ended)
		m.live.Wait()
		return nil, err
	}
	m.began(s) // before Join returns: the member is healthy from then on
	over := make(chan struct{})
	m.live.Go(func() {
		defer close(over)
		m.run(s)
	})
	m.live.Go(func() {
		defer close(ended)
		m.history.run(over)
	})
	if check := m.opts.Health; check != nil {
		m.live.Go(func() { m.watchHealth(m.ctx, "", check, m.setUnwell) })
	}
	return m, nil
}

// ID is the member's id.
func (m *Member) ID() string { return m.opts.ID }

// Healthy is for probes: nil while the member's session is alive. It reads
// local state only. Errors: ErrClosed, ErrDuplicateMember, ErrSessionExpired
// while the session is being remade.
func (m *Member) Healthy() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closing:
		return ErrClosed
	case m.err != nil:
		return m.err
	case m.session == nil || !m.session.trust.Ahead(m.session.clock.Now()):
		return ErrSessionExpired
	}
	return nil
}

// setUnwell notes why the member must lead nothing; nil: it may.
func (m *Member) setUnwell(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	news := (m.unwell == nil) != (err == nil)
	m.unwell = err
	for _, c := range m.candidates {
		if news && !c.dismissed {
			m.tell(c)
		}
	}
}

// warn says that a term may end soon.
func (m *Member) warn(l *Leadership, left time.Duration) {
	info := l.info()
	m.note(func() {
		m.opts.Logger.Warn("the term may end soon", "election", info.Election, "member", info.Member, "token", info.Token, "left", left)
		if f := m.opts.Trace.Warning; f != nil {
			f(info, left)
		}
	})
}

// run keeps the member in session until Close.
func (m *Member) run(s *session) {
	for s != nil {
		done := make(chan struct{})
		m.live.Go(func() {
			defer close(done)
			s.run()
		})
		select {
		case <-done:
			m.lost(s)
			if s = m.reopen(); s != nil {
				m.began(s)
			}
		case <-m.ctx.Done():
			close(s.stop)
			<-done
			m.sessionOver(s, ErrClosed)
			if m.closeErr == nil {
				m.revoke(s.lease.ID)
			} // else a function that overran may be at work: the lease ends by itself
			m.end(ErrClosed)
			return
		}
	}
	<-m.ctx.Done()
}

// end ends every candidacy, now and later, with err, whatever is left of it.
// Functions that still work are Lead's to wait for.
func (m *Member) end(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
	m.sessionChanged()
	for _, c := range m.candidates {
		if c.term == nil || m.closing {
			m.finish(c, err)
		}
	}
}

// began makes s the session of all who campaign.
func (m *Member) began(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session = s
	m.sessionChanged()
	for _, c := range m.candidates {
		if c.waiting() {
			s.inbox.Put(m.wish(c))
		}
	}
	info := s.info()
	m.note(func() {
		m.opts.Logger.Info("session started", "member", m.opts.ID, "session", info.ID, "ttl", info.TTL)
		if info.TTL > m.opts.TTL {
			m.opts.Logger.Warn("the store granted a longer TTL than asked for", "asked", m.opts.TTL, "granted", info.TTL)
		}
		if f := m.opts.Trace.SessionStarted; f != nil {
			f(info)
		}
	})
}

// lost takes note of a session that is over. Its terms have ended.
func (m *Member) lost(s *session) {
	m.mu.Lock()
	m.session = nil
	for _, c := range m.candidates {
		if c.leaving() || (c.term != nil && !c.attended) {
			m.finish(c, nil) // what it has left behind ends with the lease
		}
	}
	m.mu.Unlock()
	m.note(func() {
		m.opts.Logger.Warn("session lost", "member", m.opts.ID, "session", s.info().ID, "cause", s.cause)
		if f := m.opts.Trace.SessionLost; f != nil {
			f(s.info(), s.cause)
		}
	})
	if len(s.terms) == 0 && !errors.Is(s.cause, store.ErrLeaseNotFound) {
		// Nobody's work depends on the old lease: spare others the wait for it.
		m.revoke(s.lease.ID)
	}
}

// reopen makes a new session, however long that takes. It returns nil when the
// member is closed, or its id belongs to another by now.
func (m *Member) reopen() *session {
	for pause := reopenMin; ; pause = min(2*pause, reopenMax) {
		s, err := m.openSession(m.ctx)
		switch {
		case err == nil:
			return s
		case m.ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrDuplicateMember), errors.Is(err, store.ErrClosed):
			m.end(err)
			return nil
		}
		m.trouble("", "open session", err)
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-m.ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// Close ends the member. Terms end with ErrClosed; the functions given to Lead
// get their drain times to return in; each seat is handed over; then the
// session is revoked. It returns when nothing of the member runs any more. A
// function that overruns its drain time is not waited for longer: Close returns
// ErrDrainTimeout, and leaves its seat to end with the lease, after the TTL.
//
// Close must not be called from within a function given to Lead, nor from a
// Trace. A second call waits for the first and returns the same.
func (m *Member) Close() error {
	m.mu.Lock()
	first := !m.closing
	if m.closing = true; first {
		m.sessionChanged()
	}
	m.mu.Unlock()
	if first {
		m.closeErr = m.drain()
		m.cancel()
		m.live.Wait()
		close(m.closed)
	}
	<-m.closed
	return m.closeErr
}

// drain ends every candidacy and waits for that.
func (m *Member) drain() error {
	m.mu.Lock()
	var open []*candidacy
	patience := m.opts.TTL // to hand over in
	for _, c := range m.candidates {
		open = append(open, c)
		patience = max(patience, c.drain+m.opts.TTL)
		m.dismiss(c)
	}
	m.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for _, c := range open {
		select {
		case <-c.done:
		case <-timer.C:
			if !m.working(open) {
				return nil // it is the store that is slow; the revoke ends all seats at once
			}
			close(m.abandoned)
			return &Error{Op: "close", Err: ErrDrainTimeout}
		}
	}
	return nil
}

// working reports whether the function of one of these candidacies still runs.
func (m *Member) working(open []*candidacy) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(open, func(c *candidacy) bool {
		return c.attended && c.term != nil && !c.finished
	})
}

// note has f called by the member's notifier, in order, apart from everything
// that must not wait.
func (m *Member) note(f func()) { m.notes.Put(f) }

// notify calls what was noted.
func (m *Member) notify(f func()) {
	if err := guarded(f); err != nil {
		m.panicked(err)
	}
}

// panicked reports a panic of a Trace callback or of the log handler: to both, because
// one of them may be left.
func (m *Member) panicked(err error) {
	_ = guarded(func() { m.opts.Logger.Error("a callback panicked", "member", m.opts.ID, "error", err) })
	if f := m.opts.Trace.Trouble; f != nil {
		_ = guarded(func() { f("", "callback", err) })
	}
}

func (m *Member) trouble(election, request string, err error) {
	m.note(func() {
		m.opts.Logger.Debug("request failed", "member", m.opts.ID, "election", election, "request", request, "error", err)
		if f := m.opts.Trace.Trouble; f != nil {
			f(election, request, err)
		}
	})
}

func (m *Member) roundDone(info RoundInfo) {
	if f := m.opts.Trace.Round; f != nil {
		m.note(func() { f(info) })
	}
}

func (m *Member) duplicateWait(owner protocol.Member, atMost time.Duration) {
	m.note(func() {
		m.opts.Logger.Warn("the member id has another owner; waiting for its session to end",
			"member", owner.ID, "endpoint", owner.Endpoint, "at_most", atMost)
		if f := m.opts.Trace.DuplicateWait; f != nil {
			f(owner.ID, owner.Endpoint, atMost)
		}
	})
}

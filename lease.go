package tenure

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure/store"
)

// Session is one session of a member: a lease that the member renews. It begins once
// and ends once, with a cause; the member then makes a new one, which is another
// Session. All methods may be called from many goroutines.
type Session struct {
	s      *session
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  atomic.Bool
}

// Session returns the member's present session, or waits for the next one. It needs
// no election. Errors: ErrClosed, ErrDuplicateMember, and those of the store and of
// ctx.
func (m *Member) Session(ctx context.Context) (*Session, error) {
	for {
		s, changed, err := m.present()
		if s != nil {
			return s, nil
		}
		if err == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		return nil, &Error{Op: "session", Err: err}
	}
}

// present returns the session as users have it. Where there is none, the channel is
// closed when that may have changed, or the error says why there will be none.
func (m *Member) present() (*Session, <-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.session
	switch {
	case m.closing:
		return nil, nil, ErrClosed
	case m.err != nil:
		return nil, nil, m.err
	case s == nil || s.over || !s.trust.Ahead(s.clock.Now()):
		return nil, m.changed, nil
	case s.given == nil || !s.given.Held():
		s.given = &Session{s: s}
		s.given.ctx, s.given.cancel = context.WithCancelCause(context.Background())
	}
	return s.given, nil, nil
}

// sessionOver ends a session for its users.
func (m *Member) sessionOver(s *session, cause error) {
	m.mu.Lock()
	s.over = true
	given := s.given
	m.mu.Unlock()
	if given != nil {
		given.end(cause)
	}
}

// sessionChanged wakes whoever waits for a session. Member.mu is held.
func (m *Member) sessionChanged() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (s *Session) end(cause error) {
	if s.ended.CompareAndSwap(false, true) {
		s.cancel(cause)
	}
}

// ID names the session where others see it: in Leader.Session, and in SessionInfo.
func (s *Session) ID() string { return s.s.info().ID }

// Lease is what it is in the store. Keys that are put on it, by any process, go when the
// session does.
func (s *Session) Lease() store.LeaseID { return s.s.lease.ID }

// Held reports whether the lease is alive. Once false, it stays false. A process that
// is paused between Held and what it does next may act too late.
func (s *Session) Held() bool {
	if s.ended.Load() {
		return false
	}
	if s.s.trust.Ahead(s.s.clock.Now()) && !s.ended.Load() {
		return true
	}
	s.end(ErrSessionExpired) // before any reply that is on its way
	return false
}

// Until is the moment up to which the lease lives, whatever happens, unless somebody
// revokes it; renewals move it. Of a session that has ended it lies in the past.
func (s *Session) Until() time.Time {
	t := time.Now()
	left := s.s.trust.Left(s.s.clock.Instant(t))
	if !s.Held() {
		left = min(left, -1)
	}
	return t.Add(left)
}

// Context ends with the session. Its cause is an ErrSessionExpired where it was lost;
// and ErrClosed where the member was closed: once all terms have ended, and before the
// lease is revoked.
func (s *Session) Context() context.Context { return s.ctx }

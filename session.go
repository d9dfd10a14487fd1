package tenure

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tenure-go/tenure/internal/clock"
	"github.com/tenure-go/tenure/internal/inbox"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// near is how many in line watch the seats. The first alone would do; the others
// are there in case the leader and the first go down together.
const near = 3

// session is the shell around one protocol.Session: it owns the goroutine that
// steps it, the watches, and the requests to the store.
type session struct {
	m     *Member
	lease store.Lease
	clock clock.Clock
	core  *protocol.Session
	inbox *inbox.Inbox[protocol.Event]
	trust clock.Deadline

	// Owned by run.
	terms   map[string]*Leadership
	rounds  map[uint64]started // under way
	due     protocol.Instant   // the next round
	unwatch func()             // ends the watch, of its own terms or of all seats
	lines   map[string]func()  // ends the watch of a line

	ctx    context.Context // of all requests and watches
	cancel context.CancelFunc
	stop   chan struct{} // closed to end run without an Over
	wg     sync.WaitGroup
	cause  error // of the end, once run has returned

	commits *workers[protocol.Commit]
	looks   *workers[protocol.Look]

	// Guarded by Member.mu.
	given *Session // to users; nil: to none yet
	over  bool
}

// started is when a round began, and how late that was.
type started struct {
	at   time.Time
	late time.Duration
}

// newSession wraps a lease that was just granted; sent is the moment before.
func newSession(m *Member, lease store.Lease, c clock.Clock, sent protocol.Instant) *session {
	s := &session{
		m:       m,
		lease:   lease,
		clock:   c,
		inbox:   inbox.New[protocol.Event](),
		terms:   map[string]*Leadership{},
		rounds:  map[uint64]started{},
		lines:   map[string]func(){},
		unwatch: func() {},
		stop:    make(chan struct{}),
	}
	s.commits = &workers[protocol.Commit]{limit: maxCommits, atOnce: 1, work: s.commit}
	s.looks = &workers[protocol.Look]{limit: maxReads, atOnce: maxLooksPerRead, work: s.look}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.core = protocol.NewSession(protocol.Config{
		Member:   m.opts.ID,
		Endpoint: m.opts.Endpoint,
		Session:  protocol.SessionID(lease.ID),
		Lease:    lease.ID,
		TTL:      lease.TTL,
		Granted:  sent,
		Drift:    m.opts.Drift,
		Margin:   m.opts.Margin,
		Round:    roundOf(lease.TTL),
		Grace:    graceOf(lease.TTL),
		Near:     near,
		Longest:  MaxTTL,
	})
	s.trust.Set(s.core.Deadline())
	return s
}

func (s *session) info() SessionInfo {
	return SessionInfo{ID: protocol.SessionID(s.lease.ID), TTL: s.lease.TTL}
}

// run steps the protocol until the session is over or stop is closed. It
// returns when every request and watch has ended.
func (s *session) run() {
	s.watchSeats(false)
	s.watch(s.ctx, protocol.ControlPrefix)
	s.due = s.clock.Now()
	s.loop()
	s.commits.drop()
	s.looks.drop()
	s.cancel()
	s.wg.Wait()
}

func (s *session) loop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.inbox.Ready():
		case <-timer.C:
			s.inbox.Put(protocol.Tick{})
		}
		for _, ev := range s.inbox.TakeAll() {
			for _, action := range s.core.Step(s.clock.Now(), ev) {
				if over, ok := action.(protocol.Over); ok {
					s.cause = over.Cause
					s.m.sessionOver(s, over.Cause)
					return
				}
				s.do(action)
			}
		}
		timer.Reset(s.core.Next(s.clock.Now()))
	}
}

// watchSeats has the session's watch follow all seats, or its own terms.
func (s *session) watchSeats(on bool) {
	s.unwatch()
	prefix := protocol.TermsOf(protocol.SessionID(s.lease.ID))
	if on {
		prefix = protocol.LeadersPrefix
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.unwatch = cancel
	s.watch(ctx, prefix)
}

func (s *session) watch(ctx context.Context, prefix string) {
	s.wg.Go(func() {
		whole := prefix == protocol.LeadersPrefix // the first batch is, of what it follows
		s.follow(ctx, prefix, func(b store.Batch) {
			for _, ev := range b.Events {
				s.inbox.Put(protocol.Watched{Event: ev})
			}
			if whole {
				s.inbox.Put(protocol.Seats{Listing: listing(b)})
				whole = false
			}
		})
	})
}

func listing(b store.Batch) store.Listing {
	l := store.Listing{Revision: b.Revision}
	for _, ev := range b.Events {
		l.Entries = append(l.Entries, ev.Entry)
	}
	return l
}

func (s *session) watchLine(a protocol.WatchLine) {
	if !a.On {
		s.lines[a.Election]()
		delete(s.lines, a.Election)
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.lines[a.Election] = cancel
	s.wg.Go(func() {
		s.follow(ctx, protocol.CandidatesOf(a.Election), func(b store.Batch) {
			s.inbox.Put(protocol.Lined{Election: a.Election, Token: a.Token, Batch: b})
		})
	})
}

func (s *session) follow(ctx context.Context, prefix string, each func(store.Batch)) {
	report := func(err error) {
		s.m.trouble("", "watch", err)
	}
	for batch, err := range store.Follow(ctx, s.m.st, prefix, report) {
		if err != nil {
			if ctx.Err() == nil {
				report(err) // rounds and looks carry on without the watch
			}
			return
		}
		each(batch)
	}
}

// do carries out one action. It never waits.
func (s *session) do(action protocol.Action) {
	switch a := action.(type) {
	case protocol.Round:
		s.begun(a.ID)
		s.wg.Go(func() { s.round(a) })
	case protocol.Commit:
		s.commits.put(a, s.wg.Go)
	case protocol.Look:
		s.looks.put(a, s.wg.Go)
	case protocol.WatchSeats:
		s.watchSeats(a.On)
	case protocol.WatchLine:
		s.watchLine(a)
	case protocol.Trusted:
		s.trust.Set(a.Until)
	case protocol.RoundDone:
		s.roundDone(a)
	case protocol.Begin:
		s.begin(a)
	case protocol.Extend:
		if l := s.terms[a.Election]; l != nil {
			l.evidence.Set(a.Until)
		}
	case protocol.Warn:
		if l := s.terms[a.Election]; l != nil {
			s.m.warn(l, a.Left)
		}
	case protocol.End:
		s.end(a)
	case protocol.Done:
		delete(s.terms, a.Election)
		s.m.candidacyDone(a.Election, a.Err)
	case protocol.Trouble:
		s.m.trouble(a.Election, string(a.Move), a.Err)
	}
}

func (s *session) begin(a protocol.Begin) {
	c := s.m.candidacy(a.Election)
	if c == nil { // withdrawn for good; pass it on
		s.inbox.Put(protocol.Resign{Election: a.Election, Token: a.Token, Cause: ErrResigned})
		s.inbox.Put(protocol.Drained{Election: a.Election, Token: a.Token})
		return
	}
	l := newLeadership(s, c, a.Token, a.Until)
	s.terms[a.Election] = l
	if a.Named {
		s.m.forgetFlaps(a.Election)
	}
	s.m.elected(c, l)
}

func (s *session) end(a protocol.End) {
	l := s.terms[a.Election]
	if l == nil {
		return
	}
	l.end(a.Cause)
	s.m.termEnded(l)
	switch {
	case l.c.attended: // Lead says when it has drained
	case errors.Is(l.Cause(), ErrYielded): // Resign does
		time.AfterFunc(DefaultDrainTimeout, func() {
			if !l.released.Load() {
				s.m.overran(l, DefaultDrainTimeout)
			}
		})
	default:
		l.drained()
	}
}

func (s *session) round(a protocol.Round) {
	ctx, cancel := context.WithTimeout(s.ctx, a.Timeout)
	defer cancel()
	sent := s.clock.Now()
	ttl, err := s.m.st.Renew(ctx, s.lease.ID)
	s.inbox.Put(protocol.Renewed{Round: a.ID, Sent: sent, TTL: ttl, Err: err})
	if err != nil {
		return
	}
	sent = s.clock.Now()
	l, err := s.m.st.List(ctx, a.Query)
	s.inbox.Put(protocol.Listed{Round: a.ID, Sent: sent, Listing: l, Err: err})
}

// begun notes that a round begins. What made it late has stopped this whole process, or
// its host: nothing that the session does takes long.
func (s *session) begun(id uint64) {
	t := time.Now()
	now := s.clock.Instant(t)
	s.rounds[id] = started{t, lateness(now, s.due)}
	s.due = now.Add(roundOf(s.lease.TTL))
}

func (s *session) roundDone(a protocol.RoundDone) {
	r := s.rounds[a.ID]
	delete(s.rounds, a.ID)
	now := time.Now()
	s.m.roundDone(RoundInfo{
		Took:  now.Sub(r.at),
		Late:  r.late,
		Until: now.Add(s.trust.Left(s.clock.Instant(now))),
		Err:   a.Err,
	})
}

// lateness is by how much something came after it was due, by either clock.
func lateness(now, due protocol.Instant) time.Duration {
	return time.Duration(max(now.Mono-due.Mono, now.Wall-due.Wall, 0))
}

package tenure

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
)

// candidacy is a member's wish to lead one election, from the call of Campaign
// or Lead until nothing of it is left in the store. Its fields below the line
// are guarded by Member.mu.
type candidacy struct {
	ctx      context.Context // for its values only
	election string
	opts     CampaignOptions
	attended bool             // by Lead, which says when a term has drained
	drain    time.Duration    // how long its function may take to return
	won      chan *Leadership // holds one
	done     chan struct{}
	err      error // valid once done is closed

	// ---
	priority     int
	preemptAfter time.Duration
	unwell       error // why it must not lead: its health check,
	ineligible   error // its policy

	term      *Leadership // the present one, until it has drained
	dismissed bool        // nobody wants it any more
	finished  bool
}

// waiting: it wants to be elected and has no term.
func (c *candidacy) waiting() bool { return c.term == nil && !c.dismissed }

// leaving: all that is missing is its end in the store.
func (c *candidacy) leaving() bool { return c.term == nil && c.dismissed }

// Campaign waits until this member leads the election. The term lasts until
// Resign, Close, or its loss; ctx only bounds the wait. When ctx ends first,
// nothing stays behind in the store: Campaign waits for that, for at most a
// third of the TTL, after which the member goes on trying.
//
// Errors: ErrInvalid, ErrAlreadyCandidate, ErrClosed, ErrDuplicateMember,
// ErrConditionFailed, the error of ctx, and those of the store that trying again
// cannot mend.
func (m *Member) Campaign(ctx context.Context, election string, opts CampaignOptions) (*Leadership, error) {
	l, err := m.startCampaign(ctx, election, opts)
	if err != nil {
		return nil, &Error{Op: "campaign", Election: election, Err: err}
	}
	return l, nil
}

func (m *Member) startCampaign(ctx context.Context, election string, opts CampaignOptions) (*Leadership, error) {
	c, err := m.enter(ctx, &candidacy{election: election, opts: opts})
	if err != nil {
		return nil, err
	}
	l, err := m.await(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := l.meets(ctx); err != nil && l.Cause() == nil {
		cause := err
		if ctx.Err() != nil {
			cause = ErrResigned
		}
		m.leaves(ctx, func(ctx context.Context) { _ = l.leave(ctx, cause, "") }) // which goes on, whatever it returns
		return nil, err
	}
	return l, nil // and lost already, perhaps, which its Cause says
}

// leaves waits until nothing is left of a candidacy, as long as anybody should.
func (m *Member) leaves(ctx context.Context, wait func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.opts.TTL/3)
	defer cancel()
	wait(ctx)
}

// enter registers a candidacy and lets it campaign.
func (m *Member) enter(ctx context.Context, c *candidacy) (*candidacy, error) {
	if err := checkName("election name", c.election); err != nil {
		return nil, err
	}
	if err := c.opts.validate(); err != nil {
		return nil, err
	}
	if err := checkConds(c.opts.If, m.st.Capabilities()); err != nil {
		return nil, err
	}
	c.opts.If = slices.Clone(c.opts.If)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p := c.opts.Policy; p != nil {
		if may, _ := mayCampaign(p, m.identity()); may != Yes { // followPolicy asks, too, and reports
			c.ineligible = ErrIneligible
		}
	}
	c.priority, c.preemptAfter = c.opts.Priority, c.opts.PreemptAfter
	c.ctx, c.won, c.done = ctx, make(chan *Leadership, 1), make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closing:
		return nil, ErrClosed
	case m.err != nil:
		return nil, m.err
	case m.candidates[c.election] != nil:
		return nil, ErrAlreadyCandidate
	}
	m.candidates[c.election] = c
	m.attend(c)
	m.post(m.wish(c))
	return c, nil
}

// attend starts what a candidacy asks of others as long as it lives. Member.mu is
// held.
func (m *Member) attend(c *candidacy) {
	if c.opts.Health == nil && c.opts.Policy == nil {
		return
	}
	ctx, cancel := context.WithCancel(m.ctx)
	m.live.Go(func() {
		defer cancel()
		select {
		case <-c.done:
		case <-ctx.Done():
		}
	})
	if check := c.opts.Health; check != nil {
		m.live.Go(func() {
			m.watchHealth(ctx, c.election, check, func(err error) { m.bar(c, &c.unwell, err) })
		})
	}
	if policy := c.opts.Policy; policy != nil {
		m.live.Go(func() { m.followPolicy(ctx, c, policy) })
	}
}

// post gives an event to the session; without one there is nothing to tell, and
// the next session is told of all who wait. Member.mu is held.
func (m *Member) post(ev protocol.Event) {
	if m.session != nil {
		m.session.inbox.Put(ev)
	}
}

// await waits for the term that a candidacy campaigns for.
func (m *Member) await(ctx context.Context, c *candidacy) (*Leadership, error) {
	select {
	case l := <-c.won:
		return l, nil
	case <-c.done:
		select {
		case l := <-c.won: // and lost already, which its Cause says
			return l, nil
		default:
			return nil, c.err
		}
	case <-ctx.Done():
	}
	m.mu.Lock()
	m.dismiss(c)
	m.mu.Unlock()
	m.leaves(ctx, func(leave context.Context) {
		select {
		case <-c.done:
		case <-leave.Done():
		}
	})
	return nil, ctx.Err()
}

// dismiss ends a candidacy whatever its state; what is left of it in the store
// is cleared away in the background. Member.mu is held.
func (m *Member) dismiss(c *candidacy) {
	if c.dismissed || c.finished {
		return
	}
	c.dismissed = true
	cause := ErrResigned
	if m.closing {
		cause = ErrClosed
		c.err = ErrClosed
	}
	if c.term == nil {
		if m.session == nil {
			m.finish(c, c.err)
		} else {
			m.post(protocol.Withdraw{Election: c.election})
		}
		return
	}
	c.term.resign(cause)
	select {
	case <-c.won: // nobody has taken the term, so nobody will say that it has drained
		c.term.drained()
		c.term = nil
	default:
		if !c.attended {
			c.term.drained()
		}
	}
}

// finish ends a candidacy of which nothing is left. Member.mu is held.
func (m *Member) finish(c *candidacy, err error) {
	if c.finished {
		return
	}
	c.finished = true
	if c.err == nil {
		c.err = err
	}
	delete(m.candidates, c.election)
	close(c.done)
}

// candidacyDone takes the protocol's word that nothing is left in the store.
func (m *Member) candidacyDone(election string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.candidates[election]
	switch {
	case c == nil:
	case c.waiting() && err == nil: // said of one before it
	case c.attended && c.term != nil: // its function still runs
	default:
		m.finish(c, err)
	}
}

// candidacy returns who campaigns for an election here, or nil.
func (m *Member) candidacy(election string) *candidacy {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.candidates[election]
}

// elected hands a new term to its candidacy, or back if nobody wants it now.
func (m *Member) elected(c *candidacy, l *Leadership) {
	m.mu.Lock()
	dismissed := c.dismissed
	if !dismissed {
		c.term = l
		c.won <- l // has room: the one before was taken, or there was none
	}
	m.mu.Unlock()
	m.history.began(l)
	info := l.info()
	m.note(func() {
		m.opts.Logger.Info("elected", "election", info.Election, "member", info.Member, "token", info.Token)
		if f := m.opts.Trace.Elected; f != nil {
			f(info)
		}
	})
	if dismissed {
		l.resign(ErrResigned)
		l.drained()
	}
}

func (m *Member) termEnded(l *Leadership) {
	info, cause := l.info(), l.Cause()
	if errors.Is(cause, ErrLost) || errors.Is(cause, ErrUnhealthy) {
		m.mu.Lock()
		m.flapped(info.Election)
		m.mu.Unlock()
	}
	m.history.ended(l)
	m.note(func() {
		m.opts.Logger.Info("term ended", "election", info.Election, "member", info.Member, "token", info.Token, "cause", cause)
		if f := m.opts.Trace.Ended; f != nil {
			f(info, cause)
		}
	})
}

func (l *Leadership) info() TermInfo {
	return TermInfo{Election: l.c.election, Member: l.s.m.opts.ID, Token: l.token}
}

package tenure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
)

// Verdict is what a Policy says.
type Verdict int

// The verdicts.
const (
	// Unknown: it cannot tell now, or has panicked. Nothing follows for a while; see
	// Policy.
	Unknown Verdict = iota
	Yes
	No
)

// String returns the verdict's name.
func (v Verdict) String() string {
	switch v {
	case Yes:
		return "yes"
	case No:
		return "no"
	default:
		return "unknown"
	}
}

// Identity is what a Policy is asked about.
type Identity struct {
	Member   string
	Endpoint string
}

// Policy says who may lead an election. Its methods are called by one goroutine of
// each candidacy, one at a time, and must not block: they say what is known. It is
// asked when Changed says so, when the leader changes, and every third of the TTL.
//
// A verdict of Unknown changes nothing for one TTL; who has only begun to campaign waits
// until it is known. After the TTL a member that cannot tell whether it should campaign
// does not: a term ends with ErrIneligible. No leader is ever deposed because nobody can
// tell.
type Policy interface {
	// ShouldCampaign says whether this member may lead. No: it takes no seat, and a
	// term that it has ends with ErrIneligible; the seat is handed over when its
	// function has returned.
	ShouldCampaign(self Identity) Verdict
	// IsValidLeader says whether the member that leads may go on. A leader that is
	// not valid is deposed by the candidates that may campaign, once that has been
	// so for a third of the TTL: what time it has to hand over itself. A member
	// asks about itself, too: if it would not be valid, it does not campaign.
	IsValidLeader(leader Identity) Verdict
	// Changed tells that the answers may be different now. It may be nil, and is
	// asked for once.
	Changed() <-chan struct{}
}

// bar notes why a candidacy must not lead, by one of the reasons that it may have,
// and lets the protocol know if that has changed.
func (m *Member) bar(c *candidacy, reason *error, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if (*reason == nil) == (err == nil) || c.finished || c.dismissed {
		*reason = err
		return
	}
	*reason = err
	m.tell(c)
}

// wish is what a candidacy wants. Member.mu is held.
func (m *Member) wish(c *candidacy) protocol.Campaign {
	ev := protocol.Campaign{Election: c.election, Priority: c.priority, Yield: c.preemptAfter}
	for _, reason := range []error{m.unwell, c.unwell, c.ineligible} {
		if ev.Barred == nil {
			ev.Barred = reason
		}
	}
	ev.Aside = m.aside(c.election)
	return ev
}

// SetPriority changes the priority with which this member campaigns. Of a leader it
// counts at once where it may be preempted; a candidate goes to the end of those that
// have the new priority. Errors: ErrNotCandidate.
func (m *Member) SetPriority(election string, priority int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.candidates[election]
	if c == nil || c.dismissed {
		return &Error{Op: "set priority", Election: election, Err: ErrNotCandidate}
	}
	c.priority = priority
	m.tell(c)
	return nil
}

// tell lets the protocol know what a candidacy wants now. Where the function of a term
// of an older session still runs, it is told when that has drained. Member.mu is held.
func (m *Member) tell(c *candidacy) {
	if c.term == nil || c.term.s == m.session {
		ev := m.wish(c)
		ev.Amend = true
		m.post(ev)
	}
}

// watchHealth calls a health check for as long as ctx lives, and says what follows:
// nil, or an ErrUnhealthy.
func (m *Member) watchHealth(ctx context.Context, election string, check func(context.Context) error, follows func(error)) {
	pause := roundOf(m.opts.TTL)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	var failing time.Time
	for {
		began := time.Now()
		err := m.check(ctx, pause, check)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failing = time.Time{}
			follows(nil)
		case failing.IsZero():
			failing = began
			fallthrough
		default:
			m.trouble(election, "health check", err)
			if time.Since(failing) >= m.opts.HealthGrace {
				follows(fmt.Errorf("%w: %w", ErrUnhealthy, err))
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *Member) check(ctx context.Context, timeout time.Duration, check func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if panicked := guarded(func() { err = check(ctx) }); panicked != nil || err != nil {
		return errors.Join(panicked, err)
	}
	return ctx.Err() // what took too long has not said that all is well
}

// followPolicy asks a policy for as long as ctx lives.
func (m *Member) followPolicy(ctx context.Context, c *candidacy, policy Policy) {
	leaders := make(chan Leader)
	observed := make(chan struct{})
	go func() {
		defer close(observed)
		m.tellLeaders(ctx, c.election, leaders)
	}()
	defer func() { <-observed }()
	round := roundOf(m.opts.TTL)
	ticker := time.NewTicker(round)
	defer ticker.Stop()
	p := policing{m: m, c: c, policy: policy, self: m.identity()}
	var changed <-chan struct{}
	if err := guarded(func() { changed = policy.Changed() }); err != nil {
		m.trouble(c.election, "ask policy", err)
	}
	for {
		p.ask(ctx)
		select {
		case p.leader = <-leaders:
		case _, ok := <-changed:
			if !ok {
				changed = nil
			}
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// tellLeaders tells of each leader; of nobody as the zero Leader.
func (m *Member) tellLeaders(ctx context.Context, election string, leaders chan<- Leader) {
	for ev, err := range NewView(m.st, election).Observe(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				m.trouble(election, "observe", err)
			}
			return
		}
		if ev.Kind == Gap {
			continue
		}
		select {
		case leaders <- ev.Leader:
		case <-ctx.Done():
			return
		}
	}
}

// policing is what following a policy keeps in mind.
type policing struct {
	m      *Member
	c      *candidacy
	policy Policy
	self   Identity
	leader Leader // the present one; zero: none

	unknown time.Time // since when it cannot be told whether we may lead
	invalid time.Time // since when the leader of the token is not valid
	token   Token
}

func (p *policing) ask(ctx context.Context) {
	should, err := mayCampaign(p.policy, p.self)
	p.m.bar(p.c, &p.c.ineligible, p.verdict(should))
	valid := Yes
	if p.leader.Token != 0 && p.leader.Member != p.self.Member {
		var unsaid error
		valid, unsaid = verdictOf(p.policy.IsValidLeader, Identity{p.leader.Member, p.leader.Endpoint})
		err = errors.Join(err, unsaid)
	}
	if err != nil {
		p.m.trouble(p.c.election, "ask policy", err)
	}
	if valid != No || p.token != p.leader.Token {
		p.token, p.invalid = p.leader.Token, time.Time{}
	}
	if valid == No && p.invalid.IsZero() {
		p.invalid = time.Now()
	}
	if valid != No || should != Yes || time.Since(p.invalid) < roundOf(p.m.opts.TTL) {
		return
	}
	err = NewView(p.m.st, p.c.election).Depose(ctx, p.leader.Token, Reason{By: p.self.Member, Why: "not a valid leader by its policy"})
	if err != nil && ctx.Err() == nil {
		p.m.trouble(p.c.election, "depose", err)
	}
}

func (m *Member) identity() Identity { return Identity{m.opts.ID, m.opts.Endpoint} }

// mayCampaign asks a policy about its own member. Whoever would be deposed at once
// does not try.
func mayCampaign(p Policy, self Identity) (Verdict, error) {
	should, err := verdictOf(p.ShouldCampaign, self)
	if should == No || err != nil {
		return should, err
	}
	valid, err := verdictOf(p.IsValidLeader, self)
	if valid == No {
		return No, nil
	}
	return should, err
}

// verdictOf asks. A policy that panics has said nothing.
func verdictOf(ask func(Identity) Verdict, of Identity) (v Verdict, err error) {
	err = guarded(func() { v = ask(of) })
	return v, err
}

// verdict is why we must not lead.
func (p *policing) verdict(v Verdict) error {
	if v != Unknown {
		p.unknown = time.Time{}
		if v == No {
			return ErrIneligible
		}
		return nil
	}
	if p.unknown.IsZero() {
		p.unknown = time.Now()
	}
	if since := time.Since(p.unknown); since >= p.m.opts.TTL {
		return fmt.Errorf("%w: its policy could not tell for %v", ErrIneligible, since)
	}
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	return p.c.ineligible // as it was
}

package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// shellMember is one start of a member, and what its Trace and its Logger were
// told, in one list: "log ..." and "trace ...".
type shellMember struct {
	*tenuretest.Node
	run *shellRun

	mu     sync.Mutex
	told   []string
	terms  map[string]*tenure.TermInfo // in office by what was told, of each election
	last   map[string]tenure.Token     // of each election
	joined string                      // the session told of last
	final  int                         // how much was told when Close had returned
	closed bool
	leads  map[string]context.CancelCauseFunc

	policy *shellPolicy
	unwell atomic.Bool
}

// shellPolicy is one for all elections of a member.
type shellPolicy struct {
	changed chan struct{}

	mu       sync.Mutex
	campaign tenure.Verdict
	invalid  string // the leader that is not valid; empty: none
}

func newShellPolicy() *shellPolicy {
	return &shellPolicy{changed: make(chan struct{}, 1), campaign: tenure.Yes}
}

func (p *shellPolicy) set(campaign tenure.Verdict, invalid string) {
	p.mu.Lock()
	p.campaign, p.invalid = campaign, invalid
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *shellPolicy) ShouldCampaign(tenure.Identity) tenure.Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.campaign
}

func (p *shellPolicy) IsValidLeader(leader tenure.Identity) tenure.Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	if leader.Member == p.invalid {
		return tenure.No
	}
	return tenure.Yes
}

func (p *shellPolicy) Changed() <-chan struct{} { return p.changed }

// health is a check that fails while the member is unwell.
func (m *shellMember) health(context.Context) error {
	if m.unwell.Load() {
		return errWork
	}
	return nil
}

func (m *shellMember) problem(format string, args ...any) {
	m.run.problem("%s: %s", m.ID(), fmt.Sprintf(format, args...))
}

// shellTold are the log messages that come with a callback, and its name.
var shellTold = map[string]string{
	"session started": "session started",
	"session lost":    "session lost",
	"elected":         "elected",
	"term ended":      "term ended",
	"the function still runs after its drain time":                    "overrun",
	"the member id has another owner; waiting for its session to end": "duplicate",
	"request failed":        "trouble",
	"the term may end soon": "warning",
	"standing back":         "stood back",
	"the function failed":   "failed",
}

// Handle takes a log record.
func (m *shellMember) Handle(_ context.Context, r slog.Record) error {
	what, known := shellTold[r.Message]
	if !known {
		m.run.problem("unknown log message %q", r.Message)
	}
	line := []string{"log", what}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "session", "election", "token", "request":
			line = append(line, a.Value.String())
		case "cause", "error":
			if a.Value.String() == "" || a.Value.Any() == nil {
				m.run.problem("log %q without %s", r.Message, a.Key)
			}
		}
		return true
	})
	m.tell(strings.Join(line, " "))
	return nil
}

func (m *shellMember) Enabled(context.Context, slog.Level) bool { return true }
func (m *shellMember) WithAttrs([]slog.Attr) slog.Handler       { return m }
func (m *shellMember) WithGroup(string) slog.Handler            { return m }

func (m *shellMember) tell(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, line)
}

// traced takes a callback, which must tell what the log has just told.
func (m *shellMember) traced(what string, details ...any) {
	line := strings.TrimSuffix(fmt.Sprintln(append([]any{what}, details...)...), "\n")
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.told[len(m.told)-1]; last != "log "+line {
		m.run.problem("trace %q after %q", line, last)
	}
	m.told = append(m.told, "trace "+line)
}

// trace checks the order of callbacks. Slow ones take up to slow, in virtual
// time, now and then.
func (m *shellMember) trace(slow time.Duration) *tenure.Trace {
	var calls, running atomic.Int64
	enter := func() func() {
		if running.Add(1) != 1 {
			m.run.problem("two callbacks at once")
		}
		if n := calls.Add(1); slow > 0 && n%3 == 0 {
			time.Sleep(slow) // virtual
		}
		return func() { running.Add(-1) }
	}
	return &tenure.Trace{
		SessionStarted: func(s tenure.SessionInfo) {
			defer enter()()
			m.traced("session started", s.ID)
			if m.joined != "" {
				m.run.problem("session %s started after %s, which has not ended", s.ID, m.joined)
			}
			m.joined = s.ID
		},
		SessionLost: func(s tenure.SessionInfo, err error) {
			defer enter()()
			m.run.tally.count("session lost", 1)
			m.traced("session lost", s.ID)
			if m.joined != s.ID || err == nil {
				m.run.problem("session %s lost (%v), and %q had started", s.ID, err, m.joined)
			}
			m.joined = ""
			for election, term := range m.terms {
				m.run.problem("session %s lost, and token %d of %s has not ended", s.ID, term.Token, election)
			}
		},
		Elected: func(t tenure.TermInfo) {
			defer enter()()
			m.traced("elected", t.Election, t.Token)
			if before := m.terms[t.Election]; before != nil {
				m.run.problem("elected in %s, token %d, and token %d has not ended", t.Election, t.Token, before.Token)
			}
			if t.Token <= m.last[t.Election] {
				m.run.problem("elected in %s, token %d, after %d", t.Election, t.Token, m.last[t.Election])
			}
			if m.joined == "" {
				m.run.problem("elected in %s without a session", t.Election)
			}
			m.terms[t.Election], m.last[t.Election] = &t, t.Token
			m.run.mu.Lock()
			m.run.led[t.Election][t.Token] = m
			m.run.mu.Unlock()
		},
		Ended: func(t tenure.TermInfo, cause error) {
			defer enter()()
			m.traced("term ended", t.Election, t.Token)
			if before := m.terms[t.Election]; before == nil || *before != t {
				m.run.problem("ended %v, and in office was %v", t, before)
			}
			if !isCause(cause) {
				m.run.problem("ended %v: %v", t, cause)
			}
			delete(m.terms, t.Election)
		},
		Overrun: func(t tenure.TermInfo, _ time.Duration) {
			defer enter()()
			m.run.tally.count("overrun", 1)
			m.traced("overrun", t.Election, t.Token)
		},
		Trouble: func(election, request string, err error) {
			defer enter()()
			if err == nil {
				m.run.problem("trouble with %s, and no error", request)
			}
			m.traced("trouble", election, request)
		},
		Warning: func(t tenure.TermInfo, left time.Duration) {
			defer enter()()
			m.run.tally.count("warning", 1)
			m.traced("warning", t.Election, t.Token)
			if before := m.terms[t.Election]; before == nil || *before != t || left > round {
				m.run.problem("warned of %v, %v before its end, and in office was %v", t, left, before)
			}
		},
		StoodBack: func(election string, flaps int, during time.Duration) {
			defer enter()()
			m.run.tally.count("stood back", 1)
			m.traced("stood back", election)
			if flaps <= tenure.DefaultFlapLimit || during < time.Second || during > 75*time.Second {
				m.run.problem("stood back for %v after %d flaps", during, flaps)
			}
		},
		Failed: func(t tenure.TermInfo, err error) {
			defer enter()()
			m.run.tally.count("failed", 1)
			m.traced("failed", t.Election, t.Token)
			if err == nil {
				m.run.problem("failed %v, and no error", t)
			}
		},
		DuplicateWait: func(string, string, time.Duration) {
			defer enter()()
			m.traced("duplicate")
		},
		Round: func(r tenure.RoundInfo) {
			defer enter()()
			if r.Err == nil && r.Until.IsZero() {
				m.run.problem("round %+v", r)
			}
		},
	}
}

// errTold is the cause of contexts that a schedule ends.
var errTold = errors.New("told to stop")

func isCause(err error) bool {
	return slices.ContainsFunc([]error{
		tenure.ErrResigned, tenure.ErrClosed, tenure.ErrLost, tenure.ErrYielded, tenure.ErrConditionFailed, errTold,
	}, func(target error) bool { return errors.Is(err, target) })
}

// work is what a function given to Lead does.
type work struct {
	life    time.Duration // how long it works, if its term lasts
	after   func(context.Context, tenure.Term) error
	linger  time.Duration // how long it ignores that it is told to stop
	writes  time.Duration // between guarded writes; zero: none
	drain   time.Duration
	release bool
	retry   bool
	preempt time.Duration
	before  func(context.Context, tenure.Term) error
	conds   []store.Cond
}

// shellOpen is a condition that operators change.
var shellOpen = []store.Cond{store.Absent("closed")}

func randomWork(r *rand.Rand) work {
	w := work{life: time.Hour, drain: shellDrain, release: r.IntN(3) == 0, retry: r.IntN(3) == 0}
	if r.IntN(3) == 0 {
		w.preempt = time.Duration(r.Int64N(int64(ttl)))
	}
	if r.IntN(3) == 0 {
		before := time.Duration(r.Int64N(int64(shellDrain)))
		w.before = func(ctx context.Context, _ tenure.Term) error {
			select {
			case <-time.After(before):
				return nil
			case <-ctx.Done():
				return fmt.Errorf("the context of BeforeRelease had ended: %w", ctx.Err())
			}
		}
	}
	if r.IntN(3) == 0 {
		w.conds = shellOpen
	}
	w.after = func(context.Context, tenure.Term) error { return nil }
	if r.IntN(2) == 0 {
		w.life = time.Duration(r.Int64N(int64(ttl)))
	}
	switch r.IntN(6) {
	case 0:
		w.after = func(context.Context, tenure.Term) error { return errWork }
	case 1:
		w.after = func(context.Context, tenure.Term) error { panic(errWork) }
	case 2:
		w.after = func(ctx context.Context, t tenure.Term) error { return t.Resign(ctx) }
	}
	switch r.IntN(4) {
	case 0:
		w.linger = time.Duration(r.Int64N(int64(shellDrain)))
	case 1:
		w.linger = shellDrain + time.Duration(r.Int64N(int64(shellLinger-shellDrain)))
	}
	if r.IntN(2) == 0 {
		w.writes = 100*time.Millisecond + time.Duration(r.Int64N(int64(round)))
	}
	return w
}

// lead runs Lead until it is told to stop.
func (m *shellMember) lead(election string, w work) {
	ctx, cancel := context.WithCancelCause(m.run.ctx)
	m.mu.Lock()
	busy := m.leads[election] != nil
	if !busy {
		m.leads[election] = cancel
	}
	m.mu.Unlock()
	if busy {
		cancel(nil)
		return
	}
	var running atomic.Int64
	m.run.live.Go(func() {
		err := m.Lead(ctx, election, func(ctx context.Context, term tenure.Term) error {
			m.run.live.Add(1)
			defer m.run.live.Done()
			if running.Add(1) != 1 {
				m.problem("two functions of one Lead at once")
			}
			defer running.Add(-1)
			return m.work(ctx, term, election, w)
		}, tenure.LeadOptions{
			DrainTimeout: w.drain, ReleaseOverrun: w.release, Priority: int(w.life % 2), Retry: w.retry,
			PreemptAfter: w.preempt, BeforeRelease: w.before, Policy: m.policy, If: w.conds,
		})
		cancel(nil)
		m.mu.Lock()
		delete(m.leads, election)
		m.mu.Unlock()
		m.returned("Lead", err)
	})
}

func (m *shellMember) work(ctx context.Context, term tenure.Term, election string, w work) error {
	l := term.(*tenure.Leadership)
	end := time.After(w.life)
	for {
		var write <-chan time.Time
		if w.writes > 0 {
			write = time.After(w.writes)
		}
		select {
		case <-write:
			m.write(ctx, l, election)
			_ = l.Announce(ctx, []byte(m.ID())) // which may fail in every way
			continue
		case <-end:
			return w.after(ctx, term)
		case <-ctx.Done():
		}
		break
	}
	if term.Held() || term.Cause() == nil || !errors.Is(context.Cause(ctx), term.Cause()) {
		m.problem("context ended (%v), and token %d of %s is held: %v, cause %v", context.Cause(ctx), term.Token(), election, term.Held(), term.Cause())
	}
	for end := time.Now().Add(w.linger); time.Now().Before(end); {
		time.Sleep(shellDrain / 4) // virtual
		if w.writes > 0 {
			m.write(context.WithoutCancel(ctx), l, election) // must be refused
			m.writeAnyway(l, election)
		}
	}
	return ctx.Err()
}

// write makes a guarded write, which may fail in every way but one.
func (m *shellMember) write(ctx context.Context, l *tenure.Leadership, election string) {
	held := l.Held()
	if err := m.Write(ctx, l, election); err == nil && !held {
		m.problem("a write through token %d of %s succeeded, which was not held", l.Token(), election)
	}
}

// writeAnyway makes a write that its guard refuses unless the seat is still kept
// for the function to return.
func (m *shellMember) writeAnyway(l *tenure.Leadership, election string) {
	ctx, cancel := context.WithTimeout(context.Background(), ttl)
	defer cancel()
	took, _ := m.WriteAnyway(ctx, l, election) // it may fail in every way
	if took && errors.Is(l.Cause(), tenure.ErrDispossessed) {
		m.problem("a guarded write of token %d of %s took effect, whose seat was taken away", l.Token(), election)
	}
}

// campaign runs one Campaign, and holds what it has won for a while.
func (m *shellMember) campaign(election string, wait, hold, bound time.Duration, resign bool) {
	m.run.live.Go(func() {
		ctx, cancel := context.WithTimeout(m.run.ctx, wait)
		defer cancel()
		var opts tenure.CampaignOptions
		if resign {
			opts.If = shellOpen
		}
		l, err := m.Campaign(ctx, election, opts)
		m.returned("Campaign", err)
		if err != nil {
			return
		}
		m.write(m.run.ctx, l, election)
		select {
		case <-time.After(hold):
		case <-l.Context().Done():
			if l.Held() || !isCause(l.Cause()) {
				m.problem("token %d of %s has ended, held: %v, cause %v", l.Token(), election, l.Held(), l.Cause())
			}
		case <-m.run.ctx.Done():
		}
		m.write(m.run.ctx, l, election)
		if !resign && l.Cause() == nil { // it holds the seat until Close, or until it is asked for it
			select {
			case <-l.Context().Done():
			case <-m.run.ctx.Done():
				return
			}
		}
		if !resign && !errors.Is(l.Cause(), tenure.ErrYielded) {
			return
		}
		patience, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		m.returned("Resign", l.Resign(patience))
		if l.Held() {
			m.problem("token %d of %s is held although it was resigned", l.Token(), election)
		}
	})
}

// returned fails the schedule if a call returned what it must not.
func (m *shellMember) returned(call string, err error) {
	if p := (*tenure.PanicError)(nil); errors.As(err, &p) {
		m.run.tally.count("panic", 1)
	}
	for _, target := range []error{
		nil, errWork, errTold, context.Canceled, context.DeadlineExceeded, tenure.ErrClosed, tenure.ErrAlreadyCandidate,
		tenure.ErrConditionFailed, tenure.ErrDrainTimeout, tenure.ErrDuplicateMember, store.ErrClosed,
	} {
		if errors.Is(err, target) {
			return
		}
	}
	m.problem("%s returned %v", call, err)
}

// stop cancels the Lead of an election, if there is one.
func (m *shellMember) stop(election string) {
	m.mu.Lock()
	cancel := m.leads[election]
	m.mu.Unlock()
	if cancel != nil {
		cancel(errTold)
	}
}

// close closes the member. Nothing may be told after it has returned.
func (m *shellMember) close() error {
	err := m.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed, m.final = true, len(m.told)
	}
	return err
}

// mustBeOver checks what was told to a member that is closed.
func (m *shellMember) mustBeOver() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed && len(m.told) > m.final {
		m.problem("told after Close: %q", m.told[m.final:])
	}
	for election, term := range m.terms {
		m.problem("closed, and token %d of %s has not ended", term.Token, election)
	}
	if len(m.leads) > 0 {
		m.problem("closed, and Lead has not returned in %d elections", len(m.leads))
	}
	if n := len(m.told); n > 0 && strings.HasPrefix(m.told[n-1], "log") {
		m.problem("no callback with %q", m.told[n-1])
	}
}
